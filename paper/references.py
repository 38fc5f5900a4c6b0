"""The numbers that results are compared with: the paper's own, and those of our HMC."""

from pathlib import Path
from typing import Any

import yaml

from lattice_flows.config import RunConfig
from lattice_flows.observables import Measurements
from lattice_flows.production import estimates
from lattice_flows.statistics import Estimate, estimate
from lattice_flows.training.runs import atomic_write

__all__ = ["PUBLISHED", "REFERENCES", "entry", "published", "reference", "write"]

PUBLISHED = Path(__file__).with_name("published.yaml")
REFERENCES = Path(__file__).with_name("references.yaml")
_DIGITS = 7


def published(table: str, config: RunConfig) -> dict[str, Estimate]:
    """Observables that the paper gives for an ensemble; none if the configuration is not that of the paper."""
    row = yaml.safe_load(PUBLISHED.read_text())["table1"].get(table)
    if row is None:
        return {}
    ours = (config.lattice.shape, config.action.parameters["m2"], config.action.parameters["lam"])
    if ours != ((row["L"], row["L"]), row["m2"], row["lam"]):
        return {}
    return {"pole_mass_times_l": Estimate(*row["pole_mass_L"])}


def reference(config: RunConfig, sampler: str = "hmc") -> dict[str, Any] | None:
    """The numbers of a baseline sampler for the lattice and action of a configuration, None if there are none.

    Returns:
      the entry of `references.yaml`, with `Estimate`s under "observables" (by name), and lists of them under "zero_momentum_green"
      and "effective_mass".
    """
    for samplers in (yaml.safe_load(REFERENCES.read_text()) or {}).values():
        found = samplers.get(sampler)
        if (
            found is not None
            and tuple(found["lattice_shape"]) == config.lattice.shape
            and found["action"] == config.action.model_dump()
        ):
            found["observables"] = {name: Estimate(*numbers) for name, numbers in found["observables"].items()}
            for curve in ("zero_momentum_green", "effective_mass"):
                found[curve] = [Estimate(*numbers) for numbers in found[curve]]
            return found
    return None


def entry(config: RunConfig, measurements: Measurements, facts: dict[str, Any], command: str) -> dict[str, Any]:
    """What is kept of a baseline run; every number is [value, error, tau_int], tau_int in measured configurations."""
    found = estimates(measurements)
    return {
        "command": command,
        "lattice_shape": list(config.lattice.shape),
        "action": config.action.model_dump(),
        "seed": config.seed,
        **{name: _rounded(value) for name, value in facts.items() if not name.endswith("_per_second")},
        "observables": {name: _numbers(number) for name, number in found.items() if number is not None},
        "zero_momentum_green": [_numbers(estimate(point)) for point in measurements.zero_momentum_green],
        "effective_mass": [_numbers(estimate(point)) for point in measurements.effective_mass if point is not None],
    }


def write(path: Path, name: str, sampler: str, new: dict[str, Any]) -> None:
    """Adds or replaces one entry of a file of references. Raises `RunError` where it cannot be written."""
    entries = (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
    entries.setdefault(name, {})[sampler] = new
    head = "# Baselines, each with the command that made it: [value, error, tau_int in measured configurations].\n"
    text = head + yaml.safe_dump(dict(sorted(entries.items())), sort_keys=False, width=120, default_flow_style=None)
    atomic_write(path, lambda file: file.write(text.encode()))


def _numbers(number: Estimate) -> list[float]:
    return [_rounded(value) for value in (number.value, number.error, number.tau_int)]


def _rounded(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
