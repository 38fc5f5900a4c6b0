"""Trainings and trained flows of configurations, in run folders. Configurations are taken apart here and nowhere below."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from lattice_flows.actions import ACTIONS, Action
from lattice_flows.config import CONFIGS, Component, ConfigError, RunConfig, SamplerConfig, load, translated
from lattice_flows.flows import FLOWS, Flow, for_action, load_weights, save_weights
from lattice_flows.io.arrays import read_arrays
from lattice_flows.io.files import RunError
from lattice_flows.io.histories import WEIGHTS
from lattice_flows.io.runs import RunDirectory
from lattice_flows.lattice import Lattice
from lattice_flows.progress import Progress
from lattice_flows.resources import check_memory, evaluation_samples, lattice_bytes, training_bytes
from lattice_flows.samplers import SAMPLERS
from lattice_flows.training.devices import strategy_of
from lattice_flows.training.optimizers import OPTIMIZERS
from lattice_flows.training.parts import TRAINING, stage_name, training_parts
from lattice_flows.training.records import OpensBoard
from lattice_flows.training.stages import weights_file
from lattice_flows.training.state import Summary, recorded_summary
from lattice_flows.training.trainer import Trainer

__all__ = [
    "Trained",
    "as_pretrained",
    "build_model",
    "completed",
    "open_trained",
    "recorded_config",
    "start_from_pretrained",
    "start_run",
    "train_model",
    "train_run",
]


class Trained(NamedTuple):
    """A trained flow and the run folder that holds it, locked until it is closed."""

    run: RunDirectory
    flow: Flow
    action: Action
    summary: Summary


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
    _check_flow(config)
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
    _check_flow(config)
    lattice = Lattice(config.lattice.shape)
    check_memory(lattice_bytes(lattice.shape), f"the lattice {lattice.shape}", "use a smaller lattice")
    with strategy.scope() if strategy else contextlib.nullcontext():
        return FLOWS.build(for_action(config.flow, config.action), lattice, config.seed), ACTIONS.build(config.action, lattice)


def _check_flow(config: RunConfig) -> None:
    """Explains the name of a preset in the place of a flow's."""
    name = config.flow.name
    preset = CONFIGS / "flows" / f"{name}.yaml"
    if name not in FLOWS and preset.is_file():
        flow = load("E1", preset).flow
        network = Component.model_validate(flow.parameters["network"]).name
        raise ConfigError(
            f"unknown flow {name!r}: that is a preset for --flow, or for include: flows/{name}.yaml; "
            f"it stands for the flow {flow.name!r} with the network {network!r}"
        )


def train_run(
    config: RunConfig,
    out: str | Path,
    strategy: tf.distribute.Strategy | None = None,
    progress: Progress | None = None,
    *,
    resume: bool = False,
    board: OpensBoard | None = None,
) -> Trained:
    """Trains the flow of a configuration in a run folder of its own, or resumes it.

    Writes `metrics.csv`, `steps.csv`, checkpoints and the weights of the best model, and in `stages/1`, `stages/2`, ... the runs of
    the configuration's stages, each of which begins with the weights of the one before. Nothing is written until the configuration
    has been checked.

    Args:
      config: of the run.
      out: the run folder.
      strategy: the devices; None for TensorFlow's default.
      progress: where progress is shown; None for silence.
      resume: continue an earlier run in that folder.
      board: opens what shows the training elsewhere, such as `lattice_flows.tensorboard.TensorBoard`.

    Returns:
      the run folder, the best model, the action, and what was done.

    Raises:
      ConfigError: a part of the configuration that cannot be built.
      RunError: the folder is in use, by another process too, belongs to another configuration, or cannot be written.
      CheckpointError: every checkpoint is damaged, or the weights to begin with are missing or do not fit.
      TrainingDiverged: steps that lead astray at any length, or an integrator that is exploited at every step size.
    """
    progress = progress or Progress(quiet=True)
    with progress.meanwhile("building the flow"):
        flow, action = build_model(config, strategy)
    return train_model(flow, action, config, out, strategy, progress, resume=resume, board=board)


def train_model(
    flow: Flow,
    action: Action,
    config: RunConfig,
    out: str | Path,
    strategy: tf.distribute.Strategy | None = None,
    progress: Progress | None = None,
    *,
    resume: bool = False,
    board: OpensBoard | None = None,
) -> Trained:
    """Trains a flow in a run folder: `train_run` for a flow and an action that have been built as the configuration says."""
    progress, config = progress or Progress(quiet=True), completed(config)
    for index, stage in enumerate(config.stage_configs(), 1):
        if stage.training.init_from != config.training.init_from:
            raise ConfigError(
                f"{stage_name(index, config)} has init_from {stage.training.init_from!r}, but a stage begins with the weights of "
                "the one before: give it outside of the stages, where it is for the first of them"
            )
    shape, batch, samples = flow.lattice.shape, config.training.batch_size, config.training.evaluation_samples
    what = f"training on the lattice {shape} with a batch_size of {batch}"
    advice = "use a smaller lattice or a smaller training.batch_size"
    check_memory(training_bytes(shape, batch, evaluation_samples(samples, shape)), what, advice)
    trainer = Trainer(flow, action, config.training, seed=config.seed, strategy=strategy, progress=progress)
    # Before anything is written; a training that goes on does not need the weights that it began with.
    trainer.begin_with(None if resume else config.training.init_from)
    restored = False

    def restore(run: RunDirectory) -> None:
        nonlocal restored
        restored = trainer.restore(run)
        before, now = run.changed.get("training.init_from", (None, None))
        # The folders of stages have the same end wherever the run is.
        if restored and now is not None and Path(now).parts[-2:] != Path(before or "").parts[-2:]:
            raise RunError(
                f"cannot resume {run.path} with init_from {now}: its training began with "
                f"{before or 'fresh weights'}; leave it out, or train in another folder"
            )

    run = start_run(out, config, strategy or strategy_of(flow.variables), resume=resume, check=restore)
    with run.closed_after_errors(), progress.whole(training_parts(config)):
        if not restored:
            before = config.training.init_from
            trainer.begin_with(before if resume and not config.stages else None)
            for index, stage in enumerate(config.stage_configs(), 1):
                progress.info(f"{stage_name(index, config)}: lattice {stage.lattice.shape}, {stage.action.parameters}")
                stage = stage.model_copy(update={"training": stage.training.model_copy(update={"init_from": before})})
                before = str(run.path / "stages" / str(index))
                with progress.part(stage_name(index, config)):
                    train_run(stage, before, strategy, progress, resume=resume, board=board).run.close()
                trainer.begin_with(before)
        record = {"config": config.model_dump(mode="json"), "command": sys.argv}
        with progress.part(TRAINING), board(run.path, action) if board else contextlib.nullcontext() as opened:
            return Trained(run, flow, action, trainer.run(run, record, opened))


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
      RunError: the folder is in use or cannot be written.
    """
    path = weights_file(weights)
    config = as_pretrained(config, path)
    flow, action = build_model(config, strategy)
    diagnostics = load_weights(path, flow)
    summary = recorded_summary(path, diagnostics)
    run = start_run(out, config, strategy or strategy_of(flow.variables), resume=resume)
    with run.closed_after_errors():
        save_weights(run.path / WEIGHTS, flow, diagnostics)
        return Trained(run, flow, action, summary)


def open_trained(path: str | Path, strategy: tf.distribute.Strategy | None = None) -> Trained:
    """Opens a run folder with a finished training: the best model, on the devices of a strategy, and what was done.

    Raises:
      RunError: the folder holds no run.
      CheckpointError: the run has no weights, or they are damaged.
    """
    run, config = RunDirectory.open(path)
    flow, action = build_model(config, strategy)
    weights = weights_file(run.path)
    return Trained(run, flow, action, recorded_summary(weights, load_weights(weights, flow)))


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
