"""What a command prints: a table that fits a narrow terminal, or JSON; errors as a sentence and the next command."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leverframe.core.errors import LeverframeError

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 160

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Environment = Annotated[str, typer.Option("--environment", "-e", help="Environment of the endpoint.")]


def print_json(value: Any) -> None:
    """``value`` (records included) as one JSON document on standard output."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def console() -> "Console":
    """Where tables go; without a terminal a fixed width, so that scripts see whole lines."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under a title; long cells fold instead of being cut. A column named ``#…`` holds numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console().print(table)


def say(*lines: str) -> None:
    """Plain lines."""
    for line in lines:
        typer.echo(line)


def report_error(error: LeverframeError, *, json_output: bool) -> None:
    """The sentence and a ``next:`` line on standard error; with ``--json`` also the error's record on standard output."""
    text = error.sentence().removesuffix(f". Next: {error.next_step}")
    typer.echo(f"{error.code}: {text}", err=True)
    for fault in error.faults:
        detail = f"  expected {fault.expected}, got {fault.got}" if fault.expected or fault.got else ""
        typer.echo(f"  - {fault.where}: {fault.what}{detail}", err=True)
    for note in getattr(error, "__notes__", ()):
        typer.echo(f"  ({note})", err=True)
    if error.next_step:
        typer.echo(f"next: {error.next_step}", err=True)
    if json_output:
        print_json(error.to_dict())
