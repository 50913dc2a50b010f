"""Checkpoints outside the database: a witness is told, and a database that was put back is found at once and never vouched for."""

import dataclasses
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.apps.fake_platform import FakePlatform
from tests.apps.in_process import client_of
from tests.apps.receiver import receiving

from leverframe.apps.checkpointing import CheckpointLoop, chain_fault
from leverframe.apps.cli.offline_audit import verify_copy, verify_file
from leverframe.apps.egress_loop import EgressLoop
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.core.actor import Actor
from leverframe.core.errors import Integrity
from leverframe.governance.ledger.checkpoints import CHECKPOINT_TYPE, read_checkpoint
from leverframe.release.levers.bounds import SetTenantQuota

ADMIN = Actor(subject="root", roles=("admin",), teams=("*",))


def write(parts: Parts, *numbers: int) -> None:
    """So many changes of control state."""
    for n in numbers:
        parts.ledger.write(ADMIN, SetTenantQuota(environment="prod", tenant=f"t{n}", per_second=5.0, reason="test"), key=f"k{n}")


def loop_of(parts: Parts) -> CheckpointLoop:
    return CheckpointLoop(parts.ledger, parts.publisher, parts.key, parts.trust)


@pytest.fixture
def parts(tmp_path: Path):
    opened = open_parts(Settings(home=tmp_path / "home"))
    yield opened
    Platform(opened).close()


def rolled_back(parts: Parts) -> Parts:
    """The installation with an older copy of its database put back."""
    home = parts.settings.home
    write(parts, 1, 2)
    sqlite3.connect(home / "ledger.db").execute(f"VACUUM INTO '{home / 'older.db'}'")
    write(parts, 3, 4)
    loop_of(parts).look()
    parts.ledger.close()
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (home / name).unlink(missing_ok=True)
    (home / "older.db").replace(home / "ledger.db")
    return open_parts(parts.settings)


def test_an_older_database_put_back_is_found_at_once_and_not_vouched_for(parts: Parts) -> None:
    """Would be wrong if the worker signed a fresh checkpoint over the evidence, as it would after any restart."""
    again = rolled_back(parts)
    kept = again.publisher.checkpoints()
    for _ in range(2):
        write(again, 5)
        with pytest.raises(Integrity, match=r"ends at entry 3.*signed for entry 4"):
            loop_of(again).look()
    assert again.publisher.checkpoints() == kept
    record = next(check for check in Platform(again).doctor() if check.name == "record")
    assert (record.ok, record.fix.split(";")[0]) == (False, "lever audit verify")
    # Grown past the checkpoint it is still another chain.
    write(again, 6, 7)
    assert "entry 4 is not the one its checkpoint was signed for" in chain_fault(again.ledger, again.publisher, again.trust)
    assert not Platform(again).audit.verify().ok
    again.ledger.close()


def test_what_the_witness_kept_finds_it_through_every_door(parts: Parts, tmp_path: Path) -> None:
    write(parts, 1)
    note = tmp_path / "noted"
    note.write_bytes(Platform(parts).audit.checkpoint())
    again = rolled_back(parts)
    late = tmp_path / "late"
    late.write_bytes(again.publisher.checkpoints()[0])
    # Whoever put the database back also took the published checkpoint away.
    shutil.rmtree(parts.settings.home / "published")
    platform = Platform(again)
    assert platform.audit.verify().ok, "without a checkpoint kept elsewhere nothing is found: the negative control"
    for path, holds in ((note, True), (late, False)):
        export = tmp_path / "export.jsonl"
        export.write_bytes(platform.audit.export())
        keys = again.settings.keys_folder
        assert platform.audit.verify((path.read_bytes(),)).ok == holds
        assert verify_file(export, keys, [path]).ok == holds
        assert verify_copy(again.settings.home / "ledger.db", keys, [path]).ok == holds
    again.ledger.close()


def test_the_client_sends_checkpoints_and_fetches_one() -> None:
    with client_of(FakePlatform()) as client:
        assert client.audit.verify([b"newer"]).ok
        assert not client.audit.verify([b"older", b"newer"]).ok
        assert client.audit.checkpoint() == b'{"payloadType":"checkpoint"}'


def test_a_witness_is_sent_what_verifies_by_itself(parts: Parts, tmp_path: Path) -> None:
    write(parts, 1, 2)
    with receiving() as server:
        told = {
            "egress_hosts": f"http://127.0.0.1:{server.port}",
            "egress_networks": "127.0.0.0/8",
            "witness_url": f"http://127.0.0.1:{server.port}/keep",
            "witness_interval_s": 3600.0,
        }
        watched = dataclasses.replace(parts, settings=parts.settings.model_copy(update=told))
        loop = EgressLoop(watched)
        loop.look()
        write(parts, 3)
        loop.look()
        assert len(server.taken) == 1, "one an interval"
        loop.close()
        loop = EgressLoop(watched)
        loop.look()
        loop.look()
        loop.close()
        assert [path for path, _, _ in server.taken] == ["/keep", "/keep"]
        assert {headers["content-type"] for _, headers, _ in server.taken} == {CHECKPOINT_TYPE}
    assert [read_checkpoint(parts.trust, body).seq for _, _, body in server.taken] == [2, 3]
    assert parts.ledger.verify(parts.trust, [server.taken[-1][2]]).vouched_seq == 3
