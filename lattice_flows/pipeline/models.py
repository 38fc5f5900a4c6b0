"""The flow and the action of a configuration."""

import contextlib

import pydantic
import tensorflow as tf

from lattice_flows.actions import ACTIONS, Action, check_action
from lattice_flows.config import CONFIGS, Component, ConfigError, RunConfig, SamplerConfig, load
from lattice_flows.flows import FLOWS, Flow, for_action
from lattice_flows.lattice import Lattice
from lattice_flows.resources import check_memory, lattice_bytes
from lattice_flows.samplers import SAMPLERS
from lattice_flows.training.optimizers import OPTIMIZERS
from lattice_flows.training.parts import stage_name

__all__ = ["build_model", "completed"]


def completed(config: RunConfig) -> RunConfig:
    """The configuration with every parameter of its parts written out, as run folders and weights files record it.

    Raises:
      ConfigError: an unknown part or parameter, in a stage too.
    """
    for index, stage in enumerate(config.stage_configs(), 1):
        try:
            completed(stage)
        except ConfigError as error:
            raise ConfigError(f"{stage_name(index, config)}: {error}") from None
    for name, settings in config.samplers.items():
        SAMPLERS.complete(settings.component(name), SamplerConfig.model_fields)
    _check_flow(config.flow)
    optimizer = OPTIMIZERS.completed(config.training.optimizer)
    return config.model_copy(
        update={
            "action": ACTIONS.completed(config.action),
            "flow": FLOWS.completed(config.flow),
            "training": config.training.model_copy(update={"optimizer": optimizer}),
            "chain": config.chain.model_copy(update={"sampler": SAMPLERS.completed(config.chain.sampler)}),
        }
    )


def build_model(config: RunConfig, strategy: tf.distribute.Strategy | None = None) -> tuple[Flow, Action]:
    """Builds the flow of a configuration, with fresh weights, and the action.

    Args:
      config: `lattice`, `action`, `flow` and `seed` are used.
      strategy: the devices; None for TensorFlow's default.

    Raises:
      ConfigError: an unknown part, or a parameter that cannot be used.
      NotEnough: the lattice exceeds the memory of the machine.
    """
    _check_flow(config.flow)
    lattice = Lattice(config.lattice.shape)
    check_memory(lattice_bytes(lattice.shape), f"the lattice {lattice.shape}", "use a smaller lattice")
    with strategy.scope() if strategy else contextlib.nullcontext():
        flow = FLOWS.build(for_action(config.flow, config.action), lattice, config.seed)
        action = ACTIONS.build(config.action, lattice)
    check_action(action, tf.float32)
    return flow, action


def _check_flow(flow: Component) -> None:
    """Explains the name of a preset in the place of a flow's, or of the flow that it is made of."""
    preset = CONFIGS / "flows" / f"{flow.name}.yaml"
    if flow.name not in FLOWS and preset.is_file():
        raise ConfigError(
            f"unknown flow {flow.name!r}: that is a preset for --flow, or for include: flows/{flow.name}.yaml; "
            f"it stands for the flow {load('E1', preset).flow.name!r} with parameters of its own, which that file has"
        )
    for name in FLOWS.parameters_of(flow.name, FLOWS):
        with contextlib.suppress(pydantic.ValidationError):  # which the registry explains
            _check_flow(Component.model_validate(flow.parameters.get(name)))
