"""P6: a backup that is taken while others write is exact, bytes and audit chain; damage to it is found before anything is restored."""

import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.apps.data_streams import ANA, CONTRACT, ids, opened, trip

from leverframe.apps.backup import take as taking
from leverframe.apps.backup.manifest import artifacts_in
from leverframe.apps.backup.restore import check, restore
from leverframe.apps.backup.take import take
from leverframe.apps.data_loop import DataLoop
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import Integrity, NotFound, Refused, Unavailable
from leverframe.data.commands import KIND_SNAPSHOT
from leverframe.data.snapshots.snapshot_names import names_of

BACKUPS = 4


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    made = opened(tmp_path / "home")
    for number in range(3):
        assert made.data.ingest(ANA, "trips", trip(number), format="jsonl", key=f"k{number}", append=number > 0).accepted
    yield made
    made.close()


def settings(platform: Platform) -> Settings:
    return platform.parts.settings


def whole(home: Path) -> Platform:
    """An installation in which everything that the ledger names is there, and the record holds."""
    made = open_platform(Settings(home=home))
    assert made.audit.verify().ok
    for each in made.parts.ledger.find(KIND_SNAPSHOT, Snapshot):
        for digest in names_of(each):
            made.parts.artifacts.get(digest)
    return made


class Writer(threading.Thread):
    """Appends rows, one delivery after the other, until it is stopped; knows which were acknowledged."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(daemon=True)
        self._platform, self._stop_asked = platform, threading.Event()
        self.acknowledged: list[str] = []
        self.failed: BaseException | None = None

    def run(self) -> None:
        number = 1_000
        try:
            while not self._stop_asked.is_set():
                self._platform.data.ingest(ANA, "trips", trip(number), format="jsonl", key=f"w{number}", append=True)
                self.acknowledged.append(f"t{number}")
                number += 1
        except BaseException as fault:
            self.failed = fault

    def wait_for(self, deliveries: int) -> None:
        """Return when so many more are acknowledged."""
        wanted, until = len(self.acknowledged) + deliveries, time.monotonic() + 30
        while len(self.acknowledged) < wanted and self.is_alive() and time.monotonic() < until:
            time.sleep(0.005)

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(30)
        if self.failed is not None:
            raise self.failed


def test_a_backup_under_writes_is_exact_and_holds_every_write_acknowledged_before_it(platform: Platform, tmp_path: Path) -> None:
    writer = Writer(platform)
    writer.start()
    try:
        for number in range(BACKUPS):
            before = list(writer.acknowledged)
            taken = take(settings(platform), tmp_path / "backup", now_us=number)
            after = len(writer.acknowledged)
            made = restore(tmp_path / "backup", Settings(home=tmp_path / f"again{number}"))
            assert made == taken.manifest
            again = whole(tmp_path / f"again{number}")
            report = again.parts.ledger.verify(again.parts.trust)
            assert (report.entries, report.hash) == (made.entries, made.chain)
            held = set(ids(again))
            assert held >= set(before), "a write that was acknowledged before the backup is not in it"
            assert len(held) <= 3 + after + 1
            again.close()
        assert len(writer.acknowledged) > BACKUPS, "hardly anything was written meanwhile: the test proves little"
    finally:
        writer.stop()


def test_an_installation_that_was_restored_goes_on(platform: Platform, tmp_path: Path) -> None:
    take(settings(platform), tmp_path / "backup", now_us=0)
    restore(tmp_path / "backup", Settings(home=tmp_path / "again"))
    again = whole(tmp_path / "again")
    assert ids(again) == ids(platform)
    assert again.data.ingest(ANA, "trips", trip(9), format="jsonl", key="k9", append=True).accepted
    assert again.access.authenticate((tmp_path / "home" / "token").read_text()).subject == "ana"
    assert (tmp_path / "again" / "keys" / "signing.key").stat().st_mode & 0o077 == 0
    again.close()


def test_what_was_deleted_for_good_does_not_live_on_in_an_older_folder(platform: Platform, tmp_path: Path) -> None:
    take(settings(platform), tmp_path / "backup", now_us=0)
    before = set(artifacts_in(tmp_path / "backup" / "artifacts"))
    gone = sorted(before)[0]
    platform.parts.artifacts.delete(gone)
    take(settings(platform), tmp_path / "backup", now_us=1)
    assert set(artifacts_in(tmp_path / "backup" / "artifacts")) == before - {gone}


def test_bytes_that_are_deleted_meanwhile_make_it_copy_the_ledger_anew(platform: Platform, tmp_path: Path, monkeypatch) -> None:
    copies, real = [], taking._copy_database
    extra = platform.parts.artifacts.put(b"a report that retention lets go")

    def copying(source: Path, to: Path) -> None:
        real(source, to)
        if source.name == "ledger.db":
            copies.append(to)
            if len(copies) == 1:
                platform.parts.artifacts.delete(extra)

    monkeypatch.setattr(taking, "_copy_database", copying)
    take(settings(platform), tmp_path / "backup", now_us=0)
    assert len(copies) == 2
    check(tmp_path / "backup")


def damages(folder: Path) -> Iterator[str]:
    """Damage the backup in one way after the other; it is whole again before the next."""
    chance = random.Random(6)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        data = path.read_bytes()
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        yield f"a bit of {path.name}"
        path.write_bytes(data[:-1])
        yield f"{path.name} cut short"
        path.unlink()
        yield f"{path.name} gone"
        path.write_bytes(data)
    stranger = folder / "artifacts" / "sha256" / "00" / ("0" * 64)
    stranger.parent.mkdir(parents=True, exist_ok=True)
    stranger.write_bytes(b"x")
    yield "an artifact more"
    stranger.unlink()


def test_every_damage_to_a_backup_is_found_before_anything_is_restored(platform: Platform, tmp_path: Path) -> None:
    take(settings(platform), tmp_path / "backup", now_us=0)
    count = 0
    for damage in damages(tmp_path / "backup"):
        with pytest.raises((Integrity, NotFound, Unavailable)):
            restore(tmp_path / "backup", Settings(home=tmp_path / "again"), keys=tmp_path / "home" / "keys")
        assert not (tmp_path / "again").exists(), f"{damage}: something was restored"
        count += 1
    assert count > 30
    restore(tmp_path / "backup", Settings(home=tmp_path / "again"))


def test_a_backup_of_an_older_ledger_with_a_newer_manifest_is_refused(platform: Platform, tmp_path: Path) -> None:
    take(settings(platform), tmp_path / "old", now_us=0)
    platform.data.apply_contract(ANA, CONTRACT.replace("1.0.0", "1.1.0"), key="more")
    take(settings(platform), tmp_path / "new", now_us=1)
    shutil.copy(tmp_path / "old" / "ledger.db", tmp_path / "new" / "ledger.db")
    with pytest.raises(Integrity):
        check(tmp_path / "new")


def test_nothing_is_restored_over_anything_and_a_torn_backup_is_none(platform: Platform, tmp_path: Path, monkeypatch) -> None:
    take(settings(platform), tmp_path / "backup", now_us=0)
    with pytest.raises(Refused, match="something in this folder"):
        restore(tmp_path / "backup", Settings(home=tmp_path / "home"))
    monkeypatch.setattr(taking, "_checked", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        take(settings(platform), tmp_path / "backup", now_us=1)
    with pytest.raises(NotFound, match="not finished"):
        check(tmp_path / "backup")


def test_keys_can_be_kept_elsewhere(platform: Platform, tmp_path: Path) -> None:
    take(settings(platform), tmp_path / "backup", now_us=0, with_keys=False)
    assert not list((tmp_path / "backup").rglob("*.key"))
    with pytest.raises(NotFound, match="keys are not here"):
        restore(tmp_path / "backup", Settings(home=tmp_path / "again"))
    restore(tmp_path / "backup", Settings(home=tmp_path / "again"), keys=tmp_path / "home" / "keys")
    whole(tmp_path / "again").close()


def test_negative_control_files_copied_one_after_the_other_are_no_backup(platform: Platform, tmp_path: Path) -> None:
    """Artifacts first, the ledger's file as it lies there: what a copy of the folder under writes is."""
    writer = Writer(platform)
    writer.start()
    torn = 0
    try:
        for number in range(20):
            to = tmp_path / f"copy{number}"
            shutil.copytree(tmp_path / "home" / "artifacts", to / "artifacts", ignore=lambda _, names: [n for n in names if n[0] == "."])
            shutil.copytree(tmp_path / "home" / "keys", to / "keys")
            writer.wait_for(2)  # a slow copy: deliveries come between its first file and its last
            for name in ("ledger.db", "ledger.db-wal"):
                shutil.copy(tmp_path / "home" / name, to / name)
            try:
                whole(to).close()
            except (Integrity, NotFound, Unavailable, sqlite3.Error, AssertionError):
                torn += 1
                break
    finally:
        writer.stop()
    assert torn, "a plain copy is whole too: the tests above prove nothing"


def test_the_worker_s_look_and_a_backup_get_on(platform: Platform, tmp_path: Path) -> None:
    DataLoop(platform.parts).look()
    take(settings(platform), tmp_path / "backup", now_us=0)
    check(tmp_path / "backup")
