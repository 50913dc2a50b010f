"""The queue of the processes that write one SQLite file: first come, first served, and nobody for ever.

SQLite lets a writer that finds the file locked sleep and try again, ever more rarely: among busy processes the one that came late starves.
So a writer first takes its turn in two locks of the kernel beside the file. The first is where everybody waits, in the order of coming;
whoever has it waits for the second, which is held while writing. A writer that is done and wants again finds the first one taken, and
stands at the end. The kernel opens the locks of a process that dies. It wakes who is next, which takes the lock itself: somebody may slip
in between now and then, but nobody can do so again and again.

Source: flock(2); the two locks are the turnstile of Reed and Kanodia, "Synchronization with Eventcounts and Sequencers", CACM 1979.
"""

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path

from leverframe.core.errors import Unavailable
from leverframe.governance.durable_files import unavailable

SUFFIXES = ("-turn", "-writer")
"""What the two files are called, after the database's name. They are empty, and may be deleted when no process has the database open."""
POLL_S = 0.000_2
"""How often the head of the queue asks whether the writer before it is done."""


class Turns:
    """This process's place in the queue for ``file``; its threads come here one at a time.

    Raises
    ------
    Unavailable: the two files cannot be made.
    """

    def __init__(self, file: Path) -> None:
        self._name = f"{file.name}{SUFFIXES[1]}"
        self._changed = threading.Condition()
        self._waiting = False  # a thread is in the kernel's queue, where no wait can be bounded
        self._wanted = False  # and somebody still waits for it
        self._fault: OSError | None = None
        opened: list[int] = []
        # Before the first is opened: what was opened is closed with this object, also when the second cannot be.
        self._closing = weakref.finalize(self, _close, opened)
        try:
            for suffix in SUFFIXES:
                opened.append(os.open(f"{file}{suffix}", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        except OSError as error:
            raise unavailable(error, f"{file.name}{suffix}") from error
        self._turn, self._writer = opened

    @contextmanager
    def taken(self, until_s: float) -> Iterator[None]:
        """The right to write, which no other process has meanwhile.

        Parameters
        ----------
        until_s: how long to wait, as a moment of ``time.monotonic``.

        Raises
        ------
        Unavailable: the writers ahead took longer.
        """
        if not (self._at_the_head(until_s) and self._writing(until_s)):
            raise Unavailable(
                "processes that write are ahead, and took too long; nothing was changed",
                where="ledger",
                next_step=f"repeat with the same key; if it lasts, `lslocks` names the process that holds {self._name}",
            )
        try:
            yield
        finally:
            flock(self._writer, LOCK_UN)

    def _at_the_head(self, until_s: float) -> bool:
        with self._changed:
            if not self._waiting:
                if _lock(self._turn):
                    return True
                self._waiting = True
                threading.Thread(target=self._wait, name="ledger-turn", daemon=True).start()
            # Or somebody came before, and gave up: his place in the queue is taken over.
            self._wanted = True
            reached = self._changed.wait_for(lambda: not self._waiting, timeout=max(0.0, until_s - time.monotonic()))
            self._wanted = False
            fault, self._fault = self._fault, None
        if fault is not None:
            raise unavailable(fault, self._name) from fault
        return reached

    def _wait(self) -> None:
        fault = None
        try:
            flock(self._turn, LOCK_EX)
        except OSError as error:
            fault = error
        with self._changed:
            self._waiting = False
            if self._wanted:
                self._fault = fault
            else:
                flock(self._turn, LOCK_UN)
            self._changed.notify()

    def _writing(self, until_s: float) -> bool:
        """Take the second lock, asking again and again: only the head of the queue does, and wakes sooner than a thread would wake it."""
        try:
            while not _lock(self._writer):
                if time.monotonic() > until_s:
                    return False
                time.sleep(POLL_S)
            return True
        finally:
            flock(self._turn, LOCK_UN)

    def close(self) -> None:
        """Let go of the files; a thread that still waits for its turn closes them when it came."""
        with self._changed:
            if not self._waiting:
                self._closing()


def _close(opened: list[int]) -> None:
    while opened:
        os.close(opened.pop())


def _lock(file: int) -> bool:
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
