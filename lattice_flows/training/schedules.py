"""The learning rate against the number of updates."""

from collections.abc import Callable

import tensorflow as tf
import tf_keras

from lattice_flows.config import ConfigError, TrainingConfig

__all__ = ["learning_rate_schedule"]


def learning_rate_schedule(settings: TrainingConfig) -> Callable[[tf.Tensor], tf.Tensor]:
    """The learning rate as a function of the number of updates made: constant, a half cosine down to zero, or falling in steps.

    Args:
      settings: of the training; `learning_rate`, `steps` and `schedule` are used.

    Raises:
      ConfigError: a schedule of steps without boundaries.
    """
    schedules = tf_keras.optimizers.schedules
    rate, schedule = settings.learning_rate, settings.schedule
    if schedule.name == "cosine":
        return schedules.CosineDecay(rate, settings.steps)
    if schedule.name == "steps":
        if not schedule.boundaries:
            raise ConfigError("training.schedule.boundaries is empty: list the steps at which the learning rate falls")
        rates = [rate * schedule.factor**k for k in range(len(schedule.boundaries) + 1)]
        return schedules.PiecewiseConstantDecay(list(schedule.boundaries), rates)
    return schedules.PiecewiseConstantDecay([settings.steps], [rate, rate])
