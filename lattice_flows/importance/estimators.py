"""What follows from log weights, `log_weight = -S(phi) - log q(phi)`. All in float64, with NumPy."""

import numpy as np
from arviz_stats.base import array_stats
from scipy.special import logsumexp

from lattice_flows.errors import UserError

__all__ = [
    "BrokenFlow",
    "effective_sample_size",
    "expected_acceptance",
    "forward_effective_sample_size",
    "integration_error",
    "k_hat",
    "kl_divergence",
    "largest_k_hat",
    "log_z",
]

_FEWEST_OF_A_TAIL = 25  # samples, of which PSIS fits the largest fifth
_LARGEST_RANGE = 600.0  # of log weights that PSIS fits, which underflow beyond 708


class BrokenFlow(UserError, ValueError):
    """A flow none of whose proposals has a finite weight, so that nothing can be sampled or estimated with it."""

    def __init__(self, proposals: int):
        advice = "the flow is broken, train it again or load other weights"
        super().__init__(f"none of {proposals} proposals has a finite weight: {advice}")


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
    n, truncated = len(log_weight), np.minimum(log_weight, _log_limit(log_weight))
    log_mean = logsumexp(truncated) - np.log(n)
    change = np.exp(truncated - log_mean) - log_weight  # of the estimate, by each sample, up to a constant
    return float(log_mean - mean), float(np.std(change) / np.sqrt(n))


def _log_limit(log_weight: np.ndarray) -> float:
    """The logarithm of the limit t at which weights are truncated, `t = sqrt(n) mean(min(e^w, t))`.

    In logarithms throughout: a very bad flow has weights whose ratios no float holds.
    """
    root = np.sqrt(len(log_weight))
    falling = np.sort(log_weight)[::-1]
    candidates = np.arange(int(np.ceil(root)))  # how many weights may exceed it: less than sqrt(n)
    rest = np.logaddexp.accumulate(falling[::-1])[::-1][candidates]
    limits = rest - np.log(root - candidates)
    return limits[np.argmax(falling[candidates] <= limits)]


def k_hat(log_weight: np.ndarray) -> tuple[float, float]:
    """Tail index of the weights e^w, and its standard error: moments of order 1/k and above do not exist.

    That of Pareto-smoothed importance sampling (arXiv:1507.02646), from the largest `3 sqrt(n)` weights. Above 1/2 the variance of
    the weights is infinite, and so are the errors of log Z and of the effective sample size; above 0.7, no number of samples that
    one can draw makes up for it. The error is that of a fit to a generalised Pareto distribution, `(1 + k) / sqrt(3 sqrt(n))`.
    Where the ratios of these weights exceed what a float holds, k is the mean excess of their logarithms (B. M. Hill, Ann. Stat. 3
    (1975) 1163), which the fit tends to for large k.

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
    if np.max(largest) - np.min(largest) > _LARGEST_RANGE:
        k = float(np.mean(largest) - np.min(largest))
    else:
        k = float(array_stats.psislw(-finite)[1])
    return k, float((1 + max(k, 0.0)) / np.sqrt(tail))


def largest_k_hat(error: float, sigmas: float = 2) -> float:
    """The largest tail index at which effective sample size, log Z and chains can be trusted.

    Half, where the variance of the weights becomes infinite, and some of its errors, but never more than 0.7. Gaussian log weights
    have about 0.25 at an acceptance of 50 %, and 0.5 at 20 %, of 10^5 samples; it falls slowly with their number, since a lognormal
    has no power tail.

    Args:
      error: of the tail index.
      sigmas: how many errors it may exceed one half by.
    """
    return min(0.5 + sigmas * error, 0.7)
