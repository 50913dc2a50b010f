"""Materialisation jobs on a real installation in this process: pinned snapshots, leases, versions side by side, figures in the ledger."""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.whole_program import issue_tokens, parquet

from leverframe.apps.materialize_workflow import MaterializeWorkflow
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import MaterializeRequest
from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US, iso_from_us, us_from_iso
from leverframe.core.errors import Conflict, ContractViolation, InvalidInput, Refused, SchemaMismatch
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.data.streams.messages import StreamMessage
from leverframe.data.streams.taken import StreamRules
from leverframe.features.declared.bindings import binding
from leverframe.features.declared.definitions import view_version
from leverframe.features.materialization.jobs import JobRecord
from leverframe.features.online.online import entity_keys

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: readings
name: readings
version: 1.0.0
status: active
team:
  name: flights
  members:
    - {username: ops, role: owner}
schema:
  - name: readings
    logicalType: object
    physicalType: parquet
    properties:
      - {name: sensor, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: at, logicalType: timestamp, required: true, primaryKey: true, primaryKeyPosition: 2}
      - {name: known, logicalType: timestamp, required: true}
      - {name: value, logicalType: number}
"""
START_US = us_from_iso("2024-01-01T00:00:00Z")
BASE: dict[str, Any] = {"source": "readings", "entity": ("sensor",), "event_time": "at", "arrival_time": "known"}
LATEST = FeatureView(name="latest", **BASE, expressions=(Expression(name="v", sql="value"),), owner="ops")
DAILY = FeatureView(
    name="daily",
    **BASE,
    aggregates=(
        Aggregate(name="n", function="count", window_us=DAY_US),
        Aggregate(name="s", function="sum", column="value", window_us=DAY_US),
    ),
    owner="ops",
)


class HeldBack:
    """A queue that only remembers; :meth:`work` carries the oldest job out, with steps remembered as the durable engine does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.steps: dict[str, Any] = {}
        self.stop_at = ""

    def enqueue(self, workflow: str, workflow_id: str, argument: str, *, queue: str = "") -> None:
        if (workflow_id, argument) not in self.asked:
            self.asked.append((workflow_id, argument))

    def work(self, parts: Any, at: int = 0) -> str:
        workflow_id, argument = self.asked[at]

        def call(name: str, step: Callable[[], Any], *, retries: int = 0) -> Any:
            if f"{workflow_id}/{name}" not in self.steps:
                if name == self.stop_at:
                    raise KeyboardInterrupt  # the process dies here: nothing after it is carried out
                self.steps[f"{workflow_id}/{name}"] = msgspec.json.decode(msgspec.json.encode(step()))
            return self.steps[f"{workflow_id}/{name}"]

        outcome = MaterializeWorkflow(parts).run(argument, call)
        del self.asked[at]
        return outcome

    def close(self) -> None:
        """Nothing is open."""


@dataclasses.dataclass
class Place:
    platform: Platform
    queue: HeldBack
    ana: Actor

    def materialize(self, **asked: Any) -> JobRecord:
        (job,) = self.platform.materializing.start(self.ana, MaterializeRequest(**asked), key=os.urandom(4).hex())
        self.queue.work(self.platform.parts)
        return self.platform.materializing.job(job.id)

    def ingest(self, rows: pl.DataFrame) -> None:
        done = self.platform.data.ingest(self.ana, "readings", parquet(rows), format="parquet", key=os.urandom(4).hex())
        assert done.accepted, done.report

    def values(self, view: FeatureView, sensors: list[str]) -> list[list[float]]:
        read = self.platform.parts.online.read(binding(view), entity_keys([sensors]), START_US + 100 * DAY_US)
        return np.nan_to_num(read.values, nan=-1.0).tolist()


def readings(days: int, sensors: int = 4, factor: float = 1.0) -> pl.DataFrame:
    """One reading a day and sensor; the value is the day's number times ``factor``."""
    moments = [START_US + day * DAY_US for day in range(days) for _ in range(sensors)]
    return pl.DataFrame(
        {
            "sensor": [f"s{i}" for _ in range(days) for i in range(sensors)],
            "at": pl.Series(moments).cast(pl.Datetime("us", "UTC")),
            "known": pl.Series([at + 1_000_000 for at in moments]).cast(pl.Datetime("us", "UTC")),
            "value": [day * factor for day in range(days) for _ in range(sensors)],
        }
    )


@pytest.fixture(params=["lmdb", "redis"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    parts = open_parts(Settings(home=tmp_path / "home", online_url=url, core_hour_price=3600.0))
    parts.queue.close()
    queue = HeldBack()
    platform = Platform(dataclasses.replace(parts, queue=queue))  # type: ignore[arg-type]
    ana = platform.access.authenticate(issue_tokens(platform)["ana"])
    platform.data.apply_contract(ana, CONTRACT, key="contract")
    made = Place(platform, queue, ana)
    made.ingest(readings(5))
    for view in (LATEST, DAILY):
        platform.features.apply_view(ana, view, key=view.name)
    yield made
    platform.close()


def test_a_job_fills_the_store_and_leaves_its_figures(place: Place) -> None:
    job = place.materialize(names=("latest",), mode="full", parts=2)
    assert (job.status, job.mode, job.partitions, job.partitions_done, job.rows, job.entities) == ("done", "full", 2, 2, 20, 4)
    assert job.watermark_us == job.to_us
    assert job.seconds > 0
    assert job.price == pytest.approx(job.cpu_seconds), "an hour of a processor costs 3,600"
    assert place.values(LATEST, ["s0", "s3", "nobody"]) == [[4.0], [4.0], [-1.0]]
    assert not list((place.platform.parts.settings.home / "materialize").iterdir()), "the job's files outlived it"


def test_a_killed_job_goes_on_at_the_partition_where_it_died(place: Place) -> None:
    first, last = START_US + 2 * DAY_US, START_US + 5 * DAY_US - 1
    place.materialize(names=("daily",), to_us=first)
    asked = {"names": ("daily",), "mode": "backfill", "from_us": START_US, "to_us": last, "step_us": DAY_US}
    (job,) = place.platform.materializing.start(place.ana, MaterializeRequest(**asked), key="k")
    place.queue.stop_at = "span-3"
    with pytest.raises(KeyboardInterrupt):
        place.queue.work(place.platform.parts)
    half = place.platform.materializing.job(job.id)
    assert (half.status, half.partitions, half.partitions_done) == ("running", 5, 3)
    assert place.platform.parts.online.meta("daily").watermark_us == first, "the store was touched before the job was whole"
    computed = set(place.queue.steps)
    place.queue.stop_at = ""
    assert place.queue.work(place.platform.parts) == "done"
    assert {name.rpartition("/")[2] for name in set(place.queue.steps) - computed if job.id in name} == {"span-3", "span-4", "switch"}
    done = place.platform.materializing.job(job.id)
    assert (done.status, done.partitions_done, done.watermark_us) == ("done", 5, last)
    assert place.values(DAILY, ["s1"]) == [[1.0, 4.0]]


def test_a_job_sees_the_snapshot_it_was_asked_on_and_no_other(place: Place) -> None:
    """The source changes under the reader: half of the partitions would come from one file, half from the other."""
    (job,) = place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",), parts=4), key="pinned")
    place.queue.stop_at = "keys-2"
    with pytest.raises(KeyboardInterrupt):
        place.queue.work(place.platform.parts)
    place.ingest(readings(5, factor=100.0))
    place.queue.stop_at = ""
    place.queue.work(place.platform.parts)
    assert place.values(LATEST, ["s0", "s1", "s2", "s3"]) == [[4.0]] * 4
    again = place.materialize(names=("latest",), mode="full")
    assert again.snapshot != place.platform.materializing.job(job.id).snapshot
    assert place.values(LATEST, ["s0", "s1", "s2", "s3"]) == [[400.0]] * 4


def test_of_two_materialisers_the_second_is_refused_or_takes_over_and_the_first_writes_no_more(place: Place) -> None:
    start = place.platform.materializing.start
    (first,) = start(place.ana, MaterializeRequest(names=("latest",), to_us=START_US + 2 * DAY_US), key="1")
    with pytest.raises(Conflict, match="under way") as caught:
        start(place.ana, MaterializeRequest(names=("latest",)), key="2")
    assert first.id in caught.value.next_step
    (second,) = start(place.ana, MaterializeRequest(names=("latest",), take_over=True), key="3")
    assert place.queue.work(place.platform.parts, at=1) == "done"
    assert place.queue.work(place.platform.parts, at=0) == "failed"
    ended = {job.id: job.status for job in place.platform.materializing.jobs("latest")}
    assert ended == {first.id: "superseded", second.id: "done"}
    assert place.values(LATEST, ["s0"]) == [[4.0]], "the job that was taken over wrote all the same"
    start(place.ana, MaterializeRequest(names=("latest",)), key="4")  # the lease was given back


def test_a_new_version_is_filled_beside_the_old_one_and_switched_to_at_once(place: Place) -> None:
    place.materialize(names=("latest",))
    changed = msgspec.structs.replace(LATEST, expressions=(Expression(name="v", sql="value * 10"),))
    (running,) = place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",), mode="full"), key="old")
    place.platform.features.apply_view(place.ana, changed, key="changed")
    assert place.queue.work(place.platform.parts) == "failed", "a version nobody declares any more was made the active one"
    assert "declared anew" in place.platform.materializing.job(running.id).failure
    (job,) = place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",)), key="new")
    place.queue.stop_at = "switch"
    with pytest.raises(KeyboardInterrupt):
        place.queue.work(place.platform.parts)
    online = place.platform.parts.online
    assert online.meta("latest").view_version == view_version(LATEST), "the old version answers until the new one is whole"
    place.queue.stop_at = ""
    place.queue.work(place.platform.parts)
    assert online.meta("latest").view_version == view_version(changed) == place.platform.materializing.job(job.id).view_version
    assert (place.values(LATEST, ["s0"]), place.values(changed, ["s0"])) == ([[4.0]], [[40.0]]), "models bound to the old one lost it"


def test_what_makes_no_sense_is_refused_before_anything_is_recorded(place: Place) -> None:
    place.materialize(names=("latest",), to_us=START_US + 3 * DAY_US)
    for asked in (
        {"to_us": START_US + DAY_US},
        {"mode": "backfill", "from_us": START_US + 4 * DAY_US},
        {"mode": "backfill", "from_us": START_US, "step_us": 1},
    ):
        with pytest.raises(InvalidInput):
            place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",), **asked), key=os.urandom(4).hex())
    assert len(place.platform.materializing.jobs()) == 1


def row(sensor: str, day: float, value: float | None, *, late_days: float = 0.0) -> dict[str, Any]:
    """A reading as a caller sends it."""
    at = int(START_US + day * DAY_US)
    return {"sensor": sensor, "at": iso_from_us(at), "known": iso_from_us(int(at + late_days * DAY_US)), "value": value}


def test_pushed_rows_can_be_read_when_the_push_returns_and_end_in_a_snapshot(place: Place) -> None:
    for name in ("latest", "daily"):
        place.materialize(names=(name,), to_us=START_US + 4 * DAY_US + 2_000_000)
    before = {view.name: place.platform.parts.online.meta(view.name) for view in (LATEST, DAILY)}
    began = time.perf_counter()
    done = place.platform.pushing.push(place.ana, "latest", (row("s0", 4.5, 50.0), row("new", 4.5, 9.0)), key="p1")
    took_s = time.perf_counter() - began
    assert place.values(LATEST, ["s0", "s1", "new"]) == [[50.0], [4.0], [9.0]]
    assert took_s < 1.0, "read your write under a second"
    assert done.views == {"latest": 2, "daily": 2}
    assert place.platform.data.datasets()[0].latest.digest == done.snapshot
    after = place.platform.parts.online.meta("latest")
    assert (after.watermark_us, after.newest_event_us) == (before["latest"].watermark_us, START_US + int(4.5 * DAY_US))
    job = place.materialize(names=("latest",), mode="full")
    assert (job.rows, place.values(LATEST, ["s0", "new"])) == (22, [[50.0], [9.0]])


def test_duplicates_count_once_and_out_of_order_rows_land_where_they_belong(place: Place) -> None:
    now_us = place.platform.now_us()
    start_day = (now_us - START_US) / DAY_US - 0.5
    for name in ("latest", "daily"):
        place.materialize(names=(name,))
    second, first = row("s9", round(start_day + 0.2, 6), 2.0), row("s9", round(start_day + 0.1, 6), 1.0)
    for number, rows in enumerate([(second,), (first,), (second,), (first, second)]):
        place.platform.pushing.push(place.ana, "daily", rows, key=f"n{number}")
    read = place.platform.parts.online.read(binding(DAILY), [b"s9"], now_us)
    assert read.values.tolist() == [[2.0, 3.0]], "a duplicate was counted twice, or a late row was lost"
    assert place.values(LATEST, ["s9"]) == [[2.0]], "an older row took the place of a newer one"
    again = place.platform.pushing.push(place.ana, "daily", (second,), key="n0")
    assert again.rows == 1
    assert place.platform.parts.online.read(binding(DAILY), [b"s9"], now_us).values.tolist() == [[2.0, 3.0]]


def test_a_feed_whose_schema_changed_is_refused_and_the_old_values_stay(place: Place) -> None:
    place.materialize(names=("latest",))
    snapshot = place.platform.data.datasets()[0].latest
    with pytest.raises(SchemaMismatch, match="unit") as caught:
        place.platform.pushing.push(place.ana, "latest", ({**row("s0", 6, 1.0), "unit": "K"},), key="a")
    assert caught.value.faults[0].where == "row 0"
    renamed = {name.replace("known", "known_at"): value for name, value in row("s0", 6, 1.0).items()}
    for bad in (renamed, {**row("s0", 6, 1.0), "at": "soon"}, {**row("s0", 6, 1.0), "value": "warm"}):
        with pytest.raises((SchemaMismatch, ContractViolation)):
            place.platform.pushing.push(place.ana, "latest", (bad,), key=os.urandom(4).hex())
    assert place.values(LATEST, ["s0"]) == [[4.0]]
    assert place.platform.data.datasets()[0].latest == snapshot


def test_rows_pushed_while_a_job_runs_outlive_its_switch(place: Place) -> None:
    """The job's snapshot is older than they are; replacing everything by it would lose them until the next one."""
    place.materialize(names=("latest",))
    place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",), mode="full"), key="job")
    place.queue.stop_at = "switch"
    with pytest.raises(KeyboardInterrupt):
        place.queue.work(place.platform.parts)
    place.platform.pushing.push(place.ana, "latest", (row("s0", 4.5, 50.0),), key="p")
    place.queue.stop_at = ""
    assert place.queue.work(place.platform.parts) == "done"
    assert place.values(LATEST, ["s0", "s1"]) == [[50.0], [4.0]]


def test_a_forgotten_entity_is_gone_and_its_key_is_in_no_record(place: Place) -> None:
    place.materialize(names=("latest",))
    done = place.platform.online_values.forget(place.ana, "latest", ("s1",), key="f")
    assert (done.versions, place.values(LATEST, ["s1", "s2"])) == (1, [[-1.0], [4.0]])
    entry = next(e for e in place.platform.audit.entries(limit=50) if e.action == "Features.Forget")
    assert "s1" not in str(entry)
    with pytest.raises(InvalidInput):
        place.platform.online_values.forget(place.ana, "latest", ("a", "b"), key="g")


def test_only_versions_that_nobody_reads_are_dropped(place: Place) -> None:
    place.materialize(names=("latest",))
    with pytest.raises(Refused, match="still read"):
        place.platform.online_values.drop(place.ana, "latest", view_version(LATEST), key="d1")
    changed = msgspec.structs.replace(LATEST, expressions=(Expression(name="v", sql="value * 10"),))
    place.platform.features.apply_view(place.ana, changed, key="changed")
    place.materialize(names=("latest",))
    assert place.platform.online_values.drop(place.ana, "latest", key="d2") == {view_version(LATEST): 4}
    assert (place.values(LATEST, ["s0"]), place.values(changed, ["s0"])) == ([[-1.0]], [[40.0]])


def test_values_are_exported_as_of_a_moment_and_as_the_store_holds_them(place: Place) -> None:
    place.materialize(names=("latest",))
    offline = pl.read_parquet(place.platform.online_values.export("latest", START_US + 2 * DAY_US))
    assert offline.select("sensor", "v").rows() == [(f"s{i}", 1.0) for i in range(4)], "the third day was not known yet"
    online = pl.read_parquet(place.platform.online_values.export("latest", None, online=True))
    assert online.select("entity", "v", "event_us").rows() == [(f"s{i}", 4.0, START_US + 4 * DAY_US) for i in range(4)]


def test_rows_of_a_stream_that_come_while_a_job_runs_are_not_taken_back(place: Place) -> None:
    """The stream joins its new batch with the one before it: the newest snapshot lacks a part that the job has pinned."""

    def streamed(number: int, value: float) -> None:
        row = {"sensor": "s0", "at": f"2024-01-0{number}T00:00:00Z", "known": f"2024-01-0{number}T00:00:01Z", "value": value}
        after = {"0": str(number - 1)} if number > 8 else {}
        batch = StreamBatch(after=after, upto={"0": str(number)}, messages=(StreamMessage(f"0:{number}", "", json.dumps(row)),))
        place.platform.streams.take(place.ana, "readings", "live", batch, key=f"batch-{number}")

    place.materialize(names=("latest",))
    asked = OpenStreamRequest(source="nats://h/readings", rules=StreamRules(push=True))
    place.platform.streams.open(place.ana, "readings", "live", asked, key="open")
    streamed(8, 66.0)
    (job,) = place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",), mode="full"), key="slow")
    place.queue.stop_at = "switch"
    with pytest.raises(KeyboardInterrupt):
        place.queue.work(place.platform.parts)
    streamed(9, 77.0)
    assert place.values(LATEST, ["s0", "s1"]) == [[77.0], [4.0]]
    place.queue.stop_at = ""
    assert place.queue.work(place.platform.parts) == "done"
    assert place.platform.materializing.job(job.id).status == "done"
    assert place.values(LATEST, ["s0", "s1"]) == [[77.0], [4.0]], "the job wrote over what had been pushed"


def test_a_partition_that_was_recorded_and_not_remembered_is_computed_again_and_counts_once(place: Place) -> None:
    """The worker died between the two: the second time took another number of seconds, which is no other partition."""
    (job,) = place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",), mode="full", parts=2), key="twice")
    place.queue.stop_at = "switch"
    with pytest.raises(KeyboardInterrupt):
        place.queue.work(place.platform.parts)
    del place.queue.steps[f"{job.id}/keys-1"]
    place.queue.stop_at = ""
    assert place.queue.work(place.platform.parts) == "done"
    done = place.platform.materializing.job(job.id)
    assert (done.status, done.partitions_done, done.rows, done.failure) == ("done", 2, 20, "")


def test_a_death_between_a_job_s_end_and_the_view_s_record_leaves_no_view_without_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",), mode="full"), key="end")
    write = place.platform.parts.ledger.write

    def dies(actor: Any, command: Any, *, key: str) -> Any:
        if type(command).__name__ == "RecordMaterialization":
            raise KeyboardInterrupt
        return write(actor, command, key=key)

    monkeypatch.setattr(place.platform.parts.ledger, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        place.queue.work(place.platform.parts)
    assert place.platform.materializing.job(job.id).status == "done"
    assert place.platform.details.view("latest").ages == ()
    monkeypatch.undo()
    assert place.queue.work(place.platform.parts) == "done"
    (age,) = place.platform.details.view("latest").ages
    assert age.watermark_us == job.to_us
