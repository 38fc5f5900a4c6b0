"""Autocorrelation of chains, from their accept decisions or from what is measured on them."""

import numpy as np

from lattice_flows.measurement.errors import Estimate, analysed, primary

__all__ = ["acceptance_autocorrelation", "autocorrelation_function", "rejection_runs", "repeats"]

_BEYOND = 100  # configurations that the error of the autocorrelation function at t looks beyond t


def repeats(accepted: np.ndarray) -> np.ndarray:
    """How often each configuration stands in its chain, `[configurations]`: once, and once more for every rejection.

    Args:
      accepted: bool `[updates]` or `[updates, chains]`; the first configuration of a chain counts as a new one.
    """
    starts = np.array(accepted, bool)
    starts[:1] = True
    return np.diff(np.append(np.flatnonzero(starts.T), starts.size))  # one chain after the other


def rejection_runs(accepted: np.ndarray) -> np.ndarray:
    """How often exactly r proposals in a row were rejected between two accepted ones.

    Args:
      accepted: bool `[n]` or `[n, chains]`, one entry for each update of a chain.

    Returns:
      int `[longest + 1]`; entry r counts the maximal runs of length r >= 1, entry 0 is zero.
    """
    accepted = np.asarray(accepted, bool)
    ends = np.ones((1, *accepted.shape[1:]), bool)
    padded = np.concatenate([ends, accepted, ends])
    lengths = np.diff(np.flatnonzero(padded.T)) - 1  # one chain after the other
    counts = np.bincount(lengths)
    counts[0] = 0
    return counts


def acceptance_autocorrelation(accepted: np.ndarray, blocks: int = 50) -> Estimate:
    """Integrated autocorrelation time of observables that do not depend on the weights, from the accept decisions alone.

    Those that are correlated with the weights are slower, for a chain stays longer where the weight is large.

    `rho(tau) / rho(0)` is the chance of tau rejections in a row, and `tau_int = 1/2 + sum_tau rho(tau) / rho(0)`
    (arXiv:1904.12072, eqs. 15, 16, 19). The error is that of the mean over blocks of the chain, and at least what the longest run
    of rejections contributes: it might as well not have been there.

    Args:
      accepted: bool `[n]`.
      blocks: number of blocks, fewer for a chain that is shorter than that.

    Raises:
      ValueError: no updates.
    """
    accepted = np.asarray(accepted, bool)
    if not len(accepted):
        raise ValueError("a chain without updates has no autocorrelation time")
    blocks, counts = min(blocks, len(accepted)), rejection_runs(accepted)
    spread = np.std([_tau_int(rejection_runs(block), len(block)) for block in np.array_split(accepted, blocks)])
    longest = np.zeros_like(counts)
    longest[-1] = len(counts) > 1
    error = max(spread / np.sqrt(max(blocks - 1, 1)), _tau_int(longest, len(accepted)) - 0.5)
    return Estimate(_tau_int(counts, len(accepted)), float(error))


def autocorrelation_function(series: np.ndarray, longest: int) -> list[Estimate]:
    """The normalised autocorrelation function `rho(t)` of what was measured along a chain, for t = 0 ... longest.

    rho is that of pyerrors; its errors are those of hep-lat/0409106, eq. E.11, and do not know of each other.

    ```python
    from lattice_flows.measurement.autocorrelation import autocorrelation_function

    rho = autocorrelation_function(np.random.default_rng(1).normal(size=1000), longest=5)
    ```

    Args:
      series: `[n]`, or `[n, chains]` of independent chains.
      longest: less than a quarter of n.

    Raises:
      ValueError: a series that is too short, or that never changes.
    """
    series = np.asarray(series, np.float64).reshape(len(series), -1)
    if 4 * longest >= len(series):
        raise ValueError(f"{len(series)} configurations are too few for an autocorrelation over {longest}: draw more")
    if not np.any(series != series[0]):
        raise ValueError("a series that never changes has no autocorrelation function")
    rho, estimates = analysed(primary(series.T, "ensemble")).e_rho["ensemble"], []
    for t in range(longest + 1):
        k = np.arange(1, min(t + _BEYOND, len(rho) - t))
        spread = rho[k + t] + rho[np.abs(k - t)] - 2 * rho[k] * rho[t]
        estimates.append(Estimate(float(rho[t]), float(np.sqrt(np.sum(spread**2) / series.size)) if t else 0.0))
    return estimates


def _tau_int(counts: np.ndarray, length: int) -> float:
    """From how often r rejections in a row occur in a chain of a certain length."""
    # A run of length r holds r - tau + 1 windows of tau rejections: a double sum over the histogram from above.
    windows = np.cumsum(np.cumsum(counts[::-1]))[::-1][1:]
    # At tau = n, which only a chain without a single acceptance reaches, eq. 15 has no term.
    taus = np.arange(1, min(len(counts), length))
    return float(0.5 + np.sum(windows[: len(taus)] / (length - taus)))
