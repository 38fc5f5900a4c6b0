"""Progress of a run, on a terminal or in a log file."""

import contextlib
import math
import sys
import threading
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from lattice_flows.progress.activity import Activity, duration
from lattice_flows.progress.plan import Part, Plan

__all__ = ["Bar", "Progress"]

_SILENCE = 30.0  # seconds after which a log file gets a line
_FRAMES = 5  # a second
_WIDTH = 24  # of a bar


class Progress:
    """Progress bars on a terminal; in a log file plain lines, and a sign of life after half a minute without any.

    ```python
    from lattice_flows.progress import Part, Progress

    progress = Progress()
    with progress.whole([Part("training", 2.0), Part("sampling", 1.0)]):
        with progress.part("training"):
            with progress.working("compiling the training step"):
                ...
            with progress.bar("training", total=300) as bar:
                bar.advance(status="loss -1.2")
                with progress.meanwhile("evaluating"):
                    ...
    ```

    Args:
      console: where to write; standard output if there is none.
      quiet: show nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False):
        # FORCE_COLOR, which Jupyter and others set, makes no terminal of a file.
        is_terminal = None if sys.stdout and sys.stdout.isatty() else False
        self.console = console or _Console(soft_wrap=True, quiet=quiet, force_terminal=is_terminal)
        self._activities: list[Activity] = []
        self._plan: Plan | None = None
        self._spoke, self._spinner = threading.Event(), Spinner("dots" if self.console.encoding.startswith("utf") else "line")

    @property
    def is_live(self) -> bool:
        """Whether bars are shown; a log file gets lines only."""
        return self.console.is_terminal and not self.console.quiet

    def info(self, line: str) -> None:
        """Prints a line that remains."""
        self._spoke.set()
        self.console.print(line, markup=False, highlight=False)

    @contextlib.contextmanager
    def whole(self, parts: Sequence[Part]) -> Iterator[None]:
        """Shows how long all of something will take, which is done in parts. Within another whole, that one counts."""
        if self._plan is not None:
            yield
            return
        self._plan = Plan(parts)
        try:
            yield
        finally:
            self._plan = None

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part of the whole, if it has one of this name. Parts of parts count as these."""
        if self._plan is None or not self._plan.begin(name):
            yield
            return
        try:
            yield
        finally:
            self._plan.end()

    @contextlib.contextmanager
    def bar(self, title: str, total: int, completed: int = 0, *, at_most: float = math.inf) -> Iterator["Bar"]:
        """A bar for `total` steps of something, `completed` of which were done before; it ends after `at_most` seconds."""
        with self._shown(Activity(title, total, completed, at_most=at_most)) as activity:
            yield Bar(activity)

    @contextlib.contextmanager
    def working(self, title: str) -> Iterator[None]:
        """Shows what is done once, such as compiling, and for how long; at the end a line with the seconds remains."""
        if not self.is_live:
            self.info(f"{title} ...")
        with self._shown(Activity(title, happens_once=True)) as activity:
            yield
        self.info(f"{title}: {activity.seconds:.1f} s")

    @contextlib.contextmanager
    def meanwhile(self, title: str) -> Iterator[None]:
        """Shows what is done again and again between the steps of a bar, such as evaluating. No line remains."""
        with self._shown(Activity(title)):
            yield

    @contextlib.contextmanager
    def _shown(self, activity: Activity) -> Iterator[Activity]:
        self._activities.append(activity)
        try:
            # All that happens at once has one display, that of the outermost.
            with self._display() if len(self._activities) == 1 else contextlib.nullcontext():
                yield activity
        finally:
            self._activities.pop()
            if activity.happens_once:
                for other in self._activities:
                    other.interrupted += activity.seconds
            if self._plan is not None and (activity.happens_once or not any(other.total for other in self._activities)):
                self._plan.count(activity)

    def _display(self) -> contextlib.AbstractContextManager[object]:
        if self.is_live:
            return Live(get_renderable=self._lines, console=self.console, transient=True, refresh_per_second=_FRAMES)
        return contextlib.nullcontext() if self.console.quiet else self._signs_of_life()

    @contextlib.contextmanager
    def _signs_of_life(self) -> Iterator[None]:
        """Writes into a log file what goes on, when nothing else was written for a while."""
        ended = threading.Event()

        def speak() -> None:
            while not ended.is_set():
                self._spoke.clear()
                if not self._spoke.wait(_SILENCE) and not ended.is_set():
                    with contextlib.suppress(OSError):  # the reader has gone: the main thread will find out
                        self.console.print(self._line(), markup=False, highlight=False)

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            self._spoke.set()
            thread.join()

    def _of_the_whole(self) -> str:
        if self._plan is None or len(self._plan) == 1:
            return ""
        bars = [activity for activity in list(self._activities) if activity.total]
        left = self._plan.left(bars[0] if bars else None)
        return str(self._plan) + ("" if left is None else f", about {duration(left)} left in all")

    def _line(self) -> str:
        """What goes on, in one line."""
        return "; ".join([*map(str, list(self._activities)), *filter(None, [self._of_the_whole()])])

    def _lines(self) -> Group:
        """The same in lines of their own, with bars."""
        lines: list[RenderableType] = []
        for activity in list(self._activities):
            row = Table.grid(padding=(0, 1))
            left = "" if activity.left is None else f", about {duration(activity.left)} left"
            seconds = duration(activity.seconds) + left
            if activity.total is None:
                row.add_row(Text(activity.title), self._spinner, seconds)
            else:
                bar = ProgressBar(activity.total, activity.completed, _WIDTH)
                row.add_row(Text(activity.title), bar, f"{activity.completed}/{activity.total}", seconds)
            lines += [row, *([Text(f"  {activity.status}")] if activity.status else [])]
        return Group(*lines, *([Text(whole)] if (whole := self._of_the_whole()) else []))


class _Console(Console):
    """One that says that its reader has gone, in place of ending the process."""

    def on_broken_pipe(self) -> None:
        """Called by rich."""
        raise BrokenPipeError


class Bar:
    """One bar in progress."""

    def __init__(self, activity: Activity):
        self._activity = activity

    def advance(self, steps: int = 1, status: str | None = None) -> None:
        """Advances by some steps, with a new text beside the bar if one is given."""
        self._activity.completed += steps
        if status is not None:
            self._activity.status = status
