"""The terminal view of a run in progress."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["View"]


class View:
    """Progress bars on a terminal, plain lines in a log file.

    Args:
      console: where to write.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(soft_wrap=True, highlight=False)

    def say(self, line: str) -> None:
        """A line that stays."""
        self.console.print(line, markup=False)

    @contextlib.contextmanager
    def progress(self, title: str, total: int, completed: int = 0) -> Iterator["Bar"]:
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
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            task = progress.add_task(title, total=total, completed=completed, status="")
            yield Bar(progress, task)


class Bar:
    """One bar in progress."""

    def __init__(self, progress: Progress, task):
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1, status: str | None = None) -> None:
        """So many steps more, with a new text beside the bar if there is one."""
        fields = {} if status is None else {"status": status}
        self._progress.update(self._task, advance=steps, **fields)
