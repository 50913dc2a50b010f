"""What the page of a dataset is told, over a real ledger: promises and how they fared, who relies on them, how they changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.apps.test_platform_data import ANA, HEADER, trips
from tests.data.conftest import TRIPS

from leverframe.apps.console.contract_charts import age_bar, rows_chart, trend
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.errors import NotFound
from leverframe.core.feature import Expression, FeatureView
from leverframe.data.contract.contracts import Volume

VIEW = FeatureView(
    name="trip_facts",
    source="trips",
    entity=("id",),
    event_time="ended_at",
    arrival_time="ended_at",
    expressions=(Expression(name="miles", sql="miles"),),
)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Two versions of a contract; a good delivery, a refused one, and a good one."""
    opened = open_platform(Settings(home=tmp_path / "home"))
    opened.data.apply_contract(ANA, TRIPS, key="first")
    opened.features.apply_view(ANA, VIEW, key="view")
    opened.data.ingest(ANA, "trips", trips(1, 2), format="csv", key="one")
    bad = (HEADER + "t003,short,-1.5,2,ann,3\nt004,long,1.5,2,ann,4\n").encode()
    opened.data.ingest(ANA, "trips", bad, format="csv", key="two")
    wider = TRIPS.replace("version: 1.0.0", "version: 1.1.0").replace("maximum: 100", "maximum: 500")
    opened.data.apply_contract(ANA, wider, key="second")
    opened.data.ingest(ANA, "trips", trips(5, 6, 7), format="csv", key="three")
    yield opened
    opened.close()


def test_each_rule_tells_how_it_fared_in_the_last_deliveries(platform: Platform) -> None:
    shown = platform.contract_details.dataset("trips")
    by_rule = {(each.column, each.rule): each for each in shown.rules}
    miles = next(each for (column, rule), each in by_rule.items() if column == "miles" and "minimum" in rule)
    assert (miles.shares, miles.broken) == ((0.0, 0.5, 0.0), (False, True, False)), "oldest first"
    assert miles.last is not None
    assert miles.last.passed
    assert [each.accepted for each in shown.deliveries] == [True, False, True]
    assert by_rule["kind", "enumeration"].words.startswith("is one of ")


def test_the_past_of_the_contract_says_who_changed_what(platform: Platform) -> None:
    shown = platform.contract_details.dataset("trips")
    assert [(step.version, step.actor, step.change) for step in shown.steps] == [("1.1.0", "ana", "additive"), ("1.0.0", "ana", "first")]
    assert shown.in_force_since_us == shown.steps[0].at_us


def test_who_relies_on_it_is_what_the_lineage_says(platform: Platform) -> None:
    shown = platform.contract_details.dataset("trips")
    assert [consumer.name for consumer in shown.consumers] == ["feature trip_facts.miles"]
    assert shown.readers["miles"] == ("view trip_facts",)
    assert shown.readers["seats"] == ()
    assert (shown.snapshots[0].latest, shown.snapshots_total) == (True, 2)


def test_the_list_says_how_each_dataset_stands(platform: Platform) -> None:
    def state() -> str:
        (shown,) = platform.data.datasets()
        return shown.state

    assert state() == "late", "the trips ended in 1970, and two hours are promised"
    platform.data.ingest(ANA, "trips", b"id\nx\n", format="csv", key="four")
    assert state() == "refused"
    fresh = (HEADER + f"t009,short,1.5,2,ann,{platform.now_us()}\n").encode()
    platform.data.ingest(ANA, "trips", fresh, format="csv", key="five")
    assert state() == "kept"


def test_a_dataset_without_a_contract_is_not_found(platform: Platform) -> None:
    with pytest.raises(NotFound):
        platform.contract_details.dataset("nothing")


def test_drawings_mark_what_is_broken(platform: Platform) -> None:
    shown = platform.contract_details.dataset("trips")
    drawn = str(rows_chart(shown.deliveries, Volume(rows_min=2, rows_max=1_000_000)))
    assert (drawn.count('class="kept"'), drawn.count('class="broken"'), drawn.count('class="margin"')) == (2, 1, 1)
    assert str(trend((None, 0.1, 0.25), (False, False, True), "<b>")).count('class="broken"') == 1
    assert "&lt;b&gt;" in str(trend((0.5,), (True,), "<b>"))
    assert 'class="broken"' in str(age_bar(200, 100))
    assert 'class="kept"' in str(age_bar(50, 100))
