"""Figures. Every function returns a matplotlib figure; `save` writes it as PNG and PDF. No TensorFlow.

```python
from lattice_flows.measurement.errors import Estimate

green = {"flow": [Estimate(0.059, 3e-5), Estimate(0.032, 4e-5), Estimate(0.019, 4e-5)]}
figure = lf.plots.zero_momentum_green(green, "E1")
```
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator, NullLocator, ScalarFormatter

from lattice_flows.io.files import atomic_write
from lattice_flows.measurement.errors import Estimate, format_estimate

__all__ = [
    "against_coupling",
    "autocorrelation_times",
    "effective_mass",
    "errors_against_number",
    "observables_against_extent",
    "quality_against",
    "rejection_histogram",
    "save",
    "training_history",
    "zero_momentum_green",
]

# Okabe and Ito's colours, which colour-blind readers can distinguish; markers differ too, for print.
STYLE = {
    "axes.prop_cycle": matplotlib.cycler(
        color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"], marker=["o", "s", "^", "D", "v", "P"]
    ),
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


_WIDE = 8  # positive numbers with this ratio or a larger one need a logarithmic axis

_styled = matplotlib.rc_context(STYLE)  # as a decorator: the style holds inside the function alone


@_styled
def save(figure: Figure, folder: Path, name: str) -> None:
    """Writes `<folder>/<name>.png` and `.pdf`. Raises `RunError` where that fails."""
    for kind in ("png", "pdf"):
        atomic_write(folder / f"{name}.{kind}", lambda file, kind=kind: figure.savefig(file, format=kind))
        figure.set_layout_engine("none")  # the layout of the first serves the second


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
    best = int(np.argmin(metrics["loss"]))  # its log Z is the best known
    upper.plot(steps, np.asarray(metrics["loss"]) + metrics["log_z"][best])
    upper.set(ylabel=r"$\langle \log q + S \rangle + \log Z$", yscale="log")
    lower.plot(steps, metrics["acceptance"], label="acceptance")
    lower.plot(steps, metrics["ess"], label="ESS")
    lower.set(xlabel="training step", ylabel="on fresh samples", ylim=(0, 1))
    lower.legend()
    upper.set_title(title)
    return figure


@_styled
def quality_against(key: str, lines: Mapping[str, Sequence[tuple[float | str, float, float]]]) -> Figure:
    """The acceptance of trained flows, and below it their ESS, against a setting of the training.

    Args:
      key: the setting.
      lines: label, of the other settings -> value of the setting, acceptance and ESS of every flow.
    """
    figure = Figure(figsize=(5.0, 5.0))
    values = list(dict.fromkeys(value for points in lines.values() for value, *_ in points))
    numbers = not any(isinstance(value, str) for value in values)
    at = {value: value if numbers else place for place, value in enumerate(values)}
    panels = figure.subplots(2, sharex=True)
    for axes, column, name in zip(panels, (1, 2), ("acceptance", "ESS"), strict=True):
        for label, points in lines.items():
            ordered = sorted(points, key=lambda point: at[point[0]])
            axes.plot([at[point[0]] for point in ordered], [point[column] for point in ordered], label=label)
        axes.set(ylabel=name, ylim=(0, 1))
    if numbers and min(values) > 0 and max(values) >= _WIDE * min(values):
        panels[1].set_xscale("log")
    panels[1].set_xticks(list(at.values()), [f"{value:g}" if numbers else value for value in values])
    panels[1].xaxis.set_minor_locator(NullLocator())
    panels[1].set_xlabel(key)
    if any(lines):
        panels[1].legend()
    return figure


@_styled
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
def rejection_histogram(samplers: Mapping[str, tuple[Sequence[int], int]], title: str) -> Figure:
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


@_styled
def observables_against_extent(values: Mapping[str, Mapping[str, Mapping[int, Estimate]]], title: str) -> Figure:
    """Observables against L, and below each the same divided by the mean of all samplers.

    Args:
      values: label of the observable -> label of the sampler -> L -> number.
      title: of the figure.
    """
    figure = Figure(figsize=(4.2 * len(values), 4.6))
    panels = figure.subplots(2, len(values), sharex=True, squeeze=False, height_ratios=(3, 2))
    for (name, samplers), (upper, lower) in zip(values.items(), panels.T, strict=True):
        extents = sorted(set.union(*(set(numbers) for numbers in samplers.values())))
        mean = {L: np.mean([numbers[L].value for numbers in samplers.values() if L in numbers]) for L in extents}
        for index, (label, numbers) in enumerate(samplers.items()):
            at = np.array(list(numbers)) + 0.15 * (index - (len(samplers) - 1) / 2)  # side by side, not on top of each other
            value, error = np.array([(number.value, number.error) for number in numbers.values()]).T
            scale = np.array([mean[L] for L in numbers])
            upper.errorbar(at, value, error, linestyle="", capsize=2, label=label)
            lower.errorbar(at, 100 * (value / scale - 1), 100 * error / scale, linestyle="", capsize=2)
        lower.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        upper.set(ylabel=name)
        lower.set(xlabel=r"$L$", ylabel="from the mean [%]", xticks=extents)
        upper.legend()
    figure.suptitle(title)
    return figure


@_styled
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


@_styled
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


def _correlators(axes, curves: Mapping[str, Sequence[Estimate | None]], first: int) -> None:
    for index, (label, points) in enumerate(curves.items()):
        known = [(first + t, point) for t, point in enumerate(points) if point is not None]
        times = np.array([t for t, _ in known]) + 0.08 * index  # side by side, not on top of each other
        axes.errorbar(times, [p.value for _, p in known], [p.error for _, p in known], linestyle="", capsize=2, label=label)
    axes.legend()
