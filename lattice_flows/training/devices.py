"""Devices by name, as strategies of TensorFlow."""

import re
from collections.abc import Sequence

import tensorflow as tf

from lattice_flows.errors import UserError

__all__ = ["DeviceError", "choose_strategy", "strategy_of", "strategy_on"]


class DeviceError(UserError, ValueError):
    """A device that is not available, or one that does not hold the flow."""


def choose_strategy(device: str) -> tf.distribute.Strategy:
    """Returns the strategy for one or several devices.

    Args:
      device: "cpu", "gpu" (the first of each), "gpu:1", a list as "gpu:0,gpu:1", or "all" (every GPU; the CPU where there is none).

    Returns:
      `OneDeviceStrategy` for one device, `MirroredStrategy` (data parallel) for several.

    Raises:
      DeviceError: an unknown spelling, a device that is not available, or one named twice.
    """
    available = {f"{kind.lower()}:{index}" for kind in ("CPU", "GPU") for index in range(len(tf.config.list_logical_devices(kind)))}
    if device == "all":
        names = sorted(name for name in available if name.startswith("gpu")) or ["cpu:0"]
    else:
        names = device.split(",")
        for name in names:
            if not re.fullmatch(r"(cpu|gpu)(:\d+)?", name):
                raise DeviceError(f"unknown device {name!r}: write cpu, gpu, gpu:1, a list such as gpu:0,gpu:1, or all")
        names = [name if ":" in name else f"{name}:0" for name in names]
    for name in names:
        if name not in available:
            raise DeviceError(f"device {name!r} is not available; choose from {', '.join(sorted(available))}")
    if len(set(names)) < len(names):
        raise DeviceError(f"a device is named twice in {device!r}: name each device once")
    if len(names) == 1:
        return tf.distribute.OneDeviceStrategy(f"/{names[0]}")
    # NCCL, the default between GPUs, does not support CPUs.
    all_gpus = all(name.startswith("gpu") for name in names)
    reduction = None if all_gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy([f"/{name}" for name in names], cross_device_ops=reduction)


def strategy_of(variables: Sequence[tf.Variable]) -> tf.distribute.Strategy:
    """Returns the strategy in whose scope variables were made; for variables made in none, that of the device that holds them."""
    for variable in variables:
        strategy = variable.distribute_strategy if hasattr(variable, "distribute_strategy") else None
        if strategy is not None and strategy.num_replicas_in_sync > 1:
            return strategy
        return tf.distribute.OneDeviceStrategy(variable.device)
    return choose_strategy("cpu")


def strategy_on(device: str, variables: Sequence[tf.Variable]) -> tf.distribute.Strategy:
    """Returns the strategy of the variables of a flow, which must be on the named device, or devices.

    Args:
      device: as for `choose_strategy`.
      variables: of the flow.

    Raises:
      DeviceError: they are not there, or the device is not available.
    """
    wanted, strategy = choose_strategy(device), strategy_of(variables)
    here = strategy.extended.worker_devices
    if set(here) != set(wanted.extended.worker_devices):
        raise DeviceError(
            f"the flow was built on {', '.join(sorted(here))}, not on {device!r}. Build it there:\n"
            f"    with lattice_flows.training.devices.choose_strategy({device!r}).scope():\n"
            "        flow = ...\n"
            "and leave out `device`: a flow is trained where it was built"
        )
    return strategy
