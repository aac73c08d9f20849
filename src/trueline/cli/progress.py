"""Progress bars for the terminal; plain lines where output is not a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class _Bar:
    def __init__(self, progress: Progress, task: int) -> None:
        self._progress, self._task = progress, task

    def update(self, done: int, total: int, words: str = "") -> None:
        """Move the bar to ``done`` of ``total``."""
        self._progress.update(self._task, completed=done, total=total, words=words)  # type: ignore[arg-type]


class Bars:
    """The Progress of studies, drawn by rich."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[_Bar]:
        """A bar while the work lasts, then one line with the time it took."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=18),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[words]}"),
        )
        with Progress(*columns, console=self.console, transient=not self.console.is_terminal) as progress:
            yield _Bar(progress, progress.add_task(label[:34], total=total, words=""))

    def say(self, line: str) -> None:
        """One line."""
        self.console.print(line)
