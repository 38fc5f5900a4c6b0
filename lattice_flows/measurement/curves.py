"""Observables as functions of a coupling, from the weighted proposals of a conditioned flow.

Every point has proposals of its own, and no Markov chain: estimates are weighted means, and their errors those of independent
samples. The free energy density is `f = -log Z / V`; its derivative with respect to lam is `<phi^4>` exactly, which tests both.
"""

import itertools
import math
from bisect import bisect
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import chi2

from lattice_flows.actions import Action
from lattice_flows.flows import Flow
from lattice_flows.importance import (
    INTEGRATION_TOLERANCE,
    BrokenFlow,
    WeightedSampler,
    effective_sample_size,
    k_hat,
    largest_k_hat,
    log_z,
)
from lattice_flows.measurement.errors import FEWEST_EFFECTIVE, Estimate, pull
from lattice_flows.measurement.observables import Measurements
from lattice_flows.measurement.series import measured, zero_unless
from lattice_flows.measurement.trust import LARGEST_INTEGRATION_ERROR, LARGEST_NON_FINITE

__all__ = ["Point", "crossing", "curve", "derivative_pulls"]

# Of the observables that are measured as others are; the susceptibility is `V <M^2>`, since `<M>` vanishes by symmetry.
_OBSERVABLES = ("absolute_magnetization", "binder_cumulant", "phi_squared", "phi_fourth", "ising_energy")
_SIGMAS = 4  # of the share of positive mean fields
_DEGREE = 3
_FEWEST_POINTS = _DEGREE + 2
_DRAWS = 1000
_GOOD_P, _SMALLEST_P = 0.1, 1e-3  # of a fit; points are left out up to the first, where that can be
_SHARE = 0.6  # of the points of the largest fit that is good


class Point(NamedTuple):
    """What is known at one value of the coupling.

    Attributes:
      coupling: the value.
      estimates: observable -> number with its error: free_energy_density, two_point_susceptibility (`V <M^2>`),
        absolute_magnetization, binder_cumulant, phi_squared, phi_fourth, ising_energy.
      samples: number of proposals.
      ess: effective sample size per sample.
      k_hat: tail index of the weights.
      k_hat_error: its standard error.
      integration_error: mean change of log weights when the step of the integration is halved; zero for an exact flow, None where
        it is not known, as are the next two.
      non_finite_weights: share of the proposals.
      positive_magnetization: the weighted share of fields with a positive mean; None if the action is not even, too.
    """

    coupling: float
    estimates: dict[str, Estimate]
    samples: int
    ess: float
    k_hat: float
    k_hat_error: float
    integration_error: float | None = None
    non_finite_weights: float | None = None
    positive_magnetization: Estimate | None = None

    @property
    def trusted(self) -> bool:
        """Whether errors can be trusted, by the limits of chains: finite and accurate weights without a heavy tail, 200 effectively
        independent samples or more, and both signs of the mean field equally often. What is not known is not asked for."""
        signs = self.positive_magnetization
        return (
            self.k_hat <= largest_k_hat(self.k_hat_error)
            and self.ess * self.samples >= FEWEST_EFFECTIVE
            and (self.integration_error or 0) <= LARGEST_INTEGRATION_ERROR
            and (self.non_finite_weights or 0) <= LARGEST_NON_FINITE
            and (signs is None or (signs.error > 0 and abs(pull(signs, Estimate(0.5, 0.0))) <= _SIGMAS))
        )


def curve(
    flow: Flow,
    action: Action,
    couplings: Sequence[float],
    *,
    samples: int = 2**14,
    batch_size: int = 512,
    seed: int = 1,
    done: Callable[[Point], None] = lambda point: None,
) -> list[Point]:
    """Measures observables at several values of a coupling.

    A flow that is integrated gets at each of them as many steps as its weights need; what that leaves of the integration error is
    in the error of the free energy density.

    ```python
    from lattice_flows.measurement.curves import curve

    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=6.0)
    flow = lf.flows.conditioned(action.lattice, knots=(5.0, 7.0), of={"name": "affine", "layers": 2})
    for point in curve(flow, action, [5.0, 6.0, 7.0], samples=1024):   # after lf.train(flow, action)
        print(point.coupling, point.estimates["free_energy_density"], point.trusted)
    ```

    Args:
      flow: conditioned on the coupling, which is left at the last value.
      action: the target, at any value.
      couplings: the values.
      samples: number of proposals at each of them.
      batch_size: proposals in a compiled call.
      seed: master seed; the proposals of a point follow from it and from the place of the point.
      done: is called with every point.

    Raises:
      ValueError: the flow is conditioned on nothing, or a value is out of its range.
      BrokenFlow: no proposal at a value has a finite weight.
    """
    if flow.condition is None:
        raise ValueError("a curve needs a flow for a range of couplings: build one by lf.flows.conditioned, and train it")
    for coupling in couplings:
        flow.check_coupling(coupling)
    sampler = WeightedSampler(flow, action.varied(flow.condition, flow.coupling), batch_size, seed)
    points = []
    for place, coupling in enumerate(couplings):
        flow.set_coupling(coupling)
        points.append(_point(sampler, action.at(**{flow.condition: float(coupling)}), float(coupling), samples, place))
        done(points[-1])
    return points


def _point(sampler: WeightedSampler, action: Action, coupling: float, samples: int, place: int) -> Point:
    sampler = sampler.integrated(INTEGRATION_TOLERANCE, min(samples, sampler.batch_size), lambda line: None)
    series, log_weights = [], []
    for phi, log_weight in sampler.batches(samples, "curve", place * -(-samples // sampler.batch_size)):
        series.append(measured(phi, action))
        log_weights.append(log_weight)
    log_weight = np.concatenate(log_weights)
    finite = np.isfinite(log_weight)
    if not finite.any():
        raise BrokenFlow(samples)
    log_weight[~finite] = -np.inf
    together = {name: zero_unless(finite, np.concatenate([part[name] for part in series]))[:, np.newaxis] for name in series[0]}
    of = Measurements.of_series(action, together, np.exp(log_weight - log_weight.max())[:, np.newaxis], bin_size=1)
    volume, (log_of_z, error) = action.lattice.volume, log_z(log_weight, sampler.integration_error["mean"])
    estimates = {
        "free_energy_density": Estimate(-log_of_z / volume, error / volume),
        "two_point_susceptibility": of.number(volume * of.mean("magnetization_2")),
        **{name: of.estimate(name) for name in _OBSERVABLES},
    }
    return Point(
        coupling,
        estimates,
        samples,
        effective_sample_size(log_weight),
        *k_hat(log_weight),
        integration_error=sampler.integration_error["mean"],
        non_finite_weights=float(np.mean(~finite)),
        positive_magnetization=of.known("positive_magnetization") if action.even else None,
    )


def derivative_pulls(points: Sequence[Point]) -> np.ndarray:
    """The test `df/dlam = <phi^4>` between successive points of a curve in lam, in standard deviations, `[len(points) - 1]`.

        f(c') - f(c) = int_c^c' <phi^4> dlam,   with a cubic spline through the points on the right

    Args:
      points: trusted ones, with ascending couplings, so close together that a spline represents `<phi^4>`.
    """
    couplings = np.array([point.coupling for point in points])
    f, phi_4 = (_numbers(points, name) for name in ("free_energy_density", "phi_fourth"))
    # The integral is linear in the values: each unit vector gives one column of its coefficients.
    spline = CubicSpline(couplings, np.eye(len(points)))
    weights = np.array([spline.integrate(a, b) for a, b in itertools.pairwise(couplings)])
    error = np.sqrt(f[1, 1:] ** 2 + f[1, :-1] ** 2 + weights**2 @ phi_4[1] ** 2)
    return (np.diff(f[0]) - weights @ phi_4[0]) / error


def crossing(first: Sequence[Point], second: Sequence[Point], low: float, high: float, *, seed: int = 1) -> Estimate:
    """Where the Binder cumulants of two lattices are equal, near the critical coupling.

    Each curve is fitted by a cubic polynomial to its trusted points between `low` and `high`, weighted by their errors. Where a
    cubic does not fit, since U4 bends towards 2/3 or 0, the points farthest from the crossing are left out until it does. A fit
    that is only just good has a bias as large as its error, so the crossing is that of the closest 60 % of its points. Below the
    crossing the larger lattice has the larger cumulant, above it the smaller one; deep in the broken phase both tend to 2/3, and
    other crossings there are noise.

    The error is the spread over 1000 draws of all points within theirs and the distance from the crossing of the wider fits, added
    in quadrature.

    Args:
      first: the curve of the smaller lattice, in ascending order of couplings, as from `curve`.
      second: that of the larger one.
      low, high: range of couplings.
      seed: of the draws.

    Raises:
      ValueError: fewer than five trusted points of a curve, a polynomial that does not fit even these, not one crossing where both
        curves have trusted points, or points that cannot be trusted next to it.
    """
    rng = np.random.default_rng(seed)
    near = [[point for point in points if point.trusted and low <= point.coupling <= high] for points in (first, second)]
    if (fewest := min(map(len, near))) < _FEWEST_POINTS:
        raise ValueError(f"a fit of the Binder cumulant needs {_FEWEST_POINTS} points that can be trusted, got {fewest}")
    centre = _apparent_crossing(*near)
    windows = _windows(near, centre)
    p = [min(map(_goodness_of_fit, window)) for window in windows]
    fitting = next((at for at, each in enumerate(p) if each >= _GOOD_P), int(np.argmax(p)))
    if p[fitting] < _SMALLEST_P:
        raise ValueError(f"no cubic polynomial fits the Binder cumulants around {centre:.4g}")
    needed = max(_SHARE * min(map(len, windows[fitting])), _FEWEST_POINTS)
    closest = [window for window in windows[fitting:] if min(map(len, window)) >= needed][-1]
    value, spread = _crossing_of_fits(closest, rng)
    shift = value - _crossing_of_fits(windows[fitting], rng)[0]
    for points in (first, second):
        at = min(bisect(points, value, key=lambda point: point.coupling), len(points) - 1)
        if not (points[at - 1].trusted and points[at].trusted):
            raise ValueError(f"the Binder cumulants seem to cross at {value:.4g}, where points of a curve cannot be trusted")
    return Estimate(value, math.hypot(spread, shift))


def _apparent_crossing(first: Sequence[Point], second: Sequence[Point]) -> float:
    """Where the second cumulant falls most steeply from above to below the first, with straight lines between points.

    Raises:
      ValueError: nowhere.
    """
    couplings = [np.array([point.coupling for point in points]) for points in (first, second)]
    values = [_numbers(points, "binder_cumulant")[0] for points in (first, second)]
    low, high = max(each[0] for each in couplings), min(each[-1] for each in couplings)
    every = np.unique(np.clip(np.concatenate(couplings), low, high))
    excess = np.interp(every, couplings[1], values[1]) - np.interp(every, couplings[0], values[0])
    before, after, step = excess[:-1], excess[1:], np.diff(every)
    falls = np.where((before > 0) & (after <= 0), before - after, 0)
    if low >= high or not falls.any():
        raise ValueError("the Binder cumulants do not cross where both curves have points that can be trusted")
    at = int(np.argmax(falls / step))
    return float(every[at] + step[at] * before[at] / falls[at])


def _windows(curves: list[list[Point]], centre: float) -> list[list[list[Point]]]:
    """Both curves, and what is left of them without the points farthest from the centre, again and again."""
    found = []
    while min(map(len, curves)) >= _FEWEST_POINTS:
        found.append(curves)
        farthest = max(abs(point.coupling - centre) for points in curves for point in points)
        curves = [[point for point in points if abs(point.coupling - centre) < farthest] for points in curves]
    return found


def _crossing_of_fits(curves: Sequence[Sequence[Point]], rng: np.random.Generator) -> tuple[float, float]:
    """Where the polynomials through two curves cross, and the spread over draws of all points within their errors."""
    low, high = max(points[0].coupling for points in curves), min(points[-1].coupling for points in curves)
    couplings = np.linspace(low, high, 401)
    fits = [_fits(points, couplings[0], rng) for points in curves]
    difference = (fits[0] - fits[1]) @ np.vander(couplings - couplings[0], _DEGREE + 1).T
    changes = (difference[:, :-1] < 0) & (difference[:, 1:] >= 0)
    crossed = changes.any(axis=1)
    if changes[0].sum() != 1 or crossed.mean() < 0.95:
        raise ValueError(f"the Binder cumulants do not cross once between {low:g} and {high:g} within their errors")
    draws, at = np.nonzero(changes)
    before, after = difference[draws, at], difference[draws, at + 1]
    roots = couplings[at] + (couplings[1] - couplings[0]) * before / (before - after)
    # Of several crossings of a draw, the one closest to that of the curves themselves.
    closest = [found[np.abs(found - roots[0]).argmin()] for found in (roots[draws == draw] for draw in np.flatnonzero(crossed))]
    return float(roots[0]), float(np.std(closest[1:]))


def _goodness_of_fit(points: Sequence[Point]) -> float:
    """p of the polynomial through the Binder cumulants."""
    powers, value, error = _problem(points, points[0].coupling)
    residuals = (powers @ _solved(powers, value, error) - value) / error
    return float(chi2.sf(np.sum(residuals**2), len(points) - _DEGREE - 1))


def _fits(points: Sequence[Point], origin: float, rng: np.random.Generator) -> np.ndarray:
    """Coefficients of the polynomial through the Binder cumulants, and of those through them with noise, `[1 + draws, 4]`."""
    powers, value, error = _problem(points, origin)
    drawn = value + error * np.vstack([np.zeros(len(points)), rng.normal(size=(_DRAWS, len(points)))])
    return _solved(powers, drawn, error).T


def _problem(points: Sequence[Point], origin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Powers of the couplings `[n, 4]`, and the cumulants with their errors."""
    couplings = np.array([point.coupling for point in points])
    return np.vander(couplings - origin, _DEGREE + 1), *_numbers(points, "binder_cumulant")


def _solved(powers: np.ndarray, values: np.ndarray, error: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(powers / error[:, np.newaxis], (values / error).T, rcond=None)[0]


def _numbers(points: Sequence[Point], name: str) -> np.ndarray:
    """Values and errors of an observable, `[2, len(points)]`."""
    return np.array([point.estimates[name][:2] for point in points]).T
