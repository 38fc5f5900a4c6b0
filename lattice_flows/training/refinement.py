"""Whether a flow that is integrated needs a smaller step."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lattice_flows.flows import Flow, assign
from lattice_flows.importance import INTEGRATION_TOLERANCE, integration_error, log_z
from lattice_flows.training.state import TrainingState
from lattice_flows.training.stopping import TrainingDiverged

__all__ = ["IntegrationCheck", "check_integration", "halve_the_step"]

# Halving the step may change log weights by this share of their spread.
_LARGEST_SHARE = 0.1
_SIGMAS = 5
_MOST_HALVINGS = 4


class IntegrationCheck(NamedTuple):
    """What halving the step of the integration tells.

    Attributes:
      error: mean absolute change of the log weights.
      too_coarse: whether the error matters, or is exploited.
      exploited: whether the loss lies below its bound `-log Z`: training then lowers the loss by making log q wrong.
      description: what was found, in words.
    """

    error: float
    too_coarse: bool
    exploited: bool
    description: str


def check_integration(log_weight: np.ndarray, finer: np.ndarray, losses: Sequence[float], batch_size: int) -> IntegrationCheck:
    """Compares the log weights of samples with those of half the step.

    The step is too coarse if half of it changes log weights by more than a tenth of their spread on average, or if the mean loss
    lies below its bound by more than five standard deviations. Changes that chains accept are never too large: where a flow is
    almost exact, they and the spread are rounding alone.

    Args:
      log_weight: `[n]`, with the present step.
      finer: `[m]`, m <= n, of the first m of these samples, with half the step.
      losses: of recent training steps with the present step of the integration; may be empty.
      batch_size: samples of which each of them is the mean.
    """
    error = integration_error(log_weight[: len(finer)], finer)["mean"]
    # By quartiles: a few outliers must not hide an error.
    spread = np.subtract(*np.quantile(log_weight, [0.75, 0.25])) / 1.349
    log_z_finer, bound_error = log_z(finer)
    # The spread of a few losses says little about their noise, that of weights does.
    of_a_loss = max(np.std(losses), spread / np.sqrt(batch_size)) if losses else np.inf
    noise = np.hypot(bound_error, of_a_loss / np.sqrt(max(len(losses), 1)))
    exploited = bool(losses) and bool(np.mean(losses) < -log_z_finer - _SIGMAS * noise)
    description = f"half the step of the integration changes log weights by {error:.2g}"
    if exploited:
        below = f"the loss {np.mean(losses):.3f} is below its bound -log Z = {-log_z_finer:.3f}"
        description += f", and {below}: training exploits the integrator"
    return IntegrationCheck(
        error, exploited or bool(error > max(_LARGEST_SHARE * spread, INTEGRATION_TOLERANCE)), exploited, description
    )


def halve_the_step(flow: Flow, state: TrainingState, check: IntegrationCheck, info: Callable[[str], None]) -> None:
    """Doubles the number of integration steps of a flow, in place, and says why.

    Where training exploits the integrator, the flow also returns to the best model.

    Args:
      flow: in training.
      state: of the training, which counts the halvings.
      check: of the present step, which is too coarse.
      info: receives a line of text.

    Raises:
      TrainingDiverged: the step was halved four times before.
    """
    found = f"at step {state.step}, {check.description}"
    if state.halvings == _MOST_HALVINGS:
        advice = "try training.gradient: path, or more flow.steps"
        raise TrainingDiverged(f"{found}; {_MOST_HALVINGS} halvings were not enough: {advice}")
    info(f"{found}; halving the step{' and returning to the best model' if check.exploited else ''}")
    if check.exploited:
        assign(flow.named_variables(), state.best_weights)
    flow.set_integration_steps({name: 2 * steps for name, steps in flow.integration_steps.items()})
    state.halvings += 1
