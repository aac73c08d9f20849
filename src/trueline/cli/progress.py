"""Progress bars for the terminal; one line a finished piece of work where output is not a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from trueline.studies.progress import Bar, Silent

LABEL_WIDTH = 34


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def update(self, done: int, total: int, words: str = "") -> None:
        """Move the bar to ``done`` of ``total``."""
        self._progress.update(self._task, completed=done, total=total, words=words)


class Bars:
    """The Progress of studies, drawn by rich."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Bar]:
        """A bar while the work lasts, then one line with the time it took."""
        started = monotonic()
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=18),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("[dim]{task.fields[words]}"),
            )
            with Progress(*columns, console=self.console, transient=True) as progress:
                yield _Bar(progress, progress.add_task(label[:LABEL_WIDTH], total=total, words=""))
        else:
            yield Silent()
        self.say(f"{label[:LABEL_WIDTH]:<{LABEL_WIDTH}} {monotonic() - started:6.1f} s")

    def say(self, line: str) -> None:
        """One line."""
        self.console.print(line, highlight=False, markup=False)
