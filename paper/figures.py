"""Figures 2 to 7 of arXiv:1904.12072, from the results of flows and baselines."""

from collections.abc import Callable, Sequence

from lattice_flows import plots
from lattice_flows.measurement.errors import Estimate
from lattice_flows.measurement.result import LONG_AND_SHORT
from lattice_flows.paper import scaling
from lattice_flows.paper.cases import STOPS, TABLES, Case
from lattice_flows.paper.ingredients import Ingredients
from lattice_flows.report.figures import Captioned
from lattice_flows.report.names import TEX

__all__ = ["draw"]


def draw(number: int, parts: Ingredients) -> Captioned:
    """A figure of the paper, from the runs that `cases.FIGURES` names and the baselines on their ensembles."""
    return _DRAW[number](parts)


def _rejections(parts: Ingredients) -> Captioned:
    hmc = parts.baselines["E5", "hmc"]
    samplers = {}
    for stop in STOPS:
        flow = parts.flows[Case("E5", stop)]
        label = f"{flow.flow} flow, {flow.chain['acceptance']:.0%} accepted"
        samplers[label] = (flow.rejection_runs, flow.chain["length"])
    updates = hmc.chain["chains"] * hmc.chain["updates"]
    samplers[f"HMC, {hmc.chain['acceptance']:.0%} accepted"] = (hmc.rejection_runs, updates)
    caption = (
        "Rejections in a row on E5, for flows whose training was stopped at acceptances of 50 % and 70 %, and for HMC "
        f"tuned to 70 % ({parts.seeds(['E5'])}). Straight lines would be rejections that do not depend on the configuration."
    )
    return Captioned(plots.rejection_histogram(samplers, "E5"), caption)


def _green(parts: Ingredients) -> Captioned:
    curves = {label: result.zero_momentum_green for label, result in parts.samplers("E5").items()}
    caption = f"Connected zero-momentum Green's function (eq. 23) on E5 from the three samplers ({parts.seeds(['E5'])})."
    return Captioned(plots.zero_momentum_green(curves, "E5"), caption)


def _mass(parts: Ingredients) -> Captioned:
    curves = {label: result.effective_mass for label, result in parts.samplers("E5").items()}
    flow = parts.flows[Case("E5")]
    pole_masses = {f"{flow.flow} flow": flow.estimate("pole_mass")}
    caption = (
        "Effective mass (eq. 28) on E5 from the three samplers, and the pole mass, averaged over the beginnings of correlated cosh "
        f"fits to the flow's Green's function, as a band ({parts.seeds(['E5'])})."
    )
    return Captioned(plots.effective_mass(curves, pole_masses, "E5"), caption)


def _observables(parts: Ingredients) -> Captioned:
    values: dict[str, dict[str, dict[int, Estimate]]] = {}
    for table in TABLES:
        for label, result in parts.samplers(table).items():
            for name in LONG_AND_SHORT:
                of_sampler = values.setdefault(TEX[name], {}).setdefault(label, {})
                of_sampler[max(result.lattice_shape)] = result.estimate(name)
    caption = (
        "Two-point susceptibility (eq. 25) and Ising energy (eq. 26) on E1 to E5 from the three samplers; below, their distance "
        f"from the mean of the three, with the error of that distance ({parts.seeds(TABLES)})."
    )
    return Captioned(plots.observables_against_extent(values, "E1 to E5"), caption)


def _errors(parts: Ingredients) -> Captioned:
    errors: dict[str, dict[str, tuple[Sequence[int], Sequence[float]]]] = {}
    for label, result in parts.samplers("E5").items():
        for name in LONG_AND_SHORT:
            errors.setdefault(TEX[name], {})[label] = (result.errors["configurations"], result.errors[name])
    caption = (
        "Statistical errors (Gamma method) on E5 against the number of configurations, every tenth update for HMC and local "
        f"Metropolis ({parts.seeds(['E5'])})."
    )
    return Captioned(plots.errors_against_number(errors, "E5"), caption)


def _autocorrelation(parts: Ingredients) -> Captioned:
    laws = {
        sampler: {TEX.get(name, name): (law.taus, (law.amplitude, law.z)) for name, law in observables.items()}
        for sampler, observables in scaling.power_laws(parts).items()
    }
    caption = (
        "Integrated autocorrelation times in updates (sweeps, trajectories, proposals) against L, with power laws fitted to "
        'L = 10, 12, 14; "rejections" is the estimate from the accept decisions alone (eqs. 16 and 19). Flows were stopped at '
        f"acceptances of 50 % and 70 % ({parts.seeds(TABLES)})."
    )
    return Captioned(plots.autocorrelation_times(laws, "E1 to E5"), caption)


_DRAW: dict[int, Callable[[Ingredients], Captioned]] = {
    2: _rejections,
    3: _green,
    4: _mass,
    5: _observables,
    6: _errors,
    7: _autocorrelation,
}
