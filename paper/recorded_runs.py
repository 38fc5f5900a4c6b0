"""Finished runs of `scripts/reproduce.py`, kept in `paper/runs.yaml` with their cost and their acceptance."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lattice_flows.config import RunConfig
from lattice_flows.io.arrays import read_arrays
from lattice_flows.io.files import RunError
from lattice_flows.io.histories import METRICS, WEIGHTS, stage_folders
from lattice_flows.io.runs import RunDirectory
from lattice_flows.measurement.result import Result
from lattice_flows.paper.cases import Case
from lattice_flows.paper.records import RUNS, read_record, record_file, write_record
from lattice_flows.reading import read_csv, read_json, reading

__all__ = ["MARKS", "record"]

# Acceptances, for the training time until they are reached.
MARKS = (0.5, 0.7, 0.85)
_HEAD = "Finished runs, by flow, ensemble and seed; written by scripts/benchmark.py --record."
_COLUMNS = ("step", "seconds", "acceptance", "ess")


class _Training(NamedTuple):
    """A stage of a run, or its last training, with the summary of it."""

    folder: Path
    config: RunConfig
    summary: Mapping[str, Any]


def record(run: Path, path: Path | None = None) -> Path:
    """Adds a finished run to a file of runs, in place of an earlier one of the same flow, ensemble and seed.

    Runs with a target acceptance are kept apart from those of the same flow without one. Steps, times and the history are those of
    the whole training, from the beginning of the first stage.

    Args:
      run: a run directory of `scripts/reproduce.py`.
      path: the file; None for `paper/runs.yaml` of this clone.

    Returns:
      the file.

    Raises:
      RunError: the folder holds no finished run, one of another lattice, action or sampler than its ensemble has, or one that began
        with weights of another folder; or the file cannot be written.
    """
    path = record_file(RUNS, path)
    with reading(run, "name the folder of a finished run", RunError):
        missing = [name for name in ("result.json", METRICS) if not (run / name).exists()]
    if missing:
        raise RunError(f"{run} holds no {' and no '.join(missing)}: record a finished run that was trained by itself")
    config = RunDirectory.open(run)[1]
    target = config.training.target_acceptance
    with reading(run / "result.json", "record a run that this version has made", RunError):
        result = Result.from_json(read_json(run / "result.json"))
        label = result.flow if target is None else f"{result.flow} to {target:.0%}"
        _check_ensemble(run, result)
        entry = _entry(run, result, _trainings(run, config, result))
    entries = read_record(path)
    with reading(path, "name another file", RunError):
        entries.setdefault(label, {}).setdefault(result.table, {})[result.seed] = entry
    write_record(path, _HEAD, entries)
    return path


def _check_ensemble(run: Path, result: Result) -> None:
    """Raises a `RunError` unless a run has the lattice and the action of its ensemble, and the sampler of all recorded runs."""
    if result.table is None:
        raise RunError(f"{run} is of no ensemble: record a run of lattice-flows reproduce")
    usual = Case(result.table).configuration()
    for what, found, wanted in (
        ("lattice", tuple(result.lattice_shape), usual.lattice.shape),
        ("action", dict(result.action), usual.action.model_dump()),
        ("sampler", result.sampler, "independence"),
    ):
        if found != wanted:
            raise RunError(f"{run} has the {what} {found}, but runs of {result.table} are recorded with {wanted} alone")


def _trainings(run: Path, config: RunConfig, result: Result) -> list[_Training]:
    """The stages of a run, in their order, and its last training. Raises a `RunError` if it does not hold its whole training."""
    *stages, _ = stage_folders(run)
    if config.training.init_from is not None or len(stages) != len(config.stages):
        began = config.training.init_from or "stages that it does not hold"
        raise RunError(
            f"{run} began with the weights of {began}, whose history is elsewhere, so the times to its acceptances are not known: "
            "record a run that holds its whole training"
        )
    found = []
    for folder, stage in zip(stages, config.stage_configs(), strict=True):
        with reading(folder / WEIGHTS, "record a run that this version has made", RunError):
            found.append(_Training(folder, stage, read_arrays(folder / WEIGHTS)[1]["summary"]))
    return [*found, _Training(run, config, result.training)]


def _history(trainings: Sequence[_Training]) -> list[list[float]]:
    """Seconds since the beginning of the first stage, acceptance and ESS, on the lattice and with the action of the last training.

    Stages with others say nothing about these, and take time.
    """
    history: list[list[float]] = []
    physics, before = (trainings[-1].config.lattice, trainings[-1].config.action), 0.0
    for folder, config, summary in trainings:
        if (config.lattice, config.action) == physics:
            table, begun = read_csv(folder / METRICS, _COLUMNS), bool(history)
            for step, seconds, *quality in zip(*(table[name] for name in _COLUMNS), strict=True):
                if step > 0 or not begun:  # with the weights of the last row there
                    history.append([round(value, 4) for value in (before + seconds, *quality)])
            if not all(math.isfinite(value) for row in history for value in row):
                raise RunError(f"{folder / METRICS} has evaluations without numbers: record a training that went well")
        before += summary["seconds"]
    return history


def _entry(run: Path, result: Result, trainings: Sequence[_Training]) -> dict[str, Any]:
    environment, history = read_json(run / "environment.json"), _history(trainings)
    steps, seconds, compile_seconds = (
        sum(training.summary[name] for training in trainings) for name in ("steps", "seconds", "compile_seconds")
    )
    taus = [row.estimate.tau_int for row in result.observables.values() if row.estimate is not None]
    pulls = [abs(row.pull) for row in result.observables.values() if row.pull is not None]
    chain = result.chain
    return {
        "command": shlex.join(["python", *environment["command"]]),
        "machine": f"{environment['cpu_count']} CPUs, {environment['platform']}",
        "tensorflow": environment["tensorflow"],
        "commit": environment["commit"],
        "parameters": result.training["parameters"],
        "steps": steps,
        "seconds": round(seconds, 1),
        "compile_seconds": round(compile_seconds, 1),
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
