"""The share of the variance of log weights that a small change of the flow's weights can remove."""

from collections.abc import Sequence

import numpy as np
import scipy.linalg
import scipy.optimize

from lattice_flows.measurement.errors import Estimate, share

__all__ = ["explained_share", "score_fit"]

_FOLDS = 4


def score_fit(log_weight: np.ndarray, scores: np.ndarray, dampings: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Fits log weights by the scores of a flow, the derivatives of log q with respect to its weights.

    A change c of the weights changes log weights by `-scores c` to first order, so the fit

        c = (F + damping diag F)^-1 b,    F = < scores scores^T >,    b = < scores (w - <w>) >

    is one step of natural gradients (without a ridge), and what it explains of the variance of w is what this step removes:

        2 b^T c - c^T F c = E - damping dE/d damping,    E = b^T c

    Each quarter of the samples in turn is left out of the fit and predicted by it; E is the mean of the product of log weights and
    predictions. The noise of the fit knows nothing of the samples left out, so scores that explain nothing have a share of zero on
    average, and no correction is needed. A fit to n samples is damped by being short of them, too: as one to infinitely many with
    `1 / (1 - f / n)` times its damping, where f is its effective number of coefficients, `f = tr F (F + damping diag F)^-1` [1].
    It is given less damping, so that shares are those of infinitely many samples with the damping that is asked for. A share that
    only a small damping has lies in directions that hardly change log q.

    [1] T. Hastie, A. Montanari, S. Rosset, R. J. Tibshirani, Ann. Statist. 50 (2022) 949.

    Args:
      log_weight: of samples of the flow, `[n]`, all finite.
      scores: of the same samples, `[n, weights]`.
      dampings: relative, on the diagonal of F, above zero.

    Returns:
      of every sample the squared deviation of its log weight from the mean, `[n]`, and what of it is explained, `[dampings, n]`:
      see `explained_share`. The difference between two fits to the same samples is what one explains beyond the other.

    Raises:
      ValueError: fewer than 8 samples, numbers of samples that differ, scores that are not finite, or equal log weights.
    """
    n = len(log_weight)
    if n < 2 * _FOLDS or len(scores) != n or np.ptp(log_weight) == 0 or not np.isfinite(scores).all():
        raise ValueError(f"a fit needs 8 log weights or more that differ, and finite scores of each, got {n} and {len(scores)}")
    fold, total, explained = np.arange(n) % _FOLDS, np.empty(n), np.empty((len(dampings), n))
    for number in range(_FOLDS):
        kept, left_out = fold != number, fold == number
        mean, mean_score = log_weight[kept].mean(), scores[kept].mean(axis=0)
        x = scores[kept].astype(np.float64) - mean_score
        y, fresh = log_weight[kept] - mean, scores[left_out] - mean_score
        scale = np.linalg.norm(x, axis=0)
        scale[scale == 0] = 1.0  # a weight that changes nothing stays as it is
        x, fresh = x / scale, fresh / scale
        values, vectors = scipy.linalg.eigh(x.T @ x)
        values, modes, product = np.maximum(values, 0), fresh @ vectors, (x @ vectors).T @ y
        deviation = log_weight[left_out] - mean
        total[left_out] = deviation**2
        for damping, found in zip(dampings, explained, strict=True):
            own = _damping_of_fit(values, damping, len(y))
            left = own / (values + own)  # of every mode, by the fit
            # d own / d damping, by the f above; it is one for infinitely many samples.
            slope = (own / damping) ** 2 / (1 + (np.sum(left**2) - len(values)) / len(y))
            coefficients = product / (values + own) * (1 + slope * damping / (values + own))
            found[left_out] = deviation * (modes @ coefficients)
    return total, explained


def _damping_of_fit(values: np.ndarray, damping: float, n: int) -> float:
    """The damping of a fit to n samples which acts as `damping` does on infinitely many."""

    def too_large(own: float) -> float:
        return own - damping * (1 - np.sum(values / (values + own)) / n)

    return scipy.optimize.brentq(too_large, damping * (1 - min(len(values), n - 1) / n), damping, xtol=1e-6 * damping / n)


def explained_share(explained: np.ndarray, total: np.ndarray) -> Estimate:
    """The explained share of the variance, from what `score_fit` returns.

    Every two samples meet twice, each time with one in the fit and the other left out of it, so the variance of the sum over
    samples is twice that of independent ones.

    Args:
      explained: of every sample, `[n]`, with one damping; or a difference of these.
      total: squared deviations of the same samples, `[n]`.
    """
    found = share(explained, total)
    return Estimate(found.value, float(np.sqrt(2) * found.error))
