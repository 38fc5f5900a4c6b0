"""The parts of a run, and how long all of them will take.

What is known beforehand is how much work the parts are, compared with each other: steps, samples and sites. The time that a unit of
work takes is found from the parts that are done and from the one that goes on, and so is the time that each takes besides, such as
for compilation. So the first estimates are rough, and they get better.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from lattice_flows.progress.activity import Activity

__all__ = ["Part", "Plan"]


class Part(NamedTuple):
    """A part of a run.

    Attributes:
      name: what it does, such as "sampling".
      work: how much, in units that all parts have in common.
      of: what it belongs to, where a run makes several things.
      at_most: seconds after which it ends in any case.
    """

    name: str
    work: float
    of: str = ""
    at_most: float = math.inf

    def __str__(self) -> str:
        return f"{self.of}, {self.name}" if self.of else self.name


class Plan:
    """Parts in the order in which they are done; some may turn out not to be needed.

    Args:
      parts: all of them.

    Attributes:
      number: of parts that are done.
      current: the part that goes on; None between two.
    """

    def __init__(self, parts: Sequence[Part]):
        self._parts, self.number = list(parts), 0
        self.current: Part | None = None
        self._work = self._seconds = self._once = 0.0  # of bars, and what happened once
        self._begun, self._has_bar_behind = 0, False

    def begin(self, name: str) -> bool:
        """Begins the next part of a name, and returns whether there is one; those before it are skipped."""
        number = next((number for number, part in enumerate(self._parts) if number >= self.number and part.name == name), None)
        if number is None or self.current is not None:
            return False
        self.number, self.current, self._has_bar_behind = number, self._parts[number], False
        self._begun += 1
        return True

    def end(self) -> None:
        """Ends the part that goes on."""
        self.number, self.current = self.number + 1, None

    def count(self, activity: Activity) -> None:
        """Learns from something that has ended within the part that goes on."""
        if self.current is None:
            return
        if activity.happens_once:
            self._once += activity.seconds
        elif activity.total:
            work, seconds = self._done(activity)
            self._work, self._seconds, self._has_bar_behind = self._work + work, self._seconds + seconds, True

    def left(self, bar: Activity | None) -> float | None:
        """About how many seconds all of it will take from now on; None before anything is known.

        Args:
          bar: of the part that goes on, if it is there.
        """
        work, seconds = self._done(bar) if bar else (0.0, 0.0)
        work, seconds = work + self._work, seconds + self._seconds
        if not work:
            return None
        pace, besides = seconds / work, self._once / max(self._begun, 1)
        coming = self._parts[self.number + (self.current is not None) :]
        left = sum(min(part.work * pace, part.at_most) + besides for part in coming)
        if self.current is not None and not self._has_bar_behind:
            own = bar.left if bar else None
            left += min(self.current.work * pace, self.current.at_most) if own is None else own
        return left

    def _done(self, bar: Activity) -> tuple[float, float]:
        """Work that a bar has done, and its seconds."""
        if self.current is None or not bar.total:
            return 0.0, 0.0
        return self.current.work * (bar.completed - bar.begun) / bar.total, bar.steady_seconds

    def __str__(self) -> str:
        what = f" ({self.current})" if self.current is not None else ""
        return f"part {min(self.number + 1, len(self._parts))} of {len(self._parts)}{what}"

    def __len__(self) -> int:
        return len(self._parts)
