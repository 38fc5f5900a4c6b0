"""From configurations to physics: the observables of arXiv:1904.12072, section III, and the usual ones beside them.

Equation numbers are those of that paper. An observable is a function of `Measurements` under `@observable`; it is evaluated when
asked for, its error follows from the fluctuations of the measured time series (`statistics.py`), and every result and every
conformance test finds it by itself.

Two-point functions are connected: the square of the measured mean field, which vanishes in the symmetric phase, is subtracted, the
mean field being averaged over sites first. `schwinger_dyson` alone uses the unsubtracted one.
"""

from collections.abc import Callable, Mapping
from functools import cached_property

import autograd.numpy as anp
import numpy as np
import pyerrors as pe
import scipy.fft

from lattice_flows.actions import ScalarPhi4
from lattice_flows.measurement.errors import Estimate, estimate, primary

__all__ = ["OBSERVABLES", "Measurements", "observable", "time_series"]

OBSERVABLES: dict[str, Callable[["Measurements"], pe.Obs]] = {}


def observable(function: Callable[["Measurements"], pe.Obs]) -> Callable[["Measurements"], pe.Obs]:
    """Registers a function of `Measurements` as an observable under its own name."""
    OBSERVABLES[function.__name__] = function
    return function


def time_series(phi: np.ndarray, time_axes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """What is measured on each configuration; all observables are functions of the means of these.

    The two-point function `(1/V) sum_y phi_y phi_{y+x}` is computed once, for all x, by fast Fourier transform.

    Args:
      phi: `[n, *lattice_shape]`.
      time_axes: axes of phi, of equal extent T, over which correlators in time are averaged.

    Returns:
      name -> `[n]`, except "zero_momentum_green" `[n, T // 2 + 1]`.
    """
    phi = np.asarray(phi, np.float64)
    axes = tuple(range(1, phi.ndim))
    shape = phi.shape[1:]
    spectrum = scipy.fft.rfftn(phi, axes=axes, workers=-1)
    power = (spectrum.real**2 + spectrum.imag**2) / np.prod(shape)
    green = scipy.fft.irfftn(power, s=shape, axes=axes, workers=-1)
    origin = (slice(None), *(0 for _ in shape))
    nearest = [green[(slice(None), *(int(other == axis) for other in axes))] for axis in axes]
    in_time = [green.mean(axis=tuple(a for a in axes if a != axis)) for axis in time_axes]
    magnetization = phi.mean(axis=axes)
    return {
        "magnetization": magnetization,
        "absolute_magnetization": np.abs(magnetization),
        "magnetization_2": magnetization**2,
        "magnetization_4": magnetization**4,
        "phi_2": green[origin],
        "phi_4": np.mean(phi**4, axis=axes),
        "nearest": np.mean(nearest, axis=0),
        "zero_momentum_green": np.mean(in_time, axis=0)[:, : shape[time_axes[0] - 1] // 2 + 1],
    }


class Measurements:
    """Time series measured on an ensemble, and the observables that follow from them.

    Example:

    ```python
    measurements = Measurements(action, "hmc")
    for phi in ensemble:                        # [n, chains, *shape] each
        measurements.add(phi)
    measurements.estimate("two_point_susceptibility")
    ```

    Args:
      action: what the configurations were drawn with.
      ensemble: a name for the ensemble.
    """

    def __init__(self, action: ScalarPhi4, ensemble: str):
        self.action, self.lattice, self.ensemble = action, action.lattice, ensemble
        self._chunks: list[dict[str, np.ndarray]] = []
        self._evaluated: dict[str, pe.Obs] = {}

    def add(self, phi: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Measures the next configurations.

        Args:
          phi: `[n, chains, *shape]`: n successive configurations of independent chains.
          weight: of each configuration in all means, `[n, chains]`, up to a common factor; 1 if it is not given.

        Raises:
          ValueError: another shape, or observables were asked for already.
        """
        if phi.shape[2:] != self.lattice.shape:
            raise ValueError(f"phi must have the shape [n, chains, {self.lattice.shape}], got {phi.shape}")
        flat = time_series(phi.reshape(-1, *self.lattice.shape), self.lattice.time_axes)
        self.add_series({name: values.reshape(*phi.shape[:2], *values.shape[1:]) for name, values in flat.items()}, weight)

    def add_series(self, series: Mapping[str, np.ndarray], weight: np.ndarray | None = None) -> None:
        """Takes over what `time_series` has found on the next configurations, `[n, chains, ...]`; otherwise as `add`."""
        if "_series" in self.__dict__:
            raise ValueError("measurements are complete once an observable has been asked for")
        shape = series["magnetization"].shape
        self._chunks.append({**series, "weight": np.ones(shape) if weight is None else weight})

    @cached_property
    def _series(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate([chunk[name] for chunk in self._chunks]) for name in self._chunks[0]}

    def part(self, start: int, stop: int, chains: int | None = None) -> "Measurements":
        """The measurements of the configurations `start <= i < stop` of every chain alone, or of the first few chains."""
        part = Measurements(self.action, self.ensemble)
        part._chunks = [{name: series[start:stop, :chains] for name, series in self._series.items()}]
        return part

    @property
    def configurations(self) -> int:
        """How many configurations there are, those of all chains together."""
        return self._series["weight"].size

    def series(self, name: str) -> np.ndarray:
        """One time series of `time_series`, `[n, chains, ...]`."""
        return self._series[name]

    @cached_property
    def _means(self) -> dict[str, pe.Obs]:
        return {name: self._mean(s) for name, s in self._series.items() if name not in ("weight", "zero_momentum_green")}

    def _mean(self, series: np.ndarray) -> pe.Obs:
        weight = self._series["weight"]
        if np.all(weight == 1):
            return primary(series.T, self.ensemble)
        return primary((weight * series).T, self.ensemble) / primary(weight.T, self.ensemble)

    def mean(self, name: str) -> pe.Obs:
        """The (weighted) mean of a scalar time series."""
        return self._means[name]

    def sign_flips(self) -> int:
        """How often M changes sign along the chains; in the broken phase a chain can stick in one sign."""
        positive = self._series["magnetization"] > 0
        return int(np.count_nonzero(positive[1:] != positive[:-1]))

    @cached_property
    def zero_momentum_green(self) -> list[pe.Obs]:
        """Connected `Gt(0, t)` for t = 0 ... T/2, averaged over the choices of the time axis; eq. 23."""
        disconnected = self.mean("magnetization") ** 2
        series = self._series["zero_momentum_green"]
        return [self._mean(series[..., t]) - disconnected for t in range(series.shape[-1])]

    @cached_property
    def effective_mass(self) -> list[pe.Obs | None]:
        """`m_eff(t) = arccosh[(Gt(t-1) + Gt(t+1)) / (2 Gt(t))]` for t = 1 ... T/2; eq. 28.

        None where the statistics is too small for the ratio to exceed 1.
        """
        green = self.zero_momentum_green
        if max(self.lattice.shape) % 2 == 0:
            green = [*green, green[-2]]  # Gt(T/2 + 1) = Gt(T/2 - 1)
        ratios = [(green[t - 1] + green[t + 1]) / (2 * green[t]) for t in range(1, len(green) - 1)]
        # pyerrors also evaluates the function on the mean of every single chain, where noise may well take it below 1.
        with np.errstate(invalid="ignore"):
            return [np.arccosh(ratio) if ratio.value > 1 else None for ratio in ratios]

    def observable(self, name: str) -> pe.Obs:
        """A registered observable with its fluctuations, evaluated once."""
        if name not in self._evaluated:
            self._evaluated[name] = OBSERVABLES[name](self)
        return self._evaluated[name]

    def estimate(self, name: str) -> Estimate:
        """A registered observable as a number with its error."""
        return estimate(self.observable(name))


@observable
def magnetization(m: Measurements) -> pe.Obs:
    """`<M>`, `M = (1/V) sum_x phi_x`; zero in the symmetric phase."""
    return m.mean("magnetization")


@observable
def absolute_magnetization(m: Measurements) -> pe.Obs:
    """`<|M|>`."""
    return m.mean("absolute_magnetization")


@observable
def phi_squared(m: Measurements) -> pe.Obs:
    """`<phi^2>`."""
    return m.mean("phi_2")


@observable
def phi_fourth(m: Measurements) -> pe.Obs:
    """`<phi^4>`."""
    return m.mean("phi_4")


@observable
def two_point_susceptibility(m: Measurements) -> pe.Obs:
    """`chi_2 = sum_x G_c(x) = V (<M^2> - <M>^2)`; eq. 25."""
    return m.lattice.volume * (m.mean("magnetization_2") - m.mean("magnetization") ** 2)


@observable
def ising_energy(m: Measurements) -> pe.Obs:
    """`E = (1/d) sum_mu G_c(mu)`; eq. 26."""
    return m.mean("nearest") - m.mean("magnetization") ** 2


@observable
def binder_cumulant(m: Measurements) -> pe.Obs:
    """`U4 = 1 - <M^4> / (3 <M^2>^2)`."""
    return 1 - m.mean("magnetization_4") / (3 * m.mean("magnetization_2") ** 2)


@observable
def second_moment_correlation_length(m: Measurements) -> pe.Obs:
    """`xi`, `xi^2 = (chi_2 / F - 1) / (4 sin^2(pi/T))`, F the propagator at the smallest momentum along time.

    Raises:
      ValueError: too noisy a correlator.
    """
    green = m.zero_momentum_green
    extent = max(m.lattice.shape)
    # Gt is known for half of the times; every other time but 0 and T/2 counts twice.
    multiplicity = [1 if 2 * t in (0, extent) else 2 for t in range(len(green))]
    at_zero = sum(k * g for k, g in zip(multiplicity, green, strict=True))
    at_p = sum(k * np.cos(2 * np.pi * t / extent) * g for t, (k, g) in enumerate(zip(multiplicity, green, strict=True)))
    squared = (at_zero / at_p - 1) / (4 * np.sin(np.pi / extent) ** 2)
    if squared.value <= 0:
        raise ValueError("the propagator does not fall with momentum: more configurations are needed")
    with np.errstate(invalid="ignore"):  # as in effective_mass
        return np.sqrt(squared)


@observable
def action_density(m: Measurements) -> pe.Obs:
    """`<S> / V`; eq. 21."""
    d, m2, lam = m.lattice.d, m.action.m2, m.action.lam
    return (m2 + 2 * d) * m.mean("phi_2") + lam * m.mean("phi_4") - 2 * d * m.mean("nearest")


@observable
def schwinger_dyson(m: Measurements) -> pe.Obs:
    """`< phi_x dS/dphi_x >`, which equals 1 at any coupling."""
    d, m2, lam = m.lattice.d, m.action.m2, m.action.lam
    return 2 * (m2 + 2 * d) * m.mean("phi_2") + 4 * lam * m.mean("phi_4") - 4 * d * m.mean("nearest")


@observable
def pole_mass(m: Measurements) -> pe.Obs:
    """`m_p` of the fit `Gt(0, t) = A cosh(m_p (t - T/2))` with correlated errors; eq. 24.

    The fit runs over t = 2 ... T/2: at t = 1, three-particle states are seen at the level of 0.3 % (E3, E5). For T = 6 it has to
    start at t = 1.

    Raises:
      ValueError: fewer than three times, or a correlator too noisy to start the fit from.
    """
    half = max(m.lattice.shape) / 2
    first = 2 if half >= 4 else 1
    green = m.zero_momentum_green
    masses = [mass.value for mass in m.effective_mass if mass is not None]
    if len(green) < 4 or not masses or min(g.value for g in green) <= 0:
        raise ValueError("no cosh can be fitted to the correlator: more configurations or a longer lattice are needed")

    def cosh(parameters, t):
        return parameters[0] * anp.cosh(parameters[1] * (t - half))

    for g in green:
        g.gamma_method()
    start = [green[-1].value, masses[0]]
    fit = pe.fits.least_squares(
        np.arange(first, len(green)), green[first:], cosh, initial_guess=start, correlated_fit=True, silent=True
    )
    return fit.fit_parameters[1]


@observable
def pole_mass_times_l(m: Measurements) -> pe.Obs:
    """`m_p L`, the number of the paper's Table I, L the largest extent."""
    return max(m.lattice.shape) * m.observable("pole_mass")
