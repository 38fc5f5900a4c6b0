"""From time series to physics: the observables of arXiv:1904.12072, section III, and other common ones.

Equation numbers are those of that paper. An observable is a function of `Measurements` that is registered under its own name by
`@observable`. It is evaluated when asked for, its error follows from the fluctuations of the measured time series, and results and
conformance tests find it without further changes. The mean of each series that an action measures itself is an observable, too.

Two-point functions are connected: the square of the measured mean field, which vanishes in the symmetric phase, is
subtracted. The mean field is first averaged over sites.
"""

from collections.abc import Callable, Mapping
from functools import cached_property

import autograd.numpy as anp
import numpy as np
import pyerrors as pe

from lattice_flows.actions import Action
from lattice_flows.config import Registry
from lattice_flows.measurement.errors import Estimate, analysed, estimate, primary
from lattice_flows.measurement.identities import IDENTITIES
from lattice_flows.measurement.series import GENERAL, measured

__all__ = ["OBSERVABLES", "Measurements", "observable"]

OBSERVABLES = Registry("observable")


def observable(function: Callable[["Measurements"], pe.Obs]) -> Callable[["Measurements"], pe.Obs]:
    """Registers a function of `Measurements` as an observable under its own name.

    ```python
    from lattice_flows.measurement.observables import OBSERVABLES, observable

    @observable
    def variance_of_magnetization(m):
        return m.mean("magnetization_2") - m.mean("magnetization") ** 2

    del OBSERVABLES["variance_of_magnetization"]
    ```

    It raises `ValueError` where an ensemble does not determine its value; results then hold None.
    """
    return OBSERVABLES.register(function.__name__)(function)


class Measurements:
    """Time series measured on an ensemble, and the observables that follow from them.

    ```python
    from lattice_flows.measurement.observables import Measurements

    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.0)
    phi = np.random.default_rng(1).normal(size=(100, 3, 4, 4))     # 100 configurations of 3 chains
    print(Measurements.of(action, phi).estimate("phi_squared"))
    ```

    Args:
      action: what the configurations were drawn with.
      series: what `measurement.series.measured` finds on them: name -> `[n, chains]`, and "zero_momentum_green" with one more
        axis for times. With an index, the series of the proposals, `[rows]` and `[rows, times]`.
      index: the proposal that the chain holds after each update, `[n]`.
      weight: of each configuration in all means, `[n, chains]`, up to a common factor; 1 if it is not given.

    Attributes:
      action: the action.
      lattice: its lattice.
      shape: `(n, chains)`.

    Raises:
      ValueError: a series of the action has the name of a registered observable.
    """

    def __init__(
        self,
        action: Action,
        series: Mapping[str, np.ndarray],
        *,
        index: np.ndarray | None = None,
        weight: np.ndarray | None = None,
    ):
        self.action, self.lattice = action, action.lattice
        self._series, self._index, self._weight = series, index, weight
        self.shape = series["magnetization"].shape if index is None else (len(index), 1)
        self._own = [name for name in series if name not in (*GENERAL, *IDENTITIES)]
        if taken := sorted(set(self._own) & set(OBSERVABLES)):
            raise ValueError(f"the action {action.name!r} measures {taken}, which are registered observables: rename them")
        self._means: dict[str, pe.Obs] = {}
        self._evaluated: dict[str, pe.Obs] = {}

    @classmethod
    def of(cls, action: Action, phi: np.ndarray, weight: np.ndarray | None = None) -> "Measurements":
        """Measures configurations `phi [n, chains, *shape]`. Raises `ValueError` if they have another shape."""
        if phi.ndim != action.lattice.d + 2:
            raise ValueError(f"phi must have the shape [n, chains, {action.lattice.shape}], got {phi.shape}")
        return cls(action, measured(phi, action), weight=weight)

    def part(self, start: int, stop: int, chains: int | None = None) -> "Measurements":
        """The configurations `start <= i < stop` of every chain, or of the first `chains` chains."""
        weight = None if self._weight is None else self._weight[start:stop, :chains]
        if self._index is not None:
            return Measurements(self.action, self._series, index=self._index[start:stop], weight=weight)
        return Measurements(self.action, {name: s[start:stop, :chains] for name, s in self._series.items()}, weight=weight)

    @property
    def configurations(self) -> int:
        """The number of configurations of all chains together."""
        return self.shape[0] * self.shape[1]

    @property
    def observables(self) -> list[str]:
        """The names of all observables: the registered ones and the action's own."""
        return [*OBSERVABLES, *self._own]

    def series(self, name: str) -> np.ndarray:
        """One time series, `[n, chains]`, or `[n, chains, times]`."""
        series = self._series[name]
        return series if self._index is None else series[self._index][:, np.newaxis]

    def mean(self, name: str) -> pe.Obs:
        """The (weighted) mean of a scalar time series."""
        if name not in self._means:
            self._means[name] = self._mean(self.series(name))
        return self._means[name]

    def _mean(self, series: np.ndarray) -> pe.Obs:
        if self._weight is None:
            return primary(series.T, "ensemble")
        return primary((self._weight * series).T, "ensemble") / self._mean_weight

    @cached_property
    def _mean_weight(self) -> pe.Obs:
        return primary(self._weight.T, "ensemble")

    @cached_property
    def zero_momentum_green(self) -> list[pe.Obs]:
        """Connected `Gt(0, t)` for t = 0 ... T/2, averaged over the choices of the time axis; eq. 23."""
        disconnected = self.mean("magnetization") ** 2
        series = self.series("zero_momentum_green")
        return [self._mean(series[..., t]) - disconnected for t in range(series.shape[-1])]

    @cached_property
    def effective_mass(self) -> list[pe.Obs | None]:
        """`m_eff(t) = arccosh[(Gt(t-1) + Gt(t+1)) / (2 Gt(t))]` for t = 1 ... T/2; eq. 28.

        None where the statistics are too small for the ratio to exceed 1.
        """
        green = self.zero_momentum_green
        if max(self.lattice.shape) % 2 == 0:
            green = [*green, green[-2]]  # Gt(T/2 + 1) = Gt(T/2 - 1)
        ratios = [(green[t - 1] + green[t + 1]) / (2 * green[t]) for t in range(1, len(green) - 1)]
        # pyerrors also evaluates the function on the mean of every single chain, where noise may well take it below 1.
        with np.errstate(invalid="ignore"):
            return [np.arccosh(ratio) if ratio.value > 1 else None for ratio in ratios]

    def observable(self, name: str) -> pe.Obs:
        """An observable with its fluctuations, evaluated once.

        Raises:
          ConfigError: no observable has this name.
          ValueError: the ensemble does not determine it.
        """
        if name not in self._evaluated:
            self._evaluated[name] = self.mean(name) if name in self._own else OBSERVABLES.find(name)(self)
        return self._evaluated[name]

    def estimate(self, name: str) -> Estimate:
        """An observable as a number with its error. Raises as `observable` does."""
        return estimate(self.observable(name))

    def estimates(self) -> dict[str, Estimate | None]:
        """All observables; None where the ensemble does not determine one."""
        results: dict[str, Estimate | None] = {}
        for name in self.observables:
            try:
                results[name] = self.estimate(name)
            except ValueError:
                results[name] = None
        return results


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
      ValueError: the correlator is too noisy.
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

    for point in green:
        analysed(point)
    start = [green[-1].value, masses[0]]
    fit = pe.fits.least_squares(
        np.arange(first, len(green)), green[first:], cosh, initial_guess=start, correlated_fit=True, silent=True
    )
    return fit.fit_parameters[1]


@observable
def pole_mass_times_l(m: Measurements) -> pe.Obs:
    """`m_p L`, the number of the paper's Table I, L the largest extent."""
    return max(m.lattice.shape) * m.observable("pole_mass")
