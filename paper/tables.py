"""All tables of the reproduction, as Markdown."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from lattice_flows.measurement.agreement import Agreement
from lattice_flows.measurement.checks import BAD, DOUBTFUL, GOOD, Check, checks_table, worst
from lattice_flows.measurement.comparison import sampler_agreement
from lattice_flows.measurement.errors import Estimate, format_estimate
from lattice_flows.measurement.result import LONG_AND_SHORT, Result
from lattice_flows.measurement.tables import text_table
from lattice_flows.paper import scaling
from lattice_flows.paper.cost_record import costs
from lattice_flows.paper.ingredients import Ingredients
from lattice_flows.paper.recorded_runs import MARKS
from lattice_flows.paper.records import COST, RUNS, read_record
from lattice_flows.paper.references import common_network

if TYPE_CHECKING:  # tables are printed without TensorFlow
    from lattice_flows.paper.ablations import Ablation
    from lattice_flows.paper.calibration import Calibrated

__all__ = [
    "ablations_table",
    "agreement_table",
    "calibration_table",
    "case_table",
    "cost_table",
    "dimensions_table",
    "exponents_table",
    "overview",
    "progress_table",
    "summary",
    "variants_table",
    "volume_table",
]

# Seconds of training.
_TIMES = (5, 15, 60, 240)
_END = float("inf")
_WRONG = (BAD, DOUBTFUL)
# Configurations that the cost of training is spread over.
_INDEPENDENT = 10**6


def summary(results: Sequence[Result]) -> str:
    """Table I, one row per result, with columns that the paper leaves out: how the flow was trained and how well it samples."""
    columns = "ensemble, lattice, m2, lam, m_p L, paper, chi_2, parameters, steps, training [s], acceptance, ESS, tau_int, log Z"
    return text_table(columns.split(", "), map(_summary_row, results), compact=True)


def overview(flows: Mapping[str, Sequence[Result]], baselines: Mapping[tuple[str, str], Result]) -> str:
    """The short table of the README: acceptance of each flow, and chi_2 from each flow and from HMC.

    Args:
      flows: name of the flow -> its results, on the same ensembles in the same order.
      baselines: ensemble and sampler -> result.
    """
    header = ["ensemble", "lattice", "lam", *(f"acceptance, {flow}" for flow in flows), *(f"chi_2, {flow}" for flow in flows)]
    rows = []
    for results in zip(*flows.values(), strict=True):
        first = results[0]
        chi_2 = [result.estimate("two_point_susceptibility") for result in (*results, baselines[first.table, "hmc"])]
        shape, _, lam = _physics(first)
        acceptances = [f"{result.chain['acceptance']:.3f}" for result in results]
        rows.append([first.table, shape, lam, *acceptances, *map(format_estimate, chi_2)])
    return text_table([*header, "chi_2, HMC"], rows, compact=True)


def _summary_row(result: Result) -> list[Any]:
    training, chain = result.training, result.chain
    return [
        result.table,
        *_physics(result),
        format_estimate(result.estimate("pole_mass_times_l")),
        format_estimate(result.observables["pole_mass_times_l"].published),
        format_estimate(result.estimate("two_point_susceptibility")),
        training["parameters"],
        training["steps"],
        _seconds(result),
        f"{chain['acceptance']:.4f}",
        f"{chain['ess']:.4f}",
        format_estimate(Estimate(chain["tau_int"], chain["tau_int_error"])),
        format_estimate(Estimate(chain["log_z"], chain["log_z_error"])),
    ]


def _physics(result: Result) -> list[str]:
    """Lattice, m2 and lam; an action may have other parameters."""
    parameters = [f"{result.parameters[name]:g}" if name in result.parameters else "" for name in ("m2", "lam")]
    return [_shape(result), *parameters]


def _shape(result: Result) -> str:
    return " x ".join(map(str, result.lattice_shape))


def _seconds(result: Result) -> str:
    """The training time, that of the runs whose weights it began with included."""
    return f"{result.training_seconds:.0f}"


def dimensions_table(results: Sequence[Result]) -> str:
    """Flows in two to four dimensions: how well they sample, and how far two observables are from the reference, in its errors."""
    columns = "case, lattice, m2, lam, flow, parameters, acceptance, ESS, training [s], chi_2, pull, E, pull, worst checks"
    rows = []
    for result in results:
        chain, shown = result.chain, []
        for row in (result.observables[name] for name in LONG_AND_SHORT):
            shown += [format_estimate(row.estimate), "" if row.pull is None else f"{row.pull:.2f}"]
        quality = [f"{chain[name]:.3f}" for name in ("acceptance", "ess")]
        about = [result.table, *_physics(result), result.flow, result.training["parameters"], *quality, _seconds(result)]
        rows.append([*about, *shown, _worst(result.checks)])
    return text_table(columns.split(", "), rows, compact=True)


def volume_table(results: Sequence[Result]) -> str:
    """Flows on lattices of growing volume, with `-log(ESS) / V`, which the volume does not change where a flow is equally good."""
    columns = "ensemble, lattice, m2, lam, flow, parameters, training [s], acceptance, ESS, 10^5 -log(ESS) / V"
    rows = []
    for result in results:
        ess = result.chain["ess"]
        about = [result.table, *_physics(result), result.flow, result.training["parameters"], _seconds(result)]
        per_site = -math.log(ess) / math.prod(result.lattice_shape)
        rows.append([*about, f"{result.chain['acceptance']:.3f}", f"{ess:.4f}", f"{1e5 * per_site:.2f}"])
    return text_table(columns.split(", "), rows, compact=True)


def _worst(checks: Sequence[Check]) -> str:
    """The worst verdict among checks, and which they are where it is not a good one."""
    verdict = worst(checks)
    if verdict in (GOOD, None):
        return verdict or ""
    return f"{verdict}: {', '.join(check.name for check in checks if check.verdict == verdict)}"


def case_table(result: Result) -> str:
    """A result: the row of Table I, every observable beside the reference's and the paper's, and the checks of its errors."""
    columns = "observable, flow, tau_int, reweighted, reference (HMC / clusters / exact), pull, paper, pull"
    chain = result.chain
    free_energy = Estimate(chain["free_energy_density"], chain["free_energy_density_error"])
    lines = [
        f"## {result.table}: {_shape(result)}, flow {result.flow}, seed {result.seed}",
        summary([result]),
        text_table(columns.split(", "), result.rows(), compact=True),
        f"Free-energy density -log Z / V = {format_estimate(free_energy)}, from {chain['length']} weighted proposals.",
        *([str(result.weight_variance)] if result.weight_variance else []),
        result.conclusion,
    ]
    if result.checks:
        lines.append(checks_table(result.checks, compact=True))
    return "\n\n".join(lines)


def agreement_table(results: Sequence[Result], baselines: Mapping[tuple[str, str], Result]) -> str:
    """How well the samplers agree on all observables at once, on each ensemble and on all.

    Args:
      results: of flows; those on ensembles without baselines are left out.
      baselines: ensemble and sampler -> result.

    Raises:
      ConfigError: `sampler_agreement` cannot compare them.
    """
    rows, found = [], []
    for result in results:
        others = {sampler: baseline for (table, sampler), baseline in baselines.items() if table == result.table}
        if others:
            found.append(sampler_agreement([result, *others.values()]))
            rows.append(_agreement_row(result.table, ", ".join([result.flow, *others]), found[-1]))
    if len(found) > 1:
        total = Agreement(sum(one.chi_square for one in found), sum(one.degrees_of_freedom for one in found))
        rows.append(_agreement_row("all", "", total))
    return text_table(["ensemble", "samplers", "chi-square", "degrees of freedom", "p"], rows, compact=True)


def _agreement_row(table: str, samplers: str, found: Agreement) -> list[Any]:
    return [table, samplers, f"{found.chi_square:.1f}", found.degrees_of_freedom, f"{found.p:.3f}"]


def exponents_table(parts: Ingredients) -> str:
    """The dynamical exponents of figure 7, and tau_int on E1 and E5."""
    rows = [
        [sampler, name, *(format_estimate(law.taus[L]) for L in (min(law.taus), max(law.taus))), format_estimate(law.z)]
        for sampler, observables in scaling.power_laws(parts).items()
        for name, law in observables.items()
    ]
    return text_table(["sampler", "observable", "tau_int, L = 6", "L = 14", "z"], rows, compact=True)


def variants_table(path: Path = RUNS) -> str:
    """The runs of a file, medians over seeds; a mark that half of the seeds or more miss has no time."""
    marks = [f"to {mark:.0%} [s]" for mark in MARKS]
    columns = ["flow", "ensemble", "seeds", "parameters", "steps", "training [s]", *marks, "acceptance", "ESS", "tau_int"]
    columns += ["of observables", "largest pull", "ms a step", "fields a second"]
    entries = [(flow, table, seeds) for flow, tables in read_record(path).items() for table, seeds in tables.items()]
    return text_table(columns, (_variant_row(flow, table, list(seeds.values())) for flow, table, seeds in entries), compact=True)


def _variant_row(flow: str, table: str, runs: Sequence[Mapping[str, Any]]) -> list[Any]:
    def middle(key: str) -> float:
        return median(run[key] for run in runs)

    reached = [[run["seconds_to"][mark] for run in runs] for mark in MARKS]
    lowest, highest = map(median, zip(*(run["tau_int_of_observables"] for run in runs), strict=True))
    return [
        flow,
        table,
        len(runs),
        runs[0]["parameters"],
        f"{middle('steps'):.0f}",
        f"{middle('seconds'):.0f}",
        *(
            "" if 2 * times.count(None) >= len(times) else f"{median(_END if t is None else t for t in times):.0f}"
            for times in reached
        ),
        f"{middle('acceptance'):.3f}",
        f"{middle('ess'):.3f}",
        f"{middle('tau_int'):.2f}",
        f"{lowest:.2f} to {highest:.2f}",
        f"{max(run['largest_pull'] for run in runs):.1f}",
        f"{1e3 * median(run['seconds'] / run['steps'] for run in runs):.0f}",
        f"{middle('samples_per_second'):.0f}",
    ]


def progress_table(path: Path = RUNS) -> str:
    """Acceptance and ESS against training time, for all runs without a target.

    They are medians over seeds of the last evaluation before each time. Beside them stands the acceptance that public codes reach
    with the common network.
    """
    elsewhere = common_network()
    runs = {flow: tables for flow, tables in read_record(path).items() if " to " not in flow}
    rows = []
    for table in sorted({table for tables in runs.values() for table in tables}):
        for flow, tables in runs.items():
            histories = [run["history"] for run in tables.get(table, {}).values() if "history" in run]
            if histories:
                trained = f"{median(history[-1][0] for history in histories):.0f}"
                reached = [_reached(histories, seconds) for seconds in (*_TIMES, _END)]
                rows.append([table, flow, *reached, trained, elsewhere.get(table, "")])
    times = [f"{seconds} s" for seconds in _TIMES]
    columns = ["ensemble", "flow", *times, "the end", "training [s]", "common network elsewhere"]
    return text_table(columns, rows, compact=True)


def _reached(histories: Sequence[Sequence[Sequence[float]]], seconds: float) -> str:
    """Acceptance and ESS after so many seconds; nothing for times before the first evaluation or after the end."""
    before = [[row for row in history if row[0] <= seconds][-1:] for history in histories]
    if not all(before) or (seconds < _END and min(history[-1][0] for history in histories) <= seconds):
        return ""
    return ", ".join(f"{median(column):.3f}" for column in list(zip(*(rows[0] for rows in before), strict=True))[1:])


def ablations_table(results: Mapping[str, Mapping[str, "Ablation"]]) -> str:
    """The results of all ablations, by ensemble."""
    tables = list(next(iter(results.values())))
    of_each = ["parameters", "ms a step", "steps", "acceptance", "ESS"]
    columns = [f"{table}: {column}" if column == of_each[0] else column for table in tables for column in of_each]
    rows = []
    for name, by_table in results.items():
        cells = [name]
        for found in (by_table[table] for table in tables):
            cells += [found.parameters, f"{found.step_ms:.1f}", found.steps, f"{found.acceptance:.3f}", f"{found.ess:.3f}"]
        rows.append(cells)
    return text_table(["ablation", *columns], rows, compact=True)


def cost_table(path: Path = COST) -> str:
    """The cost of an independent configuration, `2 tau_int` updates; training is spread over 10^6 of them."""
    columns = "ensemble, sampler, ms an update, tau_int of chi_2, ms an independent configuration"
    rows = []
    for cost in costs(path):
        with_training = cost.independent + 1e3 * cost.training_seconds / _INDEPENDENT
        update, tau_int = f"{cost.milliseconds_per_update:.3g}", f"{cost.tau_int:.2f}"
        rows.append([cost.table, cost.sampler, update, tau_int, f"{cost.independent:.3g}", f"{with_training:.3g}"])
    return text_table([*columns.split(", "), "with training, for 10^6"], rows, compact=True)


def calibration_table(found: Sequence["Calibrated"]) -> str:
    """How many short chains of each flow are called bad, or doubtful, and by which checks."""
    rows = [
        [one.flow, one.table, one.chains, one.bad, one.doubtful]
        + [", ".join(f"{name} {n}" for (name, given), n in sorted(one.checks.items()) if given == verdict) for verdict in _WRONG]
        for one in found
    ]
    totals = [sum(counts) for counts in zip(*(row[2:5] for row in rows), strict=True)]
    columns = ["flow", "ensemble", "chains", "bad", "doubtful", "bad by", "doubtful by"]
    return text_table(columns, [*rows, ["all", "", *totals, "", ""]], compact=True)
