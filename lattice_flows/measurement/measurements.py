"""Binned time series of an ensemble, and whatever follows from their means, with errors.

An observable is a function of `Measurements` that is registered under its own name by `@observable`; `measurement.observables`
holds those of the package. It is evaluated when asked for, its error follows from the fluctuations of the measured time series,
and results and conformance tests find it without further changes. The mean of each series that an action measures itself is an
observable, too.

Equation numbers are those of arXiv:1904.12072. Two-point functions are connected: the square of the measured mean field, which
vanishes in the symmetric phase, is subtracted. The mean field is first averaged over sites.
"""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import pyerrors as pe

from lattice_flows.actions import Action
from lattice_flows.config import ConfigError, Registry
from lattice_flows.config.errors import shown
from lattice_flows.errors import users_code
from lattice_flows.importance import effective_sample_size
from lattice_flows.measurement.binning import WEIGHT, Binned, Binning
from lattice_flows.measurement.errors import Estimate, estimate_from_bins, gamma_error, primary
from lattice_flows.measurement.identities import IDENTITIES
from lattice_flows.measurement.series import GENERAL, measured

__all__ = ["OBSERVABLES", "Measurements", "observable"]

# The spread of parallel chains gives the error where it exceeds the Gamma method's by so many of its own errors.
_SIGMAS = 3

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

    It raises `ValueError` where an ensemble does not determine its value; results then hold None. Other errors are mistakes in it,
    which end the measurement.
    """
    return OBSERVABLES.register(function.__name__)(function)


class Measurements:
    """Time series measured on an ensemble, and the observables that follow from them.

    Long series are averaged over bins (see `measurement.binning`): errors follow from bins, and autocorrelation times, which are
    in units of configurations, from the errors and from the variances of single configurations.

    ```python
    from lattice_flows.measurement.observables import Measurements

    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.0)
    phi = np.random.default_rng(1).normal(size=(100, 3, 4, 4))     # 100 configurations of 3 chains
    print(Measurements.of(action, phi).estimate("phi_squared"))
    ```

    Args:
      action: what the configurations were drawn with.
      binned: what `measurement.series.measured` finds on them, by name.

    Attributes:
      action: the action.
      lattice: its lattice.
      shape: the numbers of bins of a chain, and of chains.
      bin_size: configurations in a bin.
      configurations: the number of configurations of all chains together.

    Raises:
      ValueError: a series of the action has the name of a registered observable.
    """

    def __init__(self, action: Action, binned: Binned):
        self.action, self.lattice, self._binned = action, action.lattice, binned
        self.shape, self.bin_size, self.configurations = binned.shape, binned.bin_size, binned.configurations
        self._own = [name for name in binned.columns if name not in (*GENERAL, *IDENTITIES, WEIGHT)]
        if taken := sorted(set(self._own) & set(OBSERVABLES)):
            raise ValueError(f"the action {action.name!r} measures {taken}, which are registered observables: rename them")
        self._means: dict[str, pe.Obs] = {}
        self._evaluated: dict[str, pe.Obs] = {}

    @classmethod
    def of(
        cls, action: Action, phi: np.ndarray, weight: np.ndarray | None = None, *, bin_size: int | None = None
    ) -> "Measurements":
        """Measures configurations that are in memory.

        Args:
          action: what they were drawn with.
          phi: `[n, chains, *shape]`.
          weight: of each configuration in all means, `[n, chains]`, up to a common factor, for independent ones; 1 if not given.
          bin_size: None for the smallest that bounds memory.

        Raises:
          ValueError: phi or the weights have another shape, or a bin exceeds a chain.
        """
        if phi.ndim != action.lattice.d + 2:
            raise ValueError(f"phi must have the shape [n, chains, {action.lattice.shape}], got {phi.shape}")
        return cls.of_series(action, measured(phi, action), weight, bin_size=bin_size)

    @classmethod
    def of_series(
        cls,
        action: Action,
        series: Mapping[str, np.ndarray],
        weight: np.ndarray | None = None,
        *,
        bin_size: int | None = None,
    ) -> "Measurements":
        """The same from series `[n, chains]` or `[n, chains, times]`, by name, of configurations that have been measured.

        Raises:
          ValueError: the weights have another shape, or a bin exceeds a chain.
        """
        length, chains = series["magnetization"].shape
        binning = Binning(length, chains, bin_size, weighted=weight is not None)
        binning.add(series, weight)
        return cls(action, binning.finished())

    def part(self, start: int, stop: int, chains: int | None = None) -> "Measurements":
        """The bins `start <= i < stop` of every chain, or of the first `chains` chains."""
        return Measurements(self.action, self._binned.part(start, stop, chains))

    @property
    def sign_flips(self) -> int:
        """How often M changes its sign along the chains."""
        return int(self._binned.flips.sum())

    @property
    def chains_of_one_sign(self) -> float:
        """The share of the chains in which M never changes its sign."""
        return float(np.mean(self._binned.flips.sum(axis=0) == 0))

    @property
    def longest_stay(self) -> int:
        """For how many successive configurations a chain was at the same one, at most: the longest run of rejections, plus one."""
        return self._binned.longest_stay

    @property
    def observables(self) -> list[str]:
        """The names of all observables: the registered ones and the action's own."""
        return [*OBSERVABLES, *self._own]

    def series(self, name: str) -> np.ndarray:
        """Means of a series over the bins, `[bins, chains]`, or `[bins, chains, times]`; of the series times the weight, if any.

        Raises:
          ConfigError: no series has this name.
        """
        if name not in self._binned.columns:
            raise ConfigError(f"unknown series {name!r}: choose one of {', '.join(sorted(self._binned.columns.keys() - {WEIGHT}))}")
        return self._binned.series(name)

    def mean(self, name: str) -> pe.Obs:
        """The (weighted) mean of a scalar time series.

        Raises:
          ConfigError: no series has this name, or it has a number for each time.
        """
        if name not in self._means:
            if (series := self.series(name)).ndim > 2:
                raise ConfigError(f"the series {name!r} has a number for each time: use the connected means, m.{name}[t]")
            self._means[name] = self._mean(series)
        return self._means[name]

    def _mean(self, series: np.ndarray) -> pe.Obs:
        with np.errstate(invalid="ignore"):
            mean = primary(series.T, "ensemble")
        return mean / self._mean_weight if WEIGHT in self._binned.columns else mean

    @cached_property
    def _mean_weight(self) -> pe.Obs:
        return primary(self.series(WEIGHT).T, "ensemble")

    @property
    def share_of_weights(self) -> float:
        """The effective number of bins over their number: 1 unless they have weights."""
        if WEIGHT not in self._binned.columns:
            return 1.0
        with np.errstate(divide="ignore"):  # of bins without any weight
            return effective_sample_size(np.log(self.series(WEIGHT).ravel()))

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
        green = [*green, green[-1 if max(self.lattice.shape) % 2 else -2]]  # Gt(t) = Gt(T - t)
        ratios = [(green[t - 1] + green[t + 1]) / (2 * green[t]) for t in range(1, len(green) - 1)]
        # pyerrors also evaluates the function on the mean of every single chain, where noise may well take it below 1.
        with np.errstate(invalid="ignore"):
            return [np.arccosh(ratio) if ratio.value > 1 else None for ratio in ratios]

    def observable(self, name: str) -> pe.Obs:
        """An observable with its fluctuations, evaluated once.

        Raises:
          ConfigError: no observable has this name, or there is a mistake in its function.
          ValueError: the ensemble does not determine it.
        """
        if name not in self._evaluated:
            self._evaluated[name] = self.mean(name) if name in self._own else self._evaluate(name)
        return self._evaluated[name]

    def _evaluate(self, name: str) -> pe.Obs:
        function = OBSERVABLES.find(name)
        with users_code(f"observable {name!r}", ConfigError, passing=(ValueError,)):
            value = function(self)
        if not isinstance(value, pe.Obs):
            raise ConfigError(
                f"observable {name!r} returned {shown(value)}, expected a pyerrors.Obs: compute it from means, such as "
                "m.mean('phi_2')"
            )
        return value

    def number(self, observable: pe.Obs) -> Estimate:
        """The number, with its error, of anything that is computed from the means of the series.

        The error is never smaller than the longest stay of a chain at one configuration allows. Where the means of
        parallel chains spread clearly more than the Gamma method's error allows, it is that of their spread.

        Raises:
          ValueError: the value is not finite, or no chain holds more than one distinct configuration.
        """
        if not np.isfinite(observable.value):
            raise ValueError(f"the value is {observable.value}")
        if self._binned.stuck:
            raise ValueError("no chain holds more than one distinct configuration")
        fluctuations = np.concatenate([observable.deltas[chain] for chain in sorted(observable.deltas)])
        variance, spread = self._binned.variance_and_spread(fluctuations)
        at_least = np.sqrt(variance) * self.longest_stay / self.configurations
        # The spread has an error itself, of 1 / sqrt(2 (chains - 1)) of it.
        if spread > (1 + _SIGMAS / np.sqrt(2 * max(self.shape[1] - 1, 1))) * gamma_error(observable):
            at_least = max(at_least, spread)
        return estimate_from_bins(
            observable, self.bin_size, configurations=self.configurations, variance=variance, at_least=float(at_least)
        )

    def estimate(self, name: str) -> Estimate:
        """An observable as a number with its error. Raises as `observable` and `number` do."""
        return self.number(self.observable(name))

    def known(self, name: str) -> Estimate | None:
        """An observable, or the mean of a series, as a number with its error; None where the ensemble does not determine it.

        Raises:
          ConfigError: as `observable` does.
        """
        is_series = name in self._binned.columns and name not in self.observables
        try:
            return None if self._binned.stuck else self.number(self.mean(name) if is_series else self.observable(name))
        except ConfigError:  # which says nothing about the ensemble
            raise
        except ValueError:
            return None

    def estimates(self) -> dict[str, Estimate | None]:
        """All observables; None where the ensemble does not determine one."""
        return {name: self.known(name) for name in self.observables}
