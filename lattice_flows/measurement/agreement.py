"""Whether independent samplers agree on observables that are correlated with each other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyerrors as pe
from scipy import stats

from lattice_flows.measurement.errors import Estimate

__all__ = ["Agreement", "agreement", "correlation"]

# Combinations of observables that fluctuate with a smaller share of the mean variance are differences of almost equal numbers.
_SMALLEST_EIGENVALUE = 1e-2


def correlation(observables: Sequence[pe.Obs]) -> np.ndarray:
    """Correlation matrix `[n, n]` of observables measured on one ensemble, that of their fluctuations at equal times.

    It is `pyerrors.covariance(..., correlation=True)`, without an analysis of errors and by products of matrices.
    """
    product, norms = 0.0, 0.0
    for chain in observables[0].names:
        fluctuations = np.stack([observable.deltas[chain] for observable in observables])
        of_chain = fluctuations @ fluctuations.T
        product, norms = product + of_chain, norms + np.sqrt(np.outer(np.diag(of_chain), np.diag(of_chain)))
    return product / norms


class Agreement(NamedTuple):
    """Chi-square of several samplers against their common mean, and its degrees of freedom."""

    chi_square: float
    degrees_of_freedom: int

    @property
    def p(self) -> float:
        """The chance of a larger chi-square."""
        return float(stats.chi2.sf(self.chi_square, self.degrees_of_freedom))


def agreement(measured: Sequence[tuple[Sequence[Estimate], np.ndarray]]) -> Agreement:
    """Whether independent samplers of one distribution agree on correlated observables.

    The observables are turned into combinations that are uncorrelated on single configurations; of these, nearly redundant ones are
    left out. On single configurations all samplers have the same fluctuations; errors follow from different `tau_int` as well,
    which hide that some observables are sums of others.

    Args:
      measured: of each sampler, the same n observables, with their `tau_int`, and their correlation `[n, n]` (see `correlation`).
    """
    numbers = np.array([[(number.value, number.error, number.tau_int) for number in estimates] for estimates, _ in measured])
    matrices = np.array([matrix for _, matrix in measured])
    values, errors, taus = np.moveaxis(numbers, -1, 0)
    # Of single configurations, up to a factor.
    deviation = np.exp(np.mean(np.log(errors / np.sqrt(2 * taus)), axis=0))
    variances, directions = np.linalg.eigh(np.mean(matrices, axis=0))
    project = directions[:, variances > _SMALLEST_EIGENVALUE].T / deviation
    values = values @ project.T
    inverses = [np.linalg.inv(project @ (matrix * np.outer(e, e)) @ project.T) for matrix, e in zip(matrices, errors, strict=True)]
    common = np.linalg.solve(sum(inverses), sum(w @ value for w, value in zip(inverses, values, strict=True)))
    chi_square = sum((value - common) @ w @ (value - common) for w, value in zip(inverses, values, strict=True))
    return Agreement(float(chi_square), (len(measured) - 1) * len(project))
