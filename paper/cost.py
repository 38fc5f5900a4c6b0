"""What an independent configuration costs: all samplers in turn on one machine."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median

from lattice_flows.config import CONFIGS
from lattice_flows.flows import load_weights
from lattice_flows.importance import WeightedSampler
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import stored
from lattice_flows.paper.records import COST, record_file, write_record
from lattice_flows.paper.references import baselines
from lattice_flows.pipeline import build_model
from lattice_flows.production import flow_proposals
from lattice_flows.progress import Progress
from lattice_flows.samplers import SAMPLERS, IndependenceMetropolis, Sampler, run_chain

__all__ = ["FLOWS", "OBSERVABLE", "measure", "record"]

FLOWS = ("affine", "continuous")
BASELINES = ("hmc", "metropolis")
# The slowest of the usual observables for local algorithms.
OBSERVABLE = "two_point_susceptibility"
_THERMALISATION, _THINNING = 200, 10
_HEAD = "Cost of an update of each sampler; written by scripts/benchmark.py --cost."


def measure(table: str, rounds: int, progress: Progress) -> dict[str, dict[str, float]]:
    """Times updates of both flows, HMC and local Metropolis on an ensemble, in turn, after compilation.

    Flows are those of `paper/trained`; tau_int of chi_2 is that of `paper/results` and `paper/references.yaml`.

    Args:
      table: the ensemble.
      rounds: number of turns of each.
      progress: where progress is shown.

    Returns:
      sampler -> milliseconds_per_update (median over the rounds), tau_int of chi_2 in updates, and training_seconds.
    """
    case, turns, rows = Case(table), {}, {}
    for name in FLOWS:
        config = case.configuration([CONFIGS / "flows" / f"{name}.yaml"])
        flow, action = build_model(config)
        summary = load_weights(case.weights(name), flow)["summary"]
        proposals = flow_proposals(flow, action, batch_size=config.chain.batch_size, seed=config.seed, progress=progress)
        turns[name] = _flow_turn(proposals)
        tau_int = stored(name, case).estimate(OBSERVABLE).tau_int
        rows[name] = {"tau_int": tau_int, "training_seconds": summary["seconds"]}
    config = case.configuration()
    known = baselines([table])
    for name in BASELINES:
        turns[name] = _turn(SAMPLERS.build(config.samplers[name].component(name), action), 200)
        tau_int, _ = known[table, name].chain["tau_int_of_updates"][OBSERVABLE]
        rows[name] = {"tau_int": tau_int, "training_seconds": 0.0}
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            times[name].append(turn())
    return {name: {"milliseconds_per_update": round(1e3 * median(times[name]), 5), **rows[name]} for name in turns}


def record(found: Mapping[str, Mapping[str, Mapping[str, float]]], path: Path | None = None) -> Path:
    """Writes what `measure` found on some ensembles, with the machine.

    Args:
      found: by ensemble.
      path: the file; None for `paper/cost.yaml` of this clone.

    Returns:
      the file.

    Raises:
      RunError: the file cannot be written.
    """
    path = record_file(COST, path)
    machine = {"machine": f"{os.cpu_count()} CPUs, {platform.platform()}", "tensorflow": version("tensorflow")}
    write_record(path, _HEAD, machine | {"ensembles": {table: dict(rows) for table, rows in found.items()}}, sort_keys=False)
    return path


def _flow_turn(proposals: WeightedSampler) -> Callable[[], float]:
    """A turn of whole batches. One that began within a batch would draw the part before again, and time it too."""
    return _turn(IndependenceMetropolis(proposals), 4 * proposals.batch_size, thermalisation=proposals.batch_size, thinning=1)


def _turn(
    sampler: Sampler, updates: int, *, thermalisation: int = _THERMALISATION, thinning: int = _THINNING
) -> Callable[[], float]:
    """A function that makes that many updates of every chain and returns the seconds per update, without compilation."""
    *_, last = run_chain(sampler, updates=updates, thermalisation=thermalisation, seed=1)
    state = last.state

    def turn() -> float:
        nonlocal state
        before, start = state.updates, time.perf_counter()
        for chunk in run_chain(sampler, updates=updates, thinning=thinning, seed=1, state=state):
            state = chunk.state
        return (time.perf_counter() - start) / ((state.updates - before) * sampler.chains)

    turn()
    return turn
