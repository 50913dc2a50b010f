"""A person's deletion beyond snapshots: values in the online store, outputs of training steps, the prediction log."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.apps.test_keeping import ANA, forget, offer, platform, rows
from tests.apps.test_reproducing import forget as forget_plane
from tests.apps.test_reproducing import plane_is_a_person
from tests.monitoring.world import answer, write_segment
from tests.whole_program import copy_home, open_in_process, train, world

from leverframe.apps.materialize_workflow import MaterializeWorkflow
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import MaterializeRequest
from leverframe.apps.settings import Settings
from leverframe.core.clock import DAY_US
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.features.declared.bindings import binding
from leverframe.features.online.online import entity_keys
from leverframe.monitoring.log_archive import LogArchive
from leverframe.monitoring.log_reader import LogReader
from leverframe.training.commands import KIND_MODEL_VERSION
from leverframe.training.runs import KIND_RUN, RunRecord

__all__ = ["platform"]

BASE = {"source": "trips", "event_time": "ended_at", "arrival_time": "ended_at", "owner": "rides"}
OF_RIDER = FeatureView(name="of_rider", entity=("rider",), **BASE, expressions=(Expression(name="seats", sql="seats"),))  # type: ignore[arg-type]
NEWEST = FeatureView(name="newest", entity=("kind",), **BASE, expressions=(Expression(name="row", sql="miles"),))  # type: ignore[arg-type]
TOTAL = FeatureView(
    name="total",
    entity=("kind",),
    **BASE,  # type: ignore[arg-type]
    aggregates=(
        Aggregate(name="n", function="count", window_us=2_000 * DAY_US),
        Aggregate(name="s", function="sum", column="seats", window_us=2_000 * DAY_US),
    ),
)


# The online store ------------------------------------------------------------------------------------------------------


class Queue:
    """Carries materialisations out at once."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def enqueue(self, workflow: str, workflow_id: str, argument: str, *, queue: str = "") -> None:
        MaterializeWorkflow(self._platform.parts).run(argument, lambda name, step, retries=0: json.loads(json.dumps(step())))

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def served(platform: Platform) -> Platform:
    """Ann, Bob and Ann again, in three views of the store."""
    object.__setattr__(platform.parts, "queue", Queue(platform))
    body = rows("ann", "bob") + b"t002,short,9,4,ann,2\n"
    offer(platform, body, "one")
    for view in (OF_RIDER, NEWEST, TOTAL):
        platform.features.apply_view(ANA, view, key=view.name)
    jobs = platform.materializing.start(ANA, MaterializeRequest(), key="fill")
    assert {job.status for job in jobs} == {"done"}
    return platform


def read(platform: Platform, view: FeatureView, key: str) -> list[float]:
    found = platform.parts.online.read(binding(view), entity_keys([[key]]), 10)
    return np.nan_to_num(found.values, nan=-1.0).tolist()[0]


def rider(platform: Platform, name: str) -> str:
    return platform.parts.pseudonyms.of(name)[:16].hex()


def test_values_that_the_person_had_a_part_in_come_again_without_her(served: Platform) -> None:
    assert (read(served, NEWEST, "short"), read(served, TOTAL, "short")) == ([9.0], [3.0, 8.0])
    done = served.erasing.record(forget(served, "ann"))
    assert read(served, OF_RIDER, rider(served, "ann")) == [-1.0]
    assert read(served, OF_RIDER, rider(served, "bob")) == [2.0]
    assert read(served, NEWEST, "short") == [1.5], "her newer row is gone, and Bob's older one is the newest"
    assert read(served, TOTAL, "short") == [1.0, 2.0]
    assert (done.online, done.recomputed) == (3, 2)


def test_after_a_death_between_the_record_and_the_store_the_views_are_filled_anew(
    served: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(served.erasing, "_recomputed", dies)
    with pytest.raises(KeyboardInterrupt):
        forget(served, "ann")
    assert read(served, TOTAL, "short") == [3.0, 8.0], "the record is there, and the store still has her part"
    monkeypatch.undo()
    assert served.erasing.carry_out_due() == 1
    assert (read(served, NEWEST, "short"), read(served, TOTAL, "short")) == ([1.5], [1.0, 2.0])
    assert read(served, OF_RIDER, rider(served, "ann")) == [-1.0]
    assert {job.mode for job in served.materializing.jobs()} == {"full"}


# Training and the log -----------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[Platform]:
    home = copy_home(tmp_path / "home")
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    plane_is_a_person(opened)
    yield opened
    opened.close()


def a_plane() -> str:
    return str(world()["planes"].sort("tailnum")["tailnum"][0])


def test_what_training_steps_made_of_the_rows_goes_and_versions_stay(trained: Platform) -> None:
    runs = trained.parts.ledger.find(KIND_RUN, RunRecord)
    outputs = {(run.id, step.name): step.output for run in runs for step in run.steps}
    assert all(trained.parts.artifacts.has(output) for output in outputs.values() if output)
    record = trained.erasing.record(forget_plane(trained, a_plane()))
    trained.keeping.collect()
    left = {name for (_, name), output in outputs.items() if output and trained.parts.artifacts.has(output)}
    assert not left & {"select", "features"}
    assert {"fit", "export", "evaluate", "package"} <= left
    assert record.intermediates == len({output for (_, name), output in outputs.items() if name in ("select", "features")})
    assert trained.training.version("flight-delay@v1").version.gates == "pass"
    ana = trained.access.authenticate(json.loads((trained.parts.settings.home / "secrets.json").read_text())["ana"])
    assert train(trained, ana, 7).status == "succeeded", "a step's output that went was still counted on"
    assert trained.parts.ledger.find(KIND_MODEL_VERSION, msgspec.Struct) is not None


def logged(number: int, plane: str) -> PredictionRecord:
    made = answer(f"p{number}", 1_000 + number, np.arange(3.0), [0.25])
    return msgspec.structs.replace(made, entities={"origin": "JFK", "tailnum": plane})


def drained(reader: LogReader) -> list[LogRecord]:
    return [record for _ in range(10) for record in reader.poll()]


def test_the_prediction_log_names_nobody_and_still_adds_up(trained: Platform) -> None:
    plane, folder = a_plane(), trained.parts.settings.log_folder
    folder.mkdir(exist_ok=True)
    records = [logged(0, plane), logged(1, "N00000"), logged(2, plane)]
    about = {"origin": "JFK", "tailnum": plane}
    label = LabelRecord(id="", endpoint="flight-delay", label=1.0, known_at_us=5_000, entities=about, asked_at_us=2_000)
    write_segment(folder, "gw-0", 1, [*records, label], sealed=True)
    write_segment(folder, "gw-1", 1, [logged(3, plane)], sealed=False, room=4096)
    archive = LogArchive(trained.parts.settings.log_archive)
    archive.put("gw-2-00000001", [(logged(4, plane), 700), (logged(5, "N00000"), 900)], sealed_at_us=1, used=900)
    before = LogReader(folder)
    first = drained(before)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    done = trained.erasing.record(forget_plane(trained, plane))
    assert done.predictions == 5
    asked, other = archive.read("gw-2-00000001", 900)
    assert (asked.entities["tailnum"] in (plane, ""), other.entities["tailnum"]) == (False, "N00000"), "the archive still names her"
    assert not any(plane.encode() in path.read_bytes() for path in folder.iterdir())
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == sizes
    assert drained(before) == [], "a reader's place was lost"
    reader = LogReader(folder)
    read = drained(reader)
    assert len(read) == len(first) == 5
    again = {record.id: record for record in read if isinstance(record, PredictionRecord)}
    (found,) = (record for record in read if isinstance(record, LabelRecord))
    assert (reader.totals.adds_up, reader.totals.findings) == (True, 0)
    nobody = again["p0"].entities["tailnum"]
    assert nobody not in (plane, "N00000")
    assert [again[id].entities for id in ("p2", "p3")] == [{"origin": "JFK", "tailnum": nobody}] * 2
    assert (found.id, found.entities.get("tailnum", nobody)) == ("p3", nobody), "the label no longer finds its prediction"
    assert np.isnan(np.frombuffer(again["p0"].features)).all()
    assert again["p0"].outputs == (0.25,)
    assert again["p1"] == records[1]
    assert trained.erasing.carry_out_due() == 0


def test_the_negative_control_finds_the_plane_in_the_log_before(trained: Platform) -> None:
    plane, folder = a_plane(), trained.parts.settings.log_folder
    folder.mkdir(exist_ok=True)
    write_segment(folder, "gw-0", 1, [logged(0, plane)], sealed=True)
    assert any(plane.encode() in path.read_bytes() for path in folder.iterdir())
    assert pl.Series([plane]).is_in(world()["planes"]["tailnum"].implode()).all()
