"""How good a flow is, from fresh samples: one row of `metrics.csv`.

Of all numbers here, `kl` is the one that models are compared by. ESS, acceptance and log Z are means over e^w; where the weights
have heavy tails, a few samples make them up, and the best of several evaluations is the luckiest. This was measured by drawing the
evaluations of trainings again and again: E1, two in the broken phase of 6 x 6 at m2 = -1 and lam = 0.5, and 4^4 at lam = 5.113.
The choice by the ESS of 8192 samples loses 0.02, 0.04 and 0.05 of the divergence on average in the last three, by `kl` 0.002,
0.003 and nothing. The mean of w, which is minus the loss, is as robust, but has eight times the noise where the flow is good (E1);
quantiles and the variance of w prefer models that are evenly bad.
"""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lattice_flows.actions import Action
from lattice_flows.flows import Flow
from lattice_flows.importance import (
    BrokenFlow,
    WeightedSampler,
    effective_sample_size,
    expected_acceptance,
    forward_effective_sample_size,
    k_hat,
    kl_divergence,
    log_z,
)
from lattice_flows.resources import evaluation_samples, fitting
from lattice_flows.training.forward import ForwardSamples

__all__ = ["Evaluation", "Evaluator", "described", "evaluate", "judged", "metrics_table", "with_forward", "worst"]

_BATCH = 512  # the default of the Markov chain too, so that one compiled sampler serves both
_FINER_SAMPLES, _FINER_SITES = 1024, 2**22
_SHOWN = 2048
# The model that is kept is judged once more by so many times the samples of an evaluation.
_FINAL = 4


class Evaluation(NamedTuple):
    """The state of a training at one step.

    Attributes:
      step: optimisation steps made.
      loss: mean of `log q + S` over the steps since the previous evaluation; over the samples of this one where there are none.
      ess: effective sample size per sample.
      acceptance: expected acceptance of independence Metropolis.
      log_z: estimate of log Z.
      integration_error: mean change of log weights when the step of the integration is halved; zero for an exact flow.
      learning_rate: by the schedule, at the last update, or at the first where none is made.
      seconds: training time so far, without compilation.
      kl: the Kullback-Leibler divergence from the target, see `importance.kl_divergence`; infinite where it is not known, as in
        the rows of earlier versions.
      kl_error: its standard error.
      k_hat: tail index of the weights, see `importance.k_hat`.
      k_hat_error: its standard error.
      log_weight_low: the quantile of 1 % of the log weights, relative to their median.
      log_weight_high: the quantile of 99 %, relative to the median.
      forward_ess: effective sample size by samples of the target; NaN, like all that is not known, where there are none.
      condition: the coupling of a conditioned flow where all this was found.
    """

    step: int
    loss: float
    ess: float
    acceptance: float
    log_z: float
    integration_error: float
    learning_rate: float
    seconds: float
    kl: float = math.inf
    kl_error: float = math.nan
    k_hat: float = math.nan
    k_hat_error: float = math.nan
    log_weight_low: float = math.nan
    log_weight_high: float = math.nan
    forward_ess: float = math.nan
    condition: float = math.nan

    @property
    def distance(self) -> tuple[float, float]:
        """What the best model has the smallest of."""
        return self.kl, -self.ess


class Evaluator:
    """Draws fresh samples of a flow with its current integration steps, and some of them with half the step.

    Args:
      flow: the flow to evaluate.
      action: `phi [batch, *shape] -> [batch]`.
      samples: number of samples in an evaluation, on a small lattice; see `resources.evaluation_samples`.
      seed: master seed.
      forward: samples of the target, if there are any.
    """

    def __init__(self, flow: Flow, action: Action, samples: int, seed: int, forward: ForwardSamples | None = None):
        self._flow, self._forward = flow, forward
        shape = flow.lattice.shape
        self._samples = evaluation_samples(samples, shape)
        self._finer_samples = fitting(_FINER_SAMPLES, _FINER_SITES, shape)
        self._sampler = WeightedSampler(flow, action, _BATCH, seed)
        self._finer = self._sampler.refined()

    def compile(self) -> None:
        """Traces and compiles the samplers."""
        for sampler in filter(None, (self._sampler, self._finer)):
            next(sampler.batches(sampler.batch_size, "compilation"))
        self.forward_log_weights()

    def log_weights(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the log weights `[samples]` of evaluation number `index`, and those of its first samples with half the step.

        The latter, 1024 or as many as have 2^22 sites, are None for an exact flow.
        """
        start = index * -(-self._samples // self._sampler.batch_size)
        log_weight = self._sampler.log_weights(self._samples, "evaluation", start)
        finer = None if self._finer is None else self._finer.log_weights(self._finer_samples, "evaluation", start)
        return log_weight, finer

    def fields(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the first fields of evaluation number `index`, `[n, *shape]` with n up to 2048, and their log weights."""
        start = index * -(-self._samples // self._sampler.batch_size)
        phi, log_weight = zip(*self._sampler.batches(min(_SHOWN, self._samples), "evaluation", start), strict=True)
        return np.concatenate(phi), np.concatenate(log_weight)

    def forward_log_weights(self) -> np.ndarray | None:
        """Returns the log weights of the samples of the target; None if there are none."""
        return None if self._forward is None else self._forward.log_weights(self._flow)

    def judgement(self, best: Evaluation, couplings: Iterable[float]) -> Evaluation:
        """The best evaluation with what more samples say, none of which was drawn for an evaluation.

        They are four times as many; for a conditioned flow as many at each of its couplings.

        Args:
          best: the evaluation.
          couplings: of a conditioned flow, which has each when that is yielded; see `Conditions.each`.
        """
        samples = self._samples * (_FINAL if self._flow.condition is None else 1)
        found = [best._replace(condition=each, **judged(self._sampler.log_weights(samples, "judgement"))) for each in couplings]
        return with_forward(worst(found), self.forward_log_weights())


def evaluate(log_weight: np.ndarray, *, losses: Sequence[float], **recorded: Any) -> Evaluation:
    """Evaluates a flow.

    Args:
      log_weight: `[n]`, of fresh samples of the flow.
      losses: of the steps since the previous evaluation.
      **recorded: the fields of the evaluation that do not follow from these, such as `step`.
    """
    return Evaluation(loss=float(np.mean(losses)), **recorded, **judged(log_weight))


def with_forward(evaluation: Evaluation, forward: np.ndarray | None) -> Evaluation:
    """An evaluation with the forward ESS by the log weights `[m]` of samples of the target; as it is where there are none."""
    return evaluation if forward is None else evaluation._replace(forward_ess=forward_effective_sample_size(forward))


def worst(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Of evaluations of one model at several couplings, the one that is farthest from the target.

    ESS, acceptance and tail index are those of the couplings where they are worst.
    """
    tail = max(evaluations, key=lambda evaluation: evaluation.k_hat)
    return max(evaluations, key=lambda evaluation: evaluation.distance)._replace(
        ess=min(evaluation.ess for evaluation in evaluations),
        acceptance=min(evaluation.acceptance for evaluation in evaluations),
        k_hat=tail.k_hat,
        k_hat_error=tail.k_hat_error,
    )


def judged(log_weight: np.ndarray) -> dict[str, Any]:
    """What log weights `[n]` tell about a flow: the fields of `Evaluation` that follow from them.

    Samples without a finite weight count with weight zero, as in a chain; there is no divergence then.

    Raises:
      BrokenFlow: no sample has a finite weight.
    """
    finite = np.isfinite(log_weight)
    if not finite.any():
        raise BrokenFlow(len(log_weight))
    low, median, high = np.quantile(log_weight[finite], [0.01, 0.5, 0.99])
    log_weight = np.where(finite, log_weight, -np.inf)
    kl, kl_error = kl_divergence(log_weight)
    k, k_error = k_hat(log_weight)
    return {
        "ess": effective_sample_size(log_weight),
        "acceptance": expected_acceptance(log_weight),
        "log_z": log_z(log_weight)[0],
        "kl": kl,
        "kl_error": kl_error,
        "k_hat": k,
        "k_hat_error": k_error,
        "log_weight_low": float(low - median),
        "log_weight_high": float(high - median),
    }


def described(evaluation: Evaluation) -> str:
    """How good a flow is, for a line of text."""
    forward = "" if math.isnan(evaluation.forward_ess) else f", forward ESS {evaluation.forward_ess:.3f}"
    where = "" if math.isnan(evaluation.condition) else f" at the worst coupling, {evaluation.condition:g}"
    return f"KL {evaluation.kl:.4f}, ESS {evaluation.ess:.3f}{forward}, acceptance {evaluation.acceptance:.3f}{where}"


def metrics_table(evaluations: Sequence[Evaluation]) -> str:
    """The text of `metrics.csv`: one line for each evaluation, under a line of names.

    A column that no evaluation knows is left out.
    """
    columns = [name for name in Evaluation._fields if not all(math.isnan(getattr(row, name)) for row in evaluations)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([getattr(row, name) for name in columns] for row in evaluations)
    return text.getvalue()
