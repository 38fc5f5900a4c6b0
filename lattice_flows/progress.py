"""Progress of a run, on a terminal or in a log file. Imports nothing but rich."""

import contextlib
import time
from collections.abc import Iterator

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Bar", "Progress"]


class Progress:
    """Progress bars on a terminal, plain lines in a log file.

    ```python
    from lattice_flows.progress import Progress

    progress = Progress()
    with progress.working("compiling the training step"):
        ...
    with progress.bar("training", total=300) as bar:
        bar.advance(status="loss -1.2")
    ```

    Args:
      console: where to write; standard output if there is none.
      quiet: show nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False):
        self.console = console or _Console(soft_wrap=True, quiet=quiet)

    @property
    def is_live(self) -> bool:
        """Whether bars are shown; a log file gets lines only."""
        return self.console.is_terminal and not self.console.quiet

    def info(self, line: str) -> None:
        """Prints a line that remains."""
        self.console.print(line, markup=False, highlight=False)

    @contextlib.contextmanager
    def bar(self, title: str, total: int, completed: int = 0) -> Iterator["Bar"]:
        """A bar for `total` steps of something, `completed` of which were done before."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with self._live(*columns) as bars:
            yield Bar(bars, bars.add_task(title, total=total, completed=completed, status=""))

    @contextlib.contextmanager
    def working(self, title: str) -> Iterator[None]:
        """Shows what is being done, such as compiling, and for how long; at the end a line with the seconds remains."""
        if not self.is_live:
            self.info(f"{title} ...")
        start = time.perf_counter()
        with self._live(SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()) as bars:
            bars.add_task(title, total=None)
            yield
        self.info(f"{title}: {time.perf_counter() - start:.1f} s")

    def _live(self, *columns: rich_progress.ProgressColumn) -> rich_progress.Progress:
        return rich_progress.Progress(*columns, console=self.console, transient=True, disable=not self.is_live)


class _Console(Console):
    """One that says that its reader has gone, in place of ending the process."""

    def on_broken_pipe(self) -> None:
        """Called by rich."""
        raise BrokenPipeError


class Bar:
    """One bar in progress."""

    def __init__(self, bars: rich_progress.Progress, task: rich_progress.TaskID):
        self._bars, self._task = bars, task

    def advance(self, steps: int = 1, status: str | None = None) -> None:
        """Advances by some steps, with a new text beside the bar if one is given."""
        fields = {} if status is None else {"status": status}
        self._bars.update(self._task, advance=steps, **fields)
