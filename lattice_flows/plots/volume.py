"""Figures of how far samplers reach: their quality and their cost against the extent of the lattice."""

import itertools
from collections.abc import Mapping

import matplotlib
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import NullLocator

from lattice_flows.plots.style import styled

__all__ = ["reach"]

Curves = Mapping[str, Mapping[int, float]]


@styled
def reach(ess: Curves, elsewhere: Curves, cost: Curves, observable: str, title: str) -> Figure:
    """The effective sample size of flows, and the time that an independent value costs with every sampler, against L.

    Args:
      ess: label of the flow -> L -> effective sample size per sample.
      elsewhere: the same for flows that others have published; open marks.
      cost: label of the sampler -> L -> milliseconds.
      observable: label of what is to be independent.
      title: of the figure.
    """
    figure = Figure(figsize=(10.5, 3.8))
    left, right = figure.subplots(1, 2)
    # A flow has the same in both panels, and no two curves have.
    different = cycler(linestyle=["-", "--"]) * matplotlib.rcParams["axes.prop_cycle"]
    styles = dict(zip({**cost, **ess, **elsewhere}, itertools.cycle(different), strict=False))
    for label, points in ess.items():
        left.plot(list(points), list(points.values()), label=label, **styles[label])
    for label, points in elsewhere.items():
        left.plot(list(points), list(points.values()), label=label, **{**styles[label], "linestyle": "", "fillstyle": "none"})
    left.set(ylabel="ESS", ylim=(0, 1.02))
    for label, points in cost.items():
        right.plot(list(points), list(points.values()), label=label, **styles[label])
    right.set(ylabel=f"ms for an independent {observable}", yscale="log")
    for axes, curves in ((left, {**ess, **elsewhere}), (right, cost)):
        extents = sorted({extent for points in curves.values() for extent in points})
        axes.set_xscale("log", base=2)
        axes.set_xticks(extents, list(map(str, extents)), rotation=45)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(r"$L$")
    left.legend()
    right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))  # of up to nine curves, which fill the plot
    figure.suptitle(title)
    return figure
