"""P6 where the ledger is in PostgreSQL and the bytes are in a bucket: the same backup, exact under writes, and restored into either."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from tests.apps.data_streams import ANA, ids, opened, trip
from tests.faults.test_backup import Writer

from leverframe.apps.backup.restore import check, restore
from leverframe.apps.backup.take import take
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import Integrity, NotFound, Refused
from leverframe.data.commands import KIND_SNAPSHOT
from leverframe.data.snapshots.snapshot_names import names_of
from leverframe.governance.ledger import transfer
from leverframe.governance.ledger.store import Ledger


@pytest.fixture
def bucket(s3_endpoint: str, s3_store: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket that the environment's credentials open."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    return s3_store[0].rpartition("/")[0]


@pytest.fixture
def elsewhere(postgresql_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that name the database and the bucket, as an operator's environment does."""
    monkeypatch.setenv("LEVER_DATABASE_URL", postgresql_url)
    monkeypatch.setenv("LEVER_ARTIFACTS_URL", f"{bucket}/artifacts")
    monkeypatch.setenv("LEVER_PUBLICATION_URL", f"{bucket}/published")


@pytest.fixture
def platform(elsewhere: None, tmp_path: Path) -> Iterator[Platform]:
    made = opened(tmp_path / "home")
    for number in range(3):
        assert made.data.ingest(ANA, "trips", trip(number), format="jsonl", key=f"k{number}", append=number > 0).accepted
    made.parts.ledger.checkpoint(made.parts.key)
    made.parts.publisher.publish()
    yield made
    made.close()


def here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE", "ARTIFACTS", "PUBLICATION"):
        monkeypatch.delenv(f"LEVER_{name}_URL")


def whole(settings: Settings) -> Platform:
    """An installation in which everything that the ledger names is there, and the record holds."""
    made = open_platform(settings)
    assert made.audit.verify().ok
    for each in made.parts.ledger.find(KIND_SNAPSHOT, Snapshot):
        for digest in names_of(each):
            made.parts.artifacts.get(digest)
    return made


def rows_of(ledger: Ledger) -> list[bytes]:
    return list(ledger.export())


def test_under_writes_it_is_exact_and_a_laptop_can_restore_it(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(platform)
    writer.start()
    try:
        before = list(writer.acknowledged)
        taken = take(platform.parts.settings, tmp_path / "backup", now_us=1)
    finally:
        writer.stop()
    here(monkeypatch)
    made = restore(tmp_path / "backup", Settings(home=tmp_path / "again"))
    assert made == taken.manifest
    again = whole(Settings(home=tmp_path / "again"))
    report = again.parts.ledger.verify(again.parts.trust)
    assert (report.entries, report.hash) == (made.entries, made.chain)
    assert report.vouched_seq >= 4, "the checkpoints are not in it"
    assert rows_of(again.parts.ledger)[: made.entries] == rows_of(platform.parts.ledger)[: made.entries]
    assert set(ids(again)) >= set(before) | {"t0", "t1", "t2"}
    assert again.data.ingest(ANA, "trips", trip(9), format="jsonl", key="k9", append=True).accepted
    assert (tmp_path / "again" / "published" / "routes-prod").is_file()
    again.close()


def fresh(url: str) -> str:
    """Another, empty database on the same server."""
    import psycopg

    name = f"{make_url(url).database}_again"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def test_it_is_restored_into_another_database_and_bucket(
    platform: Platform, postgresql_url: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = rows_of(platform.parts.ledger)
    take(platform.parts.settings, tmp_path / "backup", now_us=1)
    monkeypatch.setenv("LEVER_DATABASE_URL", fresh(postgresql_url))
    monkeypatch.setenv("LEVER_ARTIFACTS_URL", f"{bucket}/artifacts-again")
    monkeypatch.setenv("LEVER_PUBLICATION_URL", f"{bucket}/published-again")
    settings = Settings(home=tmp_path / "again")
    made = restore(tmp_path / "backup", settings)
    assert not (settings.home / "ledger.db").exists()
    again = whole(settings)
    assert dict(again.parts.artifacts.sizes()) == dict(platform.parts.artifacts.sizes())
    assert rows_of(again.parts.ledger) == held
    assert again.parts.ledger.entries_total() == made.entries
    assert again.data.ingest(ANA, "trips", trip(9), format="jsonl", key="k9", append=True).accepted
    again.close()
    taken = take(settings, tmp_path / "backup", now_us=2)
    assert taken.copied < 5, "artifacts that were in the folder were copied anew"


def test_from_a_laptop_into_a_database(postgresql_url: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laptop = opened(tmp_path / "home")
    assert laptop.data.ingest(ANA, "trips", trip(0), format="jsonl", key="k0").accepted
    take(laptop.parts.settings, tmp_path / "backup", now_us=0)
    monkeypatch.setenv("LEVER_DATABASE_URL", postgresql_url)
    monkeypatch.setenv("LEVER_ARTIFACTS_URL", f"{bucket}/artifacts")
    restore(tmp_path / "backup", Settings(home=tmp_path / "again"))
    again = whole(Settings(home=tmp_path / "again"))
    assert rows_of(again.parts.ledger) == rows_of(laptop.parts.ledger)
    for each in (again, laptop):
        each.close()


def test_a_database_with_a_ledger_in_it_is_left_alone(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(platform.parts.settings, tmp_path / "backup", now_us=0)
    assert platform.data.ingest(ANA, "trips", trip(9), format="jsonl", key="k9", append=True).accepted
    held = rows_of(platform.parts.ledger)
    with pytest.raises(Refused, match="already"):
        restore(tmp_path / "backup", Settings(home=tmp_path / "again"))
    assert rows_of(platform.parts.ledger) == held
    assert not (tmp_path / "again").exists()


def test_a_restore_that_was_interrupted_is_done_again(
    platform: Platform, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(platform.parts.settings, tmp_path / "backup", now_us=0)
    monkeypatch.setenv("LEVER_DATABASE_URL", fresh(postgresql_url))
    settings, pour, poured = Settings(home=tmp_path / "again"), transfer._pour, []

    def dying(*connections: Any) -> None:
        pour(*connections)
        poured.append(1)
        if len(poured) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(transfer, "_pour", dying)
    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path / "backup", settings)
    monkeypatch.setattr("leverframe.apps.backup.restore._put_together", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path / "backup", settings)
    monkeypatch.undo()
    assert len(poured) == 2, "the first try left rows behind"


def test_a_ledger_that_changed_on_its_way_is_not_kept(
    platform: Platform, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of the look at what was put there: a row that is altered between file and database."""
    take(platform.parts.settings, tmp_path / "backup", now_us=0)
    monkeypatch.setenv("LEVER_DATABASE_URL", url := fresh(postgresql_url))
    pour = transfer._pour

    def altering(reading: Any, writing: Any) -> None:
        pour(reading, writing)
        writing.exec_driver_sql("UPDATE audit SET actor = 'mallory' WHERE seq = 2")

    monkeypatch.setattr(transfer, "_pour", altering)
    with pytest.raises(Integrity):
        restore(tmp_path / "backup", Settings(home=tmp_path / "again"))
    empty = Ledger(url, platform.parts.clock, platform.parts.policy, ())
    assert empty.entries_total() == 0
    empty.close()
    check(tmp_path / "backup")


def test_an_empty_database_is_no_installation(
    postgresql_url: str, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEVER_DATABASE_URL", fresh(postgresql_url))
    with pytest.raises(NotFound, match="LEVER_DATABASE_URL"):
        take(Settings(home=tmp_path / "home"), tmp_path / "backup", now_us=0)
    with pytest.raises(NotFound, match="not finished"):
        check(tmp_path / "backup", keys=tmp_path / "home" / "keys")
