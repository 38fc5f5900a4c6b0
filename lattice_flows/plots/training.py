"""Figures of trainings."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from lattice_flows.plots.style import COLOURS, styled

__all__ = ["History", "quality_against", "training_history"]

History = Sequence[Mapping[str, Sequence[float]]]
"""The columns of `metrics.csv` of the stages of a training, in their order, and of the training itself, which comes last."""

_WIDE = 8  # positive numbers with this ratio or a larger one need a logarithmic axis


@styled
def training_history(histories: Mapping[str, History], title: str = "") -> Figure:
    """The distance from the target, the acceptance and the effective sample size, against the training step.

    The distance is the Kullback-Leibler divergence, `<log q + S> + log Z`, with log Z of the same samples, so that it is never
    negative. Of evaluations without it, which earlier versions wrote, it is the loss plus the log Z of the smallest one. Steps
    are counted on from stage to stage; a vertical line ends a stage.

    ```python
    metrics = {"step": [50, 100], "loss": [-1.0, -1.2], "log_z": [1.2, 1.25], "acceptance": [0.5, 0.7], "ess": [0.6, 0.8]}
    figure = lf.plots.training_history({"E1": [metrics]})
    ```

    Args:
      histories: label of the run -> its history, the columns of `metrics.csv` by name for each training: a mapping, or what
        `np.genfromtxt(path, delimiter=",", names=True)` reads.
      title: of the figure.
    """
    figure = Figure(figsize=(5.0, 6.0))
    panels = figure.subplots(3, sharex=True)
    panels[0].set(ylabel=r"$\langle \log q + S \rangle + \log Z$", yscale="log", title=title)
    panels[0].yaxis.set_minor_locator(LogLocator(subs=(2, 5)))  # whose labels have room beside each other
    panels[1].set(ylabel="acceptance", ylim=(0, 1))
    panels[2].set(ylabel="ESS", ylim=(0, 1), xlabel="training step")
    for index, (label, history) in enumerate(histories.items()):
        colour = {"color": COLOURS[index % len(COLOURS)], "marker": "o" if _points(history) < 30 else ""}
        before = 0
        for metrics in (metrics for metrics in history if len(metrics["step"])):
            steps = before + np.asarray(metrics["step"])
            for axes, values in zip(panels, (_distance(metrics), metrics["acceptance"], metrics["ess"]), strict=True):
                axes.plot(steps, values, label="" if before else label, **colour)
                if before:
                    axes.axvline(before, color=colour["color"], linewidth=0.8, linestyle=":")
            before = steps[-1]
    if len(histories) > 1:
        panels[0].legend()
    return figure


def _distance(metrics: Mapping[str, Sequence[float]]) -> np.ndarray:
    loss = np.asarray(metrics["loss"], float)
    distance = loss + metrics["log_z"][int(np.argmin(np.where(np.isnan(loss), np.inf, loss)))]
    names = metrics.dtype.names if isinstance(metrics, np.ndarray) else metrics
    kl = np.asarray(metrics["kl"] if "kl" in names else np.full(len(loss), np.nan), float)
    return np.where(np.isfinite(kl), kl, distance)


def _points(history: History) -> int:
    return max((len(metrics["step"]) for metrics in history), default=0)


@styled
def quality_against(key: str, lines: Mapping[str, Sequence[tuple[float | str, float, float, bool]]]) -> Figure:
    """The acceptance of trained flows, and below it their ESS, against a setting of the training.

    Args:
      key: the setting.
      lines: label, of the other settings -> value of the setting, acceptance and ESS of every flow, and whether it can be
        trusted; flows that cannot are open marks beside the line.
    """
    figure = Figure(figsize=(5.0, 5.0))
    values = list(dict.fromkeys(value for points in lines.values() for value, *_ in points))
    numbers = [value for value in values if not isinstance(value, str)]
    at = {value: value if len(numbers) == len(values) else place for place, value in enumerate(values)}
    panels = figure.subplots(2, sharex=True)
    for axes, column, name in zip(panels, (1, 2), ("acceptance", "ESS"), strict=True):
        for label, points in lines.items():
            ordered = sorted(points, key=lambda point: at[point[0]])
            x, y = np.array([(at[point[0]], point[column]) for point in ordered]).T
            kept = np.array([point[-1] for point in ordered], bool)
            (line,) = axes.plot(x[kept], y[kept], label=label)
            axes.plot(x[~kept], y[~kept], linestyle="", fillstyle="none", color=line.get_color(), marker=line.get_marker())
        axes.set(ylabel=name, ylim=(0, 1))
    if len(numbers) == len(values) and min(numbers) > 0 and max(numbers) >= _WIDE * min(numbers):
        panels[1].set_xscale("log")
    panels[1].set_xticks(list(at.values()), [value if isinstance(value, str) else f"{value:g}" for value in values])
    panels[1].xaxis.set_minor_locator(NullLocator())
    panels[1].set_xlabel(key)
    doubted = not all(trusted for points in lines.values() for *_, trusted in points)
    if doubted:
        panels[1].plot([], [], "o", fillstyle="none", color="0.5", label="not trustworthy")
    if doubted or any(lines):
        panels[1].legend()
    return figure
