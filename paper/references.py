"""Numbers that results are compared with: those of the paper and of other codes, and those of our baselines."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lattice_flows.io.files import RunError, temporary, writing
from lattice_flows.io.locks import lock_file
from lattice_flows.measurement.checks import BAD
from lattice_flows.measurement.errors import Estimate
from lattice_flows.measurement.result import Result
from lattice_flows.paper.records import REFERENCES, read_record, record_file, write_record
from lattice_flows.reading import read_yaml, reading

__all__ = [
    "NotTrusted",
    "baselines",
    "checked",
    "common_network",
    "critical_coupling",
    "published",
    "published_ess",
    "record",
    "reference",
    "samplers",
]

_PUBLISHED = Path(__file__).with_name("published.yaml")
_WAIT = 60.0  # seconds, for other baselines that are being recorded
_HEAD = "Baselines, each with the command that made it: [value, error, tau_int in measured configurations, its error]."


class NotTrusted(RunError):
    """A baseline that cannot be a reference, for its errors cannot be trusted."""


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


def critical_coupling(dimensions: int, m2: float) -> Estimate | None:
    """lam at the transition as published, with half of its range as the error; None where it is not."""
    row = _published()["critical_coupling"]
    if (dimensions, m2) != (row["d"], row["m2"]):
        return None
    return Estimate(row["lam_c"], (row["range"][1] - row["range"][0]) / 2)


def reference(lattice_shape: Sequence[int], action: Mapping[str, Any]) -> Result | None:
    """What flows are compared with for a lattice and an action: HMC's result, or that of clusters where HMC is too slow.

    None if there is neither. Arguments as for `published`.
    """
    found = samplers(lattice_shape, action)
    return found.get("hmc") or found.get("cluster")


def samplers(lattice_shape: Sequence[int], action: Mapping[str, Any]) -> dict[str, Result]:
    """Sampler -> result, of all baselines for a lattice and an action, under whatever name. Arguments as for `published`.

    Of several with one sampler, that of the most configurations.
    """
    found: dict[str, Result] = {}
    with reading(REFERENCES):
        for entries in _references().values():
            for sampler, entry in entries.items():
                if _physics(entry) == (tuple(lattice_shape), dict(action)):
                    result = Result.from_entry(sampler, entry)
                    found[sampler] = max(found.get(sampler, result), result, key=lambda one: one.errors["configurations"][-1])
    return found


def baselines(tables: Iterable[str]) -> dict[tuple[str, str], Result]:
    """Ensemble and sampler -> result, of all baselines under the names of some ensembles."""
    entries = _references()
    with reading(REFERENCES):
        return {
            (table, sampler): Result.from_entry(sampler, entry)
            for table in tables
            for sampler, entry in entries.get(table, {}).items()
        }


def checked(path: str | Path, name: str, lattice_shape: Sequence[int], action: Mapping[str, Any]) -> Path:
    """A file of references that a result can be recorded in, before work for it begins.

    Args:
      path: the file.
      name: of the entry.
      lattice_shape, action: of the result, as for `published`.

    Raises:
      RunError: it has no name, cannot be read or written, or has other physics under that name.
    """
    path = Path(path)
    if not path.name:
        raise RunError("the file of references needs a name, such as references.yaml")
    _check_physics(path, read_record(path), name, (tuple(lattice_shape), dict(action)))
    if path.is_dir():
        raise RunError(f"cannot write {path}: it is a folder; choose another file of references")
    with writing(path):
        probe = temporary(next(each for each in path.resolve().parents if each.exists()) / path.name)
        probe.touch()
        probe.unlink()
    return path


def record(result: Result, name: str, path: Path | None = None) -> Path:
    """Adds a baseline to a file of references, or replaces it there.

    Args:
      result: of the baseline.
      name: of the ensemble; all baselines under one name are on the same lattice and of the same action.
      path: the file; None for `paper/references.yaml` of this clone.

    Returns:
      the file.

    Raises:
      NotTrusted: a check calls the result bad.
      RunError: the file cannot be read or written, or has other physics under that name.
    """
    if bad := [check.name for check in result.checks if check.verdict == BAD]:
        raise NotTrusted(f"not recorded as a reference, for its errors cannot be trusted: {', '.join(bad)} bad")
    path = record_file(REFERENCES, path)
    with lock_file(path, wait=_WAIT):
        entries = read_record(path)
        _check_physics(path, entries, name, (tuple(result.lattice_shape), dict(result.action)))
        entries.setdefault(name, {})[result.sampler] = result.to_entry()
        write_record(path, _HEAD, dict(sorted(entries.items())), sort_keys=False, default_flow_style=None)
    _references.cache_clear()
    return path


def _physics(entry: Mapping[str, Any]) -> tuple[tuple[int, ...], dict[str, Any]]:
    return tuple(entry["lattice_shape"]), dict(entry["action"])


def _check_physics(path: Path, entries: Mapping[str, Any], name: str, physics: tuple[tuple[int, ...], dict[str, Any]]) -> None:
    """Raises a `RunError` where a file has baselines of other physics under a name."""
    with reading(path, "choose another file of references", RunError):
        for sampler, entry in entries.get(name, {}).items():
            shape, action = _physics(entry)
            if (shape, action) != physics:
                raise RunError(
                    f"{path} has {sampler} under {name!r} on the lattice {shape} with {action}, not on {physics[0]} with "
                    f"{physics[1]}: give this one a name of its own by --name"
                )


def published_ess() -> dict[str, dict[int, float]]:
    """The effective sample sizes of flows on the paper's line of constant physics that others have published: label -> L -> ESS."""
    return _published()["effective_sample_sizes"]


@functools.cache
def _published() -> dict[str, Any]:
    return read_yaml(_PUBLISHED)


@functools.cache
def _references() -> dict[str, dict[str, dict[str, Any]]]:
    return read_record(REFERENCES)
