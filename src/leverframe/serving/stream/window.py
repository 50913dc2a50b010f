"""What a stream worker remembers of the ids it answered, over ``kill -9``: a journal of two files, oldest ids forgotten first.

An id is *begun* before it is scored, *answered* with the very bytes before they are published, and *settled* once the broker has them.
So a message that comes again is never scored again: it gets the bytes it got, or nothing when they are published already. A message
that ended the process is known by having been begun and never answered.

A journal and not a database: all it does is append, look up in memory and forget by age. Frames carry checksums; what a crash tore off
at the end is cut away. A write is in the page cache when it returns: it survives the process, and not a power cut (then the broker's
own window is all there is).
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from leverframe.core.errors import Refused
from leverframe.core.segment import check_worker
from leverframe.governance.durable_files import make_folder, unavailable

GENERATION_IDS_MAX = 100_000
"""Ids in a file; past it the older file is forgotten and a new one begun. So between one and two times as many are known."""
GENERATION_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of a file, likewise."""
_FRAME = struct.Struct("<II")


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """What is published for one message; ``digest`` is of the message, ``dead`` sends it to the dead letters."""

    id: str
    digest: bytes
    dead: bool
    body: bytes


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    kind: Literal["b", "a", "s"]
    items: list[Outgoing]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entry).decode


class StreamWindow:
    """The recent ids of one worker.

    Parameters
    ----------
    folder, worker: where the journal lies and what it is called; two processes never share one.

    Raises
    ------
    Refused: another process has it.    Unavailable: the folder cannot be written.
    """

    def __init__(self, folder: Path, worker: str, *, ids_max: int = GENERATION_IDS_MAX, bytes_max: int = GENERATION_BYTES_MAX) -> None:
        self._path = folder / f"{check_worker(worker)}.window"
        self._older = self._path.with_suffix(".older")
        self._ids_max, self._bytes_max = ids_max, bytes_max
        self._begun: dict[str, int] = {}
        self._open: dict[str, Outgoing] = {}
        self._settled: dict[str, bytes] = {}
        self._settled_before: dict[str, bytes] = {}
        try:
            make_folder(folder)
            self._lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(
                "another process is this stream worker", where=worker, expected="a name of its own", next_step="choose another --worker"
            ) from error
        except OSError as error:
            raise unavailable(error, str(folder)) from error
        self._read(self._older)
        self._settled_before, self._settled = self._settled, {}
        if self._path.exists():
            # It began with all that was not settled.
            self._begun, self._open = {}, {}
        self._end = self._read(self._path)
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._file, self._end)
        except OSError as error:
            raise unavailable(error, str(self._path)) from error

    # ---- questions --------------------------------------------------------------------------------------------------------------------

    def known(self, prediction_id: str) -> bytes | None:
        """The digest of the message that was answered under this id, when it is known."""
        waiting = self._open.get(prediction_id)
        if waiting is not None:
            return waiting.digest
        return self._settled.get(prediction_id) or self._settled_before.get(prediction_id)

    def waiting(self, prediction_id: str) -> Outgoing | None:
        """The answer that may not have been published."""
        return self._open.get(prediction_id)

    def attempts(self, prediction_id: str) -> int:
        """How often scoring this id was begun and not finished."""
        return self._begun.get(prediction_id, 0)

    # ---- writing ----------------------------------------------------------------------------------------------------------------------

    def begin(self, ids: Sequence[str]) -> None:
        """Note that ``ids`` are about to be scored."""
        self._write(_Entry("b", [Outgoing(one, b"", False, b"") for one in ids]))

    def remember(self, answers: Sequence[Outgoing]) -> None:
        """Keep what is about to be published."""
        self._write(_Entry("a", list(answers)))

    def settle(self, answers: Sequence[Outgoing]) -> None:
        """Note that the broker has them."""
        self._write(_Entry("s", [Outgoing(one.id, one.digest, one.dead, b"") for one in answers]))
        if len(self._settled) >= self._ids_max or self._end >= self._bytes_max:
            self._turn()

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._file)
        os.close(self._lock)

    def _write(self, entry: _Entry) -> None:
        """Append ``entry``, wholly or not at all.

        Raises
        ------
        Unavailable: the disk does not take it.
        """
        if not entry.items:
            return
        frame = _framed(entry)
        try:
            if os.pwrite(self._file, frame, self._end) < len(frame):
                raise OSError(28, "no space left")
        except OSError as error:
            os.ftruncate(self._file, self._end)
            raise unavailable(error, str(self._path)) from error
        self._end += len(frame)
        self._apply(entry)

    def _apply(self, entry: _Entry) -> None:
        for item in entry.items:
            if entry.kind == "b":
                self._begun[item.id] = self._begun.get(item.id, 0) + 1
                continue
            self._begun.pop(item.id, None)
            if entry.kind == "a":
                self._open[item.id] = item
            else:
                self._open.pop(item.id, None)
                self._settled[item.id] = item.digest

    def _turn(self) -> None:
        """Begin a new file with what is still open; a crash in between leaves the old pair, or one file with everything."""
        carried = [_Entry("b", [Outgoing(one, b"", False, b"")]) for one, times in self._begun.items() for _ in range(times)]
        if self._open:
            carried.append(_Entry("a", list(self._open.values())))
        aside = self._path.with_suffix(".next")
        try:
            file = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            data = b"".join(map(_framed, carried))
            os.pwrite(file, data, 0)
            os.rename(self._path, self._older)
            os.rename(aside, self._path)
        except OSError as error:
            raise unavailable(error, str(aside)) from error
        os.close(self._file)
        self._file, self._end = file, len(data)
        self._settled_before, self._settled = self._settled, {}

    # ---- reading ----------------------------------------------------------------------------------------------------------------------

    def _read(self, path: Path) -> int:
        """Apply what ``path`` holds; the offset behind its last whole frame."""
        end = 0
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise unavailable(error, str(path)) from error
        for entry, end in _frames(data):  # noqa: B007  the last one is what is returned
            self._apply(entry)
        return end


def _framed(entry: _Entry) -> bytes:
    payload = _encode(entry)
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def _frames(data: bytes) -> Iterator[tuple[_Entry, int]]:
    """Whole entries with the offset behind each, up to the first that is torn or damaged."""
    at = 0
    while at + _FRAME.size <= len(data):
        size, checksum = _FRAME.unpack_from(data, at)
        payload = data[at + _FRAME.size : at + _FRAME.size + size]
        if not size or len(payload) < size or zlib.crc32(payload) != checksum:
            return
        at += _FRAME.size + size
        yield _decode(payload), at
