"""What waits to be sent, durable and bounded: one SQLite file of the worker's home (decision 0028).

A channel is a queue with one destination and a cursor in the audit chain. Messages and the cursor that they came from are written in one
transaction, so that ``kill -9`` loses nothing and repeats nothing on the way in; a message leaves when it was accepted, so that on the way
out it may be repeated and is never lost.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

WAITING_MAX = 10_000
"""Messages that wait in one channel. Whoever fills it stops reading the audit chain until there is room: the chain loses nothing."""
DEAD_MAX = 1_000
"""Dead letters that are kept in one channel, the newest."""

_TABLES = """
CREATE TABLE IF NOT EXISTS cursor (channel TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    place INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, id TEXT NOT NULL, url TEXT NOT NULL, content_type TEXT NOT NULL,
    body BLOB NOT NULL, queued_us INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_us INTEGER NOT NULL DEFAULT 0,
    dead_us INTEGER, said TEXT NOT NULL DEFAULT '', UNIQUE (channel, id)
);
CREATE INDEX IF NOT EXISTS waiting ON message (channel, place) WHERE dead_us IS NULL;
"""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be sent; ``id`` is the same however often it is made from the same audit entry."""

    id: str
    url: str
    content_type: str
    body: bytes


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A message in the outbox, and how its sending went so far."""

    place: int
    channel: str
    message: Message
    attempts: int
    queued_us: int
    said: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel is doing: read up to audit entry ``seq``, so many waiting, so many dead, and what was said last."""

    seq: int = 0
    waiting: int = 0
    dead: int = 0
    attempts: int = 0
    said: str = ""


class Outbox:
    """The file at ``path``; made when it is not there. One process writes (the worker), any may read."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        path.chmod(0o600)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_TABLES)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _all(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def cursor(self, channel: str) -> int | None:
        """The last audit entry that ``channel`` has read; None: it is new."""
        found = self._all("SELECT seq FROM cursor WHERE channel = ?", channel)
        return int(str(found[0][0])) if found else None

    def channels(self) -> tuple[str, ...]:
        """Every channel that has read something."""
        return tuple(str(row[0]) for row in self._all("SELECT channel FROM cursor ORDER BY channel"))

    def room(self, channel: str) -> int:
        """How many messages ``channel`` still takes."""
        ((count,),) = self._all("SELECT count(*) FROM message WHERE channel = ? AND dead_us IS NULL", channel)
        return WAITING_MAX - int(str(count))

    def put(self, channel: str, seq: int, messages: Iterable[Message], now_us: int) -> None:
        """Queue ``messages`` and note that the chain was read up to ``seq``, both or neither."""
        rows = [(channel, m.id, m.url, m.content_type, m.body, now_us) for m in messages]
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO message (channel, id, url, content_type, body, queued_us) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            connection.execute("INSERT INTO cursor VALUES (?, ?) ON CONFLICT (channel) DO UPDATE SET seq = excluded.seq", (channel, seq))

    def due(self, now_us: int) -> tuple[Waiting, ...]:
        """The first waiting message of each channel, where its time has come: a channel is delivered in order."""
        found = self._all(
            "SELECT place, channel, id, url, content_type, body, attempts, queued_us, said FROM message WHERE next_us <= ? AND place IN "
            "(SELECT min(place) FROM message WHERE dead_us IS NULL GROUP BY channel) ORDER BY place",
            now_us,
        )
        return tuple(_waiting(row) for row in found)

    def accepted(self, place: int) -> None:
        """The message at ``place`` was taken by its receiver."""
        with self._writing() as connection:
            connection.execute("DELETE FROM message WHERE place = ?", (place,))

    def postpone(self, place: int, next_us: int, said: str) -> None:
        """Try the message again at ``next_us``, and not before; ``said`` is what went wrong."""
        with self._writing() as connection:
            connection.execute("UPDATE message SET attempts = attempts + 1, next_us = ?, said = ? WHERE place = ?", (next_us, said, place))

    def bury(self, place: int, now_us: int, said: str) -> None:
        """Give the message up; it is kept as a dead letter, and the channel goes on."""
        with self._writing() as connection:
            connection.execute("UPDATE message SET attempts = attempts + 1, dead_us = ?, said = ? WHERE place = ?", (now_us, said, place))
            connection.execute(
                "DELETE FROM message WHERE dead_us IS NOT NULL AND place IN (SELECT place FROM message WHERE dead_us IS NOT NULL AND "
                "channel = (SELECT channel FROM message WHERE place = ?) ORDER BY place DESC LIMIT -1 OFFSET ?)",
                (place, DEAD_MAX),
            )

    def revive(self, channel: str) -> None:
        """Let every dead letter of ``channel``, and what waits out a pause, be tried again now."""
        with self._writing() as connection:
            connection.execute("UPDATE message SET dead_us = NULL, attempts = 0, next_us = 0 WHERE channel = ?", (channel,))

    def forget(self, channel: str) -> None:
        """Drop a channel with everything in it."""
        with self._writing() as connection:
            connection.execute("DELETE FROM message WHERE channel = ?", (channel,))
            connection.execute("DELETE FROM cursor WHERE channel = ?", (channel,))

    def dead(self, channel: str, limit: int = 100) -> tuple[Waiting, ...]:
        """The newest dead letters of ``channel``."""
        found = self._all(
            "SELECT place, channel, id, url, content_type, body, attempts, queued_us, said FROM message "
            "WHERE channel = ? AND dead_us IS NOT NULL ORDER BY place DESC LIMIT ?",
            channel,
            limit,
        )
        return tuple(_waiting(row) for row in found)

    def standing(self, channel: str) -> Standing:
        """How ``channel`` is doing."""
        ((waiting, dead),) = self._all("SELECT count(*) - count(dead_us), count(dead_us) FROM message WHERE channel = ?", channel)
        head = self._all("SELECT attempts, said FROM message WHERE channel = ? AND said != '' ORDER BY place LIMIT 1", channel)
        attempts, said = head[0] if head else (0, "")
        return Standing(
            seq=self.cursor(channel) or 0, waiting=int(str(waiting)), dead=int(str(dead)), attempts=int(str(attempts)), said=str(said)
        )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()


def outbox_standing(path: Path) -> dict[str, Standing]:
    """How every channel of the outbox at ``path`` is doing; nothing where no worker has sent anything yet."""
    if not path.exists():
        return {}
    outbox = Outbox(path)
    try:
        return {channel: outbox.standing(channel) for channel in outbox.channels()}
    finally:
        outbox.close()


def _waiting(row: tuple[object, ...]) -> Waiting:
    place, channel, id, url, content_type, body, attempts, queued_us, said = row
    assert isinstance(body, bytes)
    message = Message(id=str(id), url=str(url), content_type=str(content_type), body=body)
    return Waiting(
        place=int(str(place)),
        channel=str(channel),
        message=message,
        attempts=int(str(attempts)),
        queued_us=int(str(queued_us)),
        said=str(said),
    )
