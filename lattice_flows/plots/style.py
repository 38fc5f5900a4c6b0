"""The look of all figures, and how they are saved."""

from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from lattice_flows.io.files import atomic_write

__all__ = ["COLOURS", "STYLE", "save", "styled"]

# Okabe and Ito's colours, which colour-blind readers can distinguish; markers differ too, for print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLE: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=COLOURS, marker=["o", "s", "^", "D", "v", "P"]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.figsize": (5.0, 3.6),
    "font.size": 10,
    "legend.frameon": False,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "savefig.dpi": 160,
}

styled = matplotlib.rc_context(STYLE)  # as a decorator: the style holds inside the function alone


@styled
def save(figure: Figure, folder: Path, name: str) -> None:
    """Writes `<folder>/<name>.png` and `.pdf`. Raises `RunError` where that fails."""
    for kind in ("png", "pdf"):
        atomic_write(folder / f"{name}.{kind}", partial(figure.savefig, format=kind))
        figure.set_layout_engine("none")  # the layout of the first serves the second
