"""Trainings of configurations, in run folders."""

import contextlib
import sys
from pathlib import Path

import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.config import ConfigError, RunConfig, load
from lattice_flows.errors import UserError
from lattice_flows.flows import Flow, check_transfer
from lattice_flows.io.arrays import CheckpointError
from lattice_flows.io.files import RunError
from lattice_flows.io.histories import CONFIG, WEIGHTS
from lattice_flows.io.runs import RunDirectory
from lattice_flows.pipeline.models import build_model, completed
from lattice_flows.pipeline.trained import Trained, start_run
from lattice_flows.progress import Progress
from lattice_flows.resources import check_memory, evaluation_samples, training_bytes
from lattice_flows.samplers import check_weighted
from lattice_flows.training.devices import strategy_of
from lattice_flows.training.parts import TRAINING, stage_name, training_parts
from lattice_flows.training.records import OpensBoard
from lattice_flows.training.trainer import Trainer

__all__ = ["train_model", "train_run"]


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
    if resume and config.training.init_from is None:
        config = _begun_as_before(config, Path(out))
    check_weighted(config.chain.sampler.name)
    shape, batch, samples = flow.lattice.shape, config.training.batch_size, config.training.evaluation_samples
    what = f"training on the lattice {shape} with a batch_size of {batch}"
    advice = "use a smaller lattice or a smaller training.batch_size"
    check_memory(training_bytes(shape, batch, evaluation_samples(samples, shape)), what, advice)
    trainer = Trainer(flow, action, config.training, seed=config.seed, strategy=strategy, progress=progress)
    # Before anything is written; a training that goes on does not need the weights that it began with.
    _check_stages(config, flow, strategy)
    trainer.begin_with(None if resume else config.training.init_from)
    restored = False

    def restore(run: RunDirectory) -> None:
        nonlocal restored
        restored = trainer.restore(run)
        if not restored and (weights := run.path / WEIGHTS).exists():
            raise RunError(
                f"cannot resume {run.path}: it holds trained weights, but no checkpoints that their training could go on from; "
                f"sample from it, or train in another folder, with init_from {weights}"
            )
        before, now = run.changed.get("training.init_from", (None, None))
        if restored and now is not None and _of_stage(now) != _of_stage(before):
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


def _of_stage(before: str | None) -> tuple[str, ...]:
    """What a training began with; the folder of a stage has the same end wherever the run is."""
    parts = Path(before).resolve().parts if before else ()
    return parts[-2:] if parts[-2:-1] == ("stages",) else parts


def _begun_as_before(config: RunConfig, folder: Path) -> RunConfig:
    """The configuration of a resumed run, with the weights that it began with if only the folder knows them."""
    if not (folder / CONFIG).exists():
        return config
    before = load(folder / CONFIG).training.init_from
    return config.model_copy(update={"training": config.training.model_copy(update={"init_from": before})})


def _check_stages(config: RunConfig, flow: Flow, strategy: tf.distribute.Strategy | None) -> None:
    """Builds what every stage trains, so that no error in a later one comes after the training of those before.

    Raises:
      ConfigError: a stage that cannot be trained, or whose weights do not fit what comes after it; the message says which one.
    """
    before: Flow | None = None
    for index, stage in enumerate(config.stage_configs(), 1):
        name = stage_name(index, config)
        if stage.training.init_from != config.training.init_from:
            raise ConfigError(
                f"{name} has init_from {stage.training.init_from!r}, but a stage begins with the weights of "
                "the one before: give it outside of the stages, where it is for the first of them"
            )
        try:
            following, action = build_model(stage, strategy)
            Trainer(following, action, stage.training, seed=stage.seed, strategy=strategy)
            if before is not None:
                check_transfer(before, following)
        except UserError as error:
            raise ConfigError(f"{name}: {error}") from None
        before = following
    if before is not None:
        try:
            check_transfer(before, flow)
        except CheckpointError as error:
            raise ConfigError(f"the last stage trains another flow than the configuration: {error}") from None
