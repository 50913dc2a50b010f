"""What a command prints: a table that fits a narrow terminal, or JSON; errors as a sentence and the next command."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from leverframe.core.errors import InvalidInput, LeverframeError, expectation

T = TypeVar("T")

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 160
WIDTH_MIN = 40

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Environment = Annotated[str, typer.Option("--environment", "-e", help="Environment of the endpoint.")]


def print_json(value: Any) -> None:
    """``value`` (records included) as one JSON document on standard output."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def console() -> "Console":
    """Where tables go; without a terminal ``COLUMNS`` or a fixed width, so that scripts see whole lines."""
    from rich.console import Console

    told = os.environ.get("COLUMNS", "")
    fixed = int(told) if told.isdigit() and int(told) >= WIDTH_MIN else WIDTH_WITHOUT_TERMINAL
    return Console(width=None if sys.stdout.isatty() else fixed, highlight=False)


def print_facts(rows: Iterable[Sequence[object]]) -> None:
    """Label and text, a pair a line; long texts fold beside their label."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(str(label)), Text(str(text)))
    console().print(grid)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """Rows under a title; long cells fold instead of being cut. A column named ``#…`` holds numbers, whose integers get separators.

    Without rows only the sentence ``empty`` is printed, if there is one.
    """
    rows = tuple(rows)
    if empty and not rows:
        say(f"{title}: {empty}")
        return
    console().print(table_of(title, columns, rows))


def print_list(
    found: Sequence[T], json_output: bool, title: str, columns: Sequence[str], row: Callable[[T], Sequence[object]], *, empty: str = ""
) -> None:
    """What a verb that lists things found: the records as JSON, or as a table with one ``row`` of each (see :func:`print_table`)."""
    if json_output:
        print_json(found)
    else:
        print_table(title, columns, map(row, found), empty=empty)


def table_of(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> "Table":
    """The table itself, for those who draw it again and again."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    return table


def say(*lines: str) -> None:
    """Plain lines."""
    for line in lines:
        typer.echo(line)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises
    ------
    InvalidInput: there is one, or it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise InvalidInput("this file cannot be written", where=str(path), expected="a new file", got=exc.strerror or "") from exc


def write_file(out: Path, data: bytes) -> None:
    """Put ``data`` where ``out`` says; whoever opens it meanwhile sees the old file or all of the new one."""
    aside = out.with_name(f".{out.name}.writing")
    aside.write_bytes(data)
    os.replace(aside, out)


def report_error(error: LeverframeError, *, json_output: bool) -> None:
    """The sentence and a ``next:`` line on standard error; with ``--json`` also the error's record on standard output."""
    text = error.sentence().removesuffix(f". Next: {error.next_step}")
    typer.echo(f"{error.code}: {text}", err=True)
    for fault in error.faults:
        detail = f"  {expectation(fault.expected, fault.got)}" if fault.expected or fault.got else ""
        typer.echo(f"  - {fault.where}: {fault.what}{detail}", err=True)
    for note in getattr(error, "__notes__", ()):
        typer.echo(f"  ({note})", err=True)
    if error.next_step:
        typer.echo(f"next: {error.next_step}", err=True)
    if json_output:
        print_json(error.to_dict())
