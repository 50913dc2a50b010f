"""Fetches as jobs: pieces, what a death costs, two at once, what came meanwhile, and what is left of one that failed."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.apps.fetches import AtOnce, fetch, open_at_once
from tests.apps.test_platform_sources import ANA, csv, database, ids, put
from tests.data.conftest import TRIPS

from leverframe.apps import source_readers
from leverframe.apps.fetch_workflow import FetchWorkflow
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views.sources import FetchRequest
from leverframe.core.errors import Conflict, InvalidInput, NotFound
from leverframe.data.snapshots.source_marks import KIND_MARK, SourceMark
from leverframe.data.sources import postgresql
from leverframe.data.sources.registered import Source
from leverframe.governance.stored_objects import ForeignObjects

__all__ = ["database"]


class Waiting(AtOnce):
    """A queue that waits for :meth:`work`, which remembers steps as the durable engine does, and dies at ``stop_at``."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.steps: dict[str, Any] = {}
        self.ran: list[str] = []
        self.stop_at = ""

    def enqueue(self, workflow: str, workflow_id: str, argument: str, *, queue: str = "") -> None:
        if (workflow_id, argument) not in self.asked:
            self.asked.append((workflow_id, argument))

    def work(self, at: int = 0) -> str:
        workflow_id, argument = self.asked[at]

        def call(name: str, step: Callable[[], Any], *, retries: int = 0) -> Any:
            if f"{workflow_id}/{name}" not in self.steps:
                if name == self.stop_at:
                    raise KeyboardInterrupt
                self.ran.append(name)
                self.steps[f"{workflow_id}/{name}"] = json.loads(json.dumps(step()))
            return self.steps[f"{workflow_id}/{name}"]

        assert self.parts is not None
        return FetchWorkflow(self.parts).run(argument, call)


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three objects, each a piece of its own."""
    monkeypatch.setattr(source_readers, "PIECE_OBJECTS", 1)
    folder = tmp_path / "landing"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.csv").write_bytes(csv(f"{name}1", f"{name}2"))
    return folder


@pytest.fixture
def platform(tmp_path: Path, landing: Path) -> Iterator[Platform]:
    made = open_at_once(tmp_path / "home", sources_allowed=f"file://{landing}")
    queue = Waiting()
    made = Platform(dataclasses.replace(made.parts, queue=queue))  # type: ignore[arg-type]
    queue.parts = made.parts
    made.data.apply_contract(ANA, TRIPS, key="contract")
    made.sources.declare(ANA, Source(name="landing", kind="objects", team="rides", location=f"file://{landing}"), key="declare")
    yield made
    made.close()


def start(platform: Platform, key: str = "k", **asked: Any) -> str:
    return platform.fetching.start(ANA, "trips", FetchRequest(source="landing", **asked), key=key).id


def queue_of(platform: Platform) -> Waiting:
    return platform.parts.queue  # type: ignore[return-value]


def test_a_killed_fetch_goes_on_at_the_piece_where_it_died(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    read, real = [], ForeignObjects.read
    monkeypatch.setattr(ForeignObjects, "read", lambda self, stamp, most: (read.append(stamp.name), real(self, stamp, most))[1])
    job, queue = start(platform), queue_of(platform)
    queue.stop_at = "objects-2"
    with pytest.raises(KeyboardInterrupt):
        queue.work()
    half = platform.fetching.job(job)
    assert (half.status, half.pieces, half.pieces_done, half.rows, half.reached) == ("running", 3, 2, 4, "b.csv")
    with pytest.raises(NotFound):
        ids(platform)
    queue.stop_at = ""
    assert queue.work() == "done"
    assert read == ["a.csv", "b.csv", "c.csv"], "a piece that was kept was read again"
    done = platform.fetching.job(job)
    assert (done.status, done.pieces_done, done.rows, done.reached) == ("done", 3, 6, "c.csv")
    assert ids(platform) == ["a1", "a2", "b1", "b2", "c1", "c2"]
    mark = platform.parts.ledger.get(KIND_MARK, "trips/landing", SourceMark)
    assert mark is not None
    assert set(mark.objects) == {"a.csv", "b.csv", "c.csv"}


def test_a_death_between_the_record_and_its_memory_records_once(platform: Platform) -> None:
    """The last step is repeated when it was carried out and not remembered: the answer is the one that was given."""
    job, queue = start(platform), queue_of(platform)
    assert queue.work() == "done"
    snapshot = platform.fetching.job(job).snapshot
    del queue.steps[f"{job}/record"]
    assert queue.work() == "done"
    assert platform.fetching.job(job).snapshot == snapshot
    assert len(platform.keeping.snapshots("trips")) == 1


def test_of_two_at_once_the_second_is_refused_or_takes_over_and_the_first_writes_nothing(platform: Platform, landing: Path) -> None:
    first, queue = start(platform, "one"), queue_of(platform)
    with pytest.raises(Conflict, match=first):
        start(platform, "two")
    queue.stop_at = "record"
    with pytest.raises(KeyboardInterrupt):
        queue.work()
    second = start(platform, "two", take_over=True)
    queue.stop_at = ""
    queue.work(0)
    assert platform.fetching.job(first).status == "superseded"
    with pytest.raises(NotFound):
        ids(platform)
    assert queue.work(1) == "done"
    assert platform.fetching.job(second).rows == 6
    assert start(platform, "two") == second, "the same key is the same fetch"
    assert [job.status for job in platform.fetching.jobs("trips")].count("done") == 1


def test_rows_that_came_meanwhile_stay_and_are_taken_once(platform: Platform) -> None:
    start(platform)
    queue = queue_of(platform)
    queue.stop_at = "record"
    with pytest.raises(KeyboardInterrupt):
        queue.work()
    platform.data.ingest(ANA, "trips", csv("other", "b1"), format="csv", key="file")
    queue.stop_at = ""
    assert queue.work() == "refused", "b1 is there with another moment: which is true is not for a machine to say"
    assert ids(platform) == ["b1", "other"]
    platform.data.ingest(ANA, "trips", csv("other"), format="csv", key="again")
    platform.keeping.collect()
    start(platform, "later")
    assert queue.work(1) == "done"
    assert ids(platform) == ["a1", "a2", "b1", "b2", "c1", "c2", "other"]


def test_a_key_that_comes_in_two_pieces_with_two_values_refuses_all_of_it(platform: Platform, landing: Path) -> None:
    (landing / "c.csv").write_bytes(csv("c1", "a2", miles=9.0))
    job = start(platform)
    assert queue_of(platform).work() == "refused"
    refused = platform.fetching.job(job)
    assert refused.quarantine
    (failed,) = [r for r in platform.data.reports("trips")[0].report.results if not r.passed and r.severity == "refuse"]
    assert (failed.rule, failed.column, failed.failing_rows) == ("primary_key", "id", 1)
    assert platform.parts.ledger.get(KIND_MARK, "trips/landing", SourceMark) is None, "what was refused counts as read"


def test_what_a_failed_fetch_kept_goes_and_the_next_one_does_not_miss_it(platform: Platform, landing: Path) -> None:
    start(platform, "one")
    queue = queue_of(platform)
    queue.stop_at = "objects-2"
    with pytest.raises(KeyboardInterrupt):
        queue.work()
    (landing / "c.csv").unlink()
    queue.stop_at = ""
    assert queue.work() == "failed"
    kept = [part["digest"] for name, step in queue.steps.items() if "/objects-" in name for part in step["staged"]["parts"]]
    assert len(kept) == 2
    assert "went away" in platform.fetching.jobs("trips")[0].failure
    # The next fetch finds the same bytes there and does not write them again; then they go; then it comes to its end.
    start(platform, "two")
    queue.stop_at = "record"
    with pytest.raises(KeyboardInterrupt):
        queue.work(1)
    assert platform.keeping.collect() == 2
    assert not any(platform.parts.artifacts.has(digest) for digest in kept)
    queue.stop_at = ""
    assert queue.work(1) == "done"
    assert ids(platform) == ["a1", "a2", "b1", "b2"]


def test_a_contract_that_changes_on_the_way_ends_the_fetch_in_words(platform: Platform) -> None:
    job, queue = start(platform), queue_of(platform)
    queue.stop_at = "objects-1"
    with pytest.raises(KeyboardInterrupt):
        queue.work()
    platform.data.apply_contract(ANA, TRIPS.replace("version: 1.0.0", "version: 1.0.1").replace("Trips", "Rides"), key="newer")
    queue.stop_at = ""
    assert queue.work() == "failed"
    assert "the contract changed while rows were fetched" in platform.fetching.job(job).failure


def test_an_unusable_pattern_is_refused_before_anything_begins(platform: Platform) -> None:
    with pytest.raises(InvalidInput, match="not a pattern"):
        start(platform, pattern="x" * 400)
    assert platform.fetching.jobs() == ()


def test_a_table_is_cut_where_its_watermark_changes_and_no_row_is_lost_or_doubled(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rows a second, pieces of at least ten in batches of four: cut inside a second, rows of it would be lost."""
    monkeypatch.setattr(source_readers, "PIECE_ROWS", 10)
    monkeypatch.setattr(postgresql, "BATCH_ROWS", 4)
    platform, connection = database
    for number in range(70):
        put(connection, f"r{number:02}", number // 7)
    assert fetch(platform, ANA, "trips", "db", key="1").report.rows == 70
    (job,) = platform.fetching.jobs("trips")
    assert job.pieces_done == 5
    assert ids(platform) == [f"r{number:02}" for number in range(70)]
    put(connection, "late", 9)
    put(connection, "next", 10)
    again = fetch(platform, ANA, "trips", "db", key="2")
    assert again.report.rows == 9, "the last second once more, and what is beyond it"
    assert len(ids(platform)) == 72
