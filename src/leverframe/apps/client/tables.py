"""The part of the client for batch tables."""

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform.views.tables import TablePlanView, TableView
from leverframe.apps.transport import Transport
from leverframe.release.tables.records import BatchTable


class TablesClient:
    """Which scored batch the readers of a table see."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> tuple[BatchTable, ...]:
        """All tables."""
        return self._transport.get(path_of("tables"), tuple[BatchTable, ...])

    def get(self, table: str) -> TableView:
        """One table with its past and its plans."""
        return self._transport.get(path_of("tables", table), TableView)

    def read(self, table: str) -> bytes:
        """What readers of the table see, as a Parquet file."""
        return self._transport.get_bytes(path_of("tables", table, "rows"))

    def approve(self, table: str, digest: str, note: str = "", *, key: str | None = None) -> TablePlanView:
        """Approve exactly the switch called ``digest``."""
        path = path_of("tables", table, "plans", digest, "approve")
        return self._transport.send("POST", path, TablePlanView, {"note": note}, key=key)

    def switch(self, table: str, digest: str, *, key: str | None = None) -> TableView:
        """Let readers see what was compared and approved."""
        return self._transport.send("POST", path_of("tables", table, "plans", digest, "switch"), TableView, {}, key=key)

    def rollback(self, table: str, reason: str, *, to: str = "", key: str | None = None) -> TableView:
        """Let readers see again what they saw before (``to``: that earlier output)."""
        return self._transport.send("POST", path_of("tables", table, "rollback"), TableView, {"reason": reason, "to": to}, key=key)
