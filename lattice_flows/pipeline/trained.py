"""Trained flows in run folders, and run folders with pretrained weights."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.config import ConfigError, RunConfig, translated
from lattice_flows.flows import Flow, load_weights, save_weights
from lattice_flows.io.arrays import read_arrays
from lattice_flows.io.files import RunError
from lattice_flows.io.histories import WEIGHTS
from lattice_flows.io.runs import RunDirectory
from lattice_flows.pipeline.models import build_model, completed
from lattice_flows.training.devices import strategy_of
from lattice_flows.training.stages import weights_file
from lattice_flows.training.state import Summary, recorded_summary

__all__ = ["Trained", "as_pretrained", "open_trained", "recorded_config", "start_from_pretrained", "start_run"]


class Trained(NamedTuple):
    """A trained flow and the run folder that holds it; that of a training that was just made is locked until it is closed."""

    run: RunDirectory
    flow: Flow
    action: Action
    summary: Summary


def open_trained(path: str | Path, strategy: tf.distribute.Strategy | None = None) -> Trained:
    """Opens a run folder with a finished training, to read it: the best model, on the devices of a strategy, and what was done.

    Raises:
      RunError: the folder holds no run.
      CheckpointError: the run has no weights, or they are damaged.
    """
    run, config = RunDirectory.open(path)
    flow, action = build_model(config, strategy)
    weights = weights_file(run.path)
    return Trained(run, flow, action, recorded_summary(weights, load_weights(weights, flow)))


def as_pretrained(config: RunConfig, weights: str | Path) -> RunConfig:
    """The configuration of a run with pretrained weights: the training is the one that they had.

    Args:
      config: of the run.
      weights: the weights file, or the folder of the run that made it.

    Raises:
      ConfigError: the weights belong to another lattice, action or flow.
      CheckpointError: they are missing or damaged.
    """
    path = weights_file(weights)
    config, recorded = completed(config), completed(recorded_config(path))
    different = {key: pair for key, pair in config.differences(recorded).items() if key.startswith(("lattice", "action", "flow"))}
    if different:
        listed = ", ".join(f"{key} {there!r}, not {here!r}" for key, (here, there) in different.items())
        raise ConfigError(f"the weights in {path.name} were trained with {listed}")
    return config.model_copy(update={"training": recorded.training, "stages": recorded.stages})


def start_from_pretrained(
    config: RunConfig, out: str | Path, weights: str | Path, strategy: tf.distribute.Strategy | None = None, *, resume: bool = False
) -> Trained:
    """Makes a run folder with pretrained weights, instead of training them with `train_run`.

    Args:
      config: of the run; its training is replaced by that of the weights, which is what the folder records.
      out: the run folder.
      weights: the weights file of the earlier run, or its folder.
      strategy: the devices; None for TensorFlow's default.
      resume: continue an earlier run in that folder.

    Raises:
      ConfigError: the weights belong to another lattice, action or flow.
      CheckpointError: they are missing or damaged.
      RunError: the folder is in use, holds other weights, or cannot be written.
    """
    path = weights_file(weights)
    config = as_pretrained(config, path)
    flow, action = build_model(config, strategy)
    diagnostics = load_weights(path, flow)
    summary = recorded_summary(path, diagnostics)

    def check(run: RunDirectory) -> None:
        if not (own := run.path / WEIGHTS).exists():
            return
        there = flow.upgraded(read_arrays(own)[0])
        here = {name: variable.numpy() for name, variable in flow.named_variables().items()}
        if here.keys() != there.keys() or any(not np.array_equal(there[name], array) for name, array in here.items()):
            raise RunError(f"{run.path} holds other weights than {path.name}, which would be lost: choose another folder")

    run = start_run(out, config, strategy or strategy_of(flow.variables), resume=resume, check=check)
    with run.closed_after_errors():
        save_weights(run.path / WEIGHTS, flow, diagnostics)
        return Trained(run, flow, action, summary)


def recorded_config(path: Path) -> RunConfig:
    """The configuration that a weights file was trained with.

    Raises:
      CheckpointError: the file is missing or damaged.
      ConfigError: it does not say.
    """
    recorded = read_arrays(path)[1].get("config")
    if not isinstance(recorded, dict):
        raise ConfigError(
            f"{path} does not say which flow its weights belong to: build the flow yourself, and load them by "
            "lattice_flows.flows.load_weights(path, flow)"
        )
    return RunConfig.checked(translated(recorded), str(path))


def start_run(
    out: str | Path,
    config: RunConfig,
    strategy: tf.distribute.Strategy,
    *,
    resume: bool = False,
    check: Callable[[RunDirectory], None] | None = None,
) -> RunDirectory:
    """Makes the run folder of a configuration, or continues an earlier run there; it records every parameter and the devices.

    The folder is locked until the run is closed, or its process ends.

    Raises:
      ConfigError: an unknown part or parameter.
      RunError: the folder is in use, belongs to another configuration, or cannot be written.
    """
    available = [device.name for device in tf.config.list_logical_devices()]
    record = {"devices": strategy.extended.worker_devices, "available": available}
    return RunDirectory.start(out, completed(config), resume=resume, complete=completed, check=check, **record)
