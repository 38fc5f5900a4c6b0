"""Independence Metropolis: proposals from a flow, accepted or rejected so that the chain has the exact distribution.

Accept phi' with probability `min(1, exp(w' - w))`, w the log weight; a rejection repeats the current configuration
(arXiv:1904.12072, eq. 6).
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lattice_flows.importance import BrokenFlow, WeightedSampler
from lattice_flows.samplers.chain import ChainState, Chunk, Sampler
from lattice_flows.seeds import generator

__all__ = ["IndependenceMetropolis", "Info", "Proposals", "State", "start_at", "update"]

_PURPOSE = "chain"


class State(NamedTuple):
    """The state of the chain: a configuration `[1, *shape]`, its log weight, and the number of the proposal that it came from."""

    phi: np.ndarray
    log_weight: float
    row: int


class Info(NamedTuple):
    """n updates: the accept decisions, `[n]`."""

    accepted: np.ndarray


@dataclasses.dataclass(frozen=True)
class Proposals(Chunk):
    """A part of a chain of proposals.

    Attributes:
      rows: the proposals, `[b, *shape]`, those of thermalisation included.
      info: of the updates after thermalisation.
      state: after the last of them.
      log_weight: of the proposals, `[b]`.
      index: number of the proposal that the chain holds after each update that is kept, counted from the first of the run, `[n]`.
      before: the state before the first proposal.
    """

    log_weight: np.ndarray
    index: np.ndarray
    before: State

    @property
    def phi(self) -> np.ndarray:
        """The kept configurations of the chain, `[n, 1, *shape]`."""
        local = self.index - (self.state.updates - len(self.rows))
        held = np.where(local.reshape(-1, *(1,) * (self.rows.ndim - 1)) < 0, self.before.phi, self.rows[np.maximum(local, 0)])
        return held[:, np.newaxis]

    @property
    def data(self) -> dict[str, np.ndarray]:
        """What an ensemble stores, by name."""
        rows = {"phi": self.rows.astype(np.float32), "log_weight": self.log_weight}
        return rows | {"index": self.index, "accepted": self.info.accepted}


class IndependenceMetropolis(Sampler):
    """One chain that accepts or rejects the proposals of a flow, a batch of them at a time.

    Args:
      proposals: draws them. Its master seed determines them, the seed of `run_chain` the accept decisions.
    """

    name: ClassVar[str] = "independence"
    needs_flow: ClassVar[bool] = True
    weighted: ClassVar[bool] = True

    def __init__(self, proposals: WeightedSampler):
        super().__init__(proposals.action, chains=1)
        self.proposals = proposals

    def init(self, seed: int) -> State:
        """Starts at the first proposal with a finite weight. Raises `BrokenFlow` if the first batch has none."""
        return start_at(*next(self.proposals.batches(self.proposals.batch_size, _PURPOSE)))

    def diagnostics(self, state: State) -> dict[str, Any]:
        """The integration error of the weights; of a continuous flow, their steps by part."""
        steps = self.proposals.flow.integration_steps
        return {"integration_error": self.proposals.integration_error} | ({"integration_steps": steps} if steps else {})

    def restored(self, leaves: Sequence[np.ndarray], seed: int) -> State:
        """The state with these leaves; no proposal is drawn for it."""
        phi, log_weight, row = leaves
        return State(phi, log_weight.item(), row.item())

    def run(self, start: ChainState, thermalisation: int, kept: int, thinning: int, seed: int) -> Iterator[Proposals]:
        """Yields a chunk for every batch of proposals, to which its random numbers belong."""
        state, updates = start
        first, skipped = divmod(updates, self.proposals.batch_size)
        thermal = updates + thermalisation
        drawn = self.proposals.batches(skipped + thermalisation + kept * thinning, _PURPOSE, first)
        for batch, (phi, log_weight) in enumerate(drawn, first):
            uniform = generator(seed, "accept", batch).random(len(phi))
            phi, log_weight, uniform = phi[skipped:], log_weight[skipped:], uniform[skipped:]
            before, skipped = state, 0
            state, accepted, index = update(state, phi, log_weight, uniform, updates)
            fresh = max(thermal - updates, 0)
            # Updates are counted from the end of thermalisation; of every `thinning` the last is kept.
            last = np.arange(updates + fresh, updates + len(phi)) - thermal
            updates += len(phi)
            yield Proposals(
                rows=phi,
                info=Info(accepted[fresh:]),
                state=ChainState(state, updates),
                log_weight=log_weight,
                index=index[fresh:][(last + 1) % thinning == 0],
                before=before,
            )


def start_at(phi: np.ndarray, log_weight: np.ndarray) -> State:
    """The state at the first of some proposals `[n, *shape]` with a finite weight.

    Raises:
      BrokenFlow: there is none.
    """
    finite = np.flatnonzero(np.isfinite(log_weight))
    if not len(finite):
        raise BrokenFlow(len(log_weight))
    first = int(finite[0])
    return State(phi[first][np.newaxis], float(log_weight[first]), first)


def update(
    state: State, phi: np.ndarray, log_weight: np.ndarray, uniform: np.ndarray, row: int
) -> tuple[State, np.ndarray, np.ndarray]:
    """Proposes configurations in turn.

    Args:
      state: of the chain.
      phi: proposals `[n, *shape]`.
      log_weight: theirs, `[n]`, float64; one that is not finite is rejected.
      uniform: `[n]`, in [0, 1).
      row: the number of the first proposal.

    Returns:
      the state after all of them, the accept decisions `[n]`, and the number of the proposal that the chain holds after each `[n]`.
    """
    accepted = np.zeros(len(phi), bool)
    current = state.log_weight
    thresholds = np.log1p(-uniform)
    for i, (proposed, threshold) in enumerate(zip(log_weight.tolist(), thresholds.tolist(), strict=True)):
        if threshold <= proposed - current < np.inf:
            accepted[i], current = True, proposed
    # Index of the last accepted proposal, -1 before the first one: the chain then holds its earlier configuration.
    last = np.maximum.accumulate(np.where(accepted, np.arange(len(phi)), -1))
    index = np.where(last < 0, state.row, row + last)
    end = int(last[-1])
    if end >= 0:
        state = State(phi[end][np.newaxis], current, row + end)
    return state, accepted, index
