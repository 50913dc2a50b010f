"""The part of the client for contracts and snapshots."""

from collections.abc import Iterable
from typing import Any

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.platform.views.contract import ContractDetailView
from leverframe.apps.transport import Transport


class DataClient:
    """Contracts and snapshots."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply_contract(self, text: str, *, break_consumers: Iterable[str] = (), key: str | None = None) -> dict[str, Any]:
        """Put an ODCS contract (YAML text) in force; a breaking change names everyone it takes something from."""
        named = ",".join(break_consumers)
        return self._transport.send("POST", path_of("contracts"), dict[str, Any], raw=text.encode(), key=key, break_consumers=named)

    def check_contract(self, text: str, *, last_snapshot: bool = False) -> views.ContractCheckView:
        """What putting this contract in force would change and break; with ``last_snapshot`` also whether its rows keep it."""
        asked = "true" if last_snapshot else "false"
        return self._transport.send(
            "POST", path_of("contracts", "check"), views.ContractCheckView, raw=text.encode(), key=None, last_snapshot=asked
        )

    def ingest(
        self,
        dataset: str,
        body: bytes,
        *,
        format: str = "parquet",
        append: bool = False,
        made_by: tuple[str, ...] = (),
        key: str | None = None,
    ) -> views.IngestView:
        """Offer a file (``format`` parquet, csv or jsonl); the answer says accepted, or every fault. ``append``: add its rows.

        ``made_by`` names model versions whose predictions are among the rows.
        """
        path = path_of("datasets", dataset, "snapshots")
        asked = {"format": format, "append": "true" if append else None, "made_by": ",".join(made_by) or None}
        return self._transport.send("POST", path, views.IngestView, raw=body, key=key, **asked)

    def datasets(self) -> tuple[views.DatasetView, ...]:
        """Every dataset with its contract and newest snapshot."""
        return self._transport.get(path_of("datasets"), tuple[views.DatasetView, ...])

    def dataset(self, dataset: str) -> ContractDetailView:
        """What the contract of ``dataset`` promises, how that fared, who relies on it, and how it came to be."""
        return self._transport.get(path_of("datasets", dataset), ContractDetailView)

    def reports(self, dataset: str) -> tuple[views.IngestView, ...]:
        """What became of each file offered to ``dataset``."""
        return self._transport.get(path_of("datasets", dataset, "reports"), tuple[views.IngestView, ...])
