"""The numbers that results are compared with: the paper's own, and those of our HMC."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lattice_flows.config import RunConfig
from lattice_flows.io.files import atomic_write
from lattice_flows.measurement.errors import Estimate, correlation, estimate, rejection_runs
from lattice_flows.measurement.observables import Measurements
from lattice_flows.production import estimates

__all__ = [
    "PUBLISHED",
    "REFERENCES",
    "as_estimate",
    "as_estimates",
    "baselines",
    "details",
    "entry",
    "published",
    "reference",
    "write",
]

PUBLISHED = Path(__file__).with_name("published.yaml")
REFERENCES = Path(__file__).with_name("references.yaml")
_DIGITS = 7
# Observables that are followed from a small part of the configurations to all of them.
_FOLLOWED = ("two_point_susceptibility", "ising_energy")
_HALVINGS = 7
_SHORTEST = 16  # configurations of a chain


def published(table: str, config: RunConfig) -> dict[str, Estimate]:
    """Observables that the paper gives for an ensemble; none if the configuration is not that of the paper."""
    row = yaml.safe_load(PUBLISHED.read_text())["table1"].get(table)
    if row is None:
        return {}
    ours = (config.lattice.shape, config.action.parameters["m2"], config.action.parameters["lam"])
    if ours != ((row["L"], row["L"]), row["m2"], row["lam"]):
        return {}
    return {"pole_mass_times_l": Estimate(*row["pole_mass_L"])}


def reference(config: RunConfig) -> dict[str, Any] | None:
    """The HMC numbers for the lattice and action of a configuration, None if there are none.

    Returns:
      the entry of `references.yaml`, with `Estimate`s under "observables" (by name), and lists of them under "zero_momentum_green"
      and "effective_mass".
    """
    for samplers in _read(REFERENCES).values():
        found = samplers.get("hmc")
        if (
            found is not None
            and tuple(found["lattice_shape"]) == config.lattice.shape
            and found["action"] == config.action.model_dump()
        ):
            return as_estimates(found) | {"observables": {name: as_estimate(row) for name, row in found["observables"].items()}}
    return None


def baselines(tables: Iterable[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Ensemble and sampler -> entry of `references.yaml`, as it stands there, for those of some ensembles that there are."""
    entries = _read(REFERENCES)
    return {(table, sampler): found for table in tables for sampler, found in entries.get(table, {}).items()}


def as_estimate(row: Any) -> Estimate:
    """An observable of a result (a mapping) or of a baseline (a list)."""
    names = ("value", "error", "tau_int", "tau_int_error")
    return Estimate(*(row[name] for name in names)) if isinstance(row, Mapping) else Estimate(*row)


def as_estimates(found: dict[str, Any]) -> dict[str, Any]:
    """The same with `Estimate`s in its curves, None where one is unknown."""
    curves = ("zero_momentum_green", "effective_mass")
    return found | {curve: [point and Estimate(*point) for point in found[curve]] for curve in curves}


def entry(
    config: RunConfig, measurements: Measurements, accepted: np.ndarray | None, facts: dict[str, Any], command: str
) -> dict[str, Any]:
    """What is kept of a baseline run; numbers are [value, error, tau_int, its error], tau_int in measured configurations."""
    return {
        "command": command,
        "lattice_shape": list(config.lattice.shape),
        "action": config.action.model_dump(),
        "seed": config.seed,
        **{name: _rounded(value) for name, value in facts.items() if not name.endswith("_per_second")},
        "observables": {name: _numbers(number) for name, number in estimates(measurements).items() if number is not None},
        **details(measurements, accepted),
    }


def details(measurements: Measurements, accepted: np.ndarray | None) -> dict[str, Any]:
    """What figures and comparisons need of any ensemble, beside its observables.

    Returns:
      zero_momentum_green and effective_mass (numbers for each time, None where unknown), correlation (of the observables that are
      known, by name, then a row for each), errors (of chi_2 and E from 1/128, 1/64, ..., 1 of the configurations, as far as there
      are enough), and, where updates are of the whole lattice, rejection_runs, as `statistics` counts them.
    """
    known = [name for name, number in estimates(measurements).items() if number is not None]
    parts = _parts(measurements)
    found = {
        "zero_momentum_green": [_numbers(estimate(point)) for point in measurements.zero_momentum_green],
        "effective_mass": [point and _numbers(estimate(point)) for point in measurements.effective_mass],
        "correlation": {
            "of": known,
            "matrix": [
                [_rounded(float(number)) for number in row]
                for row in correlation([measurements.observable(name) for name in known])
            ],
        },
        "errors": {
            "configurations": [part.configurations for part in parts],
            **{name: [_rounded(part.estimate(name).error) for part in parts] for name in _FOLLOWED},
        },
    }
    return found if accepted is None else found | {"rejection_runs": rejection_runs(accepted).tolist()}


def _parts(measurements: Measurements) -> list[Measurements]:
    """Ever larger parts, each twice the one before: the beginning of one chain, all of it, then more chains."""
    length, chains = measurements.series("phi_2").shape
    parts = [(length, chains)]
    while len(parts) <= _HALVINGS and (chains > 1 or length >= 2 * _SHORTEST):
        length, chains = (length, chains // 2) if chains > 1 else (length // 2, chains)
        parts.append((length, chains))
    return [measurements.part(0, length, chains) for length, chains in reversed(parts)]


def write(path: Path, name: str, sampler: str, new: dict[str, Any]) -> None:
    """Adds or replaces one entry of a file of references. Raises `RunError` where it cannot be written."""
    entries = _read(path) if path.exists() else {}
    entries.setdefault(name, {})[sampler] = new
    head = "# Baselines, each with the command that made it: [value, error, tau_int in measured configurations, its error].\n"
    text = head + yaml.safe_dump(dict(sorted(entries.items())), sort_keys=False, width=120, default_flow_style=None)
    atomic_write(path, lambda file: file.write(text.encode()))


def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    return yaml.safe_load(path.read_text()) or {}


def _numbers(number: Estimate) -> list[float]:
    return [_rounded(value) for value in number]


def _rounded(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
