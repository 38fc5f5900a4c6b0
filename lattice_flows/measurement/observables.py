"""The observables of arXiv:1904.12072, section III, and other common ones, each a function of `Measurements`.

Equation numbers are those of that paper. What an observable is, `measurement.measurements` says.
"""

import numpy as np
import pyerrors as pe

from lattice_flows.measurement.cosh_fits import FEWEST_TIMES, cosh_mass
from lattice_flows.measurement.errors import analysed
from lattice_flows.measurement.measurements import OBSERVABLES, Measurements, observable

__all__ = ["OBSERVABLES", "Measurements", "observable"]

# In correlation lengths, of the time axis. At 3, the mass of a cosh exceeds that of a particle by 1 to 2 %.
_SMALLEST_EXTENT = 3.0


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
    """`m_p` of `Gt(0, t) = A cosh(m_p (t - T/2))`, averaged over the beginnings of the fit (`measurement.cosh_fits`); eq. 24.

    The fits begin at t = 2 or later: at t = 1, three-particle states are seen at the level of 0.3 % (E3, E5). For T < 8 they begin
    at t = 1.

    This is the mass of a cosh on this lattice, as in the paper. A cosh stands for one particle in the vacuum; where others go
    around the lattice meanwhile, with a weight of about exp(-m_p T), the mass is larger than that of a particle by a share of
    a third to a half of that: on lines 0.6 % at m_p T = 4.

    Raises:
      ValueError: T < 6, where nothing tells heavier states apart; a correlator that is too noisy, or that no cosh describes; or
        m_p T < 3, where the particles that go around the lattice raise the mass by percents, as in the broken phase, where the
        lightest state is the odd combination of the two minima.
    """
    half, green = max(m.lattice.shape) / 2, m.zero_momentum_green
    if len(green) < FEWEST_TIMES + 1 or min(g.value for g in green) <= 0:
        raise ValueError("no cosh can be fitted to the correlator: more configurations or a longer lattice are needed")
    tau_int = max(max(analysed(point).e_tauint.values()) for point in green)
    independent = sum(green[0].shape.values()) * m.share_of_weights / (2 * tau_int)
    mass = cosh_mass(green, half, 2 if half >= 4 else 1, independent)
    if mass.value * 2 * half < _SMALLEST_EXTENT:
        raise ValueError(
            f"m_p T is {mass.value * 2 * half:.3g}, below {_SMALLEST_EXTENT:g}: particles that go around the lattice spoil the mass"
        )
    return mass


@observable
def pole_mass_times_l(m: Measurements) -> pe.Obs:
    """`m_p L`, the number of the paper's Table I, which says how large the lattice is for a particle: L is the smallest extent."""
    return min(m.lattice.shape) * m.observable("pole_mass")
