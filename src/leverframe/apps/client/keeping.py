"""The part of the client for a dataset's past: snapshots, retention, deletion of persons."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform.views.keeping import ForgetRequest, RetentionRequest, RetentionView, SnapshotView, VerifiedView
from leverframe.apps.transport import Transport
from leverframe.data.retention.commands_erasure import ErasureRecord
from leverframe.data.retention.retention import Retention


class KeepingClient:
    """Snapshots of the past."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def snapshots(self, dataset: str) -> tuple[SnapshotView, ...]:
        """The snapshots of ``dataset``, newest first, with what uses each."""
        return self._transport.get(path_of("datasets", dataset, "snapshots"), tuple[SnapshotView, ...])

    def verify(self, dataset: str, digest: str) -> VerifiedView:
        """Each part of a snapshot against its name."""
        return self._transport.get(path_of("datasets", dataset, "snapshots", digest, "verify"), VerifiedView)

    def export(self, dataset: str, *, format: str = "parquet", as_of_us: int | None = None, snapshot: str = "") -> bytes:
        """Rows as they are now, were at a moment (microseconds since 1970) or are in a snapshot."""
        path = path_of("datasets", dataset, "rows")
        return self._transport.get_bytes(path, format=format, as_of_us=as_of_us, snapshot=snapshot or None)

    def retention(self, dataset: str) -> RetentionView:
        """Which snapshots would go now, and what keeps the others."""
        return self._transport.get(path_of("datasets", dataset, "retention"), RetentionView)

    def set_retention(self, dataset: str, *, keep_last: int = 1, keep_days: float | None = None, key: str | None = None) -> Retention:
        """Say how long a dataset's snapshots are kept."""
        body = RetentionRequest(keep_last=keep_last, keep_days=keep_days)
        return self._transport.send("POST", path_of("datasets", dataset, "retention"), Retention, body, key=key)

    def apply_retention(self, dataset: str, *, key: str | None = None) -> RetentionView:
        """Let go now what the policy lets go."""
        return self._transport.send("POST", path_of("datasets", dataset, "retention", "apply"), RetentionView, key=key)

    def forget(self, dataset: str, column: str, value: str, *, reason: str, key: str | None = None) -> ErasureRecord:
        """Ask for a person's rows to be deleted; :meth:`erasure` says how far it is."""
        body = ForgetRequest(column=column, value=value, reason=reason)
        return self._transport.send("POST", path_of("datasets", dataset, "forget"), ErasureRecord, body, key=key)

    def erasures(self) -> tuple[ErasureRecord, ...]:
        """Every deletion of a person, newest first."""
        return self._transport.get(path_of("erasures"), tuple[ErasureRecord, ...])

    def erasure(self, id: str) -> ErasureRecord:
        """How far one deletion is."""
        return self._transport.get(path_of("erasures", id), ErasureRecord)
