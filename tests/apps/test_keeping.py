"""A dataset's past on a real installation in a folder: as of a moment, let go, verified, and without a person."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.data.conftest import TRIPS

from leverframe.apps.platform.datasets import latest_rows, latest_snapshot
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US, HOUR_US, ManualClock
from leverframe.core.errors import Conflict, Forbidden, NotFound, Refused
from leverframe.data.commands import RecordSnapshot
from leverframe.data.retention.commands_retention import ExpireSnapshots
from leverframe.data.retention.retention import Retention
from leverframe.data.snapshots.snapshots import read_snapshot

ANA = Actor(subject="ana", roles=("admin",), teams=("*",))
HEADER = "id,kind,miles,seats,rider,ended_at\n"
RATINGS = (
    TRIPS.replace("name: trips", "name: ratings")
    .replace("id: trips", "id: ratings")
    .replace("trips.ended_at", "ratings.ended_at")
    .replace("maxLength: 12 }", "maxLength: 12 }\n        relationships: [{ to: trips.rider }]")
)


def rows(*persons: str, start: int = 0) -> bytes:
    return (HEADER + "".join(f"t{start + n:03},short,1.5,2,{rider},{n}\n" for n, rider in enumerate(persons))).encode()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    opened = open_platform(Settings(home=tmp_path / "home"))
    clock = ManualClock(1000 * DAY_US)
    parts = opened.parts
    object.__setattr__(parts, "clock", clock)
    parts.ledger._clock = clock
    opened.data.apply_contract(ANA, TRIPS, key="contract")
    yield opened
    opened.close()


def offer(platform: Platform, body: bytes, key: str, *, append: bool = False, dataset: str = "trips") -> str:
    platform.parts.clock.advance(HOUR_US)  # type: ignore[attr-defined]
    became = platform.data.ingest(ANA, dataset, body, format="csv", key=key, append=append)
    assert became.snapshot is not None, became.report
    return became.snapshot.digest


def ids(frame: pl.LazyFrame) -> list[str]:
    return frame.collect()["id"].to_list()


def test_rows_as_of_a_moment(platform: Platform) -> None:
    before = platform.now_us()
    first = offer(platform, rows("ann", "bob"), "one")
    between = platform.now_us()
    second = offer(platform, rows("cy", start=2), "two", append=True)
    assert ids(platform.keeping.rows("trips", as_of_us=between)[1]) == ["t000", "t001"]
    assert ids(platform.keeping.rows("trips")[1]) == ["t000", "t001", "t002"]
    assert ids(platform.keeping.rows("trips", snapshot=first)[1]) == ["t000", "t001"]
    for snapshot in (first, second):
        names = platform.keeping.rows("trips", snapshot=snapshot)[1].collect_schema().names()
        assert names == HEADER.strip().split(","), "columns come as the contract has them, also when rows were added"
    assert [view.snapshot.digest for view in platform.keeping.snapshots("trips")] == [second, first]
    with pytest.raises(NotFound, match="had no rows"):
        platform.keeping.at("trips", as_of_us=before)
    assert platform.keeping.export("trips", format="csv", as_of_us=between).decode().splitlines()[1].startswith("t000,short,1.5,2,")


def test_retention_lets_go_what_nothing_needs_and_the_bytes_follow(platform: Platform) -> None:
    first = offer(platform, rows("ann"), "one")
    second = offer(platform, rows("bob"), "two")
    third = offer(platform, rows("cy"), "three")
    assert all(kept.because for kept in platform.keeping.plan_retention("trips").snapshots), "without a policy everything is kept"
    platform.keeping.set_retention(ANA, Retention(dataset="trips", keep_last=2), key="policy")
    platform.parts.clock.advance(2 * HOUR_US)  # type: ignore[attr-defined]
    assert platform.keeping.apply_retention(ANA, "trips", key="apply").applied == 1
    assert platform.parts.artifacts.has(first), "the record goes first, the bytes after it"
    assert platform.keeping.collect() > 0
    assert not platform.parts.artifacts.has(first)
    assert platform.parts.artifacts.has(second)
    assert platform.parts.artifacts.has(third)
    assert platform.keeping.collect() == 0
    with pytest.raises(NotFound, match="not kept any more"):
        platform.keeping.at("trips", snapshot=first)
    assert ids(platform.keeping.rows("trips")[1]) == ["t000"]


def test_a_blob_that_a_newer_snapshot_shares_stays(platform: Platform) -> None:
    first = offer(platform, rows("ann"), "one")
    offer(platform, rows("bob", start=1), "two", append=True)
    platform.keeping.set_retention(ANA, Retention(dataset="trips"), key="policy")
    platform.parts.clock.advance(2 * HOUR_US)  # type: ignore[attr-defined]
    platform.keeping.apply_retention(ANA, "trips", key="apply")
    platform.keeping.collect()
    assert platform.parts.artifacts.has(first), "it is a part of the newest"
    assert ids(platform.keeping.rows("trips")[1]) == ["t000", "t001"]


def test_rows_that_come_back_while_their_bytes_go_are_not_lost(platform: Platform) -> None:
    offer(platform, rows("ann"), "one")
    late = latest_snapshot(platform.parts, "trips")
    assert late is not None
    offer(platform, rows("bob"), "two")
    platform.keeping.set_retention(ANA, Retention(dataset="trips"), key="policy")
    platform.parts.clock.advance(2 * HOUR_US)  # type: ignore[attr-defined]
    platform.keeping.apply_retention(ANA, "trips", key="apply")
    taken = msgspec.structs.replace(late, created_at_us=platform.now_us())
    with pytest.raises(Conflict, match="being deleted"):
        platform.parts.ledger.write(ANA, RecordSnapshot(snapshot=taken, owner_team="rides"), key="between")
    platform.keeping.collect()
    with pytest.raises(Conflict, match="being deleted"):
        platform.parts.ledger.write(ANA, RecordSnapshot(snapshot=taken, owner_team="rides"), key="after")
    offer(platform, rows("ann"), "again")
    assert ids(latest_rows(platform.parts, "trips")[1]) == ["t000"]


def test_the_newest_snapshot_cannot_be_let_go_by_anybody(platform: Platform) -> None:
    only = offer(platform, rows("ann"), "one")
    platform.keeping.set_retention(ANA, Retention(dataset="trips"), key="policy")
    platform.parts.clock.advance(2 * HOUR_US)  # type: ignore[attr-defined]
    with pytest.raises(Refused):
        platform.parts.ledger.write(ANA, ExpireSnapshots(dataset="trips", snapshots=(only,), owner_team="rides"), key="x")


def test_a_snapshot_a_version_was_trained_on_is_kept_by_name(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    from leverframe.apps.platform import keeping

    first = offer(platform, rows("ann"), "one")
    offer(platform, rows("bob"), "two")
    platform.keeping.set_retention(ANA, Retention(dataset="trips"), key="policy")
    platform.parts.clock.advance(2 * HOUR_US)  # type: ignore[attr-defined]
    monkeypatch.setattr(keeping, "uses", lambda parts, dataset: {first: ("version fares@v1",)})
    plan = {kept.digest: kept.because for kept in platform.keeping.apply_retention(ANA, "trips", key="apply").snapshots}
    assert plan[first] == ("used by version fares@v1",)
    assert platform.keeping.at("trips", snapshot=first).digest == first


# A person ----------------------------------------------------------------------------------------------------------


def forget(platform: Platform, value: str, key: str = "forget") -> str:
    record = platform.erasing.ask(ANA, "trips", "rider", value, reason="she asked us to", key=key)
    assert platform.erasing.carry_out_due() == 1
    return record.id


def test_a_person_is_gone_from_every_snapshot_and_the_rest_is_proven(platform: Platform) -> None:
    first = offer(platform, rows("ann", "bob"), "one")
    between = platform.now_us()
    second = offer(platform, rows("cy", "cy", start=2), "two", append=True)
    third = offer(platform, rows("ann", "di", start=4), "three", append=True)
    before = platform.keeping.at("trips", snapshot=third)
    untouched = before.parts[1].digest
    done = platform.erasing.record(forget(platform, "ann"))
    assert (done.status, done.rows, len(done.replaced)) == ("done", 1 + 1 + 2, 3)
    assert ids(platform.keeping.rows("trips")[1]) == ["t001", "t002", "t003", "t005"]
    assert ids(platform.keeping.rows("trips", as_of_us=between)[1]) == ["t001"], "what was known then, without her"
    for old in (first, second, third):
        with pytest.raises(Refused, match=r"rows were deleted for good by erasure-"):
            read_snapshot(platform.parts.artifacts, platform.keeping.at("trips", snapshot=old))
    proof = platform.keeping.verify("trips", third)
    assert [part.state for part in proof.parts] == ["erased", "intact", "erased"]
    assert proof.parts[1].digest == untouched
    assert (proof.manifest, proof.intact) == ("intact", True)
    platform.keeping.collect()
    assert not platform.parts.artifacts.has(before.parts[0].digest)
    assert ids(platform.keeping.rows("trips")[1]) == ["t001", "t002", "t003", "t005"]
    assert platform.keeping.verify("trips", third).intact, "untouched parts still verify against the old manifest"


def test_the_ledger_knows_who_asked_and_why_but_not_whose_rows(platform: Platform) -> None:
    offer(platform, rows("annabella", "bob"), "one")
    forget(platform, "annabella")
    exported = b"".join(platform.parts.ledger.export())
    assert b"annabella" not in exported
    assert platform.parts.pseudonyms.of("annabella").hex()[:32].encode() not in exported, "nor what is stored in place of it"
    assert b"she asked us to" in exported
    record = platform.erasing.records()[0]
    assert (record.asked_by, record.dataset, record.column, record.rows) == ("ana", "trips", "rider", 1)


def test_a_dataset_that_references_the_person_loses_the_rows_too(platform: Platform) -> None:
    offer(platform, rows("ann", "bob"), "one")
    platform.data.apply_contract(ANA, RATINGS, key="ratings")
    offer(platform, rows("bob", "ann", "ann"), "r", dataset="ratings")
    forget(platform, "ann")
    assert ids(latest_rows(platform.parts, "ratings")[1]) == ["t000"]


def test_what_was_set_aside_is_cleaned_too(platform: Platform) -> None:
    body = rows("ann", "bob", "ann") + b"t009,short,500,2,ann,9\nt010,short,500,2,cy,9\n"
    offer(platform, body, "one")
    done = platform.erasing.record(forget(platform, "ann"))
    assert (done.rows, done.quarantined) == (2, 1)
    platform.keeping.collect()
    stored = platform.parts.pseudonyms.of("ann")[:16].hex().encode()
    found = [path for path in (platform.parts.settings.home / "artifacts").rglob("*") if path.is_file() and _holds(path, stored)]
    assert found == []


def _holds(path: Path, stored: bytes) -> bool:
    data = path.read_bytes()
    return stored in (repr(pl.read_parquet(data).rows()).encode() if data[:4] == b"PAR1" else data)


def test_before_the_deletion_the_same_search_finds_her(platform: Platform) -> None:
    offer(platform, rows("ann"), "one")
    stored = platform.parts.pseudonyms.of("ann")[:16].hex().encode()
    assert any(_holds(path, stored) for path in (platform.parts.settings.home / "artifacts").rglob("*") if path.is_file())


def test_the_last_person_leaves_an_empty_dataset(platform: Platform) -> None:
    only = offer(platform, rows("ann"), "one")
    forget(platform, "ann")
    assert latest_snapshot(platform.parts, "trips") is None
    assert platform.keeping.verify("trips", only).parts[0].state == "erased"
    offer(platform, rows("bob"), "two")
    assert ids(latest_rows(platform.parts, "trips")[1]) == ["t000"]


def test_nobody_found_is_done_and_says_so(platform: Platform) -> None:
    first = offer(platform, rows("ann"), "one")
    done = platform.erasing.record(forget(platform, "zoe"))
    assert (done.status, done.rows, done.replaced) == ("done", 0, {})
    assert platform.keeping.at("trips").digest == first


def test_rows_that_come_during_the_search_are_searched_too(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(platform, rows("ann", "bob"), "one")
    aside, came = platform.erasing._aside, []

    def meanwhile(dataset, person):  # type: ignore[no-untyped-def]
        if not came:
            came.append(offer(platform, rows("ann", start=7), "late", append=True))
        return aside(dataset, person)

    monkeypatch.setattr(platform.erasing, "_aside", meanwhile)
    done = platform.erasing.record(forget(platform, "ann"))
    assert done.rows == 1 + 2
    assert ids(platform.keeping.rows("trips")[1]) == ["t001"]


def test_only_an_operator_may_ask_and_only_for_a_person(platform: Platform) -> None:
    offer(platform, rows("ann"), "one")
    engineer = Actor(subject="eve", roles=("engineer",), teams=("rides",))
    with pytest.raises(Forbidden):
        platform.erasing.ask(engineer, "trips", "rider", "ann", reason="x", key="k")
    with pytest.raises(Refused, match="not the key of a person"):
        platform.erasing.ask(ANA, "trips", "kind", "short", reason="x", key="k2")
