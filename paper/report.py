"""The report on a reproduction: Table I and the figures of the paper, then all runs as any report shows them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from lattice_flows import __version__, report
from lattice_flows.measurement.result import LARGEST_PULL, Result
from lattice_flows.paper import tables
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import Ingredients
from lattice_flows.report import Run, Section, page
from lattice_flows.report.figures import Captioned
from lattice_flows.report.runs import sampler_name
from lattice_flows.report.tables import from_text

__all__ = ["write"]

_TITLE = "Flow-based sampling of lattice \N{GREEK SMALL LETTER PHI}\N{SUPERSCRIPT FOUR} theory"
_STOPPED = "Further rows of an ensemble are flows whose training was stopped at an acceptance of 50 % or 70 %."
_ERRORS = (
    "Errors by the Gamma method; tau_int from the accept decisions, 1/2 for independent configurations. The paper's numbers for "
    "m_p L stand beside ours."
)


def write(path: Path, out: Path, parts: Ingredients, drawn: Mapping[int, Captioned]) -> None:
    """Writes the report of a reproduction.

    Args:
      path: the page.
      out: where the runs are.
      parts: results and baselines.
      drawn: the figures, by number.

    Raises:
      RunError: a run folder cannot be read, or the page not be written.
    """
    results = list(parts.flows.values())
    about = f"A reproduction of arXiv:1904.12072 (Albergo, Kanwar, Shanahan) by lattice-flows {__version__}."
    page.write(path, _TITLE, about, [*_of_the_paper(results, parts, drawn), *report.sections(_runs(out, parts))])


def _of_the_paper(results: Sequence[Result], parts: Ingredients, drawn: Mapping[int, Captioned]) -> list[Section]:
    passed = all(result.passed is not False for result in results)
    stopped = _STOPPED if any(case.stop for case in parts.flows) else ""
    rows = page.table(from_text(tables.summary(results), text=(1,)))
    verdict = page.verdict("good" if passed else "bad", _conclusion(results))
    found = [Section("Table I", [verdict, rows, page.paragraph(f"{_ERRORS} {stopped}")], "table-1")]
    if ends := parts.fully_trained():
        agreement = from_text(tables.agreement_table(ends, parts.baselines), text=(1,))
        found += [Section("Agreement of the samplers", [page.table(agreement)], "agreement")] if agreement.rows else []
    if drawn:
        shown = [page.figure(one.figure, f"paper-{n}", f"Figure {n}. {one.caption}") for n, one in drawn.items()]
        found.append(Section("Figures", shown, "figures"))
    if 7 in drawn:
        exponents = from_text(tables.exponents_table(parts), text=(1,))
        found.append(Section("Dynamical exponents", [page.table(exponents)], "exponents"))
    return found


def _runs(out: Path, parts: Ingredients) -> list[Run]:
    """All runs, and behind the flows of every ensemble the baselines there."""
    runs = [
        dataclasses.replace(report.read_run(case.folder(out)), name=_name(case), result=result)
        for case, result in parts.flows.items()
    ]
    known = {run.ensemble for run in runs}
    others = [Run(name=f"{sampler_name(sampler)}, {table}", result=result) for (table, sampler), result in parts.baselines.items()]
    return runs + [run for run in others if run.ensemble in known]


def _name(case: Case) -> str:
    return case.table if case.stop is None else f"{case.table} at {case.stop:.0%}"


def _conclusion(results: Sequence[Result]) -> str:
    """Which results cannot be trusted or disagree, or that there is none."""
    untrusted = [f"{result.table} ({result.flow})" for result in results if result.trusted is False]
    wrong = [f"{result.table} ({result.flow})" for result in results if result.agrees is False]
    trusted = (
        "The errors of every result can be trusted" if all(result.checks for result in results) else "Not every chain was checked"
    )
    sentences = [f"Not to be trusted: {', '.join(untrusted)}" if untrusted else trusted]
    if wrong:
        sentences.append(f"An observable is more than {LARGEST_PULL:g} sigma from its reference: {', '.join(wrong)}")
    elif any(result.agrees for result in results):
        sentences.append(f"Every observable agrees with its reference within {LARGEST_PULL:g} sigma, where there is one")
    else:
        sentences.append("Nothing was compared: there are no references")
    return ". ".join([*sentences, ""]).strip()
