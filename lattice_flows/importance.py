"""Importance weights of flow samples, `log_weight = -S(phi) - log q(phi)`, and what follows from them. All in float64."""

import collections
import copy
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from arviz_stats.base import array_stats
from scipy.special import logsumexp

from lattice_flows.actions import Action
from lattice_flows.errors import UserError
from lattice_flows.flows import Flow
from lattice_flows.resources import drawn_at_once
from lattice_flows.seeds import sub_seed

__all__ = [
    "INTEGRATION_TOLERANCE",
    "BrokenFlow",
    "WeightedSampler",
    "effective_sample_size",
    "expected_acceptance",
    "forward_effective_sample_size",
    "integration_error",
    "k_hat",
    "kl_divergence",
    "largest_k_hat",
    "log_z",
]

INTEGRATION_TOLERANCE = 1e-3  # largest mean change of log weights when the step is halved: far below what causes rejections
_AHEAD = 2  # batches
# Half the step is useless if it leaves more than this share of the error, which is rounding if it is below so many tolerances.
_LEAST_GAIN, _ROUNDING = 0.5, 10.0
_FEWEST_OF_A_TAIL = 25  # samples, of which PSIS fits the largest fifth


class BrokenFlow(UserError, ValueError):
    """A flow none of whose proposals has a finite weight, so that nothing can be sampled or estimated with it."""

    def __init__(self, proposals: int):
        advice = "the flow is broken, train it again or load other weights"
        super().__init__(f"none of {proposals} proposals has a finite weight: {advice}")


class WeightedSampler:
    """Draws fields with their log weights, in compiled batches of fixed size, on the (first) device that holds the flow.

    Samplers of one flow with the same action and batch size share one compiled function, so the sampler that judged a training is
    already compiled when the Markov chain begins. A sampler keeps the integration steps that the flow had when it was made.

    Example:

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5)
    flow = lf.flows.affine(action.lattice, layers=2)
    sampler = lf.importance.WeightedSampler(flow, action, batch_size=64, seed=1)
    log_weight = sampler.log_weights(100, "example")
    ```

    Args:
      flow: the flow to draw from.
      action: `phi [batch, *shape] -> [batch]`.
      batch_size: fields in a compiled call, see `resources.drawn_at_once`.
      seed: master seed; batch i of a purpose is always the same.

    Attributes:
      flow: the flow, with the integration steps it had when the sampler was made.
      action: the target of the weights.
      batch_size: fields in a compiled call.
      seed: as given.
      integration_error: see `integration_error`; zero for an exact flow, and until `integrated` has found it.
    """

    def __init__(self, flow: Flow, action: Action, batch_size: int, seed: int):
        self.flow, self.action, self.seed = copy.copy(flow), action, seed
        self.batch_size = batch_size = drawn_at_once(batch_size, flow.lattice.shape)
        self.integration_error = {"mean": 0.0, "largest": 0.0}
        self._device = flow.device  # not wherever TensorFlow would place the computation
        compiled = _COMPILED[self.flow] = _COMPILED.setdefault(flow, {})
        if (key := (action, batch_size, tuple(flow.integration_steps.items()))) not in compiled:
            compiled[key] = _compiled_draw(flow, action, batch_size)
        self._draw = compiled[key]

    def batches(self, n: int, purpose: str, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields `phi [b, *shape]` and `log_weight [b]` until n fields are drawn; the last batch is cut to fit.

        Batches are drawn ahead, so the weights of the flow must not change while one iterates.

        Args:
          n: number of fields.
          purpose: of the random numbers.
          start: number of the first batch.
        """
        # Drawn ahead in threads: XLA computes a small batch on one core, and the caller needs time for each, too.
        with ThreadPoolExecutor(_AHEAD) as pool:
            coming: collections.deque[Future[tuple[np.ndarray, np.ndarray]]] = collections.deque()
            for number in range(batches := -(-n // self.batch_size)):
                while len(coming) < _AHEAD and number + len(coming) < batches:
                    coming.append(pool.submit(self._batch, purpose, start + number + len(coming)))
                phi, log_weight = coming.popleft().result()
                wanted = n - number * self.batch_size
                yield phi[:wanted], log_weight[:wanted]

    def _batch(self, purpose: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        with tf.device(self._device):
            phi, log_weight = self._draw(tf.constant(sub_seed(self.seed, purpose, index)))
        return phi.numpy(), log_weight.numpy()

    def log_weights(self, n: int, purpose: str, start: int = 0) -> np.ndarray:
        """Returns the log weights `[n]` of `batches`."""
        return np.concatenate([log_weight for _, log_weight in self.batches(n, purpose, start)])

    def drawing(self, draw: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]) -> "WeightedSampler":
        """Returns a sampler of other fields that are made with the same flow, and of their weights, from the same seeds.

        Args:
          draw: of a stateless seed `[2]`: fields `[batch_size, *shape]` and their log weights `[batch_size]`, float64.
        """
        other = copy.copy(self)
        other._draw = draw
        return other

    def refined(self) -> "WeightedSampler | None":
        """Returns a sampler of the same fields, integrated with half the step; None if the flow is exact."""
        finer = self.flow.refined()
        if finer is None:
            return None
        # The variables are the same, so what is compiled for one serves the other.
        _COMPILED[finer] = _COMPILED[self.flow]
        return WeightedSampler(finer, self.action, self.batch_size, self.seed)

    def integrated(self, tolerance: float, samples: int, info: Callable[[str], None]) -> "WeightedSampler":
        """Halves the step of the integration until log weights are accurate, or as accurate as rounding allows.

        Args:
          tolerance: largest mean change of log weights when the step is halved once more.
          samples: number of samples that this mean is taken over.
          info: receives a line for every halving.

        Returns:
          the first sampler that is accurate, or the one where half the step no longer helps; this one, for an exact flow.
        """
        sampler, before, useless = self, np.inf, 0
        while (finer := sampler.refined()) is not None:
            sampler.integration_error = integration_error(*(each.log_weights(samples, "integration") for each in (sampler, finer)))
            if (mean := sampler.integration_error["mean"]) <= tolerance:
                break
            useless += mean > _LEAST_GAIN * before
            if useless > 1 or (useless and mean < _ROUNDING * tolerance):
                info(f"the integration error of log weights is {mean:.1e} on average, and half the step is no better")
                break
            before = mean
            info(f"the integration error of log weights is {mean:.1e} on average: halving the step")
            sampler = finer
        return sampler


# By flow, then by action, batch size and integration steps. The values must not refer to the flow itself, or the flow would never
# be freed.
_COMPILED: weakref.WeakKeyDictionary[Flow, dict[tuple[Any, ...], Callable[..., Any]]] = weakref.WeakKeyDictionary()


def _compiled_draw(flow: Flow, action: Action, batch_size: int) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function of a seed that draws fields and their log weights from a flow as it is now; its weights may change later on."""
    flow = copy.copy(flow)
    dtype = flow.density_dtype

    @tf.function(jit_compile=True)
    def draw(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        phi, log_q = flow.sample_and_log_prob(batch_size, seed, dtype)
        return phi, -action(tf.cast(phi, tf.float64)) - log_q

    return draw


def integration_error(log_weight: np.ndarray, finer: np.ndarray) -> dict[str, float]:
    """How much log weights change, in absolute value, when the step of the integration is halved: `mean` and `largest`.

    Proposals without a finite weight, which are never accepted, are left out.

    Raises:
      BrokenFlow: no proposal has a finite weight.
    """
    finite = np.isfinite(log_weight) & np.isfinite(finer)
    if not finite.any():
        raise BrokenFlow(len(log_weight))
    change = np.abs(log_weight[finite] - finer[finite])
    return {"mean": float(np.mean(change)), "largest": float(np.max(change))}


def effective_sample_size(log_weight: np.ndarray) -> float:
    """Kish's effective sample size per sample, `(sum e^w)^2 / (N sum e^{2w})`, between 1/N and 1."""
    return float(np.exp(2 * logsumexp(log_weight) - logsumexp(2 * log_weight)) / len(log_weight))


def log_z(log_weight: np.ndarray, integration_error: float = 0.0) -> tuple[float, float]:
    """Estimate of log Z, `logsumexp(w) - log N`, and its standard error to first order in 1/N, with the mean integration error."""
    n = len(log_weight)
    value = logsumexp(log_weight) - np.log(n)
    return float(value), float(np.hypot(np.sqrt(max(1 / effective_sample_size(log_weight) - 1, 0.0) / n), integration_error))


def expected_acceptance(log_weight: np.ndarray) -> float:
    """Mean acceptance of independence Metropolis in equilibrium, from independent samples of the flow.

    The average of `min(1, e^{w' - w})` over proposals w' (uniform over the samples) and current states w (with probability
    proportional to e^w), over all pairs. With sorted weights the sum over pairs is a running sum.
    """
    weight = np.exp(np.sort(log_weight) - np.max(log_weight))
    n = len(weight)
    smaller = np.concatenate([[0.0], np.cumsum(weight)[:-1]])
    larger_or_equal = n - np.arange(n)
    return float(np.sum(weight * larger_or_equal + smaller) / (n * np.sum(weight)))


def forward_effective_sample_size(log_weight: np.ndarray) -> float:
    """The effective sample size per sample, `1 / E_q[(p/q)^2] = 1 / E_p[p/q]`, from samples of the target p instead of the flow q.

    With weights that are not normalised it is `1 / (mean(e^w) mean(e^-w))`, for `1/Z = E_p[e^-w]`; arXiv:2302.14082 and
    arXiv:2007.07115 compare both sides so. It sees regions of the target that the flow misses, where w is large: no sample of the
    flow is ever there, and `effective_sample_size` stays near 1.

    Args:
      log_weight: `[n]`, of samples of p; correlated ones may be used.
    """
    return float(np.exp(2 * np.log(len(log_weight)) - logsumexp(log_weight) - logsumexp(-log_weight)))


def kl_divergence(log_weight: np.ndarray) -> tuple[float, float]:
    """Estimate of the Kullback-Leibler divergence `KL(q|p) = log Z - E_q[w]`, and its standard error.

    Z is estimated with truncated weights [1]: no sample counts for more than sqrt(n) average ones, so none decides, even where e^w
    has no variance. Both terms come from the same samples: where the flow is good their fluctuations cancel to first order in w,
    and what is left is about `Var(w) / 2`; where it is bad, the mean of w decides, which is minus the loss.

    [1] E. L. Ionides, Truncated importance sampling, J. Comput. Graph. Stat. 17 (2008) 295. Here the limit is sqrt(n) times the
    mean of the truncated weights themselves, so that one huge weight does not raise it.
    """
    mean = np.mean(log_weight)
    if not np.isfinite(mean):
        return np.inf, np.inf
    n, largest = len(log_weight), np.max(log_weight)
    weight = np.exp(log_weight - largest)
    weight = np.minimum(weight, _limit(weight))
    change = weight / np.mean(weight) - log_weight  # of the estimate, by each sample, up to a constant
    return float(largest + np.log(np.mean(weight)) - mean), float(np.std(change) / np.sqrt(n))


def _limit(weight: np.ndarray) -> float:
    """The limit t at which weights are truncated, `t = sqrt(n) mean(min(weight, t))`."""
    root = np.sqrt(len(weight))
    falling = np.sort(weight)[::-1]
    candidates = np.arange(int(np.ceil(root)))  # how many weights may exceed it: less than sqrt(n)
    rest = np.cumsum(falling[::-1])[::-1][candidates]
    limits = rest / (root - candidates)
    return limits[np.argmax(falling[candidates] <= limits)]


def k_hat(log_weight: np.ndarray) -> tuple[float, float]:
    """Tail index of the weights e^w, and its standard error: moments of order 1/k and above do not exist.

    That of Pareto-smoothed importance sampling (arXiv:1507.02646), from the largest `3 sqrt(n)` weights. Above 1/2 the variance of
    the weights is infinite, and so are the errors of log Z and of the effective sample size; above 0.7, no number of samples that
    one can draw makes up for it. The error is that of a fit to a generalised Pareto distribution, `(1 + k) / sqrt(3 sqrt(n))`.

    Args:
      log_weight: `[n]`; weights that are not finite are left out.

    Returns:
      k and its error; 0 for weights that are all equal, NaN for fewer than 25.
    """
    finite = log_weight[np.isfinite(log_weight)]
    n = len(finite)
    if n < _FEWEST_OF_A_TAIL:
        return np.nan, np.nan
    tail = int(np.ceil(min(n / 5, 3 * np.sqrt(n))))
    largest = np.partition(finite, -tail)[-tail:]
    if np.min(largest) == np.max(largest):
        return 0.0, float(1 / np.sqrt(tail))
    with np.errstate(divide="ignore", invalid="ignore"):  # of weights whose ratios overflow
        k = float(array_stats.psislw(-finite)[1])
    return k, float((1 + max(k, 0.0)) / np.sqrt(tail))


def largest_k_hat(error: float, sigmas: float = 2) -> float:
    """The largest tail index at which effective sample size, log Z and chains can be trusted.

    Half, where the variance of the weights becomes infinite, and some of its errors, but never more than 0.7. Gaussian log weights
    have 0.25 at an acceptance of 50 %, and 0.5 at 20 %.

    Args:
      error: of the tail index.
      sigmas: how many errors it may exceed one half by.
    """
    return min(0.5 + sigmas * error, 0.7)
