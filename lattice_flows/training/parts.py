"""What a training consists of, for progress: its stages, and the training itself."""

import math

from lattice_flows.config import RunConfig
from lattice_flows.progress import Part
from lattice_flows.resources import training_work

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
    stages = [_part(stage_name(index, config), stage, of) for index, stage in enumerate(config.stage_configs(), 1)]
    return [*stages, _part(TRAINING, config, of)]


def stage_name(index: int, config: RunConfig) -> str:
    """The name of a stage; the first has the index 1."""
    return f"stage {index} of {len(config.stages)}"


def _part(name: str, config: RunConfig, of: str) -> Part:
    training = config.training
    evaluations = -(-training.steps // training.evaluate_every)
    work = training_work(config.lattice.shape, training.steps * training.batch_size, evaluations * training.evaluation_samples)
    return Part(name, work, of, 60 * training.max_minutes if training.max_minutes else math.inf)
