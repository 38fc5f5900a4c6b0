"""What an independent configuration costs: all samplers in turn on one machine."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import tensorflow as tf
import yaml
from lattice_flows.paper.references import baselines
from lattice_flows.paper.table1 import TRAINED, stored

from lattice_flows.actions import ACTIONS
from lattice_flows.command_line import CONFIGS
from lattice_flows.config import load
from lattice_flows.importance import WeightedSampler
from lattice_flows.io.files import atomic_write
from lattice_flows.lattice import Lattice
from lattice_flows.production import flow_sampler
from lattice_flows.progress import Progress
from lattice_flows.samplers import independence_metropolis
from lattice_flows.samplers.hmc import HMC
from lattice_flows.samplers.local_metropolis import LocalMetropolis
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import adopt

__all__ = ["COST", "OBSERVABLE", "cost_table", "measure", "write"]

COST = Path(__file__).with_name("cost.yaml")
FLOWS = ("affine", "continuous")
# The slowest of the usual observables for local algorithms.
OBSERVABLE = "two_point_susceptibility"
_INDEPENDENT = 10**6
_THERMALISATION = 200


def measure(table: str, folder: Path, rounds: int, progress: Progress) -> dict[str, dict[str, float]]:
    """Times updates of both flows, HMC and local Metropolis on an ensemble, in turn, after compilation.

    Flows are those of `paper/trained`; tau_int of chi_2 is that of `paper/results` and `paper/references.yaml`.

    Args:
      table: the ensemble.
      folder: where run directories of the flows can be put.
      rounds: how often each has its turn.
      progress: where progress is shown.

    Returns:
      sampler -> milliseconds_per_update (median over the rounds), tau_int of chi_2 in updates, and training_seconds.
    """
    turns, rows = {}, {}
    for name in FLOWS:
        config = load(CONFIGS / f"{table}.yaml", CONFIGS / "flows" / f"{name}.yaml")
        weights = TRAINED / name / f"{table}.npz"
        _, flow, action, summary = adopt(config, folder / name / table, weights, choose_strategy("cpu"))
        turns[name] = _flow_turn(flow_sampler(flow, action, config, progress), 4 * config.chain.batch_size)
        tau_int = stored(name, table)["observables"][OBSERVABLE]["tau_int"]
        rows[name] = {"tau_int": tau_int, "training_seconds": summary.seconds}
    config = load(CONFIGS / f"{table}.yaml")
    action = ACTIONS.build(config.action, Lattice(config.lattice.shape))
    turns["hmc"] = _hmc_turn(HMC(action, leapfrog_steps=config.hmc.leapfrog_steps, seed=1), config.hmc)
    turns["metropolis"] = _metropolis_turn(LocalMetropolis(action, seed=1), config.metropolis)
    for (_, name), found in baselines([table]).items():
        rows[name] = {"tau_int": found["tau_int_of_updates"][OBSERVABLE][0], "training_seconds": 0.0}
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            start = time.perf_counter()
            updates = turn()
            times[name].append((time.perf_counter() - start) / updates)
    return {name: {"milliseconds_per_update": round(1e3 * median(times[name]), 5), **rows[name]} for name in turns}


def write(found: Mapping[str, Mapping[str, Mapping[str, float]]], path: Path = COST) -> None:
    """Writes what `measure` found of some ensembles, with the machine."""
    machine = {"machine": f"{os.cpu_count()} CPUs, {platform.platform()}", "tensorflow": tf.__version__}
    content = machine | {"ensembles": {table: dict(rows) for table, rows in found.items()}}
    head = "# Cost of an update of each sampler; written by scripts/benchmark.py --cost.\n"
    atomic_write(path, lambda file: file.write((head + yaml.safe_dump(content, sort_keys=False, width=120)).encode()))


def cost_table(path: Path = COST) -> str:
    """The cost of an independent configuration, `2 tau_int` updates, as Markdown; training is spread over 10^6 of them."""
    lines = [
        "| ensemble | sampler | ms an update | tau_int of chi_2 | ms an independent configuration | with training, for 10^6 |",
        "|---" * 6 + "|",
    ]
    for table, rows in yaml.safe_load(path.read_text())["ensembles"].items():
        for sampler, row in rows.items():
            independent = 2 * row["tau_int"] * row["milliseconds_per_update"]
            with_training = independent + 1e3 * row["training_seconds"] / _INDEPENDENT
            cells = (table, sampler, row["milliseconds_per_update"], row["tau_int"], independent, with_training)
            lines.append("| {} | {} | {:.3g} | {:.2f} | {:.3g} | {:.3g} |".format(*cells))
    return "\n".join(lines)


def _flow_turn(sampler: WeightedSampler, length: int) -> Callable[[], int]:
    def turn() -> int:
        return sum(len(info.accepted) for info in independence_metropolis.chain(sampler, length, 0, 1))

    turn()
    return turn


def _hmc_turn(hmc: HMC, settings: Any) -> Callable[[], int]:
    state = hmc.thermalise(hmc.init(settings.chains), _THERMALISATION, settings.target_acceptance)

    def turn() -> int:
        return sum(info.accepted.size for _, info in hmc.sample(state, 100))

    turn()
    return turn


def _metropolis_turn(metropolis: LocalMetropolis, settings: Any) -> Callable[[], int]:
    state = metropolis.thermalise(metropolis.init(settings.chains), _THERMALISATION, settings.target_acceptance)

    def turn() -> int:
        saved = [len(phi) for phi, _ in metropolis.sample(state, 20, settings.sweeps_between)]
        return sum(saved) * settings.sweeps_between * settings.chains

    turn()
    return turn
