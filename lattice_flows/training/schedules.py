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
      ConfigError: a schedule of steps without boundaries, or with some that do not ascend, or another one with any.
    """
    schedules = tf_keras.optimizers.schedules
    rate, schedule = settings.learning_rate, settings.schedule
    found = list(schedule.boundaries)
    if found and schedule.name != "steps":
        advice = "give name: steps, or leave them out"
        raise ConfigError(f"training.schedule has boundaries {found}, which mean nothing to {schedule.name!r}: {advice}")
    if schedule.name == "cosine":
        return schedules.CosineDecay(rate, settings.steps)
    if schedule.name == "steps":
        if not found:
            raise ConfigError("training.schedule.boundaries is empty: list the steps at which the learning rate falls")
        if found != sorted(set(found)):
            raise ConfigError(f"training.schedule.boundaries must ascend, got {found}")
        rates = [rate * schedule.factor**k for k in range(len(found) + 1)]
        return schedules.PiecewiseConstantDecay(found, rates)
    return schedules.PiecewiseConstantDecay([settings.steps], [rate, rate])
