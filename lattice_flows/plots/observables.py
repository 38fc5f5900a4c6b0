"""Figures of observables and of their errors, from several samplers."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lattice_flows.measurement.errors import Estimate
from lattice_flows.plots.style import styled

__all__ = ["against_coupling", "errors_against_number", "observables_against_extent"]


@styled
def observables_against_extent(values: Mapping[str, Mapping[str, Mapping[int, Estimate]]], title: str) -> Figure:
    """Observables against L, and below each the distance from the mean of all samplers, with the error of that distance.

    Args:
      values: label of the observable -> label of the sampler -> L -> number, independent ones of all samplers.
      title: of the figure.
    """
    figure = Figure(figsize=(4.2 * len(values), 4.6))
    panels = figure.subplots(2, len(values), sharex=True, squeeze=False, height_ratios=(3, 2))
    for (name, samplers), (upper, lower) in zip(values.items(), panels.T, strict=True):
        extents = sorted(set.union(*(set(numbers) for numbers in samplers.values())))
        at_extent = {L: [numbers[L] for numbers in samplers.values() if L in numbers] for L in extents}
        for index, (label, numbers) in enumerate(samplers.items()):
            at = np.array(list(numbers)) + 0.15 * (index - (len(samplers) - 1) / 2)  # side by side, not on top of each other
            value, error = np.array([(number.value, number.error) for number in numbers.values()]).T
            mean = np.array([np.mean([number.value for number in at_extent[L]]) for L in numbers])
            distance_error = np.array([_error_of_distance(number, at_extent[L]) for L, number in numbers.items()])
            upper.errorbar(at, value, error, linestyle="", capsize=2, label=label)
            lower.errorbar(at, 100 * (value / mean - 1), 100 * distance_error / np.abs(mean), linestyle="", capsize=2)
        lower.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        upper.set(ylabel=name)
        lower.set(xlabel=r"$L$", ylabel="from the mean [%]", xticks=extents)
        upper.legend()
    figure.suptitle(title)
    return figure


def _error_of_distance(number: Estimate, of: Sequence[Estimate]) -> float:
    """The error of the distance of a number from the mean of independent ones, of which it is one."""
    return float(np.sqrt((1 - 2 / len(of)) * number.error**2 + sum(each.error**2 for each in of) / len(of) ** 2))


@styled
def errors_against_number(errors: Mapping[str, Mapping[str, tuple[Sequence[int], Sequence[float]]]], title: str) -> Figure:
    """Statistical errors against the number of configurations, and lines that fall with its square root.

    Args:
      errors: label of the observable -> label of the sampler -> numbers of configurations, errors.
      title: of the figure.
    """
    figure = Figure(figsize=(4.2 * len(errors), 3.6))
    for axes, (name, samplers) in zip(figure.subplots(1, len(errors), squeeze=False)[0], errors.items(), strict=True):
        for label, (number, error) in samplers.items():
            (points,) = axes.plot(number, error, linestyle="", label=label)
            axes.plot(number, error[-1] * np.sqrt(number[-1] / np.asarray(number)), "-", marker="", color=points.get_color())
        axes.set(xlabel="configurations", ylabel=f"error of {name}", xscale="log", yscale="log")
        axes.legend(title=r"lines: $\propto 1/\sqrt{N}$")
    figure.suptitle(title)
    return figure


@styled
def against_coupling(
    values: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[Estimate], Sequence[bool]]]],
    title: str,
    name: str,
    marked: tuple[float, float] | None = None,
) -> Figure:
    """Observables against a coupling, each in a panel, with bands of one standard deviation.

    Args:
      values: label of the observable -> label of the curve -> couplings, numbers, and whether each can be trusted; those that
        cannot are open marks beside the curve.
      title: of the figure.
      name: of the coupling.
      marked: a range of the coupling that is marked, such as that of the transition.
    """
    figure = Figure(figsize=(8.4, 3.2 * -(-len(values) // 2)))
    panels = figure.subplots(-(-len(values) // 2), 2, sharex=True, squeeze=False)
    for axes, (observable, curves) in zip(panels.flat, values.items(), strict=False):
        for label, (couplings, numbers, trusted) in curves.items():
            at, kept = np.asarray(couplings), np.asarray(trusted, bool)
            value, error = np.array([number[:2] for number in numbers]).T
            (line,) = axes.plot(at[kept], value[kept], markersize=2.5, linewidth=0.8, label=label)
            axes.fill_between(
                at[kept], (value - error)[kept], (value + error)[kept], color=line.get_color(), alpha=0.3, linewidth=0
            )
            axes.plot(at[~kept], value[~kept], linestyle="", fillstyle="none", color=line.get_color(), marker=line.get_marker())
        if marked:
            axes.axvspan(*marked, color="0.8", linewidth=0, zorder=0)
        axes.set(ylabel=observable)
    for axes in panels[-1]:
        axes.set(xlabel=name)
    panels.flat[0].legend(fontsize=8)
    figure.suptitle(title)
    return figure
