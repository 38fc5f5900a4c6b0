"""Where the variance of log weights sits: what a flow has not learned yet, at long or at short distances.

Log weights of fresh proposals are fitted by functions of the field, group by group. What a fit to one half of the proposals
explains in the other half is known to be there; coefficients that follow noise make the other half worse and count against the
group.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from lattice_flows.measurement.errors import Estimate, format_estimate, format_percent, independent_mean, share

__all__ = ["GROUPS", "USED", "WeightVariance", "weight_variance"]

GROUPS = ("zero_mode", "low_modes", "smooth_fields", "short_distances", "spectra")
# The series that the functions are made of.
USED = ("magnetization_2", "zero_momentum_green", "phi_2", "phi_4", "nearest", "smooth_powers", "spectra")
_MODES = 3
_FEWEST = 1000  # proposals
_FEWEST_OF_A_CLASS = 20  # proposals for each class of momenta
_OUTERMOST = 0.01  # of the proposals
_LARGEST = 1e100  # sums of squares of larger numbers overflow
# A share lies between 0 and 1. Its error is not known, nor the share, where it is further below zero than by so many errors and so
# much, and where the error exceeds 1: a few proposals far out then decide.
_SIGMAS, _BELOW_ZERO = 4, 0.01
_COLLINEAR = 1e-9  # relative to the largest singular value


class WeightVariance(NamedTuple):
    """The variance of log weights, and the shares of it that functions of the field explain, each with its error.

    The groups are `zero_mode` (M^2, M^4, M^6), `low_modes` (|phi_k|^2 of the three lowest momenta along an axis, and its square),
    `smooth_fields` (the averages over sites of s^4 and s^6, where s is the field averaged over the surroundings of a site, of
    several widths), `short_distances` (the averages over sites of phi^2 and phi^4, and of the product of nearest neighbours) and
    `spectra` (the sums of |phi_k|^2 over every class of momenta). They are not independent of each other, so a group explains more
    alone than beyond the others; beyond the spectra, which hold all that is quadratic, these have their higher powers alone. What
    none explains is noise of the weights in many directions, or interactions at distances between. A share may fall below zero by
    its error; it is None where the proposals do not determine it.

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
    alone: Mapping[str, Estimate | None]
    beyond_the_others: Mapping[str, Estimate | None]
    together: Estimate | None
    tails: float

    def to_json(self) -> dict[str, Any]:
        """The content of `result.json`: numbers are [value, error], or None."""
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
    either half of the proposals with the fit to the other half. Squares are made smaller by what the noise of the coefficients
    adds to them, so that many functions which explain nothing have a share of about zero, not one below it.

    ```python
    from lattice_flows.measurement.series import smooth_powers, spectra, time_series
    from lattice_flows.measurement.weight_variance import weight_variance

    phi, lattice = np.random.default_rng(1).normal(size=(2000, 4, 4)), lf.Lattice((4, 4))
    of_modes = {"spectra": spectra(phi, lattice), "smooth_powers": smooth_powers(phi, lattice)}
    series = time_series(phi, time_axes=(1, 2)) | of_modes
    found = weight_variance(series, series["phi_4"], extent=4)
    print(found.alone["short_distances"].value)                         # 1.0
    ```

    Args:
      series: of the proposals of a flow, as `series.time_series`, `series.spectra` and `series.smooth_powers` give them: those in
        `USED`. Neighbouring classes of momenta are summed where there are fewer than 20 proposals for each.
      log_weight: theirs, `[n]`; those that are not finite, or too large to be squared, are left out.
      extent: of the lattice in time.

    Returns:
      The shares; None for fewer than 1000 proposals, or if the log weights are all equal.
    """
    finite = np.abs(log_weight) < _LARGEST
    for name in USED:
        finite &= (np.abs(series[name].reshape(len(log_weight), -1)) < _LARGEST).all(axis=1)
    w = log_weight[finite]
    if len(w) < _FEWEST or np.ptp(w) <= 1e-9 * np.abs(w).max():
        return None
    functions = _functions({name: series[name][finite] for name in USED}, extent)
    fits = [[], *([name] for name in GROUPS), [*GROUPS], *([name for name in GROUPS if name != left_out] for left_out in GROUPS)]
    total, *found = _errors(w, functions, fits)
    of_each, of_all, without = found[: len(GROUPS)], found[len(GROUPS)], found[len(GROUPS) + 1 :]
    deviation = (w - w.mean()) ** 2
    outermost = np.sort(deviation)[-max(round(_OUTERMOST * len(w)), 1) :]
    return WeightVariance(
        proposals=len(w),
        variance=independent_mean(deviation),
        alone={name: _known_share(total - squares, total) for name, squares in zip(GROUPS, of_each, strict=True)},
        beyond_the_others={name: _known_share(squares - of_all, total) for name, squares in zip(GROUPS, without, strict=True)},
        together=_known_share(total - of_all, total),
        tails=float(outermost.sum() / deviation.sum()),
    )


def _known_share(part: np.ndarray, total: np.ndarray) -> Estimate | None:
    """The share with its error; None where it is not determined."""
    found = share(part, total)
    return found if found.error <= 1 and found.value >= -_SIGMAS * found.error - _BELOW_ZERO else None


def _functions(series: Mapping[str, np.ndarray], extent: int) -> dict[str, np.ndarray]:
    """The functions of every group, `[n, functions]`."""
    squared, green = series["magnetization_2"], series["zero_momentum_green"]
    times, modes = np.arange(green.shape[1]), np.arange(1, min(_MODES, extent // 2) + 1)
    # A correlator in time is even, so every time but zero and half of the extent stands for two.
    twice = np.where((times == 0) | (2 * times == extent), 1, 2)
    spectrum = green @ (twice * np.cos(2 * np.pi * np.outer(modes, times) / extent)).T
    classes = np.array_split(series["spectra"], min(series["spectra"].shape[1], len(green) // _FEWEST_OF_A_CLASS), axis=1)
    return {
        "zero_mode": np.stack([squared, squared**2, squared**3], axis=1),
        "low_modes": np.hstack([spectrum, spectrum**2]),
        "smooth_fields": series["smooth_powers"],
        "short_distances": np.stack([series["phi_2"], series["phi_4"], series["nearest"]], axis=1),
        "spectra": np.stack([each.sum(axis=1) for each in classes], axis=1),
    }


def _errors(w: np.ndarray, functions: Mapping[str, np.ndarray], fits: list[list[str]]) -> list[np.ndarray]:
    """The squared errors `[n]` of the linear fit to the other half of the proposals, for every list of groups.

    A fit of p coefficients to n numbers makes the mean square of other numbers larger by `(n - 2) (n + 1) / ((n - p - 2) n)`, for
    normal functions (L. Breiman, D. Freedman, J. Am. Stat. Assoc. 78 (1983) 131), which the squares are divided by.
    """
    squares, half = [np.empty_like(w) for _ in fits], np.arange(len(w)) % 2 == 0
    group = np.repeat(list(functions), [each.shape[1] for each in functions.values()])
    everything = np.hstack(list(functions.values()))
    for here in (half, ~half):
        mean, n = everything[~here].mean(axis=0), np.count_nonzero(~here)
        scale = everything[~here].std(axis=0)
        x, y = (everything - mean) / np.where(scale > 0, scale, 1), w - w[~here].mean()
        # All fits follow from this one decomposition.
        triangle, fresh = np.asarray(np.linalg.qr(np.column_stack([x[~here], y[~here]]), mode="r")), x[here]
        for names, found in zip(fits, squares, strict=True):
            chosen, fit, rank = np.isin(group, names), 0.0, 0
            if chosen.any():
                solved = scipy.linalg.lstsq(triangle[:, :-1][:, chosen], triangle[:, -1], cond=_COLLINEAR, lapack_driver="gelsy")
                fit, rank = fresh[:, chosen] @ solved[0], solved[2]
            found[here] = (n - rank - 2) * n / ((n - 2) * (n + 1)) * (y[here] - fit) ** 2
    return squares


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same with every number that has an error changed."""
    if isinstance(value, Mapping):
        return {name: _mapped(number, change) for name, number in value.items()}
    return change(value) if isinstance(value, Estimate | list) else value
