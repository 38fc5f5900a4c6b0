"""Numbers that results are compared with: those of the paper and of other codes, and those of our baselines."""

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lattice_flows.io.files import RunError
from lattice_flows.io.locks import lock_file
from lattice_flows.measurement.errors import Estimate
from lattice_flows.measurement.result import Result
from lattice_flows.paper.records import REFERENCES, read_record, record_file, write_record

__all__ = ["baselines", "checked", "common_network", "published", "record", "reference"]

_PUBLISHED = Path(__file__).with_name("published.yaml")
_WAIT = 60.0  # seconds, for other baselines that are being recorded
_HEAD = "Baselines, each with the command that made it: [value, error, tau_int in measured configurations, its error]."


def published(lattice_shape: Sequence[int], action: Mapping[str, Any]) -> dict[str, Estimate]:
    """Observables that the paper gives for a lattice and an action, by name; none if these are not the paper's.

    Args:
      lattice_shape: the extents.
      action: the action's registered name under "name", and its parameters.
    """
    for row in _published()["table1"].values():
        of_the_paper = {"name": "scalar_phi4", "m2": row["m2"], "lam": row["lam"]}
        if (tuple(lattice_shape), dict(action)) == ((row["L"], row["L"]), of_the_paper):
            return {"pole_mass_times_l": Estimate(*row["pole_mass_L"])}
    return {}


def common_network() -> dict[str, float]:
    """Ensemble -> acceptance that public codes reach with the common convolutional network."""
    return _published()["reimplementations"]["tutorial_network"]["acceptance"]


def reference(lattice_shape: Sequence[int], action: Mapping[str, Any]) -> Result | None:
    """The result of HMC for a lattice and an action, None if there is none. Arguments as for `published`."""
    for samplers in _references().values():
        entry = samplers.get("hmc")
        if entry is not None and (tuple(entry["lattice_shape"]), entry["action"]) == (tuple(lattice_shape), dict(action)):
            return Result.from_entry("hmc", entry)
    return None


def baselines(tables: Iterable[str]) -> dict[tuple[str, str], Result]:
    """Ensemble and sampler -> result, of all baselines of some ensembles."""
    entries = _references()
    return {
        (table, sampler): Result.from_entry(sampler, entry) for table in tables for sampler, entry in entries.get(table, {}).items()
    }


def checked(path: str | Path) -> Path:
    """A file of references that results can be recorded in, before work for them begins.

    Raises:
      RunError: it has no name, cannot be read, or cannot be written.
    """
    path = Path(path)
    if not path.name:
        raise RunError("the file of references needs a name, such as references.yaml")
    read_record(path)
    place = next(each for each in (path, *path.resolve().parents) if each.exists())
    if not os.access(place, os.W_OK) or (place != path and not place.is_dir()):
        raise RunError(f"cannot write {path}: no permission at {place}; choose another file of references")
    return path


def record(result: Result, name: str, path: Path | None = None) -> Path:
    """Adds a baseline to a file of references, or replaces it there.

    Args:
      result: of the baseline.
      name: of the ensemble.
      path: the file; None for `paper/references.yaml` of this clone.

    Returns:
      the file.

    Raises:
      RunError: the file cannot be written.
    """
    path = record_file(REFERENCES, path)
    with lock_file(path, wait=_WAIT):
        entries = read_record(path)
        entries.setdefault(name, {})[result.sampler] = result.to_entry()
        write_record(path, _HEAD, dict(sorted(entries.items())), sort_keys=False, default_flow_style=None)
    _references.cache_clear()
    return path


@functools.cache
def _published() -> dict[str, Any]:
    return yaml.safe_load(_PUBLISHED.read_text())


@functools.cache
def _references() -> dict[str, dict[str, dict[str, Any]]]:
    return read_record(REFERENCES)
