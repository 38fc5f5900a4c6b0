"""Figures of two-point functions in time."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

from lattice_flows.measurement.errors import Estimate
from lattice_flows.plots.style import COLOURS, styled

__all__ = ["effective_mass", "zero_momentum_green"]

_DECADE = 10

Curves = Mapping[str, Sequence[Estimate | None]]


@styled
def zero_momentum_green(curves: Curves, title: str = "") -> Figure:
    """The connected zero-momentum Green's function, arXiv:1904.12072, eq. 23, against time.

    Points that are not above zero have no place on a logarithmic axis: they are open triangles at its lower edge.

    Args:
      curves: label of the sampler -> the function at t = 0, 1, ...; None where it is not known.
      title: of the figure.
    """
    figure = Figure()
    axes = figure.subplots()
    axes.set(xlabel=r"$t$", ylabel=r"$\tilde G_c(0, t)$", yscale="log", title=title)
    _correlators(axes, curves, 0)
    low, high = axes.get_ylim()
    if high < _DECADE * low:  # no power of ten need be among the ticks
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
    return figure


@styled
def effective_mass(curves: Curves, pole_masses: Mapping[str, Estimate | None], title: str = "") -> Figure:
    """The effective mass, arXiv:1904.12072, eq. 28, against time, and pole masses as bands.

    Args:
      curves: label of the sampler -> the effective mass at t = 1, 2, ...; None where it is not known.
      pole_masses: label of the sampler -> the mass of the cosh fit, for those whose band is drawn.
      title: of the figure.
    """
    figure = Figure()
    axes = figure.subplots()
    _correlators(axes, curves, 1)
    for label, mass in pole_masses.items():
        if mass is not None:
            colour = COLOURS[list(curves).index(label) % len(COLOURS)]
            low, high = mass.value - mass.error, mass.value + mass.error
            axes.axhspan(low, high, color=colour, alpha=0.2, linewidth=0)
    axes.legend(title="bands: $m_p$" if any(pole_masses.values()) else None)
    axes.set(xlabel=r"$t$", ylabel=r"$m_{\mathrm{eff}}(t)$", title=title)
    return figure


def _correlators(axes: Axes, curves: Curves, first: int) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for index, (label, points) in enumerate(curves.items()):
        known = [(first + t, point) for t, point in enumerate(points) if point is not None]
        times = np.array([t for t, _ in known]) + 0.08 * index  # side by side, not on top of each other
        value, error = np.array([p[:2] for _, p in known]).reshape(-1, 2).T
        (points, *_) = axes.errorbar(times, value, error, linestyle="", capsize=2, label=label)
        if axes.get_yscale() == "log" and (hidden := times[value <= 0]).size:
            at_the_edge = {"transform": axes.get_xaxis_transform(), "clip_on": False, "color": points.get_color()}
            axes.plot(hidden, 0 * hidden, "v", fillstyle="none", label=f"{label}: not above 0", **at_the_edge)
    axes.legend()
