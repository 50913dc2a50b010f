"""What the workers of a fleet know of each other: one small memory-mapped file a worker, which outlives it.

::

    0      magic
    8      state, deaths      written by the parent
    24     pid, beat_ns (monotonic clock; 0: not started yet), connections      written by the worker; pid by the parent
    48     which of the two slots holds the newest document
    56     why the worker last ended (UTF-8, 200 bytes)      written by the parent
    4096   slot 0: length, CRC-32, document      written by the worker
    ...    slot 1

A document is written into the slot that is not the newest, then the slots change places: a worker killed at any byte leaves the one
before. The file is reserved whole (a full disk is met when the fleet starts, not in the middle of a write) and never cut.
"""

import mmap
import os
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Literal

from leverframe.core.errors import Integrity, LimitExceeded
from leverframe.governance.durable_files import unavailable

SLOT_BYTES = 512 * 1024
"""The largest document; one that is larger is not kept, and the numbers before it stay."""
READS_MAX = 5
"""A document that changes while it is read is read again this often; then it counts as not there."""
FRESH_S = 1.0
"""A worker that has not beaten for this long is not waited for when connections are dealt out."""

State = Literal["starting", "serving", "stopped", "quarantined"]
STATES: tuple[State, ...] = ("starting", "serving", "stopped", "quarantined")

_MAGIC = b"LVRFLT\x00\x01"
_NUMBER = struct.Struct("<Q")
_SLOT = struct.Struct("<II")
_STATE, _DEATHS, _PID, _BEAT, _CONNECTIONS, _NEWEST, _REASON = 8, 16, 24, 32, 40, 48, 56
_REASON_BYTES = 200
_HEAD_BYTES = 4096
_FILE_BYTES = _HEAD_BYTES + 2 * SLOT_BYTES


def page_path(folder: Path, worker: str) -> Path:
    """Where a worker's page lies in the gateway's ``folder``."""
    return folder / f"{worker}.page"


class FleetPage:
    """One worker's page. Parent and worker write to it, each its own fields; everybody reads."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    @classmethod
    def create(cls, path: Path) -> "FleetPage":
        """A fresh page at ``path``; one that is already there is emptied in place.

        Raises
        ------
        Unavailable: it cannot be reserved.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, _FILE_BYTES)
                memory = mmap.mmap(descriptor, _FILE_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unavailable(error, str(path)) from error
        for slot in (0, 1):
            offset = _HEAD_BYTES + slot * SLOT_BYTES
            memory[offset : offset + _SLOT.size] = bytes(_SLOT.size)
        memory[:_HEAD_BYTES] = _MAGIC.ljust(_HEAD_BYTES, b"\0")
        return cls(memory)

    @classmethod
    def open(cls, path: Path) -> "FleetPage":
        """The page that the fleet's parent made at ``path``.

        Raises
        ------
        Integrity: it is something else.  Unavailable: it cannot be read.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_size != _FILE_BYTES:
                    raise Integrity("not a page of a fleet", where=str(path), expected=f"{_FILE_BYTES} bytes")
                memory = mmap.mmap(descriptor, _FILE_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unavailable(error, str(path)) from error
        if memory[: len(_MAGIC)] != _MAGIC:
            raise Integrity("not a page of a fleet", where=str(path))
        return cls(memory)

    def _get(self, offset: int) -> int:
        number: int = _NUMBER.unpack_from(self._memory, offset)[0]
        return number

    def _set(self, offset: int, number: int) -> None:
        self._memory[offset : offset + 8] = _NUMBER.pack(number)

    # ---- the parent's part ------------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What the parent knows of the worker."""
        return STATES[self._get(_STATE) % len(STATES)]

    @state.setter
    def state(self, state: State) -> None:
        self._set(_STATE, STATES.index(state))

    @property
    def deaths(self) -> int:
        """How often the worker ended without being asked to, since the fleet started."""
        return self._get(_DEATHS)

    @property
    def reason(self) -> str:
        """Why the worker last ended; empty when it never did."""
        return self._memory[_REASON : _REASON + _REASON_BYTES].rstrip(b"\0").decode("utf-8", "replace")

    def died(self, reason: str) -> None:
        """Count a death; the worker is neither beating nor carrying connections any more."""
        self._memory[_REASON : _REASON + _REASON_BYTES] = reason.encode()[:_REASON_BYTES].ljust(_REASON_BYTES, b"\0")
        self._set(_DEATHS, self.deaths + 1)
        self.started(0)

    def started(self, pid: int) -> None:
        """Another process is the worker now; it has not beaten yet."""
        self._set(_BEAT, 0)
        self._set(_CONNECTIONS, 0)
        self._set(_PID, pid)

    # ---- the worker's part ------------------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The worker's process; 0 when there is none."""
        return self._get(_PID)

    @property
    def beat_ns(self) -> int:
        """When the worker's loop last beat (monotonic clock, nanoseconds); 0 when it has not begun."""
        return self._get(_BEAT)

    def beat(self) -> None:
        """The worker's loop runs."""
        self._set(_BEAT, time.monotonic_ns())

    @property
    def connections(self) -> int:
        """How many clients the worker carries."""
        return self._get(_CONNECTIONS)

    def carry(self, connections: int) -> None:
        """Say how many clients the worker carries."""
        self._set(_CONNECTIONS, connections)

    def write(self, document: bytes) -> None:
        """Keep ``document`` as the newest.

        Raises
        ------
        LimitExceeded: larger than a slot; the one before stays.
        """
        end = _SLOT.size + len(document)
        if end > SLOT_BYTES:
            raise LimitExceeded("too much to share with the fleet", expected=f"at most {SLOT_BYTES} bytes", got=str(end))
        slot = 1 - self._get(_NEWEST) % 2
        offset = _HEAD_BYTES + slot * SLOT_BYTES
        self._memory[offset : offset + end] = _SLOT.pack(len(document), zlib.crc32(document)) + document
        self._set(_NEWEST, slot)

    def read(self) -> bytes:
        """The newest document; empty when there is none."""
        for _ in range(READS_MAX):
            offset = _HEAD_BYTES + self._get(_NEWEST) % 2 * SLOT_BYTES
            length, checksum = _SLOT.unpack_from(self._memory, offset)
            document = self._memory[offset + _SLOT.size : offset + _SLOT.size + min(length, SLOT_BYTES)]
            if zlib.crc32(document) == checksum:
                return document
        return b""

    def close(self) -> None:
        """Let go of the file."""
        with suppress(BufferError):
            self._memory.close()


class Turns:
    """Whether it is a worker's turn to take a connection: when it carries no more than any other that beats.

    Parameters
    ----------
    own: the worker's page.
    others: the pages of the other workers.
    """

    def __init__(self, own: FleetPage, others: tuple[FleetPage, ...]) -> None:
        self._own = own
        self._others = others

    def mine(self, making: int) -> bool:
        """True when it is; ``making`` are connections taken that are not yet counted."""
        carried = self._own.connections + making
        stale_ns = time.monotonic_ns() - int(FRESH_S * 1e9)
        return all(carried <= other.connections or other.beat_ns < stale_ns for other in self._others)
