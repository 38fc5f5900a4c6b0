"""A chain in progress: it is drawn ahead, says how it goes, and can be put down and taken up again."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lattice_flows.samplers.chain import ENOUGH_TO_CHECK, ChainState, Chunk, Sampler

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
        self.status = ""
        self._state: ChainState | None = None
        self._accepted = self._decisions = 0
        # Updates and seconds: of the first chunks after `begin`, whose time includes compilation, and of all others.
        self._timed = np.zeros((2, 2))
        if saved is not None:
            leaves = [saved[name] for name in sorted(saved) if name.isdigit()]
            self._state = ChainState(sampler.restored(leaves, seed), int(saved["updates"]))
            self._accepted, self._decisions = saved["accepted"].item(), saved["decisions"].item()
            self._timed = np.array(saved.get("timed", self._timed))  # chains of earlier versions do not have it
        self._unchecked: list[Any] | None = [] if self._decisions < ENOUGH_TO_CHECK else None  # infos

    @property
    def saved(self) -> dict[str, Any]:
        """All that the chain after the last chunk depends on, as arrays by name."""
        leaves = {f"{number:03d}": leaf for number, leaf in enumerate(tf.nest.flatten(self._reached.sampler))}
        counts = {"updates": self.updates, "accepted": self._accepted, "decisions": self._decisions}
        return counts | {"timed": self._timed.copy()} | leaves

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
    def updates_per_second(self) -> float:
        """Of the whole chain, in all processes that drew it. The first chunk of each counts only if there are no others."""
        first, others = self._timed.tolist()
        updates, seconds = others if others[0] else first
        return updates / seconds if seconds else 0.0

    @property
    def diagnostics(self) -> dict[str, float]:
        """Parameters of the sampler."""
        return self._sampler.diagnostics(self._reached.sampler)

    def begin(self) -> None:
        """Makes the first chunk, with all compilation."""
        self._start = time.perf_counter()
        self._drawn = self._draw()
        self._coming = self._worker.submit(self._next)
        self._coming.result()

    def chunks(self) -> Iterator[Chunk]:
        """Yields the chunks, those of thermalisation included. All attributes are those after the last one.

        Raises:
          UserError: the sampler cannot move, see `Sampler.check`.
        """
        before, since, later = self.updates, self._start, 0
        with self._worker:
            while (chunk := self._coming.result()) is not None:
                self._coming = self._worker.submit(self._next)
                accepted, decisions = np.sum(chunk.info.accepted).item(), np.size(chunk.info.accepted)
                self._check(chunk.info)
                self._accepted, self._decisions = self._accepted + accepted, self._decisions + decisions
                self._state, self.status = chunk.state, f"acceptance {accepted / decisions:.3f}" if decisions else "thermalising"
                now = time.perf_counter()
                self._timed[later] += self.updates - before, now - since
                before, since, later = self.updates, now, 1
                yield chunk

    def _check(self, info: Any) -> None:
        """Lets the sampler check its first updates, once they are enough."""
        if self._unchecked is not None:
            self._unchecked.append(info)
            if sum(np.size(each.accepted) for each in self._unchecked) >= ENOUGH_TO_CHECK:
                self._sampler.check(type(info)(*map(np.concatenate, zip(*self._unchecked, strict=True))))
                self._unchecked = None

    def _next(self) -> Chunk | None:
        with tf.device(self._device) if self._device else contextlib.nullcontext():
            return next(self._drawn, None)

    def _draw(self) -> Iterator[Chunk]:
        state, made = self._state or ChainState(self._sampler.init(self._seed), 0), self.made
        for updates, thinning in self._stretches:
            kept, made = max(updates - made, 0) // thinning, max(made - updates, 0)
            if not kept:
                continue
            thermalisation = max(self._thermalisation - state.updates, 0)
            for chunk in self._sampler.run(state, thermalisation, kept, thinning, self._seed):
                state = chunk.state
                yield chunk
