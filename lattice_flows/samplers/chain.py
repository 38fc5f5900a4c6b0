"""What a sampler is, and how a chain is run: state in, state and info out, in compiled blocks of updates."""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.samplers.settings import check_at_least
from lattice_flows.seeds import generator, sub_seed

__all__ = ["ENOUGH_TO_CHECK", "ChainState", "Chunk", "Sampler", "run_chain"]

ENOUGH_TO_CHECK = 20  # decisions of `accepted`

# Limits of a compiled block: kept configurations of all chains, infos of updates, and how long nothing is seen, saved or stopped
# (one configuration is kept in any case).
_BLOCK_BYTES = 2**24
_BLOCK_CONFIGURATIONS = 100
_BLOCK_UPDATES = 512
_BLOCK_SECONDS = 10.0


class ChainState(NamedTuple):
    """The state of all chains: the sampler's own, and the number of updates made, thermalisation included."""

    sampler: Any
    updates: int


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A part of a run.

    Attributes:
      rows: the stored configurations, `[n, chains, *shape]`.
      info: infos of all updates after thermalisation, a named tuple of arrays `[updates, ...]`.
      state: after the last update; `run_chain` can continue from it.
    """

    rows: np.ndarray
    info: Any
    state: ChainState

    @property
    def phi(self) -> np.ndarray:
        """The kept configurations of the chains, `[n, chains, *shape]`."""
        return self.rows

    @property
    def data(self) -> dict[str, np.ndarray]:
        """What an ensemble stores, by name; accept decisions where an update is accepted or rejected as a whole."""
        accepted = {"accepted": self.info.accepted} if self.info.accepted.dtype == bool else {}
        return {"phi": self.rows.astype(np.float32), **accepted}


class Sampler:
    """Independent Markov chains with the distribution `exp(-S) / Z`. A subclass defines `init` and `step`; the rest has defaults.

    Args:
      action: the target is `exp(-S)`.
      chains: how many chains run at once.
      target_acceptance: the acceptance that `adapt` aims at.

    Attributes:
      name: the registered name; random numbers of different names are independent.
      needs_flow: whether it is built from the weighted proposals of a flow, instead of an action.
      weighted: whether it draws one chain of independent proposals with importance weights, instead of moving parallel chains.
      jit_compile: whether XLA compiles blocks of updates; a sampler whose updates leave TensorFlow compiles what it can by itself.
      exact: the exact means of some `series`, as a test of the sampler itself.
      action: as given.
      chains: as given.
      target_acceptance: as given.

    Raises:
      ValueError: no chains, or a target_acceptance that is not between 0 and 1.
    """

    name: ClassVar[str]
    needs_flow: ClassVar[bool] = False
    weighted: ClassVar[bool] = False
    jit_compile: ClassVar[bool] = True
    exact: ClassVar[Mapping[str, float]] = {}

    def __init__(self, action: Action, *, chains: int = 256, target_acceptance: float = 0.7):
        check_at_least(1, chains=chains)
        if not 0 < target_acceptance < 1:
            raise ValueError(f"target_acceptance must lie between 0 and 1, not {target_acceptance!r}")
        self.action, self.chains, self.target_acceptance = action, chains, target_acceptance
        self._pace = 1  # updates of the next block

    def init(self, seed: int) -> Any:
        """The first state of all chains, a named tuple of tensors with `phi [chains, *shape]` in float64.

        Args:
          seed: master seed.
        """
        raise NotImplementedError

    def step(self, state: Any, seed: tf.Tensor) -> tuple[Any, Any]:
        """One update of every chain, in TensorFlow alone if `jit_compile` is True.

        Args:
          state: of all chains.
          seed: stateless, of this update, `[2]`.

        Returns:
          the next state, and a named tuple of tensors with at least `accepted [chains]`: a bool where the whole lattice is updated
          at once, otherwise the share of accepted proposals.
        """
        raise NotImplementedError

    def adapt(self, state: Any, info: Any) -> Any:
        """The state after an update, with improved parameters such as a step size. Used during thermalisation only."""
        return state

    def diagnostics(self, state: Any) -> dict[str, float]:
        """Parameters of the sampler, for the record."""
        return {}

    def check(self, info: Any) -> None:
        """Raises `UserError` if nothing can come of a chain with updates like these, the first ones after thermalisation.

        Args:
          info: of the updates, a named tuple of arrays `[updates, ...]`, with `ENOUGH_TO_CHECK` decisions or more.
        """

    def series(self, info: Any) -> dict[str, np.ndarray]:
        """Time series of infos, `[updates, chains]`, whose means are reported with their errors."""
        return {}

    def restored(self, leaves: Sequence[np.ndarray], seed: int) -> Any:
        """The state whose leaves, in the order of `tf.nest.flatten`, were saved; the seed is that of the chain."""
        return tf.nest.pack_sequence_as(self.init(seed), leaves)

    def near_zero(self, seed: int) -> tf.Tensor:
        """Configurations close to zero, different for each chain, `[chains, *shape]`: a start for most samplers."""
        rng = generator(seed, f"{self.name} start")
        return tf.constant(0.1 * rng.standard_normal((self.chains, *self.action.lattice.shape)))

    def run(self, start: ChainState, thermalisation: int, kept: int, thinning: int, seed: int) -> Iterator[Chunk]:
        """Yields all chunks: those of `run_chain`, and before them those of thermalisation, without configurations and infos."""
        state, base = start, tf.constant(sub_seed(seed, self.name))
        while (left := start.updates + thermalisation - state.updates) > 0:
            chunk = self._advance(state, 1, min(self._pace, left), base, adapting=True)
            yield Chunk(chunk.rows[:0], type(chunk.info)(*(values[:0] for values in chunk.info)), state := chunk.state)
        while kept:
            rows = min(self._rows, max(self._pace // thinning, 1), kept)
            yield (chunk := self._advance(state, rows, thinning, base, adapting=False))
            state, kept = chunk.state, kept - rows

    @property
    def _rows(self) -> int:
        """Configurations of a block."""
        return int(np.clip(_BLOCK_BYTES // (8 * self.chains * self.action.lattice.volume), 1, _BLOCK_CONFIGURATIONS))

    def _advance(self, start: ChainState, rows: int, thinning: int, seed: tf.Tensor, *, adapting: bool) -> Chunk:
        state = tf.nest.map_structure(tf.convert_to_tensor, start.sampler)
        numbers = map(tf.constant, (start.updates, rows, thinning, adapting))
        updates, begun = rows * thinning, time.perf_counter()
        state, phi, info = self._block(state, seed, *numbers, self._rows, max(_BLOCK_UPDATES, updates))
        phi, info = tf.nest.map_structure(lambda values: values.numpy(), (phi, info))
        # At most twice as many as now: the first block takes its time for compilation.
        fitting = int(updates * _BLOCK_SECONDS / (time.perf_counter() - begun))
        self._pace = max(min(fitting, 2 * updates, _BLOCK_UPDATES), 1)
        info = type(info)(*(values[:updates] for values in info))
        return Chunk(phi[:rows], info, ChainState(state, start.updates + updates))

    @cached_property
    def _block(self) -> tf.types.experimental.PolymorphicFunction:
        """Compiled once for chunks of all lengths, with and without thinning, in thermalisation and after it."""

        @tf.function(jit_compile=self.jit_compile, autograph=False)
        def block(
            state: Any, seed: Any, first: Any, rows: Any, thinning: Any, adapting: Any, row_capacity: int, capacity: int
        ) -> Any:
            known = tf.function(self.step, autograph=False).get_concrete_function(state, seed).structured_outputs[1]
            infos = [tf.TensorArray(spec.dtype, capacity, element_shape=spec.shape) for spec in known]
            kept = tf.TensorArray(state.phi.dtype, row_capacity, element_shape=state.phi.shape)

            def update(n: Any, end: Any, state: Any, infos: Any) -> Any:
                state, info = self.step(state, tf.random.fold_in(seed, first + n))
                state = _where(adapting, self.adapt(state, info), state)
                return n + 1, end, state, [array.write(n, value) for array, value in zip(infos, info, strict=True)]

            def to_next(row: Any, n: Any, state: Any, kept: Any, infos: Any) -> Any:
                n, _, state, infos = tf.while_loop(lambda n, end, *_: n < end, update, (n, n + thinning, state, infos))
                return row + 1, n, state, kept.write(row, state.phi), infos

            _, _, state, kept, infos = tf.while_loop(lambda row, *_: row < rows, to_next, (0, 0, state, kept, infos))
            return state, kept.stack(), type(known)(*(array.stack() for array in infos))

        return block


def _where(condition: tf.Tensor, first: Any, second: Any) -> Any:
    return tf.nest.map_structure(lambda a, b: b if a is b else tf.where(condition, a, b), first, second)


def run_chain(
    sampler: Sampler,
    *,
    updates: int,
    thinning: int = 1,
    thermalisation: int = 0,
    seed: int,
    state: ChainState | None = None,
) -> Iterator[Chunk]:
    """Runs chains, and yields their configurations in chunks.

    The chain does not depend on how it is divided: the random numbers of an update follow from the seed, the sampler's name and the
    number of the update, so a run that continues from `chunk.state` equals one that was never interrupted.

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=8.0)
    sampler = lf.samplers.HMC(action, chains=8, leapfrog_steps=5)
    for chunk in lf.samplers.run_chain(sampler, updates=100, thinning=10, thermalisation=50, seed=1):
        print(chunk.phi.shape, chunk.info.accepted.mean())
    ```

    Args:
      sampler: the sampler to run.
      updates: of each chain, after thermalisation; only whole multiples of `thinning` are made.
      thinning: updates from one kept configuration to the next.
      thermalisation: updates before the first of these, in which the sampler adapts its parameters.
      seed: master seed.
      state: where to continue from; by default the chains start afresh.

    Raises:
      ValueError: fewer updates than `thinning`, a thinning below 1, or a negative thermalisation.
    """
    check_at_least(1, thinning=thinning)
    check_at_least(0, thermalisation=thermalisation)
    if updates < thinning:
        raise ValueError(f"of {updates} updates, none would be kept with a thinning of {thinning}: give more updates")
    start = ChainState(sampler.init(seed), 0) if state is None else state
    chunks = sampler.run(start, thermalisation, updates // thinning, thinning, seed)
    yield from (chunk for chunk in chunks if len(chunk.rows))
