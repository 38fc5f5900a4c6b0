"""One self-contained HTML page with everything that a reproduction has found."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import jinja2
import markdown
from lattice_flows.paper import figures, table1

from lattice_flows.io.files import atomic_write

__all__ = ["write"]

TEMPLATE = Path(__file__).with_name("report.html.j2")
_OF_A_RUN = {"training_history": "Training", "rejection_runs": "Rejections in a row"}


def write(path: Path, out: Path, parts: figures.Ingredients, drawn: Mapping[int, figures.Drawn]) -> None:
    """Writes the report of a reproduction.

    Args:
      path: the page.
      out: where the runs are, for their diagnostics and environments, and the saved figures.
      parts: results and baselines.
      drawn: the figures, by number, for their captions.

    Raises:
      RunError: the page cannot be written.
    """
    ends = {table: result for (table, stop), result in parts.flows.items() if stop is None}
    folders = {key: figures.run_folder(out, *key) for key in parts.flows}
    environment = json.loads((next(iter(folders.values())) / "environment.json").read_text())
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(TEMPLATE.read_text())
    page = template.render(
        passed=all(result["passed"] for result in parts.flows.values()),
        largest_pull=table1.LARGEST_PULL,
        summary=_html(table1.summary(list(parts.flows.values()))),
        agreement=_html(table1.agreement_table(list(ends.values()), parts.baselines)) if ends else "",
        exponents=_html(figures.exponents_table(parts)) if 7 in drawn else "",
        figures={n: (_image(out / "figures" / f"figure_{n}.png"), one.caption) for n, one in drawn.items()},
        runs=[
            {
                "report": _html(table1.report(result)),
                "figures": {
                    title: _image(folders[key] / "figures" / f"{name}.png")
                    for name, title in _OF_A_RUN.items()
                    if (folders[key] / "figures" / f"{name}.png").exists()
                },
            }
            for key, result in parts.flows.items()
        ],
        environment=environment,
    )
    atomic_write(path, lambda file: file.write(page.encode()))


def _html(text: str) -> jinja2.utils.markupsafe.Markup:
    return jinja2.utils.markupsafe.Markup(markdown.markdown(text, extensions=["tables"]))


def _image(png: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode()
