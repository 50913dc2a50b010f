"""One child process, from its start to its end: messages over a socket pair that nobody else has, on the keeper's loop."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from leverframe.core.errors import Unavailable
from leverframe.serving.runtimes.isolated import frames
from leverframe.serving.runtimes.isolated.limits import Bounds

PROGRAM = Path(__file__).with_name("child.py")
LOG = "model.log"
ENTRIES_MAX = 4_096
"""Files looked at in a child's folder; with more it counts as full."""
_QUIET = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def start_process(python: Path, config: dict[str, Any], folder: Path, bounds: Bounds) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the child: an empty folder of its own, no input, its output in a bounded file, and nothing of our environment."""
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    ours, theirs = socket.socketpair()
    argument = {
        **config,
        "fd": theirs.fileno(),
        "parent": os.getpid(),
        "write": str(scratch),
        "read": [config["model"], str(PROGRAM.parent)],
        "memory_bytes": bounds.memory_bytes,
        "open_files": bounds.open_files,
        "file_bytes": bounds.file_bytes,
    }
    environment = dict.fromkeys(_QUIET, "1") | {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        # Arrow's own allocators reserve address space that the limit would count.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
    with theirs, (folder / LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
            [str(python), "-I", "-B", str(PROGRAM), json.dumps(argument)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=scratch,
            env=environment,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    return process, ours


class Child:
    """A started child. ``ended`` is set when it is gone; ``reason`` says why it was ended, when it was."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.pid = process.pid
        self.ended = asyncio.Event()
        self.busy = False
        self.reason = ""
        self._process = process
        self._scratch = folder / "scratch"
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._cpu = (time.monotonic(), 0.0)

    async def open(self, ours: socket.socket) -> None:
        """Begin to listen to the child."""
        ours.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        self._listening = asyncio.create_task(self._listen())

    async def answer(self, content: bytes | None, timeout_s: float, size_max: int) -> tuple[int, bytes]:
        """Send ``content`` (None: nothing) and wait for one message of at most ``size_max`` bytes; out of time, the child is ended.

        Raises
        ------
        Unavailable: the child is gone, or was ended.
        """
        if self.ended.is_set():
            raise self._gone()
        self.busy = True
        self._size_max = max(size_max, frames.FAULT_BYTES_MAX)
        waiting: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._answer = waiting
        try:
            if content is not None:
                self._writer.write(frames.HEADER.pack(frames.SCORE, len(content)))
                self._writer.write(content)
            async with asyncio.timeout(timeout_s):
                return await waiting
        except TimeoutError:
            self.kill(f"no answer within {timeout_s:g} s")
            raise self._gone() from None
        finally:
            self._answer, self.busy = None, False
            self._cpu = (time.monotonic(), self._cpu_seconds())

    def kill(self, reason: str) -> None:
        """End the child now; whoever waits for it is told."""
        self.reason = self.reason or reason
        self._process.kill()

    async def _listen(self) -> None:
        """Hand each message to whoever waits for it; one that nobody waits for, or that is too long, ends the child."""
        try:
            while True:
                kind, size = frames.HEADER.unpack(await self._reader.readexactly(frames.HEADER.size))
                if self._waited_for() is None or size > self._size_max:
                    self.kill(f"it sent {size} bytes that nobody waited for")
                    break
                content = await self._reader.readexactly(size)
                if (waiting := self._waited_for()) is not None:
                    waiting.set_result((kind, content))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._writer.close()
            await self._reap()

    async def _reap(self) -> None:
        # Its end of the socket is closed; if the process itself lives on, it is of no use to anybody.
        for pause_s in (0.0, 0.01, 0.05, 0.1):
            await asyncio.sleep(pause_s)
            if self._process.poll() is not None:
                break
        else:
            self.kill("it closed its socket")
            await asyncio.get_running_loop().run_in_executor(None, self._process.wait)
        code = self._process.returncode
        self.reason = self.reason or (f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}")
        self.ended.set()
        if (waiting := self._waited_for()) is not None:
            waiting.set_exception(self._gone())

    def _waited_for(self) -> "asyncio.Future[tuple[int, bytes]] | None":
        return self._answer if self._answer is not None and not self._answer.done() else None

    def look(self, bounds: Bounds) -> None:
        """End a child that burns processor time while nobody asks it, or that fills its folder."""
        then, used = self._cpu
        now, now_used = time.monotonic(), self._cpu_seconds()
        self._cpu = (now, now_used)
        if not self.busy and now > then and (now_used - used) / max(now - then, 0.5) > bounds.idle_cpu_s:
            self.kill("it burned processor time while nobody asked it")
        elif folder_bytes(self._scratch, bounds.folder_bytes) > bounds.folder_bytes:
            self.kill(f"it wrote more than {bounds.folder_bytes} bytes")

    def _cpu_seconds(self) -> float:
        """Processor seconds of the whole process: the clock id of a process is made of its id, see clock_getcpuclockid(3)."""
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return 0.0

    def _gone(self) -> Unavailable:
        return Unavailable("the model's process is gone", where=f"pid {self.pid}", got=self.reason or "it ended")


def folder_bytes(folder: Path, enough: int) -> int:
    """Bytes of all files under ``folder``, or something above ``enough`` as soon as that is clear."""
    total, entries, waiting = 0, 0, [folder]
    while waiting and total <= enough:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    if entries > ENTRIES_MAX:
                        return enough + 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
