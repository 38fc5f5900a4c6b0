"""Independence Metropolis: proposals from a flow, accepted or rejected so that the chain has the exact distribution.

Accept phi' with probability `min(1, exp(w' - w))`, w the log weight; a rejection repeats the current configuration
(arXiv:1904.12072, eq. 6).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lattice_flows.importance import WeightedSampler
from lattice_flows.seeds import sub_seed

__all__ = ["Info", "State", "chain", "init", "update"]


class State(NamedTuple):
    """Where the chain stands: a configuration `[*shape]` and its log weight."""

    phi: np.ndarray
    log_weight: float


class Info(NamedTuple):
    """n updates: the configurations after each `[n, *shape]`, their log weights, the decisions, all proposals and their weights."""

    phi: np.ndarray
    log_weight: np.ndarray
    accepted: np.ndarray
    proposed_phi: np.ndarray
    proposed_log_weight: np.ndarray


def init(phi: np.ndarray, log_weight: np.ndarray) -> State:
    """Starts at the first proposal with a finite weight.

    Raises:
      ValueError: there is none.
    """
    finite = np.flatnonzero(np.isfinite(log_weight))
    if not len(finite):
        raise ValueError(f"none of {len(log_weight)} proposals has a finite weight: the flow is broken")
    return State(phi[finite[0]], float(log_weight[finite[0]]))


def update(state: State, phi: np.ndarray, log_weight: np.ndarray, uniform: np.ndarray) -> tuple[State, Info]:
    """Proposes configurations one after the other.

    Args:
      state: where the chain stands.
      phi: proposals `[n, *shape]`.
      log_weight: theirs, `[n]`, float64; one that is not finite is rejected.
      uniform: `[n]`, in [0, 1).
    """
    accepted = np.zeros(len(phi), bool)
    current = state.log_weight
    thresholds = np.log1p(-uniform)
    for i, (proposed, threshold) in enumerate(zip(log_weight.tolist(), thresholds.tolist(), strict=True)):
        if threshold <= proposed - current < np.inf:
            accepted[i], current = True, proposed
    # Index of the last accepted proposal, 0 before the first one: then the state the chain came with.
    last = np.maximum.accumulate(np.where(accepted, np.arange(1, len(phi) + 1), 0))
    history = np.concatenate([np.asarray(state.phi)[np.newaxis], phi])[last]
    weights = np.concatenate([[state.log_weight], log_weight])[last]
    return State(history[-1], float(weights[-1])), Info(history, weights, accepted, phi, log_weight)


def chain(sampler: WeightedSampler, length: int, thermalisation: int, seed: int) -> Iterator[Info]:
    """A chain of flow proposals, yielded in pieces.

    Args:
      sampler: draws the proposals.
      length: number of configurations.
      thermalisation: updates before the first of them.
      seed: master seed.
    """
    state = None
    skip = thermalisation
    for index, (phi, log_weight) in enumerate(sampler.batches(thermalisation + length, "chain")):
        state = init(phi, log_weight) if state is None else state
        rng = np.random.default_rng(sub_seed(seed, "accept", index).view(np.uint32))
        state, info = update(state, phi, log_weight, rng.random(len(phi)))
        kept = Info(*(values[skip:] for values in info))
        skip = max(skip - len(phi), 0)
        if len(kept.accepted):
            yield kept
