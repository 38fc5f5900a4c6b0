"""Table I of arXiv:1904.12072: train a flow on an ensemble, sample it exactly, and set its numbers beside HMC's and the paper's."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from lattice_flows.paper.references import as_estimate, as_estimates, details, published, reference

from lattice_flows import plots
from lattice_flows.config import RunConfig
from lattice_flows.io.runs import RunDirectory
from lattice_flows.measurement.errors import Agreement, Estimate, agreement, format_estimate, pull
from lattice_flows.production import BASELINES, ENSEMBLE, estimates, flow_sampler, measure_flow, sample_flow
from lattice_flows.progress import Progress
from lattice_flows.training.trainer import Summary, adopt, train

__all__ = [
    "LARGER",
    "LARGEST_PULL",
    "QUICK",
    "TABLES",
    "TRAINED",
    "agreement_table",
    "compared",
    "observables_table",
    "report",
    "reproduce",
    "stored",
    "summary",
]

TABLES = ("E1", "E2", "E3", "E4", "E5")
# Beyond the paper, on the same line of constant physics.
LARGER = ("L16", "L20", "L32", "L64")
TRAINED = Path(__file__).with_name("trained")
RESULTS = Path(__file__).with_name("results")
LARGEST_PULL = 4.0
# Exact at any coupling, so that HMC has nothing to say about it.
EXACT = {"schwinger_dyson": Estimate(1.0, 0.0)}
QUICK = {
    "training": {"steps": 100, "evaluate_every": 50, "target_acceptance": None},
    "chain": {"length": 20000},
}


def reproduce(
    table: str,
    config: RunConfig,
    flow_name: str,
    out: Path,
    strategy: tf.distribute.Strategy,
    progress: Progress,
    *,
    resume: bool,
    weights: Path | None = None,
) -> dict[str, Any]:
    """One row of Table I, from nothing, from an earlier run, or from trained weights.

    Leaves in `out`, beside what training leaves: `ensemble.h5`, `result.json`, `table.md` and `figures/`.

    Args:
      table: of `TABLES` or `LARGER`.
      config: of the run.
      flow_name: for the result.
      out: the run directory.
      strategy: the devices.
      progress: where progress is shown.
      resume: go on with what `out` holds.
      weights: a `weights.npz` to take instead of training.

    Returns:
      the content of `result.json`.

    Raises:
      see `training.trainer.train`.
    """
    progress.info(f"{table}: lattice {config.lattice.shape}, {config.action.parameters}, seed {config.seed}")
    if weights is not None:
        run, flow, action, summary = adopt(config, out, weights, strategy, resume=resume)
    else:
        run, flow, action, summary = train(config, out, strategy, progress, resume=resume)
    path = run.path / ENSEMBLE
    sample_flow(flow_sampler(flow, action, config, progress), config, path, progress)
    progress.info("measuring ...")
    measurements, reweighted, accepted, facts = measure_flow(path, action)
    hmc, numbers = reference(config), estimates(measurements)
    result = _result(table, config, flow_name, summary, facts, numbers, hmc)
    result |= details(measurements, accepted)
    for name, number in estimates(reweighted).items():
        result["observables"][name] |= {"reweighted": number and number.value, "reweighted_error": number and number.error}
    run.write_json("result.json", result)
    text = report(result)
    run.write_text("table.md", text + "\n")
    _figures(run, result, numbers["pole_mass"], hmc)
    progress.info(text)
    progress.info(f"results in {run.path}")
    return result


def _result(
    table: str,
    config: RunConfig,
    flow_name: str,
    summary: Summary,
    facts: dict[str, Any],
    numbers: dict[str, Estimate | None],
    hmc: dict[str, Any] | None,
) -> dict[str, Any]:
    references = (hmc["observables"] if hmc else {}) | EXACT
    paper = published(table, config)
    observables = {name: compared(number, references.get(name), paper.get(name)) for name, number in numbers.items()}
    pulls = [row["pull"] for row in observables.values() if row["pull"] is not None]
    return {
        "table": table,
        "lattice_shape": list(config.lattice.shape),
        **{name: config.action.parameters[name] for name in ("m2", "lam")},
        "flow": flow_name,
        "seed": config.seed,
        "target_acceptance": config.training.target_acceptance,
        "passed": all(abs(value) <= LARGEST_PULL for value in pulls),
        "training": summary._asdict(),
        "chain": facts,
        "observables": observables,
    }


def stored(flow_name: str, table: str) -> dict[str, Any]:
    """The result in `paper/results` of a flow and an ensemble."""
    return json.loads((RESULTS / flow_name / f"{table}.json").read_text())


def compared(number: Estimate | None, ref: Estimate | None, paper: Estimate | None) -> dict[str, float | None]:
    """One observable of `result.json`: ours, the reference and the paper's, and how far ours is from each in sigmas."""
    return {
        "value": number and number.value,
        "error": number and number.error,
        "tau_int": number and number.tau_int,
        "tau_int_error": number and number.tau_int_error,
        "reference": ref and ref.value,
        "reference_error": ref and ref.error,
        "published": paper and paper.value,
        "published_error": paper and paper.error,
        "pull": pull(number, ref) if number and ref else None,
        "published_pull": pull(number, paper) if number and paper else None,
    }


def summary(results: list[dict[str, Any]]) -> str:
    """Table I as Markdown, a row for each result, and with what it leaves out: how the flow was trained and how well it samples."""
    lines = [
        "| ensemble | L | lam | m_p L | paper | chi_2 | parameters | steps | training [s] | acceptance | ESS | tau_int | log Z |",
        "|---" * 13 + "|",
    ]
    for result in results:
        training, chain, observables = result["training"], result["chain"], result["observables"]
        cells = (
            result["table"],
            max(result["lattice_shape"]),
            f"{result['lam']:g}",
            _number(observables["pole_mass_times_l"]),
            _number(observables["pole_mass_times_l"], "published"),
            _number(observables["two_point_susceptibility"]),
            training["parameters"],
            training["steps"],
            f"{training['seconds']:.0f}",
            f"{chain['acceptance']:.4f}",
            f"{chain['ess']:.4f}",
            format_estimate(Estimate(chain["tau_int"], chain["tau_int_error"])),
            format_estimate(Estimate(chain["log_z"], chain["log_z_error"])),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def report(result: dict[str, Any]) -> str:
    """A result as Markdown: Table I's row, and below it every observable beside HMC's and the paper's."""
    shape = " x ".join(map(str, result["lattice_shape"]))
    lines = [
        f"## {result['table']}: {shape}, flow {result['flow']}, seed {result['seed']}",
        "",
        summary([result]),
        "",
        "| observable | flow | tau_int | reweighted | reference (HMC or exact) | pull | paper | pull |",
        "|---" * 8 + "|",
    ]
    for name, row in result["observables"].items():
        tau = "" if row["tau_int"] is None else f"{row['tau_int']:.2f}"
        lines.append(
            f"| {name} | {_number(row)} | {tau} | {_number(row, 'reweighted')} | {_number(row, 'reference')} "
            f"| {_sigmas(row['pull'])} | {_number(row, 'published')} | {_sigmas(row['published_pull'])} |"
        )
    chain = result["chain"]
    free_energy = Estimate(chain["free_energy_density"], chain["free_energy_density_error"])
    lines += ["", f"Free-energy density -log Z / V = {format_estimate(free_energy)}, from {chain['length']} weighted proposals."]
    verdict = "passed" if result["passed"] else "FAILED"
    lines += ["", f"{verdict}: pulls against the reference are to be within {LARGEST_PULL:g} sigma."]
    return "\n".join(lines)


def observables_table(observables: dict[str, list[float]]) -> str:
    """Observables given as [value, error, tau_int], as Markdown."""
    lines = ["| observable | value | tau_int |", "|---|---|---|"]
    for name, numbers in observables.items():
        number = Estimate(*numbers)
        lines.append(f"| {name} | {format_estimate(number)} | {number.tau_int:.2f} |")
    return "\n".join(lines)


def _number(row: dict[str, float | None], kind: str = "value") -> str:
    error = "error" if kind == "value" else f"{kind}_error"
    return "" if row[kind] is None else format_estimate(Estimate(row[kind], row[error]))


def _sigmas(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def agreement_table(results: list[dict[str, Any]], baselines: Mapping[tuple[str, str], dict[str, Any]]) -> str:
    """How well the samplers agree on all observables at once, of each ensemble and of all, as Markdown.

    Args:
      results: contents of `result.json`.
      baselines: ensemble and sampler -> entry of `references.yaml`; those of other ensembles are left aside.
    """
    lines = ["| ensemble | samplers | chi-square | degrees of freedom | p |", "|---" * 5 + "|"]
    found = []
    for result in results:
        table = result["table"]
        others = {sampler: baselines[table, sampler] for sampler in BASELINES if (table, sampler) in baselines}
        if not others:
            continue
        found.append(agreement(_shared([result, *others.values()])))
        lines.append(_agreement_row(table, f"{result['flow']}, {', '.join(others)}", found[-1]))
    if len(found) > 1:
        total, freedom = sum(one.chi_square for one in found), sum(one.degrees_of_freedom for one in found)
        lines.append(_agreement_row("all", "", Agreement(total, freedom)))
    return "\n".join(lines)


def _agreement_row(table: str, samplers: str, found: Agreement) -> str:
    return f"| {table} | {samplers} | {found.chi_square:.1f} | {found.degrees_of_freedom} | {found.p:.3f} |"


def _shared(measured: list[dict[str, Any]]) -> list[tuple[list[Estimate], np.ndarray]]:
    """Those observables that all results and baselines have, and their correlation in each."""
    correlations = [found["correlation"] for found in measured]
    names = [name for name in correlations[0]["of"] if all(name in correlation["of"] for correlation in correlations)]
    shared = []
    for found, correlation in zip(measured, correlations, strict=True):
        at = [correlation["of"].index(name) for name in names]
        numbers = [as_estimate(found["observables"][name]) for name in names]
        shared.append((numbers, np.asarray(correlation["matrix"])[np.ix_(at, at)]))
    return shared


def _figures(run: RunDirectory, result: dict[str, Any], pole_mass: Estimate | None, hmc: dict[str, Any] | None) -> None:
    folder, table, own = run.path / "figures", result["table"], as_estimates(result)
    history = run.path / "metrics.csv"
    if history.exists():
        with history.open() as file:
            rows = list(csv.DictReader(file))
        metrics = {name: [float(row[name]) for row in rows] for name in rows[0]}
        plots.save(plots.training_history(metrics, f"{table}: training"), folder, "training_history")
    green, mass = {"flow": own["zero_momentum_green"]}, {"flow": own["effective_mass"]}
    if hmc:
        green["HMC"], mass["HMC"] = hmc["zero_momentum_green"], hmc["effective_mass"]
    plots.save(plots.zero_momentum_green(green, table), folder, "zero_momentum_green")
    plots.save(plots.effective_mass(mass, pole_mass, table), folder, "effective_mass")
    plots.save(
        plots.rejection_histogram({"flow": (result["rejection_runs"], result["chain"]["length"])}, table), folder, "rejection_runs"
    )
