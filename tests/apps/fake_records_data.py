"""Plausible contracts, deliveries and lineage."""

from importlib.resources import files

import msgspec
from tests.apps.fake_records_moment import NOW_US, digest

from leverframe.apps.platform import views
from leverframe.apps.platform.contract_details import standings
from leverframe.apps.platform.views.contract import ContractDetailView, ContractStep
from leverframe.apps.platform.views.keeping import SnapshotView
from leverframe.core.clock import DAY_US, HOUR_US, us_from_iso
from leverframe.core.consumers import Consumer
from leverframe.core.dataset import ContractReport, RuleResult, Snapshot
from leverframe.core.errors import Fault
from leverframe.core.lineage import Edge, Node, graph_of
from leverframe.data.contract.contract_file import read_contract

WEATHER_TEXT = (files("leverframe.apps.demo.project") / "contracts" / "weather.odcs.yaml").read_text()


WEATHER_CONTRACT = msgspec.structs.replace(read_contract(WEATHER_TEXT.encode()), version="0.9.0", description="before")


def snapshot(dataset: str) -> Snapshot:
    return Snapshot(
        dataset=dataset,
        digest=digest(dataset),
        rows=26_115,
        bytes=1_204_221,
        columns={"origin": "string", "temp": "double"},
        contract=dataset,
        contract_version="1.0.0",
        contract_digest=digest("contract"),
        report_digest=digest("report"),
        created_at_us=NOW_US - DAY_US,
        event_time_min_us=us_from_iso("2013-01-01T00:00:00Z"),
        event_time_max_us=NOW_US - 8 * HOUR_US,
    )


def ingest(dataset: str, accepted: bool) -> views.IngestView:
    results = (
        RuleResult(
            rule="type",
            column="temp",
            severity="refuse",
            passed=accepted,
            failing_rows=0 if accepted else 14,
            checked_rows=26_115,
            expected="double",
            examples=() if accepted else ("warm",),
        ),
        RuleResult(
            rule="not_null", column="origin", severity="refuse", passed=True, failing_rows=0, checked_rows=26_115, expected="a value"
        ),
    )
    return views.IngestView(
        dataset=dataset,
        accepted=accepted,
        report=ContractReport(
            dataset=dataset,
            contract=dataset,
            contract_version="1.0.0",
            rows=26_115,
            accepted=accepted,
            results=results,
            checked_at_us=NOW_US,
        ),
        snapshot=snapshot(dataset) if accepted else None,
        quarantine="" if accepted else digest("bad"),
    )


LINEAGE = graph_of(
    [
        Node(id="column/weather.temp", kind="column", name="weather.temp", group="weather", owner="met", team="flights", note="float64"),
        Node(id="feature/origin_weather.temp", kind="feature", name="origin_weather.temp", group="origin_weather", owner="met"),
        Node(id="version/flight-delay@v2", kind="version", name="flight-delay@v2", group="flight-delay", owner="flight-operations"),
        Node(id="model/flight-delay", kind="model", name="flight-delay", group="flight-delay", owner="flight-operations"),
        Node(id="endpoint/prod/flight-delay", kind="endpoint", name="prod/flight-delay", group="prod/flight-delay"),
    ],
    [
        Edge(source="column/weather.temp", target="feature/origin_weather.temp", role="expression", how="temp"),
        Edge(source="feature/origin_weather.temp", target="version/flight-delay@v2", role="input", column="temp"),
        Edge(source="feature/origin_weather.temp", target="model/flight-delay", role="input"),
        Edge(source="version/flight-delay@v2", target="endpoint/prod/flight-delay", role="serves", how="live 100 %", weight=100.0),
    ],
)


def lineage(thing: str, focus: tuple[str, ...], at_us: int) -> views.LineageView:
    part = LINEAGE.around(focus)
    return views.LineageView(thing=thing, at_us=at_us, focus=focus, nodes=tuple(part.nodes.values()), edges=part.edges)


def contract_detail(dataset: str, deliveries: tuple[views.IngestView, ...]) -> ContractDetailView:
    contract = msgspec.structs.replace(WEATHER_CONTRACT, dataset=dataset)
    named = ("feature origin_weather.wind_speed", "service delay_inputs", "model flight-delay", "endpoint prod/flight-delay")
    step = ContractStep(version="0.9.0", at_us=NOW_US - HOUR_US, actor="ana", seq=3, change="first")
    gone = Fault(where="pressure", what="readers lose the column", expected="float64", got="absent")
    later = ContractStep(version="1.0.0", at_us=NOW_US, actor="ana", seq=4, change="breaking", breaks=(gone,), columns_added=("visib",))
    return ContractDetailView(
        contract=contract,
        in_force_since_us=NOW_US,
        rules=tuple(standings(contract, deliveries)),
        readers={"temp": ("view origin_weather",), "origin": ("view origin_weather", "model flight-delay")},
        consumers=tuple(Consumer(name=name, through="temp") for name in named),
        steps=(later, step),
        deliveries=deliveries,
        snapshots=(SnapshotView(snapshot=snapshot(dataset), latest=True, used_by=("version flight-delay@v1",)),),
        snapshots_total=3,
        newest_us=NOW_US - HOUR_US,
        now_us=NOW_US,
    )
