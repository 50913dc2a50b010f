"""``lever release pause``, ``resume``, ``abort``, ``rollback`` and ``keep``: one release by its name."""

import time
from typing import Annotated

import typer

from leverframe.apps.cli.commands_release import Reason, release, show
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, print_json, say
from leverframe.core.errors import InvalidInput

ReleaseId = Annotated[str, typer.Argument(help="The release's id.")]


def _do(what: str, release_id: str, reason: str, json_output: bool) -> None:
    if not reason.strip():
        again = f"lever release {what} {release_id} --reason '...'"
        raise InvalidInput("not without a reason; the record keeps it", where="--reason", next_step=again)
    with connect() as client:
        found = getattr(client.rollouts, what)(release_id, reason)
    show(found, json_output)


def pause(release_id: ReleaseId, reason: Reason = "", json_output: Json = False) -> None:
    """Hold a release at its weight; harm still takes it back."""
    _do("pause", release_id, reason, json_output)


def resume(release_id: ReleaseId, reason: Reason = "", json_output: Json = False) -> None:
    """Let a paused or holding release be judged again; it still has to prove itself."""
    _do("resume", release_id, reason, json_output)


def abort(release_id: ReleaseId, reason: Reason = "", json_output: Json = False) -> None:
    """End a release: the champion answers everyone. One that waits in line leaves it."""
    _do("abort", release_id, reason, json_output)


def rollback(release_id: ReleaseId, reason: Reason = "", json_output: Json = False) -> None:
    """Take a release back, also long after it completed, with what was promoted on top of it."""
    _do("rollback", release_id, reason, json_output)


def keep(release_id: ReleaseId, reason: Reason = "", json_output: Json = False) -> None:
    """Let a flagged release stay: what it rests on was taken back, and somebody has looked."""
    _do("keep", release_id, reason, json_output)


def watch(
    release_id: ReleaseId,
    once: Annotated[bool, typer.Option("--once", help="Say what is known now, and end.")] = False,
    every_s: Annotated[float, typer.Option("--every-s", help="Pause between two looks.", min=0.1, max=3600.0)] = 2.0,
    json_output: Json = False,
) -> None:
    """Follow a release in plain words until it has ended; Ctrl-C ends only the following."""
    from leverframe.apps.console.words import moment

    told: tuple[str, ...] = ()
    with connect() as client:
        while True:
            found = client.rollouts.watch(release_id)
            lines = (*found.lines, *((f"FLAGGED: {found.flagged}",) if found.flagged else ()))
            if lines != told and json_output:
                print_json(found)
            elif lines != told:
                head = f"{moment(found.at_us)}  {found.state}, {found.stage or 'not started'}, {found.weight:g} %"
                say(head, *(f"    {line}" for line in lines))
            told = lines
            if once or found.ended:
                return
            time.sleep(every_s)


def register(_app: typer.Typer) -> None:
    """Add these verbs to ``lever release``."""
    for verb in (watch, pause, resume, abort, rollback, keep):
        release.command()(verb)
