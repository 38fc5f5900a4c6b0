"""Errors and autocorrelations. The Gamma method (hep-lat/0306017) is that of pyerrors; nothing of it is repeated here."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyerrors as pe
from scipy import stats

__all__ = [
    "Agreement",
    "Estimate",
    "acceptance_autocorrelation",
    "agreement",
    "correlation",
    "estimate",
    "format_estimate",
    "power_law",
    "primary",
    "pull",
    "rejection_runs",
]

# Combinations of observables that fluctuate with a smaller share of the mean variance are differences of almost equal numbers.
_SMALLEST_EIGENVALUE = 1e-2


class Estimate(NamedTuple):
    """A number with its error. `tau_int` is in units of measured configurations, 1/2 for independent ones; None if unknown."""

    value: float
    error: float
    tau_int: float | None = None
    tau_int_error: float | None = None


def primary(series: np.ndarray, ensemble: str) -> pe.Obs:
    """A measured time series as an object that carries its fluctuations through any formula.

    Args:
      series: `[chains, n]`, in Monte Carlo order; independent chains of one ensemble.
      ensemble: its name.
    """
    return pe.Obs(list(np.asarray(series, np.float64)), [f"{ensemble}|{chain:05d}" for chain in range(len(series))])


def estimate(observable: pe.Obs) -> Estimate:
    """Value, error and integrated autocorrelation time of an observable measured on one ensemble, by the Gamma method."""
    observable.gamma_method()
    (ensemble,) = observable.e_names
    tau_int, tau_int_error = observable.e_tauint[ensemble], observable.e_dtauint[ensemble]
    return Estimate(float(observable.value), float(observable.dvalue), float(tau_int), float(tau_int_error))


def pull(ours: Estimate, other: Estimate) -> float:
    """Difference of two independent numbers in units of its error."""
    return float((ours.value - other.value) / np.hypot(ours.error, other.error))


def correlation(observables: Sequence[pe.Obs]) -> np.ndarray:
    """Correlation matrix `[n, n]` of observables measured on one ensemble, that of their fluctuations at equal times."""
    for each in observables:
        each.gamma_method()
    return pe.covariance(list(observables), correlation=True)


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

    The observables are turned into combinations that are uncorrelated on single configurations; of these, the nearly redundant ones
    are left out. On single configurations all samplers have the same fluctuations; errors follow from different `tau_int` as well,
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


def power_law(x: Sequence[float], y: Sequence[Estimate]) -> tuple[Estimate, Estimate]:
    """Amplitude and exponent of `y = a x^z`, fitted in logarithms and weighted by the errors of y.

    Raises:
      ValueError: fewer than two points.
    """
    if len(x) < 2:
        raise ValueError(f"a power law needs two points, got {len(x)}")
    value, error = np.array([(point.value, point.error) for point in y]).T
    fit, covariance = np.polyfit(np.log(x), np.log(value), 1, w=value / error, cov="unscaled")
    z, log_a = fit
    z_error, log_a_error = np.sqrt(np.diag(covariance))
    return Estimate(float(np.exp(log_a)), float(np.exp(log_a) * log_a_error)), Estimate(float(z), float(z_error))


def format_estimate(number: Estimate) -> str:
    """Two digits of the error in brackets: 1.0622(46)."""
    if number.error == 0:
        return f"{number.value:g}"
    shown = pe.cov_Obs(number.value, number.error**2, "number")
    shown.gamma_method()
    return str(shown)


def rejection_runs(accepted: np.ndarray) -> np.ndarray:
    """How often exactly r proposals in a row were rejected between two accepted ones.

    Args:
      accepted: bool `[n]` or `[n, chains]`, one entry for each update of a chain.

    Returns:
      int `[longest + 1]`; entry r counts the maximal runs of length r >= 1, entry 0 is zero.
    """
    accepted = np.asarray(accepted, bool)
    ends = np.ones((1, *accepted.shape[1:]), bool)
    padded = np.concatenate([ends, accepted, ends])
    lengths = np.diff(np.flatnonzero(padded.T)) - 1  # one chain after the other
    counts = np.bincount(lengths)
    counts[0] = 0
    return counts


def acceptance_autocorrelation(accepted: np.ndarray, blocks: int = 50) -> Estimate:
    """Integrated autocorrelation time that all observables share, from the accept decisions alone.

    `rho(tau) / rho(0)` is the chance of tau rejections in a row, and `tau_int = 1/2 + sum_tau rho(tau) / rho(0)`
    (arXiv:1904.12072, eqs. 15, 16, 19). The error is that of the mean over blocks of the chain.

    Args:
      accepted: bool `[n]`.
      blocks: number of blocks, of at least one update each.

    Raises:
      ValueError: fewer updates than blocks.
    """
    accepted = np.asarray(accepted, bool)
    if len(accepted) < blocks:
        raise ValueError(f"{blocks} blocks need as many updates, got {len(accepted)}")
    spread = np.std([_tau_int(block) for block in np.array_split(accepted, blocks)], ddof=1)
    return Estimate(_tau_int(accepted), float(spread / np.sqrt(blocks)))


def _tau_int(accepted: np.ndarray) -> float:
    counts = rejection_runs(accepted)
    # A run of length r holds r - tau + 1 windows of tau rejections: a double sum over the histogram from above.
    windows = np.cumsum(np.cumsum(counts[::-1]))[::-1][1:]
    taus = np.arange(1, len(counts))
    # At tau = n, which only a chain without a single acceptance reaches, eq. 15 has no term.
    taus, windows = taus[taus < len(accepted)], windows[: np.count_nonzero(taus < len(accepted))]
    return float(0.5 + np.sum(windows / (len(accepted) - taus)))
