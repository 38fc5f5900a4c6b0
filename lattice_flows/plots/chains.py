"""Figures of Markov chains: rejections, and autocorrelation times."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator, NullLocator, ScalarFormatter

from lattice_flows.measurement.errors import Estimate, format_estimate
from lattice_flows.plots.style import styled

__all__ = ["autocorrelation_function", "autocorrelation_times", "rejection_histogram"]


@styled
def rejection_histogram(samplers: Mapping[str, tuple[Sequence[int], int]], title: str = "") -> Figure:
    """How often r proposals in a row were rejected, per million updates.

    Args:
      samplers: label -> number of runs of r rejections for r = 0, 1, ... (see `measurement.rejection_runs`), and number of updates.
      title: of the figure.
    """
    figure = Figure()
    axes = figure.subplots()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for label, (runs, updates) in samplers.items():
        seen = np.flatnonzero(runs)
        axes.plot(seen, 1e6 * np.asarray(runs, float)[seen] / updates, linewidth=0.8, label=label)
    axes.set(xlabel="rejections in a row", ylabel=r"runs in $10^6$ updates", title=title)
    if any(np.any(runs) for runs, _ in samplers.values()):
        axes.set_yscale("log")
    axes.legend()
    return figure


@styled
def autocorrelation_function(functions: Mapping[str, Sequence[Estimate]], unit: str, title: str = "") -> Figure:
    """Normalised autocorrelation functions against the distance in the chain.

    Args:
      functions: label -> `rho(t)` for t = 0, 1, ... (see `measurement.autocorrelation.autocorrelation_function`).
      unit: of t, such as "updates".
      title: of the figure.
    """
    figure = Figure()
    axes = figure.subplots()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for label, points in functions.items():
        axes.errorbar(range(len(points)), [p.value for p in points], [p.error for p in points], linewidth=0.8, label=label)
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(xlabel=rf"$t$ [{unit}]", ylabel=r"$\rho(t)$", title=title)
    axes.legend()
    return figure


@styled
def autocorrelation_times(
    samplers: Mapping[str, Mapping[str, tuple[Mapping[int, Estimate], tuple[Estimate, Estimate]]]], title: str
) -> Figure:
    """Integrated autocorrelation times against L, and fitted power laws.

    Args:
      samplers: label of the sampler -> label of the observable -> L -> tau_int, and amplitude and exponent of the power law.
      title: of the figure.
    """
    figure = Figure(figsize=(3.4 * len(samplers), 4.2))
    for axes, (sampler, observables) in zip(figure.subplots(1, len(samplers), squeeze=False)[0], samplers.items(), strict=True):
        for name, (taus, (amplitude, z)) in observables.items():
            extents = np.array(list(taus))
            value, error = np.array([(tau.value, tau.error) for tau in taus.values()]).T
            label = f"{name}, $z$ = {format_estimate(z)}"
            points, *_ = axes.errorbar(extents, value, error, linestyle="", capsize=2, label=label)
            axes.plot(extents, amplitude.value * extents**z.value, "-", marker="", linewidth=0.8, color=points.get_color())
        axes.set(xlabel=r"$L$", ylabel=r"$\tau_{\mathrm{int}}$ [updates]", xscale="log", yscale="log", title=sampler)
        axes.set_xticks(extents, [str(L) for L in extents])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.4)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    figure.suptitle(title)
    return figure
