"""The share of the variance of log weights that a small change of the flow's weights can remove."""

from collections.abc import Sequence

import numpy as np
import scipy.linalg

__all__ = ["score_fit"]

_FOLDS = 4


def score_fit(log_weight: np.ndarray, scores: np.ndarray, dampings: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Fits log weights by the scores of a flow, the derivatives of log q with respect to its weights.

    A change c of the weights changes log weights by `-scores c` to first order, so the fit

        c = (F + damping diag F)^-1 < scores (w - <w>) >,    F = < scores scores^T >

    is one step of natural gradients (without a ridge), and the share of the variance of w that it explains is what this step
    removes. Each quarter of the samples in turn is left out of the fit and predicted by it. The squared errors there are made
    smaller by what the noise of the fit adds to them, a factor of `1 - f / n` with the n samples of the fit and the effective
    number f of its coefficients, `f = tr F (F + damping diag F)^-1` [1], so that scores which explain nothing have a share of about
    zero. A share that only a small damping has lies in directions that hardly change log q.

    [1] P. Craven, G. Wahba, Numer. Math. 31 (1979) 377. Without damping, f is the number of weights, and the factor that of
    `weight_variance` up to 1 / n.

    Args:
      log_weight: of samples of the flow, `[n]`, all finite.
      scores: of the same samples, `[n, weights]`.
      dampings: relative, on the diagonal of F.

    Returns:
      of every sample the squared deviation of its log weight from the mean, `[n]`, and how much smaller that is from the fit,
      `[dampings, n]`. `errors.share` of the two is the explained share, with an error that leaves out the noise of the fit itself,
      and of the difference between two fits to the same samples, what one explains beyond the other.

    Raises:
      ValueError: fewer than 8 samples, numbers of samples that differ, scores that are not finite, or equal log weights.
    """
    n = len(log_weight)
    if n < 2 * _FOLDS or len(scores) != n or np.ptp(log_weight) == 0 or not np.isfinite(scores).all():
        raise ValueError(f"a fit needs 8 log weights or more that differ, and finite scores of each, got {n} and {len(scores)}")
    fold, total, squares = np.arange(n) % _FOLDS, np.empty(n), np.empty((len(dampings), n))
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
        total[left_out] = (log_weight[left_out] - mean) ** 2
        for damping, found in zip(dampings, squares, strict=True):
            coefficients = np.sum(values / (values + damping))
            error = log_weight[left_out] - mean - modes @ (product / (values + damping))
            found[left_out] = (1 - coefficients / len(y)) * error**2
    return total, total - squares
