"""``lever data snapshots``, ``export``, ``verify``, ``retention`` and ``forget``: a dataset's past."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_data import data
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.output import Json, print_facts, print_json, print_list, print_table, say, write_file
from leverframe.core.errors import InvalidInput

if TYPE_CHECKING:
    from leverframe.apps.platform.views.keeping import RetentionView, SnapshotView
    from leverframe.data.retention.commands_erasure import ErasureRecord

Dataset = Annotated[str, typer.Argument(help="Name of the dataset.")]
AsOf = Annotated[str, typer.Option("--as-of", help="Rows as they were at this moment (ISO 8601).")]
WAIT_S = 300.0
POLL_S = 0.2

retention = typer.Typer(help="How long a dataset's snapshots are kept.", no_args_is_help=True)
data.add_typer(retention, name="retention")


@data.command("snapshots")
def snapshots(dataset: Dataset, json_output: Json = False) -> None:
    """The snapshots of a dataset, newest first: when, how many rows, what uses them."""
    with connect() as client:
        found = client.keeping.snapshots(dataset)
    columns = ("taken", "snapshot", "#rows", "#parts", "", "used by")
    print_list(found, json_output, f"Snapshots of {dataset}", columns, _snapshot_row, empty="none yet")


def _snapshot_row(view: "SnapshotView") -> tuple[object, ...]:
    from leverframe.core.clock import iso_from_us

    held = view.snapshot
    state = f"{held.erased.rows} rows deleted by {held.erased.id}" if held.erased is not None else "newest" if view.latest else ""
    said = ", ".join(filter(None, (state, f"a batch of {held.stream}" if held.stream else "")))
    return iso_from_us(held.created_at_us), held.digest, held.rows, len(held.blobs), said, ", ".join(view.used_by)


@data.command("export")
def export(
    dataset: Dataset,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .parquet or .csv.")],
    as_of: AsOf = "",
    snapshot: Annotated[str, typer.Option(help="Rows of this snapshot.")] = "",
    json_output: Json = False,
) -> None:
    """Write a dataset's rows to a file, as they are now or were at a moment; in CSV no cell is a formula to a spreadsheet."""
    from leverframe.apps.cli.moments import moment_us

    format = out.suffix.removeprefix(".").lower()
    if format not in ("parquet", "csv"):
        raise InvalidInput("unknown file format", where=str(out), expected="a name ending in .parquet or .csv", got=format or "no ending")
    with connect() as client:
        written = client.keeping.export(dataset, format=format, as_of_us=moment_us(as_of, "--as-of"), snapshot=snapshot)
    write_file(out, written)
    if json_output:
        print_json({"file": str(out), "bytes": len(written)})
    else:
        say(f"{out}: {len(written):,} bytes")


@data.command("verify")
def verify(dataset: Dataset, snapshot: Annotated[str, typer.Argument(help="Digest of the snapshot.")], json_output: Json = False) -> None:
    """Check each part of a snapshot against its name: intact, erased, damaged or missing (exit code 3 for the last two)."""
    with connect() as client:
        found = client.keeping.verify(dataset, snapshot)
    if json_output:
        print_json(found)
    else:
        say(f"{snapshot}: {'all that was not deleted is intact' if found.intact else 'NOT what its name says'}; manifest: {found.manifest}")
        print_table("Parts", ("part", "#rows", "#bytes", "state"), ((p.digest, p.rows, p.bytes, p.state) for p in found.parts))
    if not found.intact:
        raise typer.Exit(REFUSED)


@retention.command("set")
def retention_set(
    dataset: Dataset,
    keep_last: Annotated[int, typer.Option("--keep-last", help="Keep the newest so many snapshots.")] = 1,
    keep_days: Annotated[float, typer.Option("--keep-days", help="Keep snapshots younger than so many days; 0: age keeps nothing.")] = 0.0,
    json_output: Json = False,
) -> None:
    """Say how long snapshots are kept; what a version, a run or evidence uses is always kept."""
    with connect() as client:
        policy = client.keeping.set_retention(dataset, keep_last=keep_last, keep_days=keep_days or None)
        shown = client.keeping.retention(dataset)
    if json_output:
        print_json(policy)
    else:
        _print_retention(shown)


@retention.command("plan")
def retention_plan(dataset: Dataset, json_output: Json = False) -> None:
    """Show which snapshots would go now, and what keeps the others."""
    with connect() as client:
        shown = client.keeping.retention(dataset)
    if json_output:
        print_json(shown)
    else:
        _print_retention(shown)


@retention.command("apply")
def retention_apply(dataset: Dataset, json_output: Json = False) -> None:
    """Let go now what the policy lets go; the worker does the same every ten minutes."""
    with connect() as client:
        done = client.keeping.apply_retention(dataset)
    if json_output:
        print_json(done)
    else:
        say(f"{dataset}: {done.applied} snapshots let go")


def _print_retention(shown: "RetentionView") -> None:
    from leverframe.core.clock import iso_from_us

    rows = ((iso_from_us(k.created_at_us), k.digest, k.rows, ", ".join(k.because) or "GOES") for k in shown.snapshots)
    print_table(f"Retention of {shown.dataset}", ("taken", "snapshot", "#rows", "kept because"), rows, empty="no snapshots yet")
    if any(not kept.because for kept in shown.snapshots):
        say(f"next: lever data retention apply {shown.dataset} (or wait for the worker)")


@data.command("forget")
def forget(
    dataset: Dataset,
    key: Annotated[str, typer.Option("--key", help="COLUMN=VALUE; VALUE '-' reads it from standard input, so that no shell keeps it.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the record.")],
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait until it is done.")] = False,
    json_output: Json = False,
) -> None:
    """Delete a person's rows: in all snapshots and datasets that reference them, set aside, online, in training steps and the log."""
    column, found, value = key.partition("=")
    if not found or not column or not value:
        raise InvalidInput("whose rows?", where="--key", expected="COLUMN=VALUE", got="no value")
    if value == "-":
        value = typer.get_text_stream("stdin").readline().rstrip("\r\n")
    with connect() as client:
        record = client.keeping.forget(dataset, column, value, reason=reason)
        deadline = time.monotonic() + WAIT_S
        while not detach and record.status != "done" and time.monotonic() < deadline:
            time.sleep(POLL_S)
            record = client.keeping.erasure(record.id)
    if json_output:
        print_json(record)
    else:
        _print_erasure(record)


@data.command("forgotten")
def forgotten(erasure: Annotated[str, typer.Argument(help="One deletion; default: all.")] = "", json_output: Json = False) -> None:
    """Deletions of persons: who asked, why, and what they did."""
    with connect() as client:
        found = (client.keeping.erasure(erasure),) if erasure else client.keeping.erasures()
    if json_output:
        print_json(found)
        return
    for record in found:
        _print_erasure(record)
    if not found:
        say("nobody was deleted yet", "next: lever data forget DATASET --key COLUMN=VALUE --reason WHY")


def _print_erasure(record: "ErasureRecord") -> None:
    facts = [
        ("deletion", record.id),
        ("state", record.status if record.status == "done" else "asked for; the worker carries it out"),
        ("asked by", f"{record.asked_by}: {record.reason}"),
        ("found by", f"{record.dataset}.{record.column} and what references it"),
        ("rows", f"{record.rows:,} in {len(record.replaced)} snapshots, {record.quarantined} blobs set aside"),
        ("online store", f"{record.online:,} values went, {record.recomputed:,} came again from what remains"),
        ("elsewhere", f"{record.predictions:,} records of the prediction log, {record.intermediates:,} outputs of training steps"),
    ]
    facts += [("replaced", f"{old} by {new or 'nothing'}") for old, new in sorted(record.replaced.items())[:20]]
    facts += [("not stored", ", ".join(record.unsearched))] if record.unsearched else []
    print_facts(facts)


def register(app: typer.Typer) -> None:
    """These verbs hang under ``lever data``; ``app`` has it already."""
