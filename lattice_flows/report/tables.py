"""The tables of the report, as cells."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from lattice_flows.config import ConfigError
from lattice_flows.measurement.checks import BAD, DOUBTFUL, VERDICTS, Check, limit, shown, worst
from lattice_flows.measurement.comparison import independent, sampler_agreement
from lattice_flows.measurement.errors import Estimate, format_estimate, format_percent, pull
from lattice_flows.measurement.result import LARGEST_PULL, Result
from lattice_flows.measurement.weight_variance import WeightVariance
from lattice_flows.report.names import MINUS, TEX, TIMES, label, symbol, words
from lattice_flows.report.runs import Run

__all__ = [
    "Table",
    "agreement",
    "anchor",
    "checks",
    "compared",
    "different_settings",
    "from_text",
    "observables",
    "overview",
    "summary",
    "variance",
]

_NONE = ""


class Table(NamedTuple):
    """A table of a page.

    Attributes:
      header: titles of the columns.
      rows: the cells; those of the first column name the rows.
      text: numbers of columns that hold text, which is not aligned as numbers are, and may be broken.
    """

    header: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    text: Sequence[int] = ()


def from_text(table: str, text: Sequence[int] = ()) -> Table:
    """A compact table of `measurement.tables.text_table`, with the names and symbols of quantities as pages have them.

    Args:
      table: as it stands in a document.
      text: as for `Table`.
    """
    header, _, *rows = (line[2:-2].split(" | ") for line in table.splitlines())
    titles = [Markup(", ").join(map(symbol, title.split(", "))) for title in header]
    return Table(
        titles, [[label(cell) if cell in TEX else cell.replace(" x ", f" {TIMES} ") for cell in row] for row in rows], text
    )


def summary(runs: Sequence[Run]) -> Table:
    """Every run in a row: what it sampled, how well, and whether its errors can be trusted."""
    rows = []
    for run in runs:
        shape, action = _physics(run)
        chain = run.result.chain if run.result else {}
        name = Markup('<a href="#{}">{}</a>').format(anchor(run), run.name) if run.path else run.name
        rows.append([name, run.kind, shape, action, *(_decimals(chain.get(key)) for key in ("acceptance", "ess")), _verdict(run)])
    return Table(["run", "sampler", "lattice", "action", "acceptance", "ESS", "errors"], rows, text=(1, 2, 3, 6))


def overview(runs: Sequence[Run]) -> Table:
    """How runs were trained and sampled: a column for each of them, a row for each quantity that one of them knows."""
    columns = [_facts(run) for run in runs]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(column.get(name, _NONE) for column in columns)] for name in names]
    return Table(["", *(run.name for run in runs)], rows, text=range(1, len(runs) + 1))


def observables(result: Result) -> Table:
    """All observables of a run beside what they are compared with."""
    header = ["observable", "value", symbol("tau_int"), "reweighted", "reference", "pull", "published", "pull"]
    marked = []
    for (name, row), (_, *cells) in zip(result.observables.items(), result.rows(), strict=True):
        cells[4], cells[6] = _sigmas(row.pull), _sigmas(row.published_pull)
        marked.append([label(name), *cells])
    filled = [column for column in range(len(header)) if column < 2 or any(row[column] for row in marked)]
    return Table([header[column] for column in filled], [[row[column] for column in filled] for row in marked])


def compared(runs: Sequence[Run]) -> Table:
    """The observables of several runs on one ensemble, and how far each is from that of the first, in standard deviations.

    A run that shares its random numbers with the first has no pulls.
    """
    measured = {run.name: run.result for run in runs if run.result}
    (first, ours), *others = measured.items()
    header, rows = ["observable", first], []
    for name, result in others:
        header += [name, "pull"] if independent(result, ours) else [name]
    for observable in dict.fromkeys(observable for result in measured.values() for observable in result.observables):
        number = ours.estimate(observable)
        cells = [label(observable), format_estimate(number)]
        for _, result in others:
            other = result.estimate(observable)
            cells += [format_estimate(other), *([_sigmas(_pull(other, number))] if independent(result, ours) else [])]
        rows.append(cells)
    return Table(header, rows)


def agreement(runs: Sequence[Run]) -> str:
    """All observables at once, in words, or why they are not compared; nothing where runs have nothing in common."""
    measured = [(run.name, run.result) for run in runs if run.result]
    results = [result for _, result in measured]
    if len(results) < 2:
        return ""
    # Every result shares its random numbers with itself.
    names = [name for name, ours in measured if sum(not independent(result, ours) for result in results) > 1]
    if names:
        return (
            f"Not independent, for runs with the same sampler and seed share their random numbers: {', '.join(names)}. So there "
            "are no pulls between them, and no chi-square of all observables."
        )
    try:
        found = sampler_agreement(results)
    except ConfigError:
        return ""
    fit = f"chi-square {found.chi_square:.1f} for {found.degrees_of_freedom} degrees of freedom, p = {found.p:.3f}"
    return f"All observables at once: {fit}."


def checks(found: Sequence[Check]) -> Table:
    """Whether the errors can be trusted: the worst checks first, with advice where they are not good."""
    rows = []
    for check in sorted(found, key=lambda check: VERDICTS.index(check.verdict)):
        advice = Markup('. <span class="advice">{}.</span>').format(check.advice) if check.verdict in (BAD, DOUBTFUL) else ""
        limits = [limit(check, check.doubtful), limit(check, check.bad)]
        rows.append([words(check.name), mark(check.verdict), shown(check), *limits, escape(check.meaning) + advice])
    return Table(["check", "verdict", "number", "doubtful", "bad", "what it is"], rows, text=(1, 5))


def variance(found: WeightVariance) -> Table:
    """Which functions of the field explain the variance of the log weights."""
    rows = [[words(name), format_percent(found.alone[name]), format_percent(found.beyond_the_others[name])] for name in found.alone]
    return Table(["functions of", "alone", "beyond the others"], [*rows, ["all together", format_percent(found.together), _NONE]])


def different_settings(runs: Sequence[Run]) -> Table | None:
    """Settings that are not the same in all runs; None if there are none."""
    known = {run.name: run.config for run in runs if run.config is not None}
    if len(known) < 2:
        return None
    first, *others = known.values()
    found = [config.differences(first) for config in others]
    rows = []
    for key in sorted({key for differences in found for key in differences}):
        usual = next(differences[key][1] for differences in found if key in differences)
        values = [usual, *(differences[key][0] if key in differences else usual for differences in found)]
        rows.append([key, *("" if value is None else str(value) for value in values)])
    return Table(["setting", *known], rows, text=range(1, len(known) + 1)) if rows else None


def anchor(run: Run) -> str:
    """By which links find the section of a run."""
    return "run-" + re.sub(r"[^A-Za-z0-9-]", lambda found: f"_{ord(found[0]):x}_", run.name)


def mark(verdict: str) -> Markup:
    """A verdict in its colour."""
    return Markup('<span class="mark {0}">{0}</span>').format(verdict)


def _facts(run: Run) -> dict[Any, Any]:
    """Name of a quantity -> cell, of what a run knows."""
    result = run.result
    facts: dict[Any, Any] = {"sampler": run.kind}
    if result is None:
        return facts
    training, chain = result.training or {}, result.chain
    facts |= {
        "seed": result.seed,
        "parameters": training.get("parameters"),
        "training steps": training.get("steps"),
        "training time [s]": f"{result.training_seconds:.0f}" if "seconds" in training else None,
        f"chains {TIMES} updates": f"{chain.get('chains', 1)} {TIMES} {chain.get('updates', chain.get('length'))}",
        "acceptance": _decimals(chain.get("acceptance")),
        "effective sample size": _decimals(chain.get("ess")),
        Markup("{} of the updates").format(symbol("tau_int")): _with_error(chain, "tau_int"),
        symbol("log_z"): _with_error(chain, "log_z"),
        MINUS + symbol("log_z") + Markup("/<i>V</i>"): _with_error(chain, "free_energy_density"),
        "updates per second": _rounded(chain.get("samples_per_second", chain.get("updates_per_second"))),
        "changes of sign of M": chain.get("sign_flips"),
        "largest pull": _largest_pull(result),
        "errors": _verdict(run),
    }
    return {name: value for name, value in facts.items() if value not in (None, _NONE)}


def _largest_pull(result: Result) -> Markup | str | None:
    pulls = [row.pull for row in result.observables.values() if row.pull is not None]
    return _sigmas(max(pulls, key=abs)) if pulls and result.compared_with else None


def _physics(run: Run) -> tuple[str, str]:
    if run.ensemble is None:
        return "", ""
    shape, action = run.ensemble
    return extents(shape), described(action)


def extents(shape: Sequence[int]) -> str:
    """The extents of a lattice in words."""
    return f" {TIMES} ".join(map(str, shape))


def described(action: Sequence[tuple[str, Any]]) -> str:
    """An action in words: its name and parameters."""
    name, *parameters = (_parameter(key, value) for key, value in action)
    return ", ".join([name, *parameters]).replace("-", MINUS)


def _parameter(key: str, value: Any) -> str:
    if key == "name":
        return str(value)
    return f"{key} = {value:g}" if isinstance(value, int | float) else f"{key} = {value}"


def _verdict(run: Run) -> Markup | str:
    """The worst verdict among the checks of a run."""
    if run.result is None:
        return "not measured"
    verdict = worst(run.result.checks)
    return "not checked" if verdict is None else mark(verdict)


def _pull(one: Estimate | None, other: Estimate | None) -> float | None:
    """The distance of two numbers in standard deviations; None for unknown ones, and for those without errors."""
    return pull(one, other) if one and other and (one.error > 0 or other.error > 0) else None


def _sigmas(value: float | None) -> Markup | str:
    if value is None:
        return _NONE
    text = f"{value:+.2f}".replace("-", MINUS)
    return Markup('<span class="bad">{}</span>').format(text) if abs(value) > LARGEST_PULL else text


def _with_error(chain: Mapping[str, Any], name: str) -> str | None:
    if chain.get(f"{name}_error") is None:
        return None
    return format_estimate(Estimate(chain[name], chain[f"{name}_error"])).replace("-", MINUS)


def _decimals(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _rounded(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"
