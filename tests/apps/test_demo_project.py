"""The demo's project: each trap of the raw files is met, and the contracts hold for the whole year."""

import csv
import io
import zipfile
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from leverframe.apps.cli.feature_tests import run_tests
from leverframe.apps.cli.project import load_project
from leverframe.apps.demo.project import prepare
from leverframe.apps.demo.project.features import VIEWS
from leverframe.apps.demo.project.models import BAD_UNITS_PREPARE, CARRIERS, DESTINATIONS, FLIGHT_DELAY, ORIGINS, flight_delay
from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, us_from_iso
from leverframe.data.checks.checks import check
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract
from leverframe.data.sources.files import read_rows

Frames = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def year() -> Frames:
    return dict(prepare.datasets())


@pytest.fixture(scope="module")
def contracts() -> dict[str, Contract]:
    folder = files("leverframe.apps.demo.project") / "contracts"
    found = [read_contract(file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".odcs.yaml")]
    return {contract.dataset: contract for contract in found}


@pytest.fixture(scope="module")
def raw() -> pl.DataFrame:
    with zipfile.ZipFile(prepare.raw_folder() / "flights.csv.zip") as archive:
        data = archive.read("flights.csv")
    return pl.read_csv(data, null_values=["NA"], infer_schema_length=None)


def flight(year: Frames, flight_id: str) -> dict[str, object]:
    return year["flights"].row(by_predicate=pl.col("flight_id") == flight_id, named=True)


def test_every_raw_flight_is_one_question_with_a_stable_unique_id(year: Frames) -> None:
    flights = year["flights"]
    assert flights.height == 336_776
    assert flights["flight_id"].n_unique() == 336_776
    assert flight(year, "20130101-UA-1545-EWR-0515")["dest"] == "IAH"


def test_scheduled_departure_agrees_with_the_utc_hour_in_the_raw_file(year: Frames, raw: pl.DataFrame) -> None:
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.epoch("us")
    expected = raw.select((hour + pl.col("minute") * MINUTE_US).alias("at")).to_series().sort()
    assert year["flights"]["sched_dep_at"].sort().equals(expected, check_names=False)


def test_the_short_day_of_march_has_23_hours_and_no_flight_in_the_hour_that_was_not(year: Frames, raw: pl.DataFrame) -> None:
    start, end = prepare.moment_us(3, 10), prepare.moment_us(3, 11)
    assert end - start == 23 * HOUR_US
    assert prepare.moment_us(11, 4) - prepare.moment_us(11, 3) == 25 * HOUR_US
    day = prepare.between(year["flights"], "sched_dep_at", start, end)
    assert day.height == raw.filter((pl.col("month") == 3) & (pl.col("day") == 10)).height == 908
    assert day["sched_dep_at"].min() == us_from_iso("2013-03-10T09:00:00Z"), "5:00 in New York is 9:00 UTC from that day on"
    before = prepare.between(year["flights"], "sched_dep_at", start - DAY_US, start)
    assert before["sched_dep_at"].min() == us_from_iso("2013-03-09T10:00:00Z")


def test_weather_hours_of_the_repeated_hour_stay_two_hours(year: Frames) -> None:
    night = prepare.between(year["weather"], "observed_at", us_from_iso("2013-11-03T05:00:00Z"), us_from_iso("2013-11-03T07:00:00Z"))
    assert night.filter(pl.col("origin") == "EWR").height == 2


def test_an_actual_departure_shows_on_the_clock_where_it_happened(year: Frames, raw: pl.DataFrame) -> None:
    """Schedule + delay gives the wall-clock reading of ``dep_time`` for every flight: overnight, 2400 and daylight saving included."""
    local = pl.col("departed_at").cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(prepare.HOME_ZONE)
    shown = year["departures"].select("flight_id", (local.dt.hour().cast(pl.Int64) * 100 + local.dt.minute()).alias("clock"))
    read = raw.select(prepare._flight_id().alias("flight_id"), (pl.col("dep_time") % 2400).alias("dep_time")).drop_nulls()
    both = shown.join(read, on="flight_id")
    assert both.height == 328_521 == year["departures"].height
    assert both.filter(pl.col("clock") != pl.col("dep_time")).height == 0
    assert raw.filter(pl.col("dep_time") == 2400).height == 29


def test_landings_take_at_least_the_time_in_the_air_and_at_most_four_hours_more(year: Frames, raw: pl.DataFrame) -> None:
    """A landing read in the wrong zone or on the wrong day would be off by at least an hour, and for overnight flights by a day."""
    air = raw.select(prepare._flight_id().alias("flight_id"), "air_time")
    flown = year["flights"].join(year["departures"].select("flight_id", "departed_at"), on="flight_id").join(air, on="flight_id")
    ground = flown.drop_nulls("label_known_at").select((pl.col("label_known_at") - pl.col("departed_at")) // MINUTE_US - pl.col("air_time"))
    assert ground.height == 327_346
    assert ground.to_series().is_between(5, 240).all()


@pytest.mark.parametrize(("dest", "hours"), [("SJU", 1), ("BQN", 1), ("PSE", 1), ("STT", 1), ("HNL", -5), ("LAX", -3), ("BOS", 0)])
def test_arrivals_use_the_destination_s_zone(raw: pl.DataFrame, dest: str, hours: int) -> None:
    """In winter Puerto Rico and the Virgin Islands are an hour ahead of New York, Hawaii five behind."""
    winter = raw.filter((pl.col("dest") == dest) & (pl.col("month") == 1))
    timed = prepare._with_moments(winter, prepare._destination_zones(prepare.raw_folder()))
    local = (pl.col("sched_arr_at") - 5 * HOUR_US + hours * HOUR_US).cast(pl.Datetime("us"))
    clock = local.dt.hour().cast(pl.Int64) * 100 + local.dt.minute()
    assert timed.height > 0
    assert timed.filter(clock != pl.col("sched_arr_time") % 2400).height == 0


def test_cancelled_and_diverted_flights_have_no_label_but_stay_questions(year: Frames, raw: pl.DataFrame) -> None:
    flights = year["flights"]
    unlabelled = flights.filter(pl.col("late").is_null())
    assert unlabelled.height == 9_430 == raw["arr_delay"].null_count()
    assert unlabelled["label_known_at"].null_count() == 9_430
    diverted = unlabelled.join(year["departures"], on="flight_id", how="semi")
    assert diverted.height == 9_430 - 8_255, "a diverted flight did depart, and its departure counts"


def test_late_means_more_than_fifteen_minutes(year: Frames, raw: pl.DataFrame) -> None:
    assert year["flights"]["late"].sum() == raw.filter(pl.col("arr_delay") > 15).height
    assert set(year["flights"]["late"].unique()) == {0, 1, None}


def test_missing_tail_numbers_and_unlisted_planes_stay_missing(year: Frames) -> None:
    flights, planes = year["flights"], year["planes"]
    assert flights["tailnum"].null_count() == 2_512
    assert planes["tailnum"].n_unique() == planes.height == 3_322
    assert flights.filter(pl.col("tailnum").is_not_null()).join(planes, on="tailnum", how="anti").height == 50_094


def test_the_broken_wind_sensor_is_missing_and_no_hour_is_made_up(year: Frames) -> None:
    weather = year["weather"]
    assert weather.height == 26_115
    assert weather["wind_speed"].max() < 50
    spike = weather.row(
        by_predicate=(pl.col("origin") == "EWR") & (pl.col("observed_at") == us_from_iso("2013-02-12T08:00:00Z")), named=True
    )
    assert spike["wind_speed"] is None
    assert spike["temp"] == 39.02
    assert (weather["known_at"] - weather["observed_at"]).unique().to_list() == [HOUR_US]


def test_planes_given_twice_or_built_in_year_0_are_put_right(tmp_path: Path) -> None:
    header = "tailnum,year,type,manufacturer,model,engines,seats,speed,engine\n"
    body = "N1AA,0,a,b,c,2,100,NA,Turbo\nN1AA,1999,a,b,c,2,100,NA,Turbo\nN2AA,2020,a,b,c,2,100,NA,Turbo\n"
    (tmp_path / "planes.csv").write_text(header + body)
    planes = prepare._planes(tmp_path)
    assert planes.select("tailnum", "year").rows() == [("N1AA", None), ("N2AA", None)]


def test_nothing_has_arrived_before_it_was_known(year: Frames) -> None:
    until = prepare.moment_us(4, 1)
    then = prepare.datasets(until)
    assert then["departures"]["departed_at"].max() <= until
    assert then["weather"]["known_at"].max() <= until
    assert then["flights"]["asked_at"].max() <= until
    assert then["flights"]["label_known_at"].max() <= until
    airborne = year["flights"].filter((pl.col("asked_at") <= until) & (pl.col("label_known_at") > until))
    assert airborne.height > 50
    seen = then["flights"].join(airborne.select("flight_id"), on="flight_id")
    assert seen.height == airborne.height
    assert seen["late"].null_count() == seen.height, "a flight in the air has no label yet"


def test_every_month_and_the_year_keep_every_contract(year: Frames, contracts: dict[str, Contract]) -> None:
    parents = {"flights": year["flights"].lazy()}
    moments = {"flights": "asked_at", "departures": "departed_at", "weather": "known_at"}
    assert contracts.keys() == year.keys()
    starts = [prepare.moment_us(month, 1) for month in range(1, 13)] + [prepare.moment_us(12, 31) + DAY_US]
    for dataset, contract in contracts.items():
        slices = [(year[dataset], starts[-1])]
        if dataset in moments:
            pairs = pairwise(starts)
            slices += [(prepare.between(year[dataset], moments[dataset], start, end), end) for start, end in pairs]
        for rows, end_us in slices:
            checked = check(rows, contract, end_us, parents)
            failed = [r for r in checked.report.results if not r.passed and r.rule != "freshness"]
            assert failed == []
            assert checked.report.quarantined_rows == 0
            assert checked.rows.equals(rows.select(checked.rows.columns))


def test_the_feeds_keep_their_freshness_when_a_month_ends(year: Frames, contracts: dict[str, Contract]) -> None:
    late = set()
    for month in (4, 5, 7):
        until = prepare.moment_us(month, 1)
        for dataset, rows in prepare.datasets(until).items():
            report = check(rows, contracts[dataset], until, {"flights": year["flights"].lazy()}).report
            late |= {(dataset, month) for r in report.results if r.rule == "freshness" and not r.passed}
    assert late == set()


def test_the_broken_file_is_refused_with_every_fault(year: Frames, contracts: dict[str, Contract]) -> None:
    offered = read_rows(prepare.broken_flights(year["flights"]), "csv")
    report = check(offered, contracts["flights"], prepare.moment_us(1, 2)).report
    assert not report.accepted
    assert {(r.rule, r.column): r.failing_rows for r in report.results if not r.passed and r.rule != "freshness"} == {
        ("present", "sched_dep_s"): 202,
        ("type", "distance"): 1,
        ("minimum", "distance"): 1,
        ("enumeration", "origin"): 1,
        ("maximum", "late"): 1,
        ("required", "carrier"): 1,
        ("primary_key", "flight_id"): 2,
    }


def test_features_read_columns_their_source_has(year: Frames) -> None:
    for view in VIEWS:
        columns = set(year[view.source].columns)
        used = {view.event_time, view.arrival_time, *view.entity, *(a.column for a in view.aggregates)}
        for expression in view.expressions:
            used |= set(pl.sql_expr(expression.sql).meta.root_names())
        assert used <= columns, view.name


def test_the_model_asks_only_for_what_the_questions_and_views_give(year: Frames) -> None:
    spec = FLIGHT_DELAY
    questions = set(year["flights"].columns)
    assert {field.name for field in spec.request} | {spec.label, spec.asked_at, spec.label_known_at} <= questions
    views = {view.name: view.features for view in VIEWS}
    for column in spec.columns:
        if column.source == "view":
            assert column.feature in views[column.view]
        else:
            assert column.field in {field.name for field in spec.request}
    names = [column.name for column in spec.columns]
    assert len(set(names)) == len(names) == 6 + sum(len(features) for features in views.values())
    assert spec.baseline in names
    assert set(spec.slices) <= questions


def test_known_categories_come_from_the_first_quarter(year: Frames) -> None:
    quarter = prepare.datasets(prepare.moment_us(4, 1))["flights"]
    assert sorted(quarter["carrier"].unique()) == list(CARRIERS)
    assert sorted(quarter["origin"].unique()) == list(ORIGINS)
    often = quarter.group_by("dest").len().filter(pl.col("len") >= 90)
    assert sorted(often["dest"]) == list(DESTINATIONS)


def test_the_bad_version_differs_only_in_how_its_training_set_is_prepared() -> None:
    bad = flight_delay(prepare=BAD_UNITS_PREPARE)
    assert bad.prepare == {c: f"{c} / 60.0" for c in BAD_UNITS_PREPARE}
    assert set(BAD_UNITS_PREPARE) <= {column.name for column in bad.columns}
    assert (bad.columns, bad.gates, bad.params) == (FLIGHT_DELAY.columns, FLIGHT_DELAY.gates, FLIGHT_DELAY.params)


def test_seconds_and_microseconds_say_the_same_moment(year: Frames) -> None:
    assert (year["flights"]["sched_dep_s"] * SECOND_US == year["flights"]["sched_dep_at"]).all()
    assert (year["flights"]["sched_dep_at"] - year["flights"]["asked_at"]).unique().to_list() == [HOUR_US]


def test_the_broken_file_is_plain_csv(year: Frames) -> None:
    lines = list(csv.reader(io.StringIO(prepare.broken_flights(year["flights"]).decode())))
    assert len(lines) == 203
    assert len({len(line) for line in lines}) == 1


def test_the_project_s_own_feature_tests_hold_on_every_engine():
    folder = Path(prepare.__file__).parent
    results = run_tests(load_project(folder))
    assert [(r.engine, r.differences, r.error) for r in results] == [("polars", (), ""), ("stream", (), "")]
