"""Registered sources, read from the real thing: PostgreSQL, an S3 endpoint, a folder. What is new comes once; what is not allowed never."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import polars as pl
import psycopg
import pytest
from tests.apps.fetches import fetch, open_at_once
from tests.data.conftest import TRIPS

from leverframe.apps.platform.datasets import latest_rows
from leverframe.apps.platform.platform import Platform
from leverframe.core.actor import Actor
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, LeverframeError, NotFound, Refused, Unavailable
from leverframe.data.commands import RecordSnapshot
from leverframe.data.snapshots.source_marks import KIND_MARK, SourceMark
from leverframe.data.sources.registered import Source
from leverframe.governance.stored_objects import ForeignObjects

ANA = Actor(subject="ana", roles=("admin",), teams=("*",))
HEADER = "id,kind,miles,seats,rider,ended_at\n"


def opened(home: Path, *allowed: str) -> Platform:
    platform = open_at_once(home, sources_allowed=" ".join(allowed))
    platform.data.apply_contract(ANA, TRIPS, key="contract")
    return platform


def ids(platform: Platform) -> list[str]:
    return sorted(latest_rows(platform.parts, "trips")[1].collect()["id"].to_list())


def csv(*names: str, miles: float = 1.5) -> bytes:
    return (HEADER + "".join(f"{name},short,{miles},2,ann,{n}\n" for n, name in enumerate(names))).encode()


# A folder --------------------------------------------------------------------------------------------------------


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@pytest.fixture
def platform(tmp_path: Path, landing: Path) -> Iterator[Platform]:
    made = opened(tmp_path / "home", f"file://{landing}")
    made.sources.declare(ANA, Source(name="landing", kind="objects", team="rides", location=f"file://{landing}"), key="declare")
    yield made
    made.close()


def test_each_object_is_read_once(platform: Platform, landing: Path) -> None:
    (landing / "a.csv").write_bytes(csv("a1", "a2"))
    assert fetch(platform, ANA, "trips", "landing", key="1").report.rows == 2
    (landing / "b.csv").write_bytes(csv("b1"))
    pl.read_csv(csv("c1")).write_parquet(landing / "c.parquet")
    assert fetch(platform, ANA, "trips", "landing", key="2").report.rows == 2
    assert fetch(platform, ANA, "trips", "landing", key="3").report.rows == 0, "nothing is new"
    assert ids(platform) == ["a1", "a2", "b1", "c1"]


def test_a_pattern_names_objects_and_can_name_nothing_outside(platform: Platform, landing: Path) -> None:
    (landing.parent / "secret.csv").write_bytes(csv("stolen"))
    (landing / "a.csv").write_bytes(csv("a1"))
    (landing / "b.csv").write_bytes(csv("b1"))
    fetch(platform, ANA, "trips", "landing", pattern="a.*", key="1")
    assert ids(platform) == ["a1"]
    for pattern in ("../secret.csv", "/etc/passwd", "file:///etc/passwd", f"{landing.parent}/secret.csv"):
        assert fetch(platform, ANA, "trips", "landing", pattern=pattern, key=pattern[:20]).report.rows == 0


def test_a_delivery_with_one_bad_object_takes_none_and_is_read_again_when_mended(platform: Platform, landing: Path) -> None:
    (landing / "a.csv").write_bytes(csv("a1"))
    (landing / "b.csv").write_bytes(csv("b1", miles=1.5).replace(b"short", b"odd"))
    refused = fetch(platform, ANA, "trips", "landing", key="1")
    assert not refused.accepted
    assert refused.quarantine
    platform.keeping.collect()
    (landing / "b.csv").write_bytes(csv("b1"))
    assert fetch(platform, ANA, "trips", "landing", key="2").accepted
    assert ids(platform) == ["a1", "b1"]


def test_a_crash_before_the_record_reads_the_same_again(platform: Platform, landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (landing / "a.csv").write_bytes(csv("a1"))
    write = platform.parts.ledger.write

    def dying(actor: Any, command: Any, *, key: str) -> Any:
        if isinstance(command, RecordSnapshot):
            raise KeyboardInterrupt
        return write(actor, command, key=key)

    monkeypatch.setattr(platform.parts.ledger, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        fetch(platform, ANA, "trips", "landing", key="1")
    assert platform.parts.ledger.get(KIND_MARK, "trips/landing", SourceMark) is None
    monkeypatch.undo()
    fetch(platform, ANA, "trips", "landing", key="1")
    assert ids(platform) == ["a1"]


def test_an_object_that_changes_under_the_reader_is_refused_whole(
    platform: Platform, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (landing / "a.csv").write_bytes(csv("a1"))
    (landing / "b.csv").write_bytes(csv("b1"))
    stamps = ForeignObjects.stamps

    def meanwhile(self: ForeignObjects) -> Any:
        found = stamps(self)
        (landing / "b.csv").write_bytes(csv("b1", "b2"))
        return found

    monkeypatch.setattr(ForeignObjects, "stamps", meanwhile)
    with pytest.raises(Conflict, match="changed while it was read"):
        fetch(platform, ANA, "trips", "landing", key="1")
    with pytest.raises(NotFound):
        ids(platform)
    monkeypatch.undo()
    fetch(platform, ANA, "trips", "landing", key="2")
    assert ids(platform) == ["a1", "b1", "b2"]


@pytest.mark.parametrize(
    "source",
    [
        Source(name="x", kind="objects", team="rides", location="file:///etc"),
        Source(name="x", kind="objects", team="rides", location="s3://others/rows"),
        Source(name="x", kind="postgresql", team="rides", location="postgresql://u@169.254.169.254/db", table="t"),
        Source(name="x", kind="objects", team="rides", location="file:///LANDING-other"),
    ],
)
def test_a_place_the_operator_did_not_allow_is_refused(platform: Platform, landing: Path, source: Source) -> None:
    with pytest.raises(Refused, match="allow no source"):
        platform.sources.declare(ANA, source, key="declare-x")
    assert [each.name for each in platform.sources.sources()] == ["landing"]


def test_what_was_allowed_once_is_asked_again_at_every_reading(tmp_path: Path, landing: Path) -> None:
    before = opened(tmp_path / "h", f"file://{landing}")
    before.sources.declare(ANA, Source(name="landing", kind="objects", team="rides", location=f"file://{landing}"), key="declare")
    before.close()
    after = open_at_once(tmp_path / "h")
    with pytest.raises(Refused, match="allow no source"):
        fetch(after, ANA, "trips", "landing", key="1")
    after.close()


@pytest.mark.parametrize(
    "change",
    [
        {"location": "postgresql://u:hunter2@db/app"},
        {"secret": "AWS_SECRET_ACCESS_KEY"},
        {"location": "file:///landing/../etc"},
        {"query": "SELECT 1; DROP TABLE trips"},
        {"table": 'trips"; --'},
        {"name": "../x"},
    ],
)
def test_a_declaration_that_would_carry_or_reach_too_much_has_faults(platform: Platform, change: dict[str, Any]) -> None:
    plain = {"name": "x", "kind": "postgresql", "team": "rides", "location": "postgresql://u@db/app"}
    with pytest.raises(InvalidInput) as refused:
        platform.sources.declare(ANA, Source(**{**plain, **change}), key="declare-x")
    assert "hunter2" not in str(refused.value.to_dict())


def test_another_team_may_neither_take_the_name_nor_read(platform: Platform, landing: Path) -> None:
    (landing / "a.csv").write_bytes(csv("a1"))
    mallory = Actor(subject="mallory", roles=("engineer",), teams=("fraud",))
    with pytest.raises(Forbidden):
        fetch(platform, mallory, "trips", "landing", key="1")
    mine = Source(name="landing", kind="objects", team="fraud", location=f"file://{landing}")
    with pytest.raises(Refused, match="another team"):
        platform.sources.declare(mallory, mine, key="2")


# An object store -------------------------------------------------------------------------------------------------


def test_objects_in_s3(tmp_path: Path, s3_store: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    url, options = s3_store
    bucket = urlsplit(url).netloc
    bare = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    s3 = boto3.client("s3", endpoint_url=options["endpoint"], region_name="us-east-1", **bare)
    s3.put_object(Bucket=bucket, Key="landing/2026-05/a.csv", Body=csv("a1"))
    s3.put_object(Bucket=bucket, Key="other/b.csv", Body=csv("b1"))
    monkeypatch.setenv("LEVER_SOURCE_S3", "test:test")
    platform = opened(tmp_path / "home", f"s3://{bucket}/landing", options["endpoint"])
    declared = Source(
        name="s3",
        kind="objects",
        team="rides",
        location=f"s3://{bucket}/landing",
        secret="LEVER_SOURCE_S3",
        endpoint=options["endpoint"],
        region="us-east-1",
    )
    platform.sources.declare(ANA, declared, key="declare")
    fetch(platform, ANA, "trips", "s3", pattern="2026-05/*.csv", key="1")
    s3.put_object(Bucket=bucket, Key="landing/2026-05/c.csv", Body=csv("c1"))
    assert fetch(platform, ANA, "trips", "s3", key="2").report.rows == 1
    assert ids(platform) == ["a1", "c1"], "what lies beside the location is not there"
    assert b"test:test" not in b"".join(platform.parts.ledger.export())
    platform.close()


# PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(postgresql_url: str, tmp_path: Path) -> Iterator[tuple[Platform, "psycopg.Connection[Any]"]]:
    parts = urlsplit(postgresql_url)
    location = re.sub(r"//([^:/@]*):?[^@/]*@", r"//\1@", postgresql_url).replace("+psycopg", "").replace("%2F", "/")
    platform = opened(tmp_path / "home", location)
    declared = Source(name="db", kind="postgresql", team="rides", location=location, table="public.trips", watermark="changed")
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE trips (id text, kind text, miles numeric(8,2), seats int, rider text, ended_at bigint,"
            " changed timestamptz, internal_note text)"
        )
        assert parts.scheme
        platform.sources.declare(ANA, declared, key="declare")
        yield platform, connection
    platform.close()


def put(connection: Any, name: str, second: int, miles: float = 1.5) -> None:
    connection.execute(
        "INSERT INTO trips VALUES (%s, 'short', %s, 2, 'ann', 7, to_timestamp(%s), 'never read')", (name, miles, 1_700_000_000 + second)
    )


def test_rows_of_a_table_come_once_by_their_watermark(database: Any) -> None:
    platform, connection = database
    put(connection, "a", 1)
    put(connection, "b", 2)
    assert fetch(platform, ANA, "trips", "db", key="1").report.rows == 2
    put(connection, "c", 2)
    put(connection, "d", 3)
    assert fetch(platform, ANA, "trips", "db", key="2").accepted
    assert ids(platform) == ["a", "b", "c", "d"], "a row that shares the last watermark is not missed, and none comes twice"
    frame = latest_rows(platform.parts, "trips")[1].collect()
    assert frame["miles"].to_list() == [1.5] * 4
    assert frame["rider"][0] == platform.parts.pseudonyms.of("ann")[:16].hex()
    assert platform.parts.ledger.get(KIND_MARK, "trips/db", SourceMark).position.startswith("2023-11-14 22:13:23")


def test_a_large_table_comes_in_batches(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from leverframe.data.sources import postgresql

    monkeypatch.setattr(postgresql, "BATCH_ROWS", 100)
    platform, connection = database
    for number in range(250):
        put(connection, f"r{number:03}", number)
    became = fetch(platform, ANA, "trips", "db", key="1")
    assert became.snapshot is not None
    assert (became.report.rows, [part.rows for part in became.snapshot.parts]) == (250, [100, 100, 50])


def test_rows_committed_during_the_reading_belong_to_the_next(database: Any, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from leverframe.data.sources import postgresql

    monkeypatch.setattr(postgresql, "BATCH_ROWS", 2)
    platform, connection = database
    for number in range(4):
        put(connection, f"r{number}", number)
    frame, late = postgresql._frame, []

    def meanwhile(names: Any, rows: Any) -> Any:
        if not late:
            late.append(put(connection, "late", 9))
        return frame(names, rows)

    monkeypatch.setattr(postgresql, "_frame", meanwhile)
    fetch(platform, ANA, "trips", "db", key="1")
    assert ids(platform) == ["r0", "r1", "r2", "r3"]
    fetch(platform, ANA, "trips", "db", key="2")
    assert ids(platform) == ["late", "r0", "r1", "r2", "r3"]


def test_a_declared_query_runs_read_only(database: Any) -> None:
    platform, connection = database
    put(connection, "a", 1)
    put(connection, "b", 2)
    location = platform.sources.source("db").location
    query = "SELECT * FROM trips WHERE id = 'b'"
    platform.sources.declare(ANA, Source(name="q", kind="postgresql", team="rides", location=location, query=query), key="q")
    fetch(platform, ANA, "trips", "q", key="1")
    assert ids(platform) == ["b"]
    deleting = "WITH gone AS (DELETE FROM trips RETURNING *) SELECT * FROM gone"
    platform.sources.declare(ANA, Source(name="evil", kind="postgresql", team="rides", location=location, query=deleting), key="e")
    with pytest.raises(LeverframeError):
        fetch(platform, ANA, "trips", "evil", key="2")
    count = connection.execute("SELECT count(*) FROM trips").fetchone()
    assert count == (2,)


def test_what_is_not_there_is_said_without_a_value_or_an_address(database: Any) -> None:
    platform, connection = database
    location = platform.sources.source("db").location
    platform.sources.declare(ANA, Source(name="no", kind="postgresql", team="rides", location=location, table="nowhere"), key="n")
    with pytest.raises(NotFound, match="no such table"):
        fetch(platform, ANA, "trips", "no", key="1")
    connection.execute("DROP TABLE trips")
    with pytest.raises(NotFound, match="no such table"):
        fetch(platform, ANA, "trips", "db", key="2")


def test_a_secret_that_is_not_set_is_named(tmp_path: Path) -> None:
    platform = opened(tmp_path / "home", "postgresql://127.0.0.1:1/app")
    location = "postgresql://u@127.0.0.1:1/app"
    for name, secret in (("a", "LEVER_SOURCE_NOT_SET"), ("b", "")):
        platform.sources.declare(
            ANA, Source(name=name, kind="postgresql", team="rides", location=location, table="t", secret=secret), key=name
        )
    with pytest.raises(Unavailable, match="LEVER_SOURCE_NOT_SET"):
        fetch(platform, ANA, "trips", "a", key="1")
    with pytest.raises(Unavailable, match="did not answer"):
        fetch(platform, ANA, "trips", "b", key="2")
    platform.close()
