"""P27: whatever is done to the ledger behind its back is found offline; with an off-host checkpoint, all of it.

Negative controls: without a checkpoint a shortened, rolled-back or wholly rewritten chain passes.
"""

import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.governance.levers import ALICE, BOB, HANDLERS, AddToLever, RemoveLever, SetLever

from leverframe.core.clock import ManualClock
from leverframe.core.digest import digest_bytes
from leverframe.governance.ledger.chain import GENESIS, AuditEntry, Change, entry_hash
from leverframe.governance.ledger.checkpoints import Checkpoint, sign_checkpoint
from leverframe.governance.ledger.copies import EntryLine, RecordLine, verify_export, verify_file
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.ledger.verify import AuditReport, WrittenRow
from leverframe.governance.signing import SigningKey, TrustStore

ENTRIES = 60
KEY = SigningKey.generate()
TRUST = TrustStore([KEY.public_pem])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, Path]:
    """A ledger file with its last checkpoint, and an older copy of it."""
    folder = tmp_path_factory.mktemp("ledger")
    clock = ManualClock(1_000)
    ledger = Ledger(f"sqlite:///{folder}/ledger.db", clock, AllowEverything(), HANDLERS)
    for n in range(ENTRIES - 1):
        clock.advance(10)
        if n == ENTRIES // 2:
            ledger.checkpoint(KEY)
            sqlite3.connect(folder / "ledger.db").execute(f"VACUUM INTO '{folder}/older.db'")
        ledger.write(ALICE if n % 2 else BOB, AddToLever(name=f"lever-{n % 7}", by=n), key=f"k{n}")
    ledger.write(ALICE, RemoveLever(name="lever-3"), key="last")
    envelope = ledger.checkpoint(KEY)
    assert ledger.verify(TRUST, [envelope]).ok
    exported = list(ledger.export())
    assert verify_export(exported, TRUST, [envelope]) == ledger.verify(TRUST, [envelope])
    (folder / "export.jsonl").write_bytes(b"".join(exported))
    sqlite3.connect(folder / "ledger.db").execute(f"VACUUM INTO '{folder}/clean.db'")
    ledger.close()
    return folder / "clean.db", envelope, folder / "older.db"


def tampered(clean: Path, folder: Path, *statements: str) -> Path:
    copy = folder / "tampered.db"
    shutil.copy(clean, copy)
    with sqlite3.connect(copy) as connection:
        # Whoever can edit rows can also take away the index that would refuse some of the edits.
        connection.execute("DROP INDEX record_open")
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, f"the tampering itself did nothing: {statement}"
    connection.close()
    return copy


def test_an_untouched_ledger_is_sound(written: tuple[Path, bytes, Path]) -> None:
    report = verify_file(written[0], TRUST, [written[1]])
    assert (report.ok, report.entries, report.vouched_seq, report.what) == (True, ENTRIES, ENTRIES, "")


AUDIT_COLUMNS = {
    "at_us": "at_us + 1",
    "recorded_at_us": "recorded_at_us - 1",
    "actor": "'mallory' || seq",
    "roles": "'[\"admin\"]'",
    "action": "'Levers.Other'",
    "resource": "'lever/other'",
    "team": "'other'",
    "key": "key || 'x'",
    "command": "'Other'",
    "body": "replace(body, '{', '{ ')",
    "result": "'7'",
    "changes": "'[]'",
    "policy_ids": "'[]'",
    "prev": "hash",
    "hash": "prev",
}


@pytest.mark.parametrize("column", AUDIT_COLUMNS)
def test_an_edited_entry_is_found(column: str, written: tuple[Path, bytes, Path], tmp_path: Path) -> None:
    """Every column of every sampled entry; no checkpoint needed."""
    for seq in (1, 2, ENTRIES // 2, ENTRIES):
        copy = tampered(written[0], tmp_path, f"UPDATE audit SET {column} = {AUDIT_COLUMNS[column]} WHERE seq = {seq}")
        report = verify_file(copy, TRUST)
        assert not report.ok
        assert report.first_bad_seq == seq


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET body = replace(body, 'lever-2', 'lever-X') WHERE id = 'lever-2' AND revision = 3",
        "UPDATE record SET body = NULL WHERE id = 'lever-2' AND revision = 3",
        "UPDATE record SET body = x'00ff' WHERE id = 'lever-2' AND revision = 3",
        'UPDATE record SET body = \'{"name":"lever-3","position":0,"note":""}\' WHERE body IS NULL',
        "UPDATE record SET from_us = from_us - 1 WHERE id = 'lever-2' AND revision = 3",
        "UPDATE record SET to_us = to_us + 1 WHERE id = 'lever-2' AND revision = 3",
        "UPDATE record SET to_seq = to_seq + 1 WHERE id = 'lever-2' AND revision = 3",
        "UPDATE record SET to_seq = NULL, to_us = NULL WHERE id = 'lever-3' AND to_seq = 60",
        "UPDATE record SET to_seq = 60, to_us = 5000 WHERE id = 'lever-2' AND to_seq IS NULL",
        "UPDATE record SET from_seq = from_seq + 1 WHERE id = 'lever-2' AND revision = 3",
        "UPDATE record SET revision = 99 WHERE id = 'lever-2' AND to_seq IS NULL",
        "UPDATE record SET id = 'lever-9' WHERE id = 'lever-2'",
        "UPDATE record SET kind = 'other' WHERE id = 'lever-2' AND revision = 3",
        "DELETE FROM record WHERE id = 'lever-2' AND revision = 3",
        "DELETE FROM record WHERE id = 'lever-2' AND to_seq IS NULL",
        "DELETE FROM record",
        "INSERT INTO record VALUES ('lever', 'new', 1, '{}', 1000, NULL, 5, NULL)",
        "INSERT INTO record VALUES ('lever', 'new', 1, '{}', 1000, NULL, 0, NULL)",
        "INSERT INTO record VALUES ('lever', 'new', 1, '{}', 1000, NULL, 999, NULL)",
    ],
)
def test_a_record_changed_behind_the_chain_is_found(statement: str, written: tuple[Path, bytes, Path], tmp_path: Path) -> None:
    report = verify_file(tampered(written[0], tmp_path, statement), TRUST)
    assert not report.ok
    assert report.first_bad_seq is not None
    assert report.what


def test_a_deleted_moved_or_inserted_entry_is_found(written: tuple[Path, bytes, Path], tmp_path: Path) -> None:
    for seq in (1, 2, 30, ENTRIES - 1):
        report = verify_file(tampered(written[0], tmp_path, f"DELETE FROM audit WHERE seq = {seq}"), TRUST)
        assert (report.ok, report.first_bad_seq) == (False, seq)
    swap = [
        "UPDATE audit SET seq = -1 WHERE seq = 10",
        "UPDATE audit SET seq = 10 WHERE seq = 11",
        "UPDATE audit SET seq = 11 WHERE seq = -1",
    ]
    assert verify_file(tampered(written[0], tmp_path, *swap), TRUST).first_bad_seq == 10
    columns = "at_us, recorded_at_us, actor, roles, action, resource, team, key || 'x', command, body, result, '[]', policy_ids, hash, hash"
    insert = f"INSERT INTO audit SELECT {ENTRIES + 1}, {columns} FROM audit WHERE seq = {ENTRIES}"
    assert verify_file(tampered(written[0], tmp_path, insert), TRUST).first_bad_seq == ENTRIES + 1


def entries_of(path: Path) -> list[AuditEntry]:
    from sqlalchemy import create_engine

    from leverframe.governance.ledger.copies import groups_of

    with create_engine(f"sqlite:///{path}").connect() as connection:
        return [entry for entry, _ in groups_of(connection) if entry is not None]


def rewritten(clean: Path, folder: Path, change: Callable[[AuditEntry], AuditEntry]) -> Path:
    """A forger with the program's own source: one entry (and the record it wrote) changed, every later hash recomputed."""
    copy = folder / "rewritten.db"
    shutil.copy(clean, copy)
    connection = sqlite3.connect(copy)
    prev = GENESIS
    for entry in entries_of(clean):
        forged = msgspec.structs.replace(change(entry), prev=prev)
        forged = msgspec.structs.replace(forged, hash=entry_hash(forged))
        values = (forged.actor, msgspec.json.encode(forged.changes).decode(), forged.prev, forged.hash, forged.seq)
        connection.execute("UPDATE audit SET actor = ?, changes = ?, prev = ?, hash = ? WHERE seq = ?", values)
        prev = forged.hash
    connection.execute("DELETE FROM checkpoint")
    connection.commit()
    connection.close()
    return copy


def test_a_chain_rewritten_with_fresh_hashes_is_found_by_the_checkpoint_only(written: tuple[Path, bytes, Path], tmp_path: Path) -> None:
    def frame(entry: AuditEntry) -> AuditEntry:
        return msgspec.structs.replace(entry, actor="mallory") if entry.seq == 20 else entry

    copy = rewritten(written[0], tmp_path, frame)
    assert verify_file(copy, TRUST).ok, "negative control: the forged chain is consistent in itself"
    report = verify_file(copy, TRUST, [written[1]])
    assert not report.ok
    assert "rewritten" in report.what


def test_a_forged_record_with_a_fresh_digest_is_found_by_the_checkpoint(written: tuple[Path, bytes, Path], tmp_path: Path) -> None:
    body = '{"name":"lever-1","position":666,"note":""}'

    def frame(entry: AuditEntry) -> AuditEntry:
        if entry.seq != 2:
            return entry
        [change] = entry.changes
        return msgspec.structs.replace(entry, changes=(Change(change.kind, change.id, change.revision, digest_bytes(body.encode())),))

    copy = rewritten(written[0], tmp_path, frame)
    with sqlite3.connect(copy) as connection:
        assert connection.execute("UPDATE record SET body = ? WHERE from_seq = 2", (body,)).rowcount == 1
    connection.close()
    assert verify_file(copy, TRUST).ok, "negative control"
    assert not verify_file(copy, TRUST, [written[1]]).ok


def test_a_truncated_or_rolled_back_ledger_is_found_by_the_checkpoint_only(written: tuple[Path, bytes, Path], tmp_path: Path) -> None:
    clean, envelope, older = written
    cut = tampered(
        clean,
        tmp_path,
        "DELETE FROM audit WHERE seq > 40",
        "DELETE FROM record WHERE from_seq > 40",
        "UPDATE record SET to_seq = NULL, to_us = NULL WHERE to_seq > 40",
        "DELETE FROM checkpoint WHERE seq > 40",
    )
    for copy, length in ((cut, 40), (older, ENTRIES // 2)):
        assert verify_file(copy, TRUST).ok, "negative control: an honest beginning of a chain is a chain"
        report = verify_file(copy, TRUST, [envelope])
        assert (report.ok, report.first_bad_seq) == (False, length + 1)
        assert "rolled back" in report.what
    emptied = tampered(clean, tmp_path, "DELETE FROM audit", "DELETE FROM record", "DELETE FROM checkpoint")
    assert verify_file(emptied, TRUST).ok, "negative control"
    assert not verify_file(emptied, TRUST, [envelope]).ok


def test_a_forged_checkpoint_is_no_checkpoint(written: tuple[Path, bytes, Path]) -> None:
    forged = sign_checkpoint(SigningKey.generate(), Checkpoint(seq=1, hash=GENESIS, at_us=0))
    report = verify_file(written[0], TRUST, [forged])
    assert not report.ok
    assert "no trusted signature" in report.what


def test_a_fork_is_found(written: tuple[Path, bytes, Path]) -> None:
    """Two genuine checkpoints that disagree: someone restored an old database and went on from there."""
    other = sign_checkpoint(KEY, Checkpoint(seq=ENTRIES, hash="f" * 64, at_us=0))
    assert "forked" in verify_file(written[0], TRUST, [written[1], other]).what


def test_every_byte_of_an_export_counts(written: tuple[Path, bytes, Path]) -> None:
    """500 random changes to the exported text: found, or they left the meaning as it was."""
    clean = written[0].parent.joinpath("export.jsonl").read_bytes()
    meaning = [msgspec.json.decode(line) for line in clean.splitlines()]
    rng = random.Random(27)
    for _ in range(500):
        changed = bytearray(clean)
        changed[rng.randrange(len(changed))] = rng.randrange(256)
        lines = bytes(changed).split(b"\n")[:-1]
        report = verify_export(lines, TRUST, [written[1]])
        if report.ok:
            assert [msgspec.json.decode(line) for line in lines] == meaning


def test_lines_of_an_export_deleted_repeated_or_swapped_are_found(written: tuple[Path, bytes, Path]) -> None:
    lines = written[0].parent.joinpath("export.jsonl").read_bytes().splitlines(keepends=True)
    assert verify_export(lines, TRUST, [written[1]]).ok
    for n in range(2, len(lines) - 1):
        for changed in (
            [*lines[:n], *lines[n + 1 :]],
            [*lines[: n + 1], *lines[n:]],
            [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]],
        ):
            assert not verify_export(changed, TRUST, [written[1]]).ok
    assert not verify_export(lines[:-1], TRUST, [written[1]]).ok


def test_something_else_is_not_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"SQLite format 3\0" + b"junk" * 1_000)
    report = verify_file(tmp_path / "x.db", TRUST)
    assert not report.ok
    assert "not readable" in report.what
    assert not verify_export([b"{}\n"], TRUST).ok
    assert not verify_export([b"\xff\xfe\n"], TRUST).ok


def test_postgresql_is_verified_as_sqlite_is(postgresql_url: str) -> None:
    import psycopg

    ledger = Ledger(postgresql_url, ManualClock(5), AllowEverything(), HANDLERS)
    for n in range(10):
        ledger.write(ALICE, SetLever(name=f"é{n % 3}", position=n), key=f"{n}")
    envelope = ledger.checkpoint(KEY)
    assert ledger.verify(TRUST, [envelope]) == verify_export(list(ledger.export()), TRUST, [envelope])
    assert ledger.verify(TRUST).ok
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("UPDATE record SET body = replace(body, '7', '8') WHERE from_seq = 8")
    report = ledger.verify(TRUST)
    assert (report.ok, report.first_bad_seq) == (False, 8)
    ledger.close()


def long_chain(entries: int) -> Iterator[bytes]:
    prev = GENESIS
    for seq in range(1, entries + 1):
        body = f'{{"name":"lever-{seq % 1000}","position":{seq},"note":""}}'
        row = WrittenRow(kind="lever", id=f"lever-{seq % 1000}", revision=seq // 1000 + 1, body=body, from_us=seq, from_seq=seq)
        entry = AuditEntry(
            seq=seq,
            at_us=seq,
            recorded_at_us=seq,
            actor="alice",
            roles=("engineer",),
            action="Levers.Set",
            resource=f"lever/{row.id}",
            team="signals",
            key=f"k{seq}",
            command="SetLever",
            body=body,
            result="null",
            changes=(Change("lever", row.id, row.revision, digest_bytes(body.encode())),),
            policy_ids=("engineer",),
            prev=prev,
        )
        entry = msgspec.structs.replace(entry, hash=entry_hash(entry))
        prev = entry.hash
        yield msgspec.json.encode(EntryLine(entry))
        yield msgspec.json.encode(RecordLine(row))


@pytest.mark.slow
def test_a_million_entries_are_verified_within_a_minute() -> None:
    """The time includes making the chain on the way, so the verification itself takes less."""
    started = time.perf_counter()
    report: AuditReport = verify_export(long_chain(1_000_000), TRUST)
    assert (report.ok, report.entries) == (True, 1_000_000)
    assert time.perf_counter() - started <= 60.0
