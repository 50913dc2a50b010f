"""The live timeline of a story on a terminal: chapters with their seconds, facts under them, a progress line for long things."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from leverframe.core.clock import DAY_US, iso_from_us


class Timeline:
    """Prints chapters as they happen; silent when ``quiet``, so that standard output carries nothing but the JSON document."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet, highlight=False)
        self._number = 0
        self.seconds: dict[str, float] = {}

    @contextmanager
    def chapter(self, title: str, key: str) -> Iterator[None]:
        """One chapter: a heading, whatever happens inside, and how long it took (also kept in :attr:`seconds`)."""
        self._number += 1
        self._console.print(f"\n[bold cyan]{self._number:>2}  {title}[/]")
        started = time.perf_counter()
        try:
            yield
        except BaseException:
            self._console.print("    [bold red]stopped here[/]")
            raise
        finally:
            self.seconds[key] = round(time.perf_counter() - started, 2)
        self._console.print(f"    [dim]{self.seconds[key]:.1f} s[/]")

    def say(self, text: str) -> None:
        """A plain fact."""
        self._console.print(f"    {text}")

    def good(self, text: str) -> None:
        """Something that went as it should."""
        self._console.print(f"    [green]✓[/] {text}")

    def bad(self, text: str) -> None:
        """Something that was refused, rolled back or found broken (which may be the point of the chapter)."""
        self._console.print(f"    [red]✗[/] {text}")

    def note(self, text: str) -> None:
        """A detail, dimmed."""
        self._console.print(f"      [dim]{text}[/]")

    @contextmanager
    def days(self, label: str, from_us: int, to_us: int) -> Iterator["DayBar"]:
        """A progress bar over event time."""
        columns = (
            TextColumn("    {task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[day]}  {task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(label, total=(to_us - from_us) / DAY_US, day=iso_from_us(from_us)[:10], note="")
            yield DayBar(progress, task, from_us)


class DayBar:
    """Moves a progress bar through event time."""

    def __init__(self, progress: Progress, task: TaskID, from_us: int) -> None:
        self._progress = progress
        self._task = task
        self._from_us = from_us

    def at(self, now_us: int, note: str = "") -> None:
        """Event time is ``now_us``; ``note`` is shown beside the day."""
        self._progress.update(self._task, completed=(now_us - self._from_us) / DAY_US, day=iso_from_us(now_us)[:10], note=note)
