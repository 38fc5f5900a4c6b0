"""Progress of a run on the terminal."""

import contextlib
from collections.abc import Iterator

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Progress"]


class Progress:
    """Progress bars on a terminal, plain lines in a log file.

    Args:
      console: where to write.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(soft_wrap=True, highlight=False)

    def info(self, line: str) -> None:
        """A line that stays."""
        self.console.print(line, markup=False)

    @contextlib.contextmanager
    def bar(self, title: str, total: int, completed: int = 0) -> Iterator["Bar"]:
        """A bar for `total` steps of something, `completed` of which were done before."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with rich_progress.Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bars:
            task = bars.add_task(title, total=total, completed=completed, status="")
            yield Bar(bars, task)


class Bar:
    """One bar in progress."""

    def __init__(self, bars: rich_progress.Progress, task):
        self._bars, self._task = bars, task

    def advance(self, steps: int = 1, status: str | None = None) -> None:
        """So many steps more, with a new text beside the bar if there is one."""
        fields = {} if status is None else {"status": status}
        self._bars.update(self._task, advance=steps, **fields)
