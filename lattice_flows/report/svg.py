"""Figures as SVG that stands in a page and takes its colours from it, so that it is right on light and on dark paper."""

import io
import re

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from lattice_flows.plots.style import COLOURS

__all__ = ["inline"]

# What plots draw in -> the variables of the page.
_VARIABLES = {"#000000": "currentColor", "#808080": "var(--muted)", "#cccccc": "var(--rule)", "#b3b3b3": "var(--rule)"}
_VARIABLES |= {colour.lower(): f"var(--curve-{index})" for index, colour in enumerate(COLOURS)}
_POINTS = 4 / 3  # pixels


def inline(figure: Figure, name: str, description: str) -> Markup:
    """A figure as an element of a page.

    Args:
      figure: as `plots` draws it.
      name: unlike those of all other figures of the page.
      description: for readers who cannot see it.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style).*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'(id="|xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda colour: _VARIABLES.get(colour[0], colour[0]), text)
    width = _POINTS * 72 * figure.get_figwidth()
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"|height="[\d.]+pt"|width="[\d.]+pt"', "", text, count=2)
    attributes = Markup('role="img" aria-label="{}" style="width: {:.0f}px"').format(description, width)
    return Markup(text.replace("<svg", f"<svg {attributes}", 1).strip())
