"""Data, contracts and lineage of a fake platform."""

from tests.apps import fake_records as records
from tests.apps.fake_access import Calls, FakeAccess

from leverframe.apps.platform import views
from leverframe.apps.platform.lineage import focus_of
from leverframe.apps.platform.lineage_impact import impact_view
from leverframe.apps.platform.views.contract import ContractDetailView
from leverframe.core.actor import Actor
from leverframe.core.consumers import Consumer
from leverframe.core.errors import Fault, NotFound
from leverframe.core.lineage import Graph


class FakeData:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access
        self.offered: list[views.IngestView] = [records.ingest("weather", True), records.ingest("weather", False)]

    def apply_contract(self, actor: Actor, text: str, *, key: str, break_consumers: tuple[str, ...] = ()) -> dict[str, object]:
        self._calls.write(self._access, actor, "Data.ApplyContract", key, text)
        return {"contract": "weather", "version": "1.0.0", "change": "first", "breaks": [], "consumers": []}

    def ingest(
        self, actor: Actor, dataset: str, body: bytes, *, format: str, key: str, append: bool = False, made_by: tuple[str, ...] = ()
    ) -> views.IngestView:
        self._calls.write(self._access, actor, "Data.Ingest", key, dataset, body, format)
        return records.ingest(dataset, accepted=b"bad" not in body)

    def datasets(self) -> tuple[views.DatasetView, ...]:
        return tuple(
            views.DatasetView(
                name=name,
                owner="flight-operations",
                team="flights",
                contract_version="1.0.0",
                latest=records.snapshot(name),
                snapshots_total=3,
                quarantined_total=int(name == "weather"),
            )
            for name in ("departures", "flights", "planes", "weather")
        )

    def reports(self, dataset: str) -> tuple[views.IngestView, ...]:
        if dataset not in {d.name for d in self.datasets()}:
            raise NotFound("no such dataset", where=dataset, next_step="lever data list")
        return tuple(self.offered)


class FakeContractDetails:
    def __init__(self, data: FakeData) -> None:
        self._data = data

    def dataset(self, name: str) -> ContractDetailView:
        return records.contract_detail(name, self._data.reports(name))


class FakeContracts:
    def __init__(self, access: FakeAccess) -> None:
        self._access = access

    def check(self, actor: Actor, text: str, *, last_snapshot: bool = False) -> views.ContractCheckView:
        self._access.permit(actor, "Data.Read", "")
        report = records.ingest("weather", "refused" not in text).report
        return views.ContractCheckView(
            contract="weather",
            version="2.0.0",
            dataset="weather",
            version_in_force="1.0.0",
            change="breaking",
            breaks=(Fault(where="temp", what="readers lose the column", expected="float64", got="absent"),),
            consumers=(Consumer(name="feature origin_weather.temp", through="weather.temp"),),
            report=report if last_snapshot else None,
        )


class FakeLineage:
    def graph(self, at_us: int | None = None) -> tuple[Graph, bool]:
        return records.LINEAGE, False

    def of(self, thing: str, at_us: int | None = None) -> views.LineageView:
        return records.lineage(thing, focus_of(records.LINEAGE, thing), at_us or records.NOW_US)

    def impact(self, columns: tuple[str, ...], change: str = "remove", at_us: int | None = None) -> views.ImpactView:
        return impact_view(records.LINEAGE, ["column/weather.temp"], change, at_us or records.NOW_US)
