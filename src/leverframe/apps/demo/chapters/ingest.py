"""Chapter 1: rows become checked, immutable snapshots; a broken file is refused with every fault listed."""

import io
from importlib.resources import files

import polars as pl

from leverframe.apps.demo.project.prepare import broken_flights
from leverframe.apps.demo.stage import Stage
from leverframe.core.clock import iso_from_us

DATASETS = ("planes", "weather", "flights", "departures")
"""In this order: a departure refers to its flight, so flights come first."""


def parquet(frame: pl.DataFrame) -> bytes:
    """The rows as an uploadable file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def apply_contracts(stage: Stage) -> None:
    """Put the project's four contracts in force."""
    folder = files("leverframe.apps.demo.project") / "contracts"
    for name in DATASETS:
        applied = stage.people["ana"].data.apply_contract((folder / f"{name}.odcs.yaml").read_text())
        stage.timeline.note(f"contract {applied['contract']} {applied['version']}: {applied['change']}")


def ingest_arrived(stage: Stage) -> dict[str, object]:
    """Offer what had arrived by the clock's moment; returns rows and digests by dataset."""
    taken: dict[str, object] = {}
    arrived = stage.arrived()
    for name in DATASETS:
        done = stage.people["ana"].data.ingest(name, parquet(arrived[name]), format="parquet")
        assert done.snapshot is not None, done.report
        taken[name] = {"rows": done.snapshot.rows, "digest": done.snapshot.digest, "rules": len(done.report.results)}
    return taken


def tell(stage: Stage) -> None:
    """Ingest the year so far, then offer a broken file."""
    with stage.timeline.chapter("Ingest: contracts, snapshots, and a file that is refused", "ingest"):
        stage.load_world()
        apply_contracts(stage)
        taken = ingest_arrived(stage)
        now = iso_from_us(stage.clock.now_us())
        for name, facts in taken.items():
            assert isinstance(facts, dict)
            stage.timeline.good(
                f"{name}: {facts['rows']:,} rows that had arrived by {now}, {facts['rules']} rules hold, {facts['digest'][:19]}…"
            )
        refused = stage.people["ana"].data.ingest("flights", broken_flights(stage.arrived()["flights"]), format="csv")
        faults = [result for result in refused.report.results if not result.passed]
        stage.timeline.bad(f"a broken export was refused with {len(faults)} faults and quarantined as {refused.quarantine[:19]}…")
        for fault in faults[:8]:
            stage.timeline.note(
                f"{fault.rule} {fault.column}: {fault.failing_rows} of {fault.checked_rows} rows; expected {fault.expected}"
            )
    stage.figures["ingest"] = {
        "snapshots": taken,
        "refused": {
            "accepted": refused.accepted,
            "faults": [f"{f.rule} {f.column}".strip() for f in faults],
            "quarantine": refused.quarantine,
        },
    }
