"""Dynamical exponents: how autocorrelation times grow with the extent of the lattice (figure 7)."""

from typing import NamedTuple

from lattice_flows.measurement.errors import Estimate, power_law
from lattice_flows.measurement.result import WITH_TAU_INT
from lattice_flows.paper.cases import STOPS, TABLES, Case
from lattice_flows.paper.ingredients import Ingredients

__all__ = ["PowerLaw", "power_laws"]

# The paper fits from here on.
_SMALLEST_FITTED = 10


class PowerLaw(NamedTuple):
    """`tau_int = amplitude * L^z`.

    Attributes:
      taus: L -> tau_int in updates.
      amplitude: fitted.
      z: the fitted exponent.
    """

    taus: dict[int, Estimate]
    amplitude: Estimate
    z: Estimate


def power_laws(parts: Ingredients) -> dict[str, dict[str, PowerLaw]]:
    """Sampler -> observable -> tau_int on E1 to E5 and the power law fitted to L = 10, 12, 14, as in the paper."""
    return {sampler: {name: _fitted(taus) for name, taus in found.items()} for sampler, found in _taus(parts).items()}


def _fitted(taus: dict[int, Estimate]) -> PowerLaw:
    fitted = [(extent, tau) for extent, tau in taus.items() if extent >= _SMALLEST_FITTED]
    return PowerLaw(taus, *power_law(*zip(*fitted, strict=True)))


def _taus(parts: Ingredients) -> dict[str, dict[str, dict[int, Estimate]]]:
    """Sampler -> observable -> L -> tau_int in updates."""
    found: dict[str, dict[str, dict[int, Estimate]]] = {}
    for table in TABLES:
        for sampler, label in (("metropolis", "local Metropolis"), ("hmc", "HMC")):
            baseline = parts.baselines[table, sampler]
            for name, tau in baseline.chain["tau_int_of_updates"].items():
                found.setdefault(label, {}).setdefault(name, {})[max(baseline.lattice_shape)] = Estimate(*tau)
        for stop in STOPS:
            flow = parts.flows[Case(table, stop)]
            taus, extent = found.setdefault(f"{flow.flow} flow at {stop:.0%}", {}), max(flow.lattice_shape)
            for name in WITH_TAU_INT:
                number = flow.estimate(name)
                taus.setdefault(name, {})[extent] = Estimate(number.tau_int, number.tau_int_error)
            taus.setdefault("rejections", {})[extent] = Estimate(flow.chain["tau_int"], flow.chain["tau_int_error"])
    return found
