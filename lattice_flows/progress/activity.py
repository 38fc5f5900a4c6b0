"""One thing that is being done, and how long it will take."""

import dataclasses
import math
import time

__all__ = ["Activity", "duration"]


@dataclasses.dataclass
class Activity:
    """Something that is being done now.

    Attributes:
      title: what.
      total: its number of steps; None if it has none.
      completed: steps done.
      status: how it goes.
      at_most: seconds after which it ends in any case.
      happens_once: whether it belongs to no step, like compilation: the pace of what it interrupts does not count it.
      interrupted: seconds that such things have taken within this.
    """

    title: str
    total: int | None = None
    completed: int = 0
    status: str = ""
    at_most: float = math.inf
    happens_once: bool = False
    interrupted: float = 0.0

    def __post_init__(self) -> None:
        self.start, self.begun = time.perf_counter(), self.completed

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.perf_counter() - self.start

    @property
    def steady_seconds(self) -> float:
        """The same without what happened once."""
        return self.seconds - self.interrupted

    @property
    def left(self) -> float | None:
        """About how many seconds more it will take, by the mean time of its steps; None before the first of them."""
        if self.total is None or self.completed == self.begun:
            return None
        pace = self.steady_seconds / (self.completed - self.begun)
        return max(min(pace * (self.total - self.completed), self.at_most - self.steady_seconds), 0.0)

    def __str__(self) -> str:
        if self.total is None:
            return f"{self.title} for {duration(self.seconds)}"
        left = "" if self.left is None else f", about {duration(self.left)} left"
        status = f", {self.status}" if self.status else ""
        return f"{self.title}: {self.completed} of {self.total}{status}, {duration(self.seconds)}{left}"


def duration(seconds: float) -> str:
    """A time in words, in the unit that suits it: 45 s, 24 min, 3 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
