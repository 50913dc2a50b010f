"""Where step outputs are remembered: in this process, or in a folder that outlives it."""

from pathlib import Path

from leverframe.core.digest import Digest, check_digest
from leverframe.core.errors import InvalidInput


class InMemorySteps:
    """Remembers for as long as the process lives.

    >>> memory = InMemorySteps(); memory.remember("k", "d"); memory.recall("k")
    'd'
    """

    def __init__(self) -> None:
        self._outputs: dict[Digest, Digest] = {}

    def recall(self, key: Digest) -> Digest | None:
        """The output remembered for ``key``."""
        return self._outputs.get(key)

    def remember(self, key: Digest, output: Digest) -> None:
        """Keep ``output`` for ``key``."""
        self._outputs[key] = output


class FolderSteps:
    """One small file a key. It is a cache: a lost or torn entry costs a repeated step, never a wrong output, because outputs are digests.

    Parameters
    ----------
    folder: made when missing; deleting it forgets everything.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, key: Digest) -> Digest | None:
        """The output remembered for ``key``; None also when the entry is damaged."""
        file = self._file(key)
        try:
            return check_digest(file.read_text())
        except (FileNotFoundError, InvalidInput, UnicodeDecodeError):
            return None

    def remember(self, key: Digest, output: Digest) -> None:
        """Keep ``output`` for ``key``; a reader sees the old entry or the new one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._file(key)
        fresh = file.with_suffix(".fresh")
        fresh.write_text(output)
        fresh.replace(file)

    def _file(self, key: Digest) -> Path:
        return self._folder / check_digest(key).removeprefix("sha256:")
