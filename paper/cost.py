"""What an independent configuration costs: all samplers in turn on one machine."""

import math
import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median

from lattice_flows.actions import ACTIONS, Action
from lattice_flows.config import SamplerConfig
from lattice_flows.flows import load_weights
from lattice_flows.importance import WeightedSampler
from lattice_flows.lattice import Lattice
from lattice_flows.paper.cases import LARGER, TABLES, Case
from lattice_flows.paper.ingredients import stored_flows
from lattice_flows.paper.records import COST, cost_of_independent, read_record, record_file, write_record
from lattice_flows.paper.references import samplers
from lattice_flows.pipeline import build_model, recorded_config
from lattice_flows.production import baseline_run, flow_proposals, measure_run
from lattice_flows.progress import Progress
from lattice_flows.samplers import SAMPLERS, IndependenceMetropolis, Sampler, run_chain

__all__ = ["OBSERVABLE", "curves", "measure", "record"]

_BASELINES = ("hmc", "fourier_hmc", "cluster", "metropolis")
# The slowest of the usual observables for local algorithms.
OBSERVABLE = "two_point_susceptibility"
_THERMALISATION, _THINNING = 200, 10
# A run that measures tau_int where no reference knows it has this many updates, or more where it is not as many times longer than
# tau_int as it must be: shorter chains have not forgotten where they began.
_CHAINS, _UPDATES, _SHORTEST, _USUAL = 64, 600, 25, 40
# Sites of all fields that a flow draws in a turn, in whole batches; a baseline updates so many times as many.
_SITES_OF_A_TURN, _UPDATED = 2**19, 20
_LARGEST_FOR_METROPOLIS = 14  # extent; beyond, that run is too short for its tau_int
_HEAD = "Cost of an update of each sampler; written by scripts/benchmark.py --cost."


def measure(table: str, rounds: int, progress: Progress) -> dict[str, dict[str, float]]:
    """Times updates of flows, HMC, clusters and local Metropolis on an ensemble, in turn, after compilation.

    Flows are those of `paper/trained`; tau_int of chi_2 is that of `paper/results` and `paper/references.yaml`. For baselines
    without a reference, 64 chains of 600 updates measure it, or of 40 tau_int where these were shorter than 25.

    Args:
      table: the ensemble.
      rounds: number of turns of each.
      progress: where progress is shown.

    Returns:
      sampler -> milliseconds_per_update (median over the rounds), tau_int of chi_2 in updates, and training_seconds.
    """
    case, turns, rows = Case(table), {}, {}
    config = case.configuration()
    for result in stored_flows(table):
        weights = case.weights(result.flow)
        flow, action = build_model(recorded_config(weights))
        summary = load_weights(weights, flow)["summary"]
        proposals = flow_proposals(flow, action, batch_size=config.chain.batch_size, seed=config.seed, progress=progress)
        turns[result.flow] = _flow_turn(proposals)
        training = summary["seconds"] + summary["earlier_seconds"]
        rows[result.flow] = {"tau_int": result.estimate(OBSERVABLE).tau_int, "training_seconds": training}
    action = ACTIONS.build(config.action, Lattice(config.lattice.shape))
    references = samplers(action.lattice.shape, config.action.model_dump())
    for name in _BASELINES:
        if name == "metropolis" and max(action.lattice.shape) > _LARGEST_FOR_METROPOLIS:
            continue
        settings, result = config.sampler(name), references.get(name)
        if result is None:
            settings = settings.model_copy(update={"chains": _CHAINS})
            tau_int = _tau_int(name, action, settings, config.seed, progress)
        else:
            tau_int = result.chain["tau_int_of_updates"][OBSERVABLE][0]
        turns[name] = _turn(SAMPLERS.build(settings.component(name), action))
        rows[name] = {"tau_int": tau_int, "training_seconds": 0.0}
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            times[name].append(turn())
    return {name: {"milliseconds_per_update": round(1e3 * median(times[name]), 5), **rows[name]} for name in turns}


def _tau_int(name: str, action: Action, settings: SamplerConfig, seed: int, progress: Progress) -> float:
    """tau_int of chi_2 in updates of a sampler, from chains that are much longer, thermalised for a third of their length."""
    updates = _UPDATES
    while True:
        length = {"updates": updates, "successive": updates, "thinning": updates // 100, "thermalisation": updates // 3}
        with baseline_run(name, action, settings.model_copy(update=length), seed=seed, progress=progress) as ensemble:
            tau_int = measure_run(ensemble, action, progress).chain["tau_int_of_updates"][OBSERVABLE][0]
        if updates >= _SHORTEST * tau_int:
            return tau_int
        updates = max(2 * updates, 100 * math.ceil(_USUAL * tau_int / 100))


def record(found: Mapping[str, Mapping[str, Mapping[str, float]]], path: Path | None = None) -> Path:
    """Adds what `measure` found on some ensembles to a record, or replaces it there, with the machine of the last call.

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
    ensembles = read_record(path).get("ensembles", {}) | {table: dict(rows) for table, rows in found.items()}
    write_record(path, _HEAD, machine | {"ensembles": ensembles}, sort_keys=False)
    return path


def curves(path: Path = COST) -> dict[str, dict[int, float]]:
    """Sampler -> L -> milliseconds for an independent value of `OBSERVABLE`, without training, from a record.

    Of the paper's line of constant physics alone.
    """
    found: dict[str, dict[int, float]] = {}
    for table, rows in read_record(path)["ensembles"].items():
        if table not in (*TABLES, *LARGER):
            continue
        extent = max(Case(table).configuration().lattice.shape)
        for sampler, row in rows.items():
            found.setdefault(sampler, {})[extent] = cost_of_independent(row)
    return found


def _flow_turn(proposals: WeightedSampler) -> Callable[[], float]:
    """A turn of whole batches. One that began within a batch would draw the part before again, and time it too."""
    batches = min(max(_SITES_OF_A_TURN // (proposals.action.lattice.volume * proposals.batch_size), 1), 4)
    updates = batches * proposals.batch_size
    return _timed(IndependenceMetropolis(proposals), updates, thermalisation=proposals.batch_size, thinning=1)


def _turn(sampler: Sampler) -> Callable[[], float]:
    kept = _UPDATED * _SITES_OF_A_TURN // (sampler.chains * sampler.action.lattice.volume * _THINNING)
    updates = min(max(kept, 1), 20) * _THINNING
    return _timed(sampler, updates, thermalisation=_THERMALISATION, thinning=_THINNING)


def _timed(sampler: Sampler, updates: int, *, thermalisation: int, thinning: int) -> Callable[[], float]:
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
