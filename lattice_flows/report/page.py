"""Pages: sections of text, tables and figures, in one file that needs nothing else."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from lattice_flows.io.files import write_text
from lattice_flows.report import svg
from lattice_flows.report.names import MINUS
from lattice_flows.report.tables import Table

__all__ = ["Block", "Section", "code", "columns", "figure", "folded", "paragraph", "table", "together", "verdict", "write"]

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
)
_WIDE = 8.0  # inches, from which on a figure is not made smaller than half its size
_NUMBER = re.compile(rf"[+{MINUS}-]?\d*\.?\d*(e[+-]?\d+)?(\([\d.]+\))?( %)?")

Block = Markup
"""A piece of a page."""


class Section(NamedTuple):
    """A part of a page with a title of its own.

    Attributes:
      title: of the section.
      blocks: what it holds.
      anchor: by which links find it.
      parts: sections below it.
    """

    title: str
    blocks: Sequence[Block]
    anchor: str = ""
    parts: Sequence["Section"] = ()


def write(path: Path, title: str, about: str, sections: Sequence[Section]) -> None:
    """Writes a page.

    Args:
      path: the file.
      title: of the page.
      about: a sentence below it.
      sections: of the page.

    Raises:
      RunError: the page cannot be written.
    """
    write_text(path, _TEMPLATES.get_template("page.html.j2").render(title=title, about=about, sections=sections))


def paragraph(text: str) -> Block:
    """A paragraph of text; nothing where there is none."""
    if not text:
        return Markup("")
    return Markup("<p>{}</p>").format(text)


def verdict(kind: str, *sentences: str) -> Block:
    """What to think of a result, marked by its kind: "good", "doubtful", "bad" or "unknown"."""
    return Markup('<p class="verdict {}">{}</p>').format(kind, " ".join(filter(None, sentences)))


def code(text: str) -> Block:
    """A line or lines of code."""
    return Markup("<pre><code>{}</code></pre>").format(text)


def folded(title: str, *blocks: Block) -> Block:
    """Blocks that are shown when their title is opened."""
    return Markup("<details><summary>{}</summary>{}</details>").format(title, Markup("").join(blocks))


def together(*blocks: Block) -> Block:
    """Blocks that stay in one of the `columns`."""
    return Markup("<div>{}</div>").format(Markup("").join(blocks))


def columns(blocks: Iterable[Block]) -> Block:
    """Blocks beside each other where there is room."""
    return Markup('<div class="columns">{}</div>').format(Markup("").join(blocks))


def figure(drawn: Figure, name: str, caption: str) -> Block:
    """A figure with its caption.

    Args:
      drawn: as `plots` draws it.
      name: unlike those of all other figures of the page.
      caption: below it.
    """
    wide = " wide" if drawn.get_size_inches()[0] >= _WIDE else ""
    inline = svg.inline(drawn, f"figure-{re.sub(r'[^A-Za-z0-9]', '-', name)}", caption)
    return Markup('<figure class="figure{}">{}<figcaption>{}</figcaption></figure>').format(wide, inline, caption)


def table(content: Table | None, caption: str = "") -> Block:
    """A table, whose numbers stand with their decimal points below each other; nothing where there is none."""
    if content is None or not content.rows:
        return Markup("")
    aligned = [
        _aligned(column) if place not in content.text else column for place, column in enumerate(zip(*content.rows, strict=True))
    ]
    kinds = ["text" if place in content.text else "number" for place in range(len(content.header))]
    return Markup(
        _TEMPLATES.get_template("table.html.j2").render(
            header=list(zip(content.header, kinds, strict=True)),
            rows=[list(zip(row, kinds, strict=True)) for row in zip(*aligned, strict=True)],
            caption=caption,
        )
    )


def _aligned(cells: Sequence[Any]) -> list[Any]:
    """Cells with spaces behind numbers, so that in letters of one width their decimal points stand below each other."""
    tails = [_after_the_point(cell) for cell in cells]
    longest = max((len(tail) for tail in tails if tail is not None), default=0)
    return [
        cell if tail is None else _with_minus(cell) + " " * (longest - len(tail)) for cell, tail in zip(cells, tails, strict=True)
    ]


def _with_minus(cell: Any) -> Markup:
    return cell if isinstance(cell, Markup) else escape(str(cell).replace("-", MINUS))


def _after_the_point(cell: Any) -> str | None:
    """What stands behind the integer part of a number; None for what is none."""
    text = Markup(cell).striptags() if isinstance(cell, Markup) else str(cell)
    if not text or not _NUMBER.fullmatch(text):
        return None
    return text.lstrip(f"+{MINUS}-0123456789")
