"""How much of the variance of log weights changes of a flow's own weights can remove."""

from collections.abc import Sequence

import numpy as np
import scipy.linalg

from lattice_flows.measurement.errors import Estimate, share

__all__ = ["score_fit"]

_FOLDS = 4


def score_fit(log_weight: np.ndarray, scores: np.ndarray, dampings: Sequence[float]) -> list[Estimate]:
    """Fits log weights by the scores of a flow, the derivatives of log q with respect to its weights.

    A change c of the weights changes log weights by `-scores c` to first order, so the fit

        c = (F + damping diag F)^-1 < scores (w - <w>) >,    F = < scores scores^T >

    is a step of natural gradients, and the share of the variance of w that it explains is what this step removes. A quarter of the
    samples after the other is left out of the fit and explained by it, so noise of the fit makes the share smaller, never larger:
    it grows with the number of samples. With the damping of a training, the share tells what that training can still gain; where
    it is much larger with a smaller damping, the rest lies in directions that hardly change log q.

    Args:
      log_weight: of samples of the flow, `[n]`, all finite.
      scores: of the same samples, `[n, weights]`.
      dampings: relative, on the diagonal of F.

    Returns:
      for every damping the explained share of the variance, with its error; below zero by the noise where there is nothing to
      explain.

    Raises:
      ValueError: fewer than 8 samples, numbers of samples that differ, or log weights that are all equal.
    """
    n = len(log_weight)
    if n < 2 * _FOLDS or scores.shape[0] != n or np.ptp(log_weight) == 0:
        raise ValueError(f"a fit needs 8 log weights or more that differ, and the scores of each, got {n} and {len(scores)}")
    fold, total, squares = np.arange(n) % _FOLDS, np.empty(n), np.empty((len(dampings), n))
    for number in range(_FOLDS):
        kept, left_out = fold != number, fold == number
        mean, mean_score = log_weight[kept].mean(), scores[kept].mean(axis=0)
        x = scores[kept].astype(np.float64) - mean_score
        y, fresh = log_weight[kept] - mean, scores[left_out] - mean_score
        fisher, product = x.T @ x, x.T @ y
        diagonal = np.diag(fisher)
        ridge = np.where(diagonal > 0, diagonal, 1.0)  # a weight that changes nothing stays as it is
        total[left_out] = (log_weight[left_out] - mean) ** 2
        for damping, found in zip(dampings, squares, strict=True):
            change = scipy.linalg.solve(fisher + np.diag(damping * ridge), product, assume_a="pos")
            found[left_out] = (log_weight[left_out] - mean - fresh @ change) ** 2
    return [share(total - found, total) for found in squares]
