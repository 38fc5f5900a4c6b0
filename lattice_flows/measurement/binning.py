"""Time series of any length in bounded memory: averaged over bins on the way, with what only single configurations can tell."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from lattice_flows.measurement.autocorrelation import repeats

__all__ = ["WEIGHT", "Binned", "Binning", "smallest_bin"]

# Bins of all chains together, at most, where the chains are not too many.
_BINS = 2**18
_BINS_OF_A_CHAIN = 64
# The name of the series of weights, where there are any.
WEIGHT = "weight"


def smallest_bin(length: int, chains: int) -> int:
    """The smallest bin size that leaves at most 2^18 bins in all, as long as every chain keeps 64 of them."""
    return max(min(-(-length * chains // _BINS), length // _BINS_OF_A_CHAIN), 1)


class Binned:
    """Time series, averaged over bins of successive configurations.

    Args:
      bin_size: configurations in a bin.
      columns: name -> its slice of the columns.
      bins: `[columns, chains, bins]`; their mean is that of all configurations, also of those after the last whole bin.
      covariance: of single configurations, `[columns, columns]`.
      moved: whether a configuration is another one than that before it, bool `[length, chains]`; None for independent ones.
      flips: how often M changed its sign, `[bins, chains]`; None for independent configurations.
      configurations: their number, of all chains together.
    """

    def __init__(
        self,
        bin_size: int,
        columns: Mapping[str, slice],
        bins: np.ndarray,
        covariance: np.ndarray,
        moved: np.ndarray | None,
        flips: np.ndarray | None,
        configurations: int,
    ):
        self.bin_size, self.columns, self.configurations = bin_size, columns, configurations
        self.moved, self.flips = moved, flips
        self._finite = np.isfinite(np.diag(covariance))
        self._bins, self._given = bins, covariance
        self._covariance = np.where(np.outer(self._finite, self._finite), covariance, 0.0)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of bins of a chain, and of chains."""
        return self._bins.shape[2], self._bins.shape[1]

    def series(self, name: str) -> np.ndarray:
        """Means over the bins, `[bins, chains]`, or `[bins, chains, times]`."""
        values = self._bins[self.columns[name]].transpose(2, 1, 0)
        return values[..., 0] if name != "zero_momentum_green" else values

    def part(self, start: int, stop: int, chains: int | None) -> "Binned":
        """The bins `start <= i < stop` of every chain, or of the first `chains` chains."""
        bins = self._bins[:, :chains, start:stop]
        moved = self.moved if self.moved is None else self.moved[start * self.bin_size : stop * self.bin_size, :chains]
        flips = self.flips if self.flips is None else self.flips[start:stop, :chains]
        configurations = bins.shape[1] * bins.shape[2] * self.bin_size
        return Binned(self.bin_size, self.columns, bins, self._given, moved, flips, configurations)

    @cached_property
    def longest_stay(self) -> int:
        """For how many successive configurations a chain was at the same one, at most: the longest run of rejections, plus one."""
        return 1 if self.moved is None else int(repeats(self.moved).max())

    @cached_property
    def stuck(self) -> bool:
        """Whether no chain holds more than one distinct configuration."""
        return self.moved is not None and not self.moved[1:].any()

    @cached_property
    @np.errstate(invalid="ignore")
    def _fluctuations(self) -> tuple[np.ndarray, np.ndarray]:
        """Of bins about the means of their chains, `[columns, chains * bins]`, and the pseudo-inverse of their covariance."""
        deltas = (self._bins - self._bins.mean(axis=2, keepdims=True)).reshape(len(self._bins), -1)
        deltas[~self._finite] = 0
        product = deltas @ deltas.T / deltas.shape[1]
        scale = np.sqrt(np.diag(product))
        scale[scale == 0] = 1
        return deltas, np.linalg.pinv(product / np.outer(scale, scale), rcond=1e-12, hermitian=True) / np.outer(scale, scale)

    @np.errstate(invalid="ignore")
    def variance_and_spread(self, fluctuations: np.ndarray) -> tuple[float, float]:
        """What single configurations and whole chains tell about an observable, from its fluctuations on bins.

        To first order these are a linear function of those of the series, `sum_i g_i delta_i`, and least squares find the
        derivatives g. What the series do not explain, if anything, counts as that of independent configurations.

        Args:
          fluctuations: about the means of the chains, `[chains * bins]`, one chain after the other.

        Returns:
          the variance on single configurations, and the error of the observable from the spread of its means over chains, which
          are independent; the latter is not a number for one chain.
        """
        deltas, inverse = self._fluctuations
        gradient = inverse @ (deltas @ fluctuations) / len(fluctuations)
        left = self.bin_size * np.mean((fluctuations - gradient @ deltas) ** 2)
        variance = float(gradient @ self._covariance @ gradient + left)
        chains = self.shape[1]
        if chains < 2:
            return variance, np.nan
        means = np.where(self._finite[:, np.newaxis], self._bins.mean(axis=2), 0.0)
        return variance, float(np.std(gradient @ means, ddof=1) / np.sqrt(chains))


class Binning:
    """Bins time series as they come, in one pass.

    ```python
    from lattice_flows.measurement.binning import Binning

    binning = Binning(length=1000, chains=2, bin_size=10)
    for start in range(0, 1000, 300):
        binning.add({"magnetization": np.zeros((min(300, 1000 - start), 2))})
    print(binning.finished().shape)        # (100, 2)
    ```

    Args:
      length: configurations of a chain.
      chains: number of chains.
      bin_size: None for `smallest_bin`.
      weighted: whether all series are to be multiplied by a weight, which is a series itself, of independent configurations.

    Attributes:
      shape: the numbers of bins of a chain, and of chains.

    Raises:
      ValueError: a bin of less than one configuration, or of more than a chain has.
    """

    def __init__(self, length: int, chains: int, bin_size: int | None = None, *, weighted: bool = False):
        bin_size = smallest_bin(length, chains) if bin_size is None else bin_size
        if not 1 <= bin_size <= length:
            raise ValueError(
                f"bins of {bin_size} configurations do not fit a chain of {length}: give a bin_size from 1 to {length}"
            )
        self._bin_size, self._length, self._weighted = bin_size, length, weighted
        bins = length // self._bin_size
        self.shape = bins, chains
        self._chains, self._done = chains, 0
        self._columns: dict[str, slice] = {}
        self._moved = None if weighted else np.ones((length, chains), bool)
        self._flips = None if weighted else np.zeros((bins, chains), np.int32)

    @np.errstate(invalid="ignore", over="ignore")
    def add(self, series: Mapping[str, np.ndarray], weight: np.ndarray | None = None) -> None:
        """Adds the next configurations.

        Args:
          series: name -> `[n, chains]`, and "zero_momentum_green" with one more axis for times; always the same names.
          weight: `[n, chains]`, if they are weighted.

        Raises:
          ValueError: weights of another shape.
        """
        parts = [np.asarray(values, np.float64).reshape(*values.shape[:2], -1) for values in series.values()]
        if self._weighted:
            if np.shape(weight) != (shape := parts[0].shape[:2]):
                raise ValueError(f"weights must have the shape [n, chains] of the series, {shape}, got {np.shape(weight)}")
            parts = [*(weight[..., np.newaxis] * part for part in parts), weight[..., np.newaxis]]
        if not self._columns:
            self._begin([*series, WEIGHT] if self._weighted else list(series), [part.shape[2] for part in parts])
        values = np.concatenate(parts, axis=2)
        if not len(values):
            return
        if not self._weighted:
            self._follow(np.asarray(series["magnetization"]))
        if not self._done:
            self._origin = values.mean(axis=(0, 1))
        self._done += len(values)
        centred = values.reshape(-1, values.shape[2]) - self._origin
        self._sum += centred.reshape(values.shape).sum(axis=0)
        self._products += centred.T @ centred
        values = np.concatenate([self._left, values])
        whole = len(values) // self._bin_size
        means = values[: whole * self._bin_size].reshape(whole, self._bin_size, *values.shape[1:]).mean(axis=1)
        self._bins[..., self._whole : self._whole + whole] = means.transpose(2, 1, 0)
        self._whole, self._left = self._whole + whole, values[whole * self._bin_size :]

    def _begin(self, names: list[str], widths: list[int]) -> None:
        ends = np.cumsum(widths)
        self._columns = {name: slice(end - width, end) for name, end, width in zip(names, ends, widths, strict=True)}
        total = int(ends[-1])
        self._bins = np.empty((total, self._chains, self._length // self._bin_size))
        self._sum, self._products = np.zeros((self._chains, total)), np.zeros((total, total))
        self._left, self._whole = np.empty((0, self._chains, total)), 0

    def _follow(self, magnetization: np.ndarray) -> None:
        """Notes where the chains moved, and where they changed the sign of M."""
        before = magnetization[:1] if not self._done else self._last
        earlier = np.concatenate([before, magnetization[:-1]])
        # A flip of the sign after a rejection is no move.
        self._moved[self._done : self._done + len(magnetization)] = np.abs(magnetization) != np.abs(earlier)
        at, chain = np.nonzero((magnetization > 0) != (earlier > 0))
        bins = np.minimum((self._done + at) // self._bin_size, len(self._flips) - 1)
        np.add.at(self._flips, (bins, chain), 1)
        self._last = magnetization[-1:]

    @np.errstate(invalid="ignore", over="ignore")
    def finished(self) -> Binned:
        """All bins. Raises `ValueError` if fewer or more configurations were added than announced."""
        if self._done != self._length:
            raise ValueError(f"{self._length} configurations were announced, {self._done} were added")
        n = self._length * self._chains
        mean = self._sum.sum(axis=0) / n
        covariance = self._products / n - np.outer(mean, mean)
        # The configurations after the last whole bin count in the means, of every chain.
        self._bins += (self._sum / self._length + self._origin - self._bins.mean(axis=2).T).T[..., np.newaxis]
        return Binned(self._bin_size, self._columns, self._bins, covariance, self._moved, self._flips, n)
