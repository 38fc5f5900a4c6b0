"""What an independent configuration costs: all samplers in turn on one machine."""

import math
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

from lattice_flows.actions import ACTIONS, Action
from lattice_flows.config import SamplerConfig
from lattice_flows.flows import load_weights
from lattice_flows.importance import WeightedSampler
from lattice_flows.io.arrays import file_fingerprint
from lattice_flows.lattice import Lattice
from lattice_flows.paper.cases import Case
from lattice_flows.paper.cost_record import tau_int_of_updates
from lattice_flows.paper.ingredients import stored_flows
from lattice_flows.paper.references import samplers
from lattice_flows.pipeline import build_model, recorded_config
from lattice_flows.production import baseline_run, flow_proposals, measure_run
from lattice_flows.progress import Progress
from lattice_flows.samplers import SAMPLERS, IndependenceMetropolis, Sampler, run_chain

__all__ = ["measure"]

_BASELINES = ("hmc", "fourier_hmc", "cluster", "metropolis")
_THERMALISATION, _THINNING = 200, 10
# A run that measures tau_int where no reference knows it has this many updates, or more where it is not as many times longer than
# tau_int as it must be: shorter chains have not forgotten where they began.
_CHAINS, _UPDATES, _SHORTEST, _USUAL = 64, 600, 25, 40
# Sites of all fields that a flow draws in a turn, in whole batches; a baseline updates so many times as many.
_SITES_OF_A_TURN, _UPDATED = 2**19, 20
_LARGEST_FOR_METROPOLIS = 14  # extent; beyond, that run is too short for its tau_int


def measure(table: str, rounds: int, progress: Progress) -> dict[str, Any]:
    """Times updates of flows, HMC, clusters and local Metropolis on an ensemble, in turn, after compilation.

    Flows are those of `paper/trained`. For baselines without a reference, 64 chains of 600 updates measure tau_int of chi_2, or of
    40 tau_int where these were shorter than 25.

    Args:
      table: the ensemble.
      rounds: number of turns of each.
      progress: where progress is shown.

    Returns:
      `machine`, `tensorflow`, and `samplers`: sampler -> `milliseconds_per_update`, the median over the rounds, with a hash of the
      `weights` of a flow, and `tau_int` in updates of a baseline without a reference.
    """
    case, turns, rows = Case(table), {}, {}
    config = case.configuration()
    for result in stored_flows(table):
        weights = case.weights(result.flow)
        flow, action = build_model(recorded_config(weights))
        load_weights(weights, flow)
        proposals = flow_proposals(flow, action, batch_size=config.chain.batch_size, seed=config.seed, progress=progress)
        turns[result.flow] = _flow_turn(proposals)
        rows[result.flow] = {"weights": file_fingerprint(weights)}
    action = ACTIONS.build(config.action, Lattice(config.lattice.shape))
    references = samplers(action.lattice.shape, config.action.model_dump())
    for name in _BASELINES:
        if name == "metropolis" and max(action.lattice.shape) > _LARGEST_FOR_METROPOLIS:
            continue
        settings, rows[name] = config.sampler(name), {}
        if name not in references:
            settings = settings.model_copy(update={"chains": _CHAINS})
            rows[name] = {"tau_int": _tau_int(name, action, settings, config.seed, progress)}
        turns[name] = _turn(SAMPLERS.build(settings.component(name), action))
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            times[name].append(turn())
    timed = {name: {"milliseconds_per_update": round(1e3 * median(times[name]), 5), **rows[name]} for name in turns}
    machine = f"{os.cpu_count()} CPUs, {platform.platform()}"
    return {"machine": machine, "tensorflow": version("tensorflow"), "samplers": timed}


def _tau_int(name: str, action: Action, settings: SamplerConfig, seed: int, progress: Progress) -> float:
    """tau_int of chi_2 in updates of a sampler, from chains that are much longer, thermalised for a third of their length."""
    updates = _UPDATES
    while True:
        length = {"updates": updates, "successive": updates, "thinning": updates // 100, "thermalisation": updates // 3}
        with baseline_run(name, action, settings.model_copy(update=length), seed=seed, progress=progress) as ensemble:
            tau_int = tau_int_of_updates(measure_run(ensemble, action, progress))
        if updates >= _SHORTEST * tau_int:
            return tau_int
        updates = max(2 * updates, 100 * math.ceil(_USUAL * tau_int / 100))


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
