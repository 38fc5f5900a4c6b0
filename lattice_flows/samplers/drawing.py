"""A chain in progress: it is drawn ahead, says how it goes, and can be put down and taken up again."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lattice_flows.samplers.chain import ChainState, Chunk, Sampler, run_chain

__all__ = ["Drawing", "Stretch"]


class Stretch(NamedTuple):
    """A number of updates with a thinning."""

    updates: int
    thinning: int = 1


class Drawing:
    """A chain in progress. The next chunk is drawn while the one before is measured and written.

    Args:
      sampler: the sampler to run.
      stretches: of the chain after thermalisation, one after the other.
      thermalisation: updates before them.
      seed: master seed.
      saved: what `saved` was after a chunk of the same chain, which then goes on after it.
      device: of TensorFlow; None for its default.

    Attributes:
      status: how the last chunk went.
      updates_per_second: of those that were drawn since `begin`; known at the end.
    """

    def __init__(
        self,
        sampler: Sampler,
        stretches: Sequence[Stretch],
        *,
        thermalisation: int,
        seed: int,
        saved: Mapping[str, np.ndarray] | None = None,
        device: str | None = None,
    ):
        self._sampler, self._stretches, self._thermalisation = sampler, stretches, thermalisation
        self._seed, self._device, self._worker = seed, device, ThreadPoolExecutor(1)
        self.status, self.updates_per_second = "", 0.0
        self._state: ChainState | None = None
        self._accepted = self._decisions = 0
        if saved is not None:
            leaves = [saved[name] for name in sorted(saved) if name.isdigit()]
            self._state = ChainState(sampler.restored(leaves, seed), int(saved["updates"]))
            self._accepted, self._decisions = saved["accepted"].item(), saved["decisions"].item()

    @property
    def saved(self) -> dict[str, Any]:
        """All that the chain after the last chunk depends on, as arrays by name."""
        leaves = {f"{number:03d}": leaf for number, leaf in enumerate(tf.nest.flatten(self._reached.sampler))}
        return {"updates": self.updates, "accepted": self._accepted, "decisions": self._decisions} | leaves

    @property
    def _reached(self) -> ChainState:
        assert self._state is not None, "no chunk has been drawn yet"
        return self._state

    @property
    def updates(self) -> int:
        """The number of updates made, thermalisation included."""
        return 0 if self._state is None else self._state.updates

    @property
    def made(self) -> int:
        """The number of updates made after thermalisation."""
        return max(self.updates - self._thermalisation, 0)

    @property
    def acceptance(self) -> float:
        """The mean of all accept decisions after thermalisation."""
        return self._accepted / self._decisions

    @property
    def diagnostics(self) -> dict[str, float]:
        """Parameters of the sampler."""
        return self._sampler.diagnostics(self._reached.sampler)

    def begin(self) -> None:
        """Makes the first chunk, with all compilation. Raises `UserError` if the sampler cannot move, see `Sampler.check`."""
        self._start = time.perf_counter()
        self._drawn = self._draw()
        self._coming = self._worker.submit(next, self._drawn, None)
        if (chunk := self._coming.result()) is not None and not self.made:
            self._sampler.check(chunk.info)

    def chunks(self) -> Iterator[Chunk]:
        """Yields the chunks. All attributes are those after the last one."""
        before, first, compiled = self.updates, 0, 0.0
        with self._worker:
            while (chunk := self._coming.result()) is not None:
                self._coming = self._worker.submit(next, self._drawn, None)
                accepted, decisions = np.sum(chunk.info.accepted).item(), np.size(chunk.info.accepted)
                self._accepted, self._decisions = self._accepted + accepted, self._decisions + decisions
                self._state, self.status = chunk.state, f"acceptance {accepted / max(decisions, 1):.3f}"
                if not compiled:
                    first, compiled = self.updates, time.perf_counter()
                yield chunk
        now = time.perf_counter()
        # The first chunk is left out if there are others: its time includes compilation and thermalisation.
        if not self.updates > first > 0:
            first, compiled = before, self._start
        self.updates_per_second = (self.updates - first) / (now - compiled)

    def _draw(self) -> Iterator[Chunk]:
        state, made = self._state, self.made
        with tf.device(self._device) if self._device else contextlib.nullcontext():
            for updates, thinning in self._stretches:
                left, made = max(updates - made, 0), max(made - updates, 0)
                if not left:
                    continue
                thermalisation = max(self._thermalisation - (state.updates if state else 0), 0)
                how: dict[str, Any] = {"updates": left, "thinning": thinning, "thermalisation": thermalisation, "seed": self._seed}
                for chunk in run_chain(self._sampler, **how, state=state):
                    state = chunk.state
                    yield chunk
