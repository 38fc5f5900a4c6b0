"""When a training ends: reasons to stop, and losses that are no longer finite."""

import math

from lattice_flows.config import TrainingConfig
from lattice_flows.errors import UserError
from lattice_flows.training.state import TrainingState

__all__ = ["TrainingDiverged", "check_finite", "check_halvings", "check_length", "reason_to_stop", "seconds_left"]

_MOST_HALVINGS = 4
_SHORTEST = 2**-10  # steps


class TrainingDiverged(UserError, RuntimeError):
    """The loss is no longer a finite number, or no step of the training or of the integration is small enough."""


def reason_to_stop(settings: TrainingConfig, state: TrainingState) -> str | None:
    """Why a training ends here, in words, or None if it continues.

    Before the first evaluation, only the number of steps can end it.

    Args:
      settings: `steps`, `target_acceptance` and `max_minutes` are used.
      state: of the training.
    """
    best = state.best
    if best is not None and settings.target_acceptance is not None and best.acceptance >= settings.target_acceptance:
        return f"acceptance reached {settings.target_acceptance}"
    if state.step >= settings.steps:
        return "all steps done"
    if best is not None and settings.max_minutes is not None and state.seconds >= 60 * settings.max_minutes:
        return f"time limit of {settings.max_minutes:g} minutes reached"
    return None


def seconds_left(settings: TrainingConfig, state: TrainingState) -> float:
    """The time after which a training ends whatever else happens, up to its next evaluation."""
    return math.inf if settings.max_minutes is None else 60 * settings.max_minutes - state.seconds


def check_finite(loss: float, settings: TrainingConfig, state: TrainingState) -> None:
    """Refuses a loss that is not a finite number.

    Raises:
      TrainingDiverged: with the state that is kept, and what to change.
    """
    if loss - loss == 0:
        return
    raise _diverged(f"the loss became {loss} at step {state.step}", settings, state)


def check_length(length: float, loss: float, settings: TrainingConfig, state: TrainingState) -> None:
    """Refuses to go on where steps were taken back again and again, until hardly anything would be left of them.

    Args:
      length: of the next step, relative to those of the optimiser.
      loss: that the last step led to.
      settings: of the training.
      state: of the training.

    Raises:
      TrainingDiverged: with the state that is kept, and what to change.
    """
    if length < _SHORTEST:
        raise _diverged(f"the loss became {loss:g} at step {state.step}, although steps had become ever shorter", settings, state)


def _diverged(found: str, settings: TrainingConfig, state: TrainingState) -> TrainingDiverged:
    last = [evaluation.step for evaluation in state.evaluations[-1:]]
    kept = f"the state of step {last[0]} is kept" if last else "no evaluation had been reached, so nothing was kept"
    return TrainingDiverged(
        f"{found}; {kept}. Resume or restart with a smaller training.learning_rate (now {settings.learning_rate:g}) "
        f"or a larger training.batch_size (now {settings.batch_size})"
    )


def check_halvings(state: TrainingState, found: str) -> None:
    """Refuses to halve the step of an integration once more.

    Args:
      state: of the training.
      found: why it should be halved.

    Raises:
      TrainingDiverged: it was halved four times.
    """
    if state.halvings == _MOST_HALVINGS:
        advice = "try training.gradient: path, or more flow.steps"
        raise TrainingDiverged(f"{found}; {_MOST_HALVINGS} halvings were not enough: {advice}")
