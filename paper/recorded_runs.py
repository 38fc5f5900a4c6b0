"""Finished runs of `scripts/reproduce.py`, kept in `paper/runs.yaml` with their cost and their acceptance."""

import math
import shlex
from pathlib import Path
from typing import Any

from lattice_flows.io.files import RunError
from lattice_flows.io.runs import RunDirectory
from lattice_flows.measurement.result import Result
from lattice_flows.paper.records import RUNS, read_record, record_file, write_record
from lattice_flows.reading import read_csv, read_json, reading

__all__ = ["MARKS", "record"]

# Acceptances, for the training time until they are reached.
MARKS = (0.5, 0.7, 0.85)
_HEAD = "Finished runs, by flow, ensemble and seed; written by scripts/benchmark.py --record."


def record(run: Path, path: Path | None = None) -> Path:
    """Adds a finished run to a file of runs, in place of an earlier one of the same flow, ensemble and seed.

    Runs with a target acceptance are kept apart from those of the same flow without one.

    Args:
      run: a run directory of `scripts/reproduce.py`.
      path: the file; None for `paper/runs.yaml` of this clone.

    Returns:
      the file.

    Raises:
      RunError: the folder holds no finished run, or the file cannot be written.
    """
    path = record_file(RUNS, path)
    with reading(run, "name the folder of a finished run", RunError):
        missing = [name for name in ("result.json", "metrics.csv") if not (run / name).exists()]
    if missing:
        raise RunError(f"{run} holds no {' and no '.join(missing)}: record a finished run that was trained by itself")
    target = RunDirectory.open(run)[1].training.target_acceptance
    with reading(run / "result.json", "record a run that this version has made", RunError):
        result = Result.from_json(read_json(run / "result.json"))
        label = result.flow if target is None else f"{result.flow} to {target:.0%}"
        entry = _entry(run, result)
    entries = read_record(path)
    with reading(path, "name another file", RunError):
        entries.setdefault(label, {}).setdefault(result.table, {})[result.seed] = entry
    write_record(path, _HEAD, entries)
    return path


def _entry(run: Path, result: Result) -> dict[str, Any]:
    environment = read_json(run / "environment.json")
    columns = ("seconds", "acceptance", "ess")
    table = read_csv(run / "metrics.csv", columns)
    history = [[round(value, 4) for value in row] for row in zip(*(table[name] for name in columns), strict=True)]
    if not all(math.isfinite(value) for row in history for value in row):
        raise RunError(f"{run / 'metrics.csv'} has evaluations without numbers: record a training that went well")
    taus = [row.estimate.tau_int for row in result.observables.values() if row.estimate is not None]
    pulls = [abs(row.pull) for row in result.observables.values() if row.pull is not None]
    training, chain = result.training, result.chain
    return {
        "command": shlex.join(["python", *environment["command"]]),
        "machine": f"{environment['cpu_count']} CPUs, {environment['platform']}",
        "tensorflow": environment["tensorflow"],
        "commit": environment["commit"],
        "parameters": training["parameters"],
        "steps": training["steps"],
        "seconds": round(training["seconds"], 1),
        "compile_seconds": round(training["compile_seconds"], 1),
        "seconds_to": {mark: next((round(t, 1) for t, a, _ in history if a >= mark), None) for mark in MARKS},
        "history": history,
        "acceptance": round(chain["acceptance"], 4),
        "ess": round(chain["ess"], 4),
        "tau_int": round(chain["tau_int"], 4),
        "tau_int_of_observables": [round(min(taus), 2), round(max(taus), 2)],
        "largest_pull": round(max(pulls), 2),
        "integration_error": chain["integration_error"]["mean"],
        "samples_per_second": round(chain["samples_per_second"]),
    }
