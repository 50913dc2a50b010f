"""An online store in a dictionary: for tests and for one-process replays; the same bytes and the same rules as the others."""

from collections.abc import Sequence
from threading import Lock

from leverframe.core.errors import NotFound
from leverframe.core.schema import ViewBinding
from leverframe.features.online import EntityRows, OnlineRows, ViewMeta, missing_row, unpack_rows


class MemoryOnlineStore:
    """See :class:`leverframe.features.online.OnlineStore`."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], dict[bytes, bytes]] = {}
        self._meta: dict[tuple[str, str], ViewMeta] = {}
        self._active: dict[str, str] = {}
        self._lock = Lock()

    def write(self, rows: EntityRows, meta: ViewMeta, *, replace: bool = False) -> None:
        """Put rows and meta under (view, version)."""
        version = (meta.view, meta.view_version)
        with self._lock:
            kept = {} if replace else dict(self._rows.get(version, {}))
            kept.update(zip(rows.keys, rows.packed(), strict=True))
            self._rows[version] = kept
            self._meta[version] = meta
            self._active.setdefault(meta.view, meta.view_version)

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> OnlineRows:
        """The values of ``keys``."""
        held = self._rows.get((binding.view, binding.view_version), {})
        missing = missing_row(len(binding.features))
        return unpack_rows(bytearray().join([held.get(key, missing) for key in keys]), len(keys), binding, now_us)

    def meta(self, view: str, view_version: str = "") -> ViewMeta | None:
        """What is held of a version (empty: the active one)."""
        return self._meta.get((view, view_version or self._active.get(view, "")))

    def views(self) -> list[ViewMeta]:
        """What is held of every version of every view."""
        return [self._meta[version] for version in sorted(self._meta)]

    def activate(self, view: str, view_version: str) -> None:
        """Make a written version the active one."""
        with self._lock:
            if (view, view_version) not in self._meta:
                raise NotFound("nothing is held of this view version", where=view, got=view_version)
            self._active[view] = view_version

    def drop(self, view: str, view_version: str) -> int:
        """Forget a version."""
        with self._lock:
            self._meta.pop((view, view_version), None)
            if self._active.get(view) == view_version:
                del self._active[view]
            return len(self._rows.pop((view, view_version), {}))

    def close(self) -> None:
        """Nothing to let go of."""
