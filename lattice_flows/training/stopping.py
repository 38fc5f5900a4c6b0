"""When a training is evaluated and when it ends: reasons to stop, and losses that are no longer finite."""

import contextlib
import math
from collections.abc import Callable, Iterator

from lattice_flows.config import TrainingConfig
from lattice_flows.errors import UserError
from lattice_flows.importance import BrokenFlow
from lattice_flows.training.state import TrainingState

__all__ = [
    "TrainingDiverged",
    "check_halvings",
    "check_loss",
    "evaluation_due",
    "may_be_broken_at_first",
    "reason_to_stop",
    "seconds_left",
]

_MOST_HALVINGS = 4
_SHORTEST = 2**-10  # steps


class TrainingDiverged(UserError, RuntimeError):
    """The loss is no longer a finite number, or no step of the training or of the integration is small enough."""


def evaluation_due(settings: TrainingConfig, state: TrainingState) -> bool:
    """Whether an evaluation comes before the next step.

    The weights that a training takes from an earlier one are evaluated too: they are the best model where no later one is better.
    """
    if state.evaluations and state.evaluations[-1].step == state.step:
        return False
    if state.step == 0:
        return settings.init_from is not None
    return state.step % settings.evaluate_every == 0 or state.step == settings.steps


@contextlib.contextmanager
def may_be_broken_at_first(state: TrainingState, info: Callable[[str], None]) -> Iterator[None]:
    """Lets a training go on after an evaluation of weights to begin with that have no finite loss: steps may mend them."""
    try:
        yield
    except (BrokenFlow, TrainingDiverged):
        if state.step > 0:
            raise
        info("the weights that the training begins with cannot be judged: they give no finite loss here")


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
