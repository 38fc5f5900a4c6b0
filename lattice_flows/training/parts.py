"""What a training consists of, for progress: its stages, and the training itself."""

import math

from lattice_flows.config import RunConfig
from lattice_flows.progress import Part
from lattice_flows.resources import evaluation_samples, training_work

__all__ = ["TRAINING", "stage_name", "training_parts"]

TRAINING = "training"


def training_parts(config: RunConfig, of: str = "") -> list[Part]:
    """The parts of a training, in their order.

    Args:
      config: of the run.
      of: what the training belongs to, where a command makes several things.

    Raises:
      ConfigError: an entry of a stage that cannot be used.
    """
    runs = [*config.stage_configs(), config]
    names = [*(stage_name(index, config) for index in range(1, len(runs))), TRAINING]
    return [_part(name, run, of, begun=index > 0) for index, (name, run) in enumerate(zip(names, runs, strict=True))]


def stage_name(index: int, config: RunConfig) -> str:
    """The name of a stage; the first has the index 1."""
    return f"stage {index} of {len(config.stages)}"


def _part(name: str, config: RunConfig, of: str, begun: bool) -> Part:
    training = config.training
    # That of the weights to begin with comes first.
    evaluations = -(-training.steps // training.evaluate_every) + (begun or training.init_from is not None)
    shape = config.lattice.shape
    samples = evaluations * evaluation_samples(training.evaluation_samples, shape)
    work = training_work(shape, training.steps * training.batch_size, samples)
    return Part(name, work, of, 60 * training.max_minutes if training.max_minutes else math.inf)
