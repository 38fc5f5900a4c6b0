"""One self-contained HTML page with all results of a reproduction. The packages that it needs are the extra `report`."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from lattice_flows.config import ConfigError
from lattice_flows.io.files import write_text
from lattice_flows.measurement.result import LARGEST_PULL, Result
from lattice_flows.paper import tables
from lattice_flows.paper.figures import Drawn
from lattice_flows.paper.ingredients import Ingredients
from lattice_flows.reading import read_json

__all__ = ["check", "write"]

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_OF_A_RUN = {"training_history": "Training", "rejection_runs": "Rejections in a row"}


def check() -> None:
    """Whether a report can be written; to be called before a long run.

    Raises:
      ConfigError: a package is missing.
    """
    _packages()


def write(path: Path, out: Path, parts: Ingredients, drawn: Mapping[int, Drawn]) -> None:
    """Writes the report of a reproduction.

    Args:
      path: the page.
      out: where the runs are, for their diagnostics and environments, and the saved figures.
      parts: results and baselines.
      drawn: the figures, by number, for their captions.

    Raises:
      ConfigError: a package is missing.
      RunError: the page cannot be written.
    """
    jinja2, markdown = _packages()

    def html(text: str) -> Any:
        return jinja2.utils.markupsafe.Markup(markdown.markdown(text, extensions=["tables"]))

    ends = parts.fully_trained()
    folders = {case: case.folder(out) for case in parts.flows}
    environment = read_json(next(iter(folders.values())) / "environment.json")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_TEMPLATE.read_text())
    page = template.render(
        conclusion=_conclusion(list(parts.flows.values())),
        passed=all(result.passed is not False for result in parts.flows.values()),
        summary=html(tables.summary(list(parts.flows.values()))),
        agreement=html(tables.agreement_table(ends, parts.baselines)) if ends else "",
        exponents=html(tables.exponents_table(parts)) if 7 in drawn else "",
        figures={n: (_image(out / "figures" / f"figure_{n}.png"), one.caption) for n, one in drawn.items()},
        runs=[
            {"report": html(tables.case_table(result)), "figures": _figures(folders[case])} for case, result in parts.flows.items()
        ],
        environment=environment,
    )
    write_text(path, page)


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


def _packages() -> tuple[ModuleType, ModuleType]:
    try:
        import jinja2
        import markdown
    except ImportError as error:
        raise ConfigError(
            f"--report needs {error.name}, which is not installed: pip install 'lattice-flows[report]', or run without --report"
        ) from None
    return jinja2, markdown


def _figures(run: Path) -> dict[str, str]:
    """Title -> image, for those diagnostic figures that a run has."""
    images = {title: run / "figures" / f"{name}.png" for name, title in _OF_A_RUN.items()}
    return {title: _image(png) for title, png in images.items() if png.exists()}


def _image(png: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode()
