"""When a training ends: reasons to stop, and losses that are no longer finite."""

import contextlib
import math
from collections.abc import Callable, Iterator

from lattice_flows.config import TrainingConfig
from lattice_flows.errors import UserError
from lattice_flows.importance import BrokenFlow
from lattice_flows.training.state import TrainingState

__all__ = ["TrainingDiverged", "check_loss", "may_be_broken_at_first", "reason_to_stop", "seconds_left"]

_SHORTEST = 2**-10  # steps


class TrainingDiverged(UserError, RuntimeError):
    """The loss is no longer a finite number, or no step of the training or of the integration is small enough."""


class _NoFiniteLoss(TrainingDiverged):
    pass


@contextlib.contextmanager
def may_be_broken_at_first(info: Callable[[str], None]) -> Iterator[None]:
    """Lets a training go on from weights that cannot be evaluated, since its steps may mend them."""
    try:
        yield
    except (BrokenFlow, _NoFiniteLoss):
        info("the weights to begin with cannot be judged: they have no finite loss here")


def reason_to_stop(settings: TrainingConfig, state: TrainingState) -> str | None:
    """Why a training ends here, in words, or None if it continues.

    Before the first evaluation, only the number of steps can end it, and before the first step, no limit of time.

    Args:
      settings: `steps`, `target_acceptance` and `max_minutes` are used.
      state: of the training.
    """
    best = state.best
    if best is not None and settings.target_acceptance is not None and best.acceptance >= settings.target_acceptance:
        return f"acceptance reached {settings.target_acceptance}"
    if state.step >= settings.steps:
        return "all steps done"
    if state.step > 0 and best is not None and settings.max_minutes is not None and state.seconds >= 60 * settings.max_minutes:
        return f"time limit of {settings.max_minutes:g} minutes reached"
    return None


def seconds_left(settings: TrainingConfig, state: TrainingState) -> float:
    """The time after which a training ends whatever else happens, up to its next evaluation."""
    return math.inf if settings.max_minutes is None else 60 * settings.max_minutes - state.seconds


def check_loss(loss: float, settings: TrainingConfig, state: TrainingState, length: float | None = None) -> None:
    """Refuses a loss after which a training cannot go on.

    Args:
      loss: the loss.
      settings: of the training.
      state: of the training.
      length: of the next step, relative to those of the optimiser, where this loss had the last one taken back; None where not.

    Raises:
      TrainingDiverged: the loss is no finite number and no step was taken back, or hardly anything is left of the steps; with the
        state that is kept, and what to change.
    """
    found = f"the loss became {loss:g} at step {state.step}"
    if length is None and not math.isfinite(loss):
        raise _diverged(found, settings, state)
    if length is not None and length < _SHORTEST:
        raise _diverged(f"{found}, although steps had become ever shorter", settings, state)


def _diverged(found: str, settings: TrainingConfig, state: TrainingState) -> _NoFiniteLoss:
    last = [evaluation.step for evaluation in state.evaluations[-1:]]
    kept = f"the state of step {last[0]} is kept" if last else "no evaluation had been reached, so nothing was kept"
    return _NoFiniteLoss(
        f"{found}; {kept}. Restart, or resume a run folder, with a smaller training.learning_rate (now {settings.learning_rate:g}) "
        f"or a larger training.batch_size (now {settings.batch_size})"
    )
