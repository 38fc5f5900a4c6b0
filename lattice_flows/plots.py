"""Figures. Every function returns a matplotlib figure; `save` writes it as PNG and PDF."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lattice_flows.statistics import Estimate
from lattice_flows.training.runs import atomic_write

__all__ = ["effective_mass", "rejection_histogram", "save", "training_history", "zero_momentum_green"]

# Okabe and Ito's colours, told apart by colour-blind eyes; markers differ too, for print.
STYLE = {
    "axes.prop_cycle": matplotlib.cycler(color=["#0072B2", "#D55E00", "#009E73", "#CC79A7"], marker=["o", "s", "^", "D"]),
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


_styled = matplotlib.rc_context(STYLE)  # as a decorator: the style holds inside the function alone


@_styled
def save(figure: Figure, folder: Path, name: str) -> None:
    """Writes `<folder>/<name>.png` and `.pdf`."""
    for kind in ("png", "pdf"):
        atomic_write(folder / f"{name}.{kind}", lambda file, kind=kind: figure.savefig(file, format=kind))


@_styled
def training_history(metrics: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Distance from the target, and below it ESS and acceptance, against the training step.

    Args:
      metrics: the columns of `metrics.csv`.
      title: of the figure.
    """
    figure = Figure(figsize=(5.0, 5.0))
    upper, lower = figure.subplots(2, sharex=True)
    steps = np.asarray(metrics["step"])
    best = int(np.argmax(metrics["ess"]))
    upper.plot(steps, np.asarray(metrics["loss"]) + metrics["log_z"][best])
    upper.set(ylabel=r"$\langle \log q + S \rangle + \log Z$", yscale="log")
    lower.plot(steps, metrics["acceptance"], label="acceptance")
    lower.plot(steps, metrics["ess"], label="ESS")
    lower.set(xlabel="training step", ylabel="on fresh samples", ylim=(0, 1))
    lower.legend()
    upper.set_title(title)
    return figure


@_styled
def zero_momentum_green(curves: Mapping[str, Sequence[Estimate]], title: str) -> Figure:
    """The connected zero-momentum Green's function against time, one curve for each sampler."""
    figure = Figure()
    axes = figure.subplots()
    _correlators(axes, curves, 0)
    axes.set(xlabel=r"$t$", ylabel=r"$\tilde G_c(0, t)$", yscale="log", title=title)
    return figure


@_styled
def effective_mass(curves: Mapping[str, Sequence[Estimate | None]], pole_mass: Estimate | None, title: str) -> Figure:
    """The effective mass against time, and the pole mass from the cosh fit as a band."""
    figure = Figure()
    axes = figure.subplots()
    _correlators(axes, curves, 1)
    if pole_mass is not None:
        low, high = pole_mass.value - pole_mass.error, pole_mass.value + pole_mass.error
        axes.axhspan(low, high, color="#0072B2", alpha=0.2, linewidth=0, label=r"$m_p$, cosh fit to the flow's")
        axes.legend()
    axes.set(xlabel=r"$t$", ylabel=r"$m_{\mathrm{eff}}(t)$", title=title)
    return figure


@_styled
def rejection_histogram(runs: np.ndarray, title: str) -> Figure:
    """How often r proposals in a row were rejected, `runs` as `statistics.rejection_runs` counts them."""
    figure = Figure()
    axes = figure.subplots()
    lengths = np.arange(1, len(runs))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.bar(lengths, runs[1:], width=1.0, color="#0072B2")
    axes.set(xlabel="rejections in a row", ylabel="occurrences", yscale="log", title=title)
    return figure


def _correlators(axes, curves: Mapping[str, Sequence[Estimate | None]], first: int) -> None:
    for index, (label, points) in enumerate(curves.items()):
        known = [(first + t, point) for t, point in enumerate(points) if point is not None]
        times = np.array([t for t, _ in known]) + 0.08 * index  # side by side, not on top of each other
        axes.errorbar(times, [p.value for _, p in known], [p.error for _, p in known], linestyle="", capsize=2, label=label)
    axes.legend()
