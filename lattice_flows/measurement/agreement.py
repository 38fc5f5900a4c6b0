"""Whether independent samplers agree on observables that are correlated with each other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyerrors as pe
from scipy import stats

from lattice_flows.measurement.errors import Estimate, gamma_error, systematic_covariance

__all__ = ["Agreement", "Sampled", "agreement", "correlation"]

# Bins of a correlation: their number, at most and at least, and their length in units of tau_int.
_MOST, _FEWEST, _LENGTH = 1000, 32, 20
# Combinations of observables that fluctuate with a smaller share of the mean variance are differences of almost equal numbers.
_SMALLEST_EIGENVALUE = 1e-2
# Their share is known no better than the squares of errors of errors, of which this is a multiple.
_SAFETY = 10
# Independent bins for every combination that is compared.
_BINS_OF_A_COMBINATION = 4


def correlation(observables: Sequence[pe.Obs], tau_int: float) -> tuple[np.ndarray, int]:
    """Correlation matrix of the means of observables that were measured on one ensemble.

    At equal times observables are correlated in another way than their means, if their autocorrelations differ. So the correlation
    is that of means over bins: 1000 at most, 20 `tau_int` long if there are enough of them then. Systematic errors are correlated
    with nothing but those from the same source.

    Args:
      observables: n of them.
      tau_int: the largest, in units of what the fluctuations of the observables belong to.

    Returns:
      `[n, n]`, and the number of bins, less the number of chains, whose means are taken from the ensemble.
    """
    if not observables:
        return np.empty((0, 0)), 0
    chains = sorted(observables[0].deltas)
    shortest = min(observables[0].shape.values())
    wanted = np.clip(len(chains) * shortest / (_LENGTH * tau_int), _FEWEST, _MOST) / len(chains)
    size = max(int(shortest // max(wanted, 2)), 1)
    product, bins = 0.0, 0
    for chain in chains:
        fluctuations = np.stack([observable.deltas[chain] for observable in observables])
        number = fluctuations.shape[1] // size
        means = fluctuations[:, : number * size].reshape(len(observables), number, size).mean(axis=2)
        means -= means.mean(axis=1, keepdims=True)
        product, bins = product + means @ means.T, bins + number - 1
    norms = np.sqrt(np.diag(product))
    norms[norms == 0] = 1
    statistical = np.array([gamma_error(observable) for observable in observables])
    covariance = product * np.outer(statistical / norms, statistical / norms) + systematic_covariance(observables)
    errors = np.sqrt(np.diag(covariance))
    errors[errors == 0] = 1
    return covariance / np.outer(errors, errors), bins


class Sampled(NamedTuple):
    """What one sampler says about n observables.

    Attributes:
      estimates: n of them, with their `tau_int` and its error.
      correlation: of their means, `[n, n]`.
      bins: the number of independent bins that it was measured on; None for infinitely many.
    """

    estimates: Sequence[Estimate]
    correlation: np.ndarray
    bins: int | None = None


class Agreement(NamedTuple):
    """Chi-square of several samplers against their common mean, and its degrees of freedom."""

    chi_square: float
    degrees_of_freedom: int

    @property
    def p(self) -> float:
        """The chance of a larger chi-square."""
        return float(stats.chi2.sf(self.chi_square, self.degrees_of_freedom))


def agreement(measured: Sequence[Sampled]) -> Agreement:
    """Whether independent samplers of one distribution agree on correlated observables.

    The observables are turned into uncorrelated combinations; of these, nearly redundant ones are left out. The covariances of the
    means are estimates from a finite number of bins, and errors have errors. So the sum of squares does not have the distribution
    of chi-square, but that of Hotelling's T^2, which divided by its degrees of freedom is an F distribution. The chi-square that is
    returned is equally probable.

    Args:
      measured: of each sampler, the same n observables.
    """
    numbers = np.array([[number[:4] for number in one.estimates] for one in measured])
    values, errors, taus, taus_errors = np.moveaxis(numbers.astype(float), -1, 0)
    # Of the squares of errors, relative. Unknown ones count as none.
    uncertainty = np.nan_to_num(taus_errors / taus).mean(axis=1)
    bins = np.array([np.inf if one.bins is None else one.bins for one in measured])
    # What the correlation belongs to: bins, or single configurations, up to a factor. Relations between observables hold for both.
    deviations = np.where(np.isinf(bins)[:, np.newaxis], errors / np.sqrt(2 * np.nan_to_num(taus, nan=0.5)), errors)
    scale = np.exp(np.mean(np.log(deviations), axis=0))
    shares = [one.correlation * np.outer(d, d) for one, d in zip(measured, deviations / scale, strict=True)]
    variances, directions = np.linalg.eigh(np.mean([share / np.trace(share) for share in shares], axis=0) * len(scale))
    smallest = max(_SMALLEST_EIGENVALUE, _SAFETY * np.max(uncertainty) ** 2)
    most = int(max(min(np.min(bins) / _BINS_OF_A_COMBINATION, len(scale)), 1))
    project = directions[:, variances >= min(smallest, variances[-1])][:, -most:].T
    values = (values - values[0]) / scale @ project.T
    errors = errors / scale
    covariances = [project @ (one.correlation * np.outer(e, e)) @ project.T for one, e in zip(measured, errors, strict=True)]
    # Those of a covariance, as in Hotelling's T^2: of the bins, or of the errors.
    n = np.minimum(bins, 2 / np.maximum(uncertainty, 1e-6) ** 2)
    left = np.maximum(n - len(project) + 1, 1)
    inverses = [share * np.linalg.inv(c) for share, c in zip(left / n, covariances, strict=True)]
    common = np.linalg.solve(sum(inverses), sum(w @ value for w, value in zip(inverses, values, strict=True)))
    statistic = sum((value - common) @ w @ (value - common) for w, value in zip(inverses, values, strict=True))
    degrees = (len(measured) - 1) * len(project)
    return Agreement(_as_chi_square(float(statistic), degrees, _welch(np.trace(covariances, axis1=1, axis2=2), left)), degrees)


def _welch(variances: np.ndarray, degrees: np.ndarray) -> float:
    """Degrees of freedom of a sum of variances that are estimated with their own (Welch and Satterthwaite)."""
    return float(variances.sum() ** 2 / np.sum(variances**2 / degrees))


def _as_chi_square(statistic: float, degrees: int, of_covariance: float) -> float:
    """The chi-square that is exceeded as often as the statistic, which divided by its degrees of freedom is distributed as F."""
    p = stats.f.sf(statistic / degrees, degrees, of_covariance)
    return float(stats.chi2.isf(p, degrees)) if p > 0 else statistic
