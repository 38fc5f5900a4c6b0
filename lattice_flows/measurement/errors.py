"""Numbers with errors. The Gamma method (hep-lat/0306017) is that of pyerrors; none of it is reimplemented here."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyerrors as pe

__all__ = [
    "FEWEST_EFFECTIVE",
    "Estimate",
    "analysed",
    "estimate",
    "estimate_from_bins",
    "format_estimate",
    "format_percent",
    "gamma_error",
    "independent_mean",
    "power_law",
    "primary",
    "pull",
    "share",
    "systematic_covariance",
    "with_systematic_error",
]


# Errors of weighted means, log Z among them, are not known from fewer effectively independent proposals: where the weights of a
# flow have a variance of 4 or more, as many as these miss their tail.
FEWEST_EFFECTIVE = 200


class Estimate(NamedTuple):
    """A number with its error. `tau_int` is in units of measured configurations, 1/2 for independent ones; None if unknown.

    ```python
    from lattice_flows.measurement.errors import Estimate

    print(Estimate(1.0622, 0.0046))          # 1.0622(46)
    ```
    """

    value: float
    error: float
    tau_int: float | None = None
    tau_int_error: float | None = None

    def __str__(self) -> str:
        return format_estimate(self)


def primary(series: np.ndarray, ensemble: str) -> pe.Obs:
    """A measured time series as a `pe.Obs`, which propagates its fluctuations through any formula.

    Args:
      series: `[chains, n]`, in Monte Carlo order; independent chains of one ensemble.
      ensemble: its name.
    """
    return pe.Obs(list(np.asarray(series, np.float64)), [f"{ensemble}|{chain:05d}" for chain in range(len(series))])


def analysed(observable: pe.Obs) -> pe.Obs:
    """The observable itself, after the Gamma method has run on it; it runs once for each observable."""
    if not hasattr(observable, "e_dvalue"):
        observable.gamma_method()
    return observable


def gamma_error(observable: pe.Obs) -> float:
    """The statistical error by the Gamma method of an observable of one ensemble of R chains.

    Fluctuations around the means of the chains, instead of the mean of all, are too small: their squares by a share of
    R (2 W + 1) / N, for a window W and N bins of all chains. pyerrors corrects for that of one chain (hep-lat/0306017, eq. 49).
    """
    (ensemble,) = analysed(observable).mc_names
    missing = (2 * observable.e_windowsize[ensemble] + 1) / sum(observable.shape.values())
    scale = (1 + len(observable.deltas) * missing) / (1 + missing)
    return float(observable.e_dvalue[ensemble] * np.sqrt(scale))


def with_systematic_error(observable: pe.Obs, error: float, name: str) -> pe.Obs:
    """The same with an error beside that of its fluctuations, which is independent of them.

    Args:
      observable: of one ensemble.
      error: its systematic error.
      name: of the source; what has the same source is correlated through it.
    """
    return observable + error * pe.cov_Obs(0.0, 1.0, name) if error > 0 else observable


def systematic_covariance(observables: Sequence[pe.Obs]) -> np.ndarray:
    """The covariance matrix `[n, n]` of the systematic errors of n observables."""
    covariance = np.zeros((len(observables), len(observables)))
    for name in {name for observable in observables for name in observable.cov_names}:
        parts = [observable.covobs.get(name) for observable in observables]
        errors = [0.0 if part is None else part.grad.item() * np.sqrt(part.cov.item()) for part in parts]
        covariance += np.outer(errors, errors)
    return covariance


def _total(observable: pe.Obs, statistical: float) -> float:
    return float(np.sqrt(statistical**2 + systematic_covariance([observable]).item()))


def estimate(observable: pe.Obs) -> Estimate:
    """Value, error and integrated autocorrelation time of an observable of one ensemble, whose fluctuations are not binned."""
    (ensemble,) = analysed(observable).mc_names
    tau_int, tau_int_error = observable.e_tauint[ensemble], observable.e_dtauint[ensemble]
    statistical = gamma_error(observable)
    scale = (statistical / observable.e_dvalue[ensemble]) ** 2 if statistical else 1.0
    return Estimate(float(observable.value), _total(observable, statistical), float(scale * tau_int), float(scale * tau_int_error))


def estimate_from_bins(
    observable: pe.Obs, bin_size: int, *, configurations: int, variance: float, at_least: float = 0.0
) -> Estimate:
    """Value, error and integrated autocorrelation time, in units of configurations, of an observable whose fluctuations are binned.

        tau_int = N error^2 / (2 variance)

    of the statistical error, and the error of tau_int is that of Wolff's window, hep-lat/0306017, eq. 42, in configurations.

    Args:
      observable: of one ensemble.
      bin_size: configurations in a bin.
      configurations: their number N.
      variance: of the observable on single configurations.
      at_least: the smallest statistical error that it can have, from what the Gamma method cannot see.
    """
    (ensemble,) = analysed(observable).mc_names
    statistical = max(gamma_error(observable), at_least)
    error = _total(observable, statistical)
    if not variance:
        return Estimate(float(observable.value), error, 0.5, 0.0)
    tau_int, bins = configurations * statistical**2 / (2 * variance), sum(observable.shape.values())
    window = observable.e_windowsize[ensemble] + 0.5 - tau_int / bin_size
    return Estimate(float(observable.value), error, tau_int, float(2 * tau_int * np.sqrt(abs(window) / bins)))


def pull(ours: Estimate, other: Estimate) -> float:
    """Difference of two independent numbers in units of its error."""
    return float((ours.value - other.value) / np.hypot(ours.error, other.error))


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


def format_estimate(number: Estimate | None) -> str:
    """Two digits of the error in brackets: 1.0622(46). Empty for None."""
    if number is None:
        return ""
    if number.error == 0:
        return f"{number.value:g}"
    shown = pe.cov_Obs(number.value, number.error**2, "number")
    shown.gamma_method()
    return str(shown)


def format_percent(share: Estimate | None) -> str:
    """A share of a whole: 17.91(62) %. "not determined" for None."""
    if share is None:
        return "not determined"
    return f"{format_estimate(Estimate(100 * share.value, 100 * share.error))} %"


def independent_mean(values: np.ndarray) -> Estimate:
    """The mean of independent numbers `[n]`, with its standard error."""
    return Estimate(float(values.mean()), float(values.std() / np.sqrt(len(values))))


def share(part: np.ndarray, total: np.ndarray) -> Estimate:
    """The ratio of two sums over independent proposals, and its error to first order."""
    share = part.sum() / total.sum()
    return Estimate(float(share), float(np.sqrt(np.sum((part - share * total) ** 2)) / total.sum()))
