"""``lever stream``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from leverframe.apps.cli.connection import home_folder
from leverframe.apps.cli.output import Json
from leverframe.core.errors import NotFound

PANEL = "Serving"
BATCH_MAX = 256
REDELIVER_S = 30.0


def stream(
    endpoint: Annotated[str, typer.Argument(help="The endpoint whose routes score, such as flight-delay.")],
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            help="nats://HOST:PORT/SUBJECT, redis://HOST:PORT/[DB/]STREAM or kafka://HOST:PORT/TOPIC, or @FILE with such an address.",
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="Where answers go, likewise; on the same broker or another.")],
    dead: Annotated[
        str, typer.Option("--dead", help="Where messages without an answer go, on the broker of --to (default: its name and .dead).")
    ] = "",
    id_from: Annotated[str, typer.Option("--id-from", help="Where a message's id is: id (its field), header:NAME, or key.")] = "id",
    group: Annotated[str, typer.Option("--group", help="Workers of one group share the messages (default: lever-ENDPOINT).")] = "",
    worker: Annotated[str, typer.Option("--worker", help="Name of this worker, of its own in its group and home.")] = "stream-0",
    batch: Annotated[int, typer.Option("--batch", help="Most messages taken at once.", min=1, max=10_000)] = BATCH_MAX,
    redeliver: Annotated[
        float,
        typer.Option("--redeliver", help="Seconds after which NATS and Redis deliver again what nobody acknowledged.", min=1.0, max=3600.0),
    ] = REDELIVER_S,
    home: Annotated[Path | None, typer.Option("--home", help="Folder of the installation (default: LEVER_HOME or .leverframe).")] = None,
    environment: Annotated[str, typer.Option("--environment", help="Whose routes.")] = "prod",
    allow_isolated: Annotated[
        bool, typer.Option("--allow-isolated", help="Run foreign models, each in a locked-down process of its own.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Score a stream's messages by an endpoint's routes, each once over crashes; Ctrl-C ends it after the batch. Says JSON lines."""
    from leverframe.apps.streaming import worker as process

    folder = home or home_folder()
    if not (folder / "keys").is_dir():
        raise NotFound("no installation here", where=str(folder), expected="a folder that lever up made", next_step="lever up --home DIR")
    given = os.environ
    process.run(
        process.StreamSettings(
            home=folder,
            endpoint=endpoint,
            source=from_,
            answers=to,
            dead=dead,
            group=group,
            worker=worker,
            id_from=id_from,
            environment=environment,
            clock=given.get("LEVER_CLOCK", "system"),
            artifacts_url=given.get("LEVER_ARTIFACTS_URL", ""),
            publication_url=given.get("LEVER_PUBLICATION_URL", ""),
            batch_max=batch,
            redeliver_s=redeliver,
            allow_isolated=allow_isolated or given.get("LEVER_ALLOW_ISOLATED", "") in ("1", "true"),
        )
    )


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.command(rich_help_panel=PANEL)(stream)
