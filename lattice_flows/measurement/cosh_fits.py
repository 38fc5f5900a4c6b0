"""The mass of the lightest state in a correlator, averaged over the times at which the fit begins.

Where a fit begins is a choice, and one that the data make badly: the first beginning that a test does not reject still has as
much of the heavier states in it as the test just does not see, and the mass is several of its errors too large. Therefore all
beginnings count, each with its weight by Akaike's criterion, and their spread is part of the error (W. I. Jay and E. T. Neil,
arXiv:2008.01069).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import autograd.numpy as anp
import numpy as np
import pyerrors as pe
from scipy import stats

from lattice_flows.measurement.errors import analysed, gamma_error, with_systematic_error

__all__ = ["FEWEST_TIMES", "cosh_mass"]

# Of a fit: times, independent configurations for each of them, and the probability below which it is no fit.
FEWEST_TIMES = 3
_CONFIGURATIONS_OF_A_TIME, _SMALLEST_P = 20, 1e-3

# By so much above the smallest criterion, a fit has a weight of less than e^-10.
_NEGLIGIBLE = 20.0


class _Fit(NamedTuple):
    criterion: float  # Akaike's: chi^2 + 2 for each point that is left out; the number of parameters is the same for all
    mass: pe.Obs


def cosh_mass(green: Sequence[pe.Obs], half: float, first: int, independent: float) -> pe.Obs:
    """The mass m of `Gt(t) = A cosh(m (t - T/2))`, from correlated fits to the times from a beginning on.

    The average over the beginnings is weighted with `exp(-(chi^2 + 2 c) / 2)`, c the number of times that are left out. Its
    variance is the average of the variances of the fits and of their squared deviations from it; what of that is not statistical
    is a systematic error.

    Args:
      green: the correlator at the times 0, 1, ..., T/2; positive.
      half: T/2.
      first: the first time that is used.
      independent: the number of independent configurations. Where they are too few for the correlation of all times, fewer are
        used, evenly spread.

    Raises:
      ValueError: no beginning gives a fit.
    """
    times = max(int(independent / _CONFIGURATIONS_OF_A_TIME), FEWEST_TIMES)
    at = np.linspace(first, len(green) - 1, min(times, len(green) - first)).round().astype(int)
    points = [analysed(green[t]) for t in at]
    inverse_errors, correlation = np.diag([1 / point.dvalue for point in points]), pe.covariance(points, correlation=True)

    def cosh(parameters: Sequence[Any], t: Any) -> Any:
        return parameters[0] * anp.cosh(parameters[1] * (t - half))

    fits: list[_Fit] = []
    guess = [points[-1].value, np.arccosh(max(points[0].value / points[-1].value, 1.001)) / half]
    for begin in range(len(at) - FEWEST_TIMES + 1):
        if fits and 2 * begin > min(fit.criterion for fit in fits) + _NEGLIGIBLE:
            break
        how: dict[str, Any] = {"correlated_fit": True, "initial_guess": guess, "silent": True}
        try:
            cholesky = pe.obs.invert_corr_cov_cholesky(correlation[begin:, begin:], inverse_errors[begin:, begin:])
            fit = pe.fits.least_squares(at[begin:], points[begin:], cosh, inv_chol_cov_matrix=[cholesky, [""]], **how)
        except Exception:  # pyerrors raises no other class, where these times do not determine a mass
            continue
        # Hotelling's T^2, of a covariance from so many independent configurations.
        left = max(independent - fit.dof, 1.0)
        if stats.f.sf(left / (fit.dof * max(independent - 1, 1.0)) * fit.chisquare, fit.dof, left) >= _SMALLEST_P:
            fits.append(_Fit(fit.chisquare + 2 * begin, abs(fit.fit_parameters[1])))
    if not fits:
        raise ValueError("no cosh describes the correlator: it is too noisy, or not that of a single particle")
    return _average(fits)


def _average(fits: Sequence[_Fit]) -> pe.Obs:
    criteria = np.array([fit.criterion for fit in fits])
    weights = np.exp(-(criteria - criteria.min()) / 2)
    weights /= weights.sum()
    average = sum(weight * fit.mass for weight, fit in zip(weights, fits, strict=True))
    deviations = np.array([fit.mass.value - average.value for fit in fits])
    variance = weights @ (np.array([gamma_error(fit.mass) for fit in fits]) ** 2 + deviations**2)
    rest = max(variance - gamma_error(average) ** 2, 0.0)
    return with_systematic_error(average, np.sqrt(rest), "beginning of the cosh fit")
