"""How fast: the training step beside PyTorch's, training runs side by side, and what each part of the default flow is worth."""

import csv
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from lattice_flows.paper.references import PUBLISHED

from lattice_flows.config import RunConfig
from lattice_flows.io.files import atomic_write
from lattice_flows.io.runs import RunDirectory
from lattice_flows.progress import Progress
from lattice_flows.seeds import sub_seed
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import TrainingStep, build_model, train

__all__ = ["MARKS", "RUNS", "TIMES", "TRIALS", "progress_table", "record", "step_times", "trial", "trials_table", "variants_table"]

RUNS = Path(__file__).with_name("runs.yaml")
TRIALS = Path(__file__).with_name("trials.yaml")
MARKS = (0.5, 0.7, 0.85)
TIMES = (5, 15, 60, 240)
_FIRST_STEPS = 5


def step_times(config: RunConfig, python: str, rounds: int, steps: int) -> dict[str, Any]:
    """Training steps of a configuration and of the common network in PyTorch, in turn.

    Args:
      config: of the run; its lattice, coupling and batch are PyTorch's too.
      python: an interpreter that has PyTorch.
      rounds: how often each has its turn.
      steps: in a turn.

    Returns:
      milliseconds a step of both (medians over rounds), and the median of the ratios of successive turns.

    Raises:
      RuntimeError: PyTorch cannot be run.
    """
    step = _compiled_step(config)
    extent, lam = max(config.lattice.shape), config.action.parameters["lam"]
    program = [python, str(Path(__file__).with_name("torch_step.py")), str(extent), str(lam), str(config.training.batch_size)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as torch:

        def turn(n: int) -> float:
            try:
                torch.stdin.write(f"{n}\n".encode())
                return float(torch.stdout.readline())
            except (OSError, ValueError):
                raise RuntimeError(f"PyTorch's step cannot be run with {python}: is torch installed there?") from None

        turn(_FIRST_STEPS)
        pairs = [(_seconds(step, steps), turn(steps)) for _ in range(rounds)]
        torch.stdin.close()
    return {
        "L": extent,
        "ours_ms": 1e3 * median(ours for ours, _ in pairs) / steps,
        "torch_ms": 1e3 * median(theirs for _, theirs in pairs) / steps,
        "ratio": median(ours / theirs for ours, theirs in pairs),
    }


def record(run: Path, path: Path = RUNS) -> None:
    """Adds a finished run of `reproduce.py` to a file of runs, in place of an earlier one of the same flow, ensemble and seed.

    Runs with a target acceptance are kept apart from those of the same flow without one.

    Raises:
      OSError: the run has no result.
      RunError: it has no configuration.
    """
    result = json.loads((run / "result.json").read_text())
    environment = json.loads((run / "environment.json").read_text())
    target = RunDirectory.open(run)[1].training.target_acceptance
    with (run / "metrics.csv").open() as file:
        history = [[round(float(row[key]), 4) for key in ("seconds", "acceptance", "ess")] for row in csv.DictReader(file)]
    pulls = [abs(row["pull"]) for row in result["observables"].values() if row["pull"] is not None]
    tau = [row["tau_int"] for row in result["observables"].values() if row["tau_int"] is not None]
    entry = {
        "command": " ".join(["python", *environment["command"]]),
        "machine": f"{environment['cpu_count']} CPUs, {environment['platform']}",
        "tensorflow": environment["tensorflow"],
        "commit": environment["commit"],
        "parameters": result["training"]["parameters"],
        "steps": result["training"]["steps"],
        "seconds": round(result["training"]["seconds"], 1),
        "compile_seconds": round(result["training"]["compile_seconds"], 1),
        "seconds_to": {mark: next((round(t, 1) for t, a, _ in history if a >= mark), None) for mark in MARKS},
        "history": history,
        "acceptance": round(result["chain"]["acceptance"], 4),
        "ess": round(result["chain"]["ess"], 4),
        "tau_int": round(result["chain"]["tau_int"], 4),
        "tau_int_of_observables": [round(min(tau), 2), round(max(tau), 2)],
        "largest_pull": round(max(pulls), 2),
        "integration_error": result["chain"]["integration_error"]["mean"],
        "samples_per_second": round(result["chain"]["samples_per_second"]),
    }
    entries = (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
    label = result["flow"] if target is None else f"{result['flow']} to {target:.0%}"
    entries.setdefault(label, {}).setdefault(result["table"], {})[result["seed"]] = entry
    head = "# Finished runs, by flow, ensemble and seed; written by scripts/benchmark.py --record.\n"
    atomic_write(path, lambda file: file.write((head + yaml.safe_dump(entries, width=120)).encode()))


def variants_table(path: Path = RUNS) -> str:
    """The runs of a file as Markdown, medians over seeds; a mark that half of the seeds do not reach has no time."""
    marks = "".join(f"to {mark:.0%} [s] | " for mark in MARKS)
    lines = [
        f"| flow | ensemble | seeds | parameters | steps | training [s] | {marks}"
        "acceptance | ESS | tau_int | of observables | largest pull | ms a step | fields a second |",
        "|---" * (13 + len(MARKS)) + "|",
    ]
    for flow, tables in yaml.safe_load(path.read_text()).items():
        for table, seeds in tables.items():
            runs = list(seeds.values())
            reached = {mark: [run["seconds_to"][mark] for run in runs] for mark in MARKS}
            cells = [
                flow,
                table,
                len(runs),
                runs[0]["parameters"],
                f"{median(run['steps'] for run in runs):.0f}",
                f"{median(run['seconds'] for run in runs):.0f}",
                *("" if times.count(None) * 2 >= len(times) else f"{_median(times):.0f}" for times in reached.values()),
                f"{median(run['acceptance'] for run in runs):.3f}",
                f"{median(run['ess'] for run in runs):.3f}",
                f"{median(run['tau_int'] for run in runs):.2f}",
                "{:.2f} to {:.2f}".format(*map(median, zip(*(run["tau_int_of_observables"] for run in runs), strict=True))),
                f"{max(run['largest_pull'] for run in runs):.1f}",
                f"{1e3 * median(run['seconds'] / run['steps'] for run in runs):.0f}",
                f"{median(run['samples_per_second'] for run in runs):.0f}",
            ]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def trial(config: RunConfig, seconds: float, out: Path, progress: Progress) -> dict[str, Any]:
    """Trains for about so many seconds, compilation apart, with as many steps of the learning rate's schedule as fit.

    Returns:
      parameters, steps, milliseconds a step, acceptance and ESS.
    """
    step = _compiled_step(config)
    step_seconds = median(_seconds(step, 1) for _ in range(3 * _FIRST_STEPS))
    steps = max(int(seconds / step_seconds), 1)
    training = config.training.model_copy(update={"steps": steps, "evaluate_every": -(-steps // 2)})
    _, _, _, summary = train(config.model_copy(update={"training": training}), out, choose_strategy("cpu"), progress)
    return {
        "parameters": summary.parameters,
        "steps": steps,
        "step_ms": round(1e3 * step_seconds, 2),
        "acceptance": round(summary.acceptance, 3),
        "ess": round(summary.ess, 3),
    }


def progress_table(path: Path = RUNS) -> str:
    """Acceptance and ESS against training time as Markdown, for all runs without a target.

    They are medians over seeds of the last evaluation before each time. Beside them stands the acceptance that public codes reach
    with the common network (`published.yaml`).
    """
    published = yaml.safe_load(PUBLISHED.read_text())["reimplementations"]["tutorial_network"]["acceptance"]
    runs = {flow: tables for flow, tables in yaml.safe_load(path.read_text()).items() if " to " not in flow}
    lines = [
        f"| ensemble | flow |{''.join(f' {seconds} s |' for seconds in TIMES)} the end | training [s] | common network elsewhere |",
        "|---" * (5 + len(TIMES)) + "|",
    ]
    for table in sorted({table for tables in runs.values() for table in tables}):
        for flow, tables in runs.items():
            histories = [run["history"] for run in tables.get(table, {}).values() if "history" in run]
            if not histories:
                continue
            cells = [table, flow]
            for seconds in (*TIMES, float("inf")):
                before = [[row for row in history if row[0] <= seconds][-1:] for history in histories]
                # No entry for times that lie before the first evaluation or after the end.
                reached = all(before) and (seconds == float("inf") or min(history[-1][0] for history in histories) > seconds)
                cells.append(_acceptance_and_ess([row for rows in before for row in rows]) if reached else "")
            cells += [f"{median(history[-1][0] for history in histories):.0f}", published.get(table, "")]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _acceptance_and_ess(rows: list[list[float]]) -> str:
    return ", ".join(f"{median(column):.3f}" for column in list(zip(*rows, strict=True))[1:])


def trials_table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Results of `trial` by trial and ensemble, as Markdown."""
    tables: Sequence[str] = list(next(iter(results.values())))
    lines = [
        "| trial |" + "".join(f" {table}: parameters | ms a step | steps | acceptance | ESS |" for table in tables),
        "|---" * (1 + 5 * len(tables)) + "|",
    ]
    for name, by_table in results.items():
        cells = [name]
        for table in tables:
            found = by_table[table]
            cells += [found["parameters"], f"{found['step_ms']:.1f}", found["steps"]]
            cells += [f"{found[key]:.3f}" for key in ("acceptance", "ess")]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _median(times: list[float | None]) -> float:
    return median(float("inf") if t is None else t for t in times)


def _compiled_step(config: RunConfig) -> TrainingStep:
    strategy = choose_strategy("cpu")
    with strategy.scope():
        flow, action = build_model(config)
    step = TrainingStep(flow, action, config.training, strategy)
    _seconds(step, _FIRST_STEPS)
    return step


def _seconds(step: TrainingStep, steps: int) -> float:
    start = time.perf_counter()
    for index in range(steps):
        step(sub_seed(0, "benchmark", index))
    return time.perf_counter() - start
