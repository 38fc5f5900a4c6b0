"""How good a flow is, from fresh samples: one row of `metrics.csv`."""

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lattice_flows.actions import Action
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler, effective_sample_size, expected_acceptance, log_z

__all__ = ["Evaluation", "Evaluator", "evaluate", "metrics_table"]

# The default batch of the Markov chain too, so that one compiled sampler serves both.
_BATCH = 512
_FINER_SAMPLES = 1024


class Evaluation(NamedTuple):
    """The state of a training at one step.

    Attributes:
      step: optimisation steps made.
      loss: mean of `log q + S` over the steps since the previous evaluation.
      ess: effective sample size per sample.
      acceptance: expected acceptance of independence Metropolis.
      log_z: estimate of log Z.
      integration_error: mean change of log weights when the step of the integration is halved; zero for an exact flow.
      learning_rate: of the last step.
      seconds: training time so far, without compilation.
    """

    step: int
    loss: float
    ess: float
    acceptance: float
    log_z: float
    integration_error: float
    learning_rate: float
    seconds: float


class Evaluator:
    """Draws fresh samples of a flow with its current integration steps, and some of them with half the step.

    Args:
      flow: the flow to evaluate.
      action: `phi [batch, *shape] -> [batch]`.
      samples: number of samples in an evaluation.
      seed: master seed.
    """

    def __init__(self, flow: Flow, action: Action, samples: int, seed: int):
        self._samples = samples
        self._sampler = WeightedSampler(flow, action, _BATCH, seed)
        self._finer = self._sampler.refined()

    def compile(self) -> None:
        """Traces and compiles the samplers."""
        for sampler in filter(None, (self._sampler, self._finer)):
            next(sampler.batches(_BATCH, "compilation"))

    def log_weights(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the log weights `[samples]` of evaluation number `index`, and those of its first 1024 samples with half the step.

        The latter are None for an exact flow.
        """
        start = index * -(-self._samples // _BATCH)
        log_weight = self._sampler.log_weights(self._samples, "evaluation", start)
        return log_weight, self._finer and self._finer.log_weights(_FINER_SAMPLES, "evaluation", start)


def evaluate(
    log_weight: np.ndarray, *, step: int, losses: Sequence[float], integration_error: float, learning_rate: float, seconds: float
) -> Evaluation:
    """Evaluates a flow by the log weights `[n]` of fresh samples; the other arguments are recorded as they are."""
    return Evaluation(
        step=step,
        loss=float(np.mean(losses)),
        ess=effective_sample_size(log_weight),
        acceptance=expected_acceptance(log_weight),
        log_z=log_z(log_weight)[0],
        integration_error=integration_error,
        learning_rate=learning_rate,
        seconds=seconds,
    )


def metrics_table(evaluations: Sequence[Evaluation]) -> str:
    """The text of `metrics.csv`: one line for each evaluation, under a line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Evaluation._fields)
    writer.writerows(evaluations)
    return text.getvalue()
