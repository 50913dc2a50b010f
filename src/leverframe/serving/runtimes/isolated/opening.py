"""From the verified files of a signed bundle to a started model: its record checked, its files laid out, its environment built.

Building and starting go on in the background: a gateway asks again with its next look, and follows its other routes meanwhile.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Unfinished
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from leverframe.core.errors import Integrity, Unavailable
from leverframe.core.model import ISOLATED, PYFUNC, IsolatedRuntime
from leverframe.core.schema import Signature
from leverframe.serving.runtimes.isolated.environment import interpreter
from leverframe.serving.runtimes.isolated.limits import Bounds

if TYPE_CHECKING:
    from leverframe.serving.runtimes.isolated.host import IsolatedModel

PATIENCE_S = 0.2
"""A look at the routes waits this long for a model; then it is asked for again with a later look."""
KEPT_S = 30.0
"""A failed opening is not tried again before this; a finished one that nobody fetches within it is stopped."""


class IsolatedOpener:
    """Starts isolated models for one process, one at a time. What talks to a child is an extra, and loaded with the first model.

    Parameters
    ----------
    home: the installation; environments are kept there and shared by its processes.
    patience_s: how long :meth:`open` waits.
    """

    def __init__(self, home: Path, *, patience_s: float = PATIENCE_S, bounds: Bounds | None = None) -> None:
        self._home = home.resolve()
        self._patience_s = patience_s
        self._bounds = bounds
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="isolated-open")
        self._opening: dict[str, tuple[Future[IsolatedModel], float]] = {}
        self._lock = threading.Lock()
        self._running = self._home / "isolated"
        self._running.mkdir(parents=True, exist_ok=True)
        _clear(self._running)

    def open(self, name: str, files: Mapping[str, bytes], signature: Signature) -> "IsolatedModel":
        """The model ``name``, started.

        Raises
        ------
        Integrity: its record does not fit.    Unavailable: it is not ready yet, or its environment or start failed.
        """
        runtime = read_record(files, signature)
        with self._lock:
            self._forget()
            if name not in self._opening:
                self._opening[name] = self._pool.submit(self._start, name, files, runtime), time.monotonic()
            opening = self._opening[name][0]
        try:
            model = opening.result(self._patience_s)
        except Unfinished as error:
            raise Unavailable(
                "the model's environment and process are being made ready", where=name, next_step="wait: it is looked for every second"
            ) from error
        with self._lock:
            self._opening.pop(name, None)
        return model

    def _forget(self) -> None:
        """Let go of what failed or was not fetched some time ago."""
        for name, (opening, since) in list(self._opening.items()):
            if not opening.done():
                self._opening[name] = opening, time.monotonic()
            elif time.monotonic() - since > KEPT_S:
                del self._opening[name]
                if opening.exception() is None:
                    opening.result().stop()

    def _start(self, name: str, files: Mapping[str, bytes], runtime: IsolatedRuntime) -> "IsolatedModel":
        try:
            from leverframe.serving.runtimes.isolated.host import IsolatedModel
        except ModuleNotFoundError as error:
            raise Unavailable(
                "foreign models cannot run here", where=name, got=f"no package {error.name}", next_step="install leverframe[isolated]"
            ) from error
        python = interpreter(self._home, runtime.python, runtime.requirements)
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self._running))
        for file, content in files.items():
            if file.startswith(PYFUNC):
                place = folder / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        model = IsolatedModel(name, runtime, python=python, model=folder / PYFUNC, folder=folder, bounds=self._bounds)
        try:
            model.start()
        except BaseException:
            model.stop()
            raise
        return model


def _clear(running: Path) -> None:
    """Remove the folders of processes that are gone."""
    for folder in running.iterdir():
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


def read_record(files: Mapping[str, bytes], signature: Signature) -> IsolatedRuntime:
    """The bundle's ``isolated.json``, checked against its signature.

    Raises
    ------
    Integrity: it is not one, names other columns, or the bundle has no file for it.
    """
    try:
        runtime = msgspec.json.decode(files[ISOLATED], type=IsolatedRuntime)
    except (KeyError, msgspec.MsgspecError) as error:
        raise Integrity("the bundle's record of its isolated runtime cannot be read", where=ISOLATED, got=str(error)[:200]) from error
    names = tuple(column.name for column in signature.columns)
    if tuple(column.name for column in runtime.columns) != names or not any(file.startswith(PYFUNC) for file in files):
        raise Integrity("the isolated runtime does not fit the signature", where=ISOLATED, expected=", ".join(names)[:200])
    inside = [runtime.data, runtime.code]
    if any(part.startswith(("/", "~")) or ".." in part.split("/") for part in inside):
        raise Integrity("the isolated runtime names a file outside the bundle", where=ISOLATED, got=", ".join(inside)[:200])
    return runtime
