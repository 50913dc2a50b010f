"""Files that are either wholly old or wholly new, and still there after a power cut: write aside, sync, rename, sync the folder."""

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from leverframe.core.errors import Unavailable

_NEXT_STEPS = {
    errno.ENOSPC: "free space on this disk, or point the store at a larger one; then repeat the command",
    errno.EDQUOT: "raise the quota of this account or delete what is not needed; then repeat the command",
    errno.EFBIG: "raise the file size limit (ulimit -f) of this process; then repeat the command",
    errno.EROFS: "mount the file system writable; then repeat the command",
    errno.EACCES: "give the account that runs Leverframe write permission on the folder",
    errno.EIO: "the disk failed: check `dmesg`, replace it, restore from backup",
}


def unavailable(error: OSError, where: str) -> Unavailable:
    """The operating system's refusal as an error with its cause and its fix."""
    cause = os.strerror(error.errno) if error.errno else str(error)
    return Unavailable(
        f"the file system refused: {cause}", where=where, next_step=_NEXT_STEPS.get(error.errno or 0, "run `lever doctor` on this machine")
    )


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and its parents, each of them durable before this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def write_durably(path: Path, data: bytes | Iterable[bytes], *, mode: int = 0o644, replace: bool = True) -> None:
    """Write ``data`` to ``path`` so that every reader, also after a crash, sees the old bytes or all of the new ones.

    Parameters
    ----------
    data: whole, or in pieces.
    mode: permission bits; set before the first byte is written.
    replace: False keeps a file that is already there.

    Raises
    ------
    Unavailable: disk full, no permission, a failing disk.  FileExistsError: ``replace`` is False and ``path`` exists.
    """
    try:
        make_folder(path.parent)
        handle, aside = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        try:
            _write_all(handle, data, mode)
            if replace:
                os.replace(aside, path)
            else:
                os.link(aside, path)
                os.unlink(aside)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, FileExistsError) and not replace:
            raise
        raise unavailable(error, path.name) from error


def _write_all(handle: int, data: bytes | Iterable[bytes], mode: int) -> None:
    """Write, set permissions and sync; the descriptor is closed whatever happens."""
    try:
        os.fchmod(handle, mode)
        for piece in (data,) if isinstance(data, bytes) else data:
            view = memoryview(piece)
            while view:
                view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)
