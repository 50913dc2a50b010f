"""``lever data stream`` and ``lever data streams``."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leverframe.apps.cli.commands_data import data
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, print_json, print_list, say

if TYPE_CHECKING:
    from leverframe.apps.platform.views.streams import StreamView

streams = typer.Typer(help="Streams that are read into datasets: where they stand, pause, resume.", no_args_is_help=True)
data.add_typer(streams, name="streams")
ROWS_MAX, EVERY_S = 5_000, 5.0


@data.command("stream")
def stream(
    dataset: Annotated[str, typer.Argument(help="The dataset that takes the rows.")],
    source: Annotated[
        str,
        typer.Option(
            help="nats://HOST:PORT/SUBJECT, redis://HOST:PORT/[DB/]STREAM or kafka://HOST:PORT/TOPIC, or @FILE with such an address.",
        ),
    ],
    name: Annotated[str, typer.Option(help="What the position is kept under (default: the stream's own name).")] = "",
    rows: Annotated[
        int, typer.Option(help="Most messages of a batch, which becomes one part of a snapshot.", min=1, max=10_000)
    ] = ROWS_MAX,
    every: Annotated[float, typer.Option(help="Seconds after which a batch goes out that is not full.", min=0.01, max=3600.0)] = EVERY_S,
    new_columns: Annotated[
        Literal["ignore", "quarantine", "pause"],
        typer.Option(help="A column that the contract does not name: drop it, set its rows aside, or wait."),
    ] = "ignore",
    on_break: Annotated[
        Literal["quarantine", "pause"],
        typer.Option(help="A column missing or of another type in half of a batch: set those rows aside, or take nothing and wait."),
    ] = "quarantine",
    push: Annotated[bool, typer.Option("--push", help="Rows are readable online when their batch was taken.")] = False,
    id_from: Annotated[
        str, typer.Option(help="Where a message's id is, for rows without a key: header:NAME, or key (default: what the broker names).")
    ] = "",
    json_output: Json = False,
) -> None:
    """Read a stream into a dataset, each message once over crashes; Ctrl-C ends it after the batch. Says JSON lines."""
    from leverframe.apps.data_stream.reader import ReaderSettings, run
    from leverframe.apps.streaming.address import read_address
    from leverframe.data.streams.taken import StreamRules, check_stream

    address = read_address(source)
    settings = ReaderSettings(
        dataset=dataset,
        name=name or address.name,
        address=address,
        rules=StreamRules(new_columns=new_columns, on_break=on_break, push=push),
        rows_max=rows,
        every_s=every,
        id_from=id_from,
    )
    check_stream(settings.name, address.shown)
    with connect() as client:
        run(settings, client)


@streams.command("list")
def list_streams(
    dataset: Annotated[str, typer.Argument(help="Only streams into this dataset.")] = "",
    json_output: Json = False,
) -> None:
    """Every stream: where it stands, and what became of its messages."""
    with connect() as client:
        found = client.streams.streams(dataset)
    columns = ("stream", "state", "source", "position", "#behind", "#rows", "#aside", "#repeated", "last batch")
    print_list(found, json_output, "Streams", columns, _row, empty="none yet. next: lever data stream DATASET --source ADDRESS")
    if json_output:
        return
    for each in found:
        for line in each.concerns:
            say(f"{each.stream.id}: {line}")


def _row(view: "StreamView") -> tuple[object, ...]:
    from leverframe.apps.console.words import moment

    held = view.stream
    position = ", ".join(f"{partition}:{place}" for partition, place in sorted(held.position.items())[:4]) or "–"
    behind = "–" if held.behind is None else held.behind
    taken = moment(held.taken_at_us) if held.taken_at_us else "–"
    return held.id, held.state, held.source, position, behind, held.rows, held.quarantined, held.repeated, taken


@streams.command("pause")
def pause(
    dataset: Annotated[str, typer.Argument(help="The dataset.")],
    name: Annotated[str, typer.Argument(help="The stream.")],
    reason: Annotated[str, typer.Option(help="Why; the record keeps it.")],
    json_output: Json = False,
) -> None:
    """Let a stream wait; its messages stay in the broker."""
    with connect() as client:
        held = client.streams.pause(dataset, name, reason)
    if json_output:
        print_json(held)
    else:
        say(f"{held.stream.id} waits", f"next: lever data streams resume {dataset} {name}")


@streams.command("resume")
def resume(
    dataset: Annotated[str, typer.Argument(help="The dataset.")],
    name: Annotated[str, typer.Argument(help="The stream.")],
    json_output: Json = False,
) -> None:
    """Let a stream go on where it was left."""
    with connect() as client:
        held = client.streams.resume(dataset, name)
    if json_output:
        print_json(held)
    else:
        say(f"{held.stream.id} goes on")


def register(app: typer.Typer) -> None:
    """These verbs hang under ``lever data``; ``app`` has it already."""
