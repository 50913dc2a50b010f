"""An online store in a dictionary: for tests and for one-process replays; the same bytes and the same rules as the others."""

from collections.abc import Sequence
from threading import Lock

from leverframe.core.errors import NotFound
from leverframe.core.schema import ViewBinding
from leverframe.features.online.online import (
    EntityRows,
    OnlineRows,
    ViewMeta,
    check_revision,
    check_rows_max,
    missing_row,
    stored_rows,
    unpack_rows,
)


class MemoryOnlineStore:
    """See :class:`leverframe.features.online.online.OnlineStore`."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], dict[bytes, bytes]] = {}
        self._meta: dict[tuple[str, str], ViewMeta] = {}
        self._active: dict[str, str] = {}
        self._revisions: dict[tuple[str, str], int] = {}
        self._lock = Lock()

    def write(self, rows: EntityRows, meta: ViewMeta, *, replace: bool = False, after: int | None = None) -> None:
        """Put rows and meta under (view, version)."""
        version = (meta.view, meta.view_version)
        with self._lock:
            check_revision(meta.view, after, self._revisions.get(version, 0))
            self._changed(version)
            kept = {} if replace else dict(self._rows.get(version, {}))
            kept.update(zip(rows.keys, rows.packed(), strict=True))
            self._rows[version] = kept
            self._meta[version] = meta
            self._active.setdefault(meta.view, meta.view_version)

    def _changed(self, version: tuple[str, str]) -> None:
        self._revisions[version] = self._revisions.get(version, 0) + 1

    def revision(self, view: str, view_version: str) -> int:
        """How many times a version was changed, ever."""
        return self._revisions.get((view, view_version), 0)

    def forget(self, view: str, key: bytes) -> int:
        """Take an entity out of every version."""
        with self._lock:
            gone = 0
            for version in [version for version in self._rows if version[0] == view]:
                gone += self._rows[version].pop(key, None) is not None
                self._changed(version)
            return gone

    def rows(self, view: str, view_version: str, rows_max: int) -> EntityRows:
        """Everything that is stored of a version."""
        held, meta = self._rows.get((view, view_version), {}), self._meta.get((view, view_version))
        check_rows_max(view, len(held), rows_max)
        return stored_rows(view, len(meta.features) if meta else 0, list(held.items()))

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
            self._changed((view, view_version))
            if self._active.get(view) == view_version:
                del self._active[view]
            return len(self._rows.pop((view, view_version), {}))

    def close(self) -> None:
        """Nothing to let go of."""
