"""Figures 2 to 7 of arXiv:1904.12072, from the results of flows and the numbers of the baselines."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lattice_flows.paper.references import as_estimate, as_estimates
from matplotlib.figure import Figure

from lattice_flows import plots
from lattice_flows.measurement.errors import Estimate, format_estimate, power_law

__all__ = ["FIGURES", "Drawn", "Ingredients", "exponents_table", "needed", "run_folder"]

ENSEMBLES = ("E1", "E2", "E3", "E4", "E5")
STOPS = (0.5, 0.7)
_SYMBOLS = {
    "two_point_susceptibility": r"$\chi_2$",
    "ising_energy": r"$E$",
    "phi_squared": r"$\langle\phi^2\rangle$",
    "absolute_magnetization": r"$\langle|M|\rangle$",
    "action_density": r"$\langle S\rangle/V$",
}
# The paper fits its dynamical exponents from here on.
_SMALLEST_FITTED = 10


class Ingredients(NamedTuple):
    """What figures are made of.

    Attributes:
      flows: ensemble and the acceptance that training was stopped at (None for the end of training) -> content of `result.json`.
      baselines: ensemble and sampler ("hmc", "metropolis") -> entry of `references.yaml`.
    """

    flows: Mapping[tuple[str, float | None], dict[str, Any]]
    baselines: Mapping[tuple[str, str], dict[str, Any]]

    def samplers(self, ensemble: str) -> dict[str, dict[str, Any]]:
        """Label -> results, of the flow at the end of its training and of both baselines."""
        flow = self.flows[ensemble, None]
        labels = {flow["flow"] + " flow": flow, "HMC": self.baselines[ensemble, "hmc"]}
        return labels | {"local Metropolis": self.baselines[ensemble, "metropolis"]}

    def seeds(self, ensembles: Sequence[str]) -> str:
        """The seeds of everything that was used of some ensembles, for captions."""
        used = [found for (name, _), found in (*self.flows.items(), *self.baselines.items()) if name in ensembles]
        seeds = sorted({found["seed"] for found in used})
        return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"


class Drawn(NamedTuple):
    """A figure with its caption."""

    figure: Figure
    caption: str


class PaperFigure(NamedTuple):
    """What a figure is drawn from, and how."""

    ensembles: tuple[str, ...]
    stops: tuple[float | None, ...]
    draw: Callable[[Ingredients], Drawn]


def run_folder(out: Path, ensemble: str, stop: float | None) -> Path:
    """Where the run of an ensemble is, below an output folder."""
    return (out if stop is None else out / f"at_{100 * stop:.0f}") / ensemble


def needed(numbers: Sequence[int]) -> list[tuple[str, float | None]]:
    """The ensembles, and acceptances to stop training at, that figures need flows for."""
    wanted = [(ensemble, stop) for n in numbers for ensemble in FIGURES[n].ensembles for stop in FIGURES[n].stops]
    return sorted(set(wanted), key=lambda pair: (pair[1] or 0, pair[0]))


def _rejections(parts: Ingredients) -> Drawn:
    hmc = parts.baselines["E5", "hmc"]
    samplers = {}
    for stop in STOPS:
        flow = parts.flows["E5", stop]
        label = f"{flow['flow']} flow, {flow['chain']['acceptance']:.0%} accepted"
        samplers[label] = (flow["rejection_runs"], flow["chain"]["length"])
    samplers[f"HMC, {hmc['acceptance']:.0%} accepted"] = (hmc["rejection_runs"], hmc["chains"] * hmc["trajectories"])
    caption = (
        "Rejections in a row on E5, for flows whose training was stopped at acceptances of 50 % and 70 %, and for HMC "
        f"tuned to 70 % ({parts.seeds(['E5'])}). Straight lines would be rejections that do not depend on the configuration."
    )
    return Drawn(plots.rejection_histogram(samplers, "E5"), caption)


def _green(parts: Ingredients) -> Drawn:
    curves = {label: as_estimates(found)["zero_momentum_green"] for label, found in parts.samplers("E5").items()}
    caption = f"Connected zero-momentum Green's function (eq. 23) on E5 from the three samplers ({parts.seeds(['E5'])})."
    return Drawn(plots.zero_momentum_green(curves, "E5"), caption)


def _mass(parts: Ingredients) -> Drawn:
    samplers = parts.samplers("E5")
    curves = {label: as_estimates(found)["effective_mass"] for label, found in samplers.items()}
    pole_mass = as_estimate(parts.flows["E5", None]["observables"]["pole_mass"])
    caption = (
        "Effective mass (eq. 28) on E5 from the three samplers, and the pole mass of the correlated cosh fit to the flow's Green's "
        f"function as a band ({parts.seeds(['E5'])})."
    )
    return Drawn(plots.effective_mass(curves, pole_mass, "E5"), caption)


def _observables(parts: Ingredients) -> Drawn:
    values: dict[str, dict[str, dict[int, Estimate]]] = {}
    for ensemble in ENSEMBLES:
        for label, found in parts.samplers(ensemble).items():
            for name in ("two_point_susceptibility", "ising_energy"):
                of_sampler = values.setdefault(_SYMBOLS[name], {}).setdefault(label, {})
                of_sampler[max(found["lattice_shape"])] = as_estimate(found["observables"][name])
    caption = (
        "Two-point susceptibility (eq. 25) and Ising energy (eq. 26) on E1 to E5 from the three samplers; below, their distance "
        f"from the mean of the three ({parts.seeds(ENSEMBLES)})."
    )
    return Drawn(plots.observables_against_extent(values, "E1 to E5"), caption)


def _errors(parts: Ingredients) -> Drawn:
    errors: dict[str, dict[str, Any]] = {}
    for label, found in parts.samplers("E5").items():
        for name in ("two_point_susceptibility", "ising_energy"):
            errors.setdefault(_SYMBOLS[name], {})[label] = (found["errors"]["configurations"], found["errors"][name])
    caption = (
        "Statistical errors (Gamma method) on E5 against the number of configurations, every tenth update for HMC and local "
        f"Metropolis ({parts.seeds(['E5'])})."
    )
    return Drawn(plots.errors_against_number(errors, "E5"), caption)


def _taus(parts: Ingredients) -> dict[str, dict[str, dict[int, Estimate]]]:
    """Sampler -> observable -> L -> tau_int in updates."""
    found: dict[str, dict[str, dict[int, Estimate]]] = {}
    for ensemble in ENSEMBLES:
        for sampler, label in (("metropolis", "local Metropolis"), ("hmc", "HMC")):
            entry = parts.baselines[ensemble, sampler]
            for name, tau in entry["tau_int_of_updates"].items():
                found.setdefault(label, {}).setdefault(name, {})[max(entry["lattice_shape"])] = Estimate(*tau)
        for stop in STOPS:
            flow = parts.flows[ensemble, stop]
            taus = found.setdefault(f"{flow['flow']} flow at {stop:.0%}", {})
            extent, chain = max(flow["lattice_shape"]), flow["chain"]
            for name in _SYMBOLS:
                number = as_estimate(flow["observables"][name])
                taus.setdefault(name, {})[extent] = Estimate(number.tau_int, number.tau_int_error)
            taus.setdefault("rejections", {})[extent] = Estimate(chain["tau_int"], chain["tau_int_error"])
    return found


def _power_laws(parts: Ingredients) -> dict[str, dict[str, tuple[dict[int, Estimate], tuple[Estimate, Estimate]]]]:
    def fit(taus: dict[int, Estimate]) -> tuple[Estimate, Estimate]:
        return power_law(*zip(*((L, tau) for L, tau in taus.items() if L >= _SMALLEST_FITTED), strict=True))

    return {sampler: {name: (taus, fit(taus)) for name, taus in found.items()} for sampler, found in _taus(parts).items()}


def _autocorrelation(parts: Ingredients) -> Drawn:
    caption = (
        "Integrated autocorrelation times in updates (sweeps, trajectories, proposals) against L, with power laws fitted to "
        'L = 10, 12, 14; "rejections" is the estimate from the accept decisions alone (eqs. 16 and 19). Flows were stopped at '
        f"acceptances of 50 % and 70 % ({parts.seeds(ENSEMBLES)})."
    )
    laws = {
        sampler: {_SYMBOLS.get(name, name): law for name, law in observables.items()}
        for sampler, observables in _power_laws(parts).items()
    }
    return Drawn(plots.autocorrelation_times(laws, "E1 to E5"), caption)


def exponents_table(parts: Ingredients) -> str:
    """The dynamical exponents of figure 7 as Markdown, and tau_int on E1 and E5."""
    lines = ["| sampler | observable | tau_int, L = 6 | L = 14 | z |", "|---" * 5 + "|"]
    for sampler, observables in _power_laws(parts).items():
        for name, (taus, (_, z)) in observables.items():
            ends = " | ".join(format_estimate(taus[L]) for L in (min(taus), max(taus)))
            lines.append(f"| {sampler} | {name} | {ends} | {format_estimate(z)} |")
    return "\n".join(lines)


FIGURES: dict[int, PaperFigure] = {
    2: PaperFigure(("E5",), STOPS, _rejections),
    3: PaperFigure(("E5",), (None,), _green),
    4: PaperFigure(("E5",), (None,), _mass),
    5: PaperFigure(ENSEMBLES, (None,), _observables),
    6: PaperFigure(("E5",), (None,), _errors),
    7: PaperFigure(ENSEMBLES, STOPS, _autocorrelation),
}
