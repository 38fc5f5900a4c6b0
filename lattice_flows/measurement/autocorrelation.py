"""Autocorrelation of chains from their accept decisions alone."""

import numpy as np

from lattice_flows.measurement.errors import Estimate

__all__ = ["acceptance_autocorrelation", "rejection_runs", "repeats"]


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
    """Integrated autocorrelation time that all observables share, from the accept decisions alone.

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


def _tau_int(counts: np.ndarray, length: int) -> float:
    """From how often r rejections in a row occur in a chain of a certain length."""
    # A run of length r holds r - tau + 1 windows of tau rejections: a double sum over the histogram from above.
    windows = np.cumsum(np.cumsum(counts[::-1]))[::-1][1:]
    # At tau = n, which only a chain without a single acceptance reaches, eq. 15 has no term.
    taus = np.arange(1, min(len(counts), length))
    return float(0.5 + np.sum(windows[: len(taus)] / (length - taus)))
