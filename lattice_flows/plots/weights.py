"""Figures of importance weights: how close the density of a flow is to the target's."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from lattice_flows.plots.style import COLOURS, styled

__all__ = ["action_against_log_q", "log_weight_histogram"]

_BINS = 60
# Log weights further out than this quantile are counted in the outermost bins.
_TAIL = 1e-3


@styled
def action_against_log_q(action: np.ndarray, log_q: np.ndarray, title: str = "") -> Figure:
    """The action of proposals against `-log q`, and below it the distance from the line that a perfect flow would give.

    For `q = exp(-S) / Z` it is `S = -log q - log Z`: a line of slope one. The distance from it is the log weight with a minus
    sign, up to a constant; the line here goes through the mean.

    ```python
    figure = lf.plots.action_against_log_q(np.array([1.0, 2.1, 2.9]), np.array([-3.0, -4.0, -5.0]))
    ```

    Args:
      action: S of every proposal, `[n]`.
      log_q: its log density, `[n]`.
      title: of the figure.
    """
    figure = Figure(figsize=(5.0, 4.6))
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    finite = np.isfinite(action) & np.isfinite(log_q)
    x, y = -np.asarray(log_q)[finite], np.asarray(action)[finite]
    distance = y - x
    ends = np.array([x.min(), x.max()])
    points = {"linestyle": "", "marker": ".", "markersize": 2.5, "alpha": 0.5, "markeredgewidth": 0}
    upper.plot(x, y, **points)
    upper.plot(ends, ends + distance.mean(), "-", marker="", color="0.5", linewidth=0.8, zorder=0, label="slope 1")
    upper.set(ylabel=r"$S$", title=title)
    upper.legend()
    lower.plot(x, distance - distance.mean(), **points)
    lower.axhline(0, color="0.5", linewidth=0.8, zorder=0)
    lower.set(xlabel=r"$-\log q$", ylabel="from the line")
    return figure


@styled
def log_weight_histogram(log_weights: Mapping[str, np.ndarray], title: str = "") -> Figure:
    """The distribution of `log w = -S - log q` around its mean, which is a single value for a perfect flow.

    Args:
      log_weights: label -> log weights `[n]`; those that are not finite are left out.
      title: of the figure.
    """
    figure = Figure()
    axes = figure.subplots()
    finite = {label: values[np.isfinite(values)] for label, values in log_weights.items()}
    centred = {label: values - values.mean() for label, values in finite.items() if len(values)}
    if centred:
        low = min(np.quantile(values, _TAIL) for values in centred.values())
        high = max(np.quantile(values, 1 - _TAIL) for values in centred.values())
        edges = np.linspace(low, max(high, low + 1e-9), _BINS + 1)
        for index, (label, values) in enumerate(centred.items()):
            density, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges, density=True)
            axes.stairs(density, edges, linewidth=1.2, label=label, color=COLOURS[index % len(COLOURS)])
        axes.legend()
    axes.set(xlabel=r"$\log w$, from its mean", ylabel="density of proposals", title=title)
    return figure
