"""Where the variance of log weights sits: what a flow has not learned yet, at long or at short distances.

Log weights of fresh proposals are fitted by functions of the field, group by group. What a fit to one half of the proposals
explains in the other half is known to be there; coefficients that follow noise make the other half worse and count against the
group.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lattice_flows.measurement.errors import Estimate, format_estimate, format_percent

__all__ = ["GROUPS", "USED", "WeightVariance", "weight_variance"]

GROUPS = ("zero_mode", "low_modes", "short_distances")
# The series that the functions are made of.
USED = ("magnetization_2", "zero_momentum_green", "phi_2", "phi_4", "nearest")
_MODES = 3
_FEWEST = 1000  # proposals
_OUTERMOST = 0.01  # of the proposals


class WeightVariance(NamedTuple):
    """The variance of log weights, and the shares of it that functions of the field explain, each with its error.

    The groups are `zero_mode` (M^2, M^4, M^6), `low_modes` (|phi_k|^2 of the three lowest momenta along an axis, and its square)
    and `short_distances` (the averages over sites of phi^2 and phi^4, and of the product of nearest neighbours). They are not
    independent of each other, so a group explains more alone than beyond the others. What none explains is noise of the weights in
    many directions, or interactions at distances between. A share may fall below zero by its error.

    Attributes:
      proposals: number of finite log weights that all this is taken from.
      variance: of the log weights.
      alone: by group, the share that it explains alone.
      beyond_the_others: by group, the share that is explained with it and not without it.
      together: the share that all groups explain.
      tails: the share that the 1 % of the log weights which are farthest from their mean hold; .085 in a normal distribution.
    """

    proposals: int
    variance: Estimate
    alone: Mapping[str, Estimate]
    beyond_the_others: Mapping[str, Estimate]
    together: Estimate
    tails: float

    def to_json(self) -> dict[str, Any]:
        """The content of `result.json`: numbers are [value, error]."""
        return {
            name: _mapped(value, lambda number: [float(f"{x:.4g}") for x in number[:2]]) for name, value in self._asdict().items()
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "WeightVariance":
        """Reads what `to_json` writes."""
        return cls(**{name: _mapped(value, lambda number: Estimate(*number)) for name, value in content.items()})

    @property
    def in_the_tails(self) -> str:
        """How much of the variance sits in the tails, in words."""
        return f"the outermost {100 * _OUTERMOST:.0f} % of the proposals hold {100 * self.tails:.0f} % (8 % if normal)"

    def __str__(self) -> str:
        shares = [f"{name.replace('_', ' ')} {format_percent(share)}" for name, share in self.alone.items()]
        return (
            f"Variance of log weights {format_estimate(self.variance)}. Explained by {', '.join(shares)}, together "
            f"{format_percent(self.together)}; {self.in_the_tails}."
        )


def weight_variance(series: Mapping[str, np.ndarray], log_weight: np.ndarray, extent: int) -> WeightVariance | None:
    """Fits log weights by functions of the field.

    The explained share of a fit is `1 - sum (w - fit)^2 / sum (w - mean)^2` over proposals that neither fit nor mean has seen:
    either half of the proposals with the fit to the other half.

    ```python
    from lattice_flows.measurement.series import time_series
    from lattice_flows.measurement.weight_variance import weight_variance

    phi = np.random.default_rng(1).normal(size=(2000, 4, 4))
    series = time_series(phi, time_axes=(1, 2))
    found = weight_variance(series, series["phi_4"], extent=4)
    print(found.alone["short_distances"].value)                         # 1.0
    ```

    Args:
      series: of the proposals of a flow, as `series.time_series` gives them: those in `USED`.
      log_weight: theirs, `[n]`; those that are not finite are left out.
      extent: of the lattice in time.

    Returns:
      The shares; None for fewer than 1000 proposals, or if the log weights are all equal.
    """
    finite = np.isfinite(log_weight)
    for name in USED:
        finite &= np.isfinite(series[name].reshape(len(log_weight), -1)).all(axis=1)
    w = log_weight[finite]
    if len(w) < _FEWEST or np.ptp(w) <= 1e-9 * np.abs(w).max():
        return None
    functions = _functions({name: series[name][finite] for name in USED}, extent)
    squares, total = {}, _errors(w, [])
    for left_out in (None, *GROUPS):
        squares[left_out] = _errors(w, [columns for name, columns in functions.items() if name != left_out])
    of_each = {name: total - _errors(w, [columns]) for name, columns in functions.items()}
    deviation = (w - w.mean()) ** 2
    outermost = np.sort(deviation)[-max(round(_OUTERMOST * len(w)), 1) :]
    return WeightVariance(
        proposals=len(w),
        variance=Estimate(float(deviation.mean()), float(deviation.std() / np.sqrt(len(w)))),
        alone={name: _share(explained, total) for name, explained in of_each.items()},
        beyond_the_others={name: _share(squares[name] - squares[None], total) for name in GROUPS},
        together=_share(total - squares[None], total),
        tails=float(outermost.sum() / deviation.sum()),
    )


def _functions(series: Mapping[str, np.ndarray], extent: int) -> dict[str, np.ndarray]:
    """The functions of every group, `[n, functions]`."""
    squared, green = series["magnetization_2"], series["zero_momentum_green"]
    times, modes = np.arange(green.shape[1]), np.arange(1, min(_MODES, extent // 2) + 1)
    # A correlator in time is even, so every time but zero and half of the extent stands for two.
    twice = np.where((times == 0) | (2 * times == extent), 1, 2)
    spectrum = green @ (twice * np.cos(2 * np.pi * np.outer(modes, times) / extent)).T
    return {
        "zero_mode": np.stack([squared, squared**2, squared**3], axis=1),
        "low_modes": np.hstack([spectrum, spectrum**2]),
        "short_distances": np.stack([series["phi_2"], series["phi_4"], series["nearest"]], axis=1),
    }


def _errors(w: np.ndarray, columns: list[np.ndarray]) -> np.ndarray:
    """The squared errors `[n]` of the linear fit to the other half of the proposals."""
    x = np.hstack([np.ones((len(w), 1)), *columns])
    squares, half = np.empty_like(w), np.arange(len(w)) % 2 == 0
    for here in (half, ~half):
        scale = np.abs(x[~here]).max(axis=0)
        scale[scale == 0] = 1
        coefficients = np.linalg.lstsq(x[~here] / scale, w[~here], rcond=None)[0]
        squares[here] = (w[here] - (x[here] / scale) @ coefficients) ** 2
    return squares


def _share(part: np.ndarray, total: np.ndarray) -> Estimate:
    """The ratio of two sums over independent proposals, and its error to first order."""
    share = part.sum() / total.sum()
    return Estimate(float(share), float(np.sqrt(np.sum((part - share * total) ** 2)) / total.sum()))


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same with every number that has an error changed."""
    if isinstance(value, Mapping):
        return {name: change(number) for name, number in value.items()}
    return change(value) if isinstance(value, Estimate | list) else value
