"""A Feast repository as definitions: what is carried over, what is named as left behind, and that the written module declares the same."""

import runpy
from pathlib import Path

import msgspec
import pytest

from leverframe.core.feature_service import Entity, FeatureService
from leverframe.features.declared.definitions import check_view
from leverframe.features.feast.feast_import import Carried, FeastRepository, carry
from leverframe.features.feast.feast_source import source_text
from leverframe.features.services import check_entity, check_service

RECORDED = Path(__file__).parent / "feast" / "recorded" / "repository.json"
replace = msgspec.structs.replace


@pytest.fixture
def repository() -> FeastRepository:
    return msgspec.json.decode(RECORDED.read_bytes(), type=FeastRepository)


def left(carried: Carried) -> list[tuple[str, str]]:
    return [(fault.where, fault.got) for fault in carried.left]


def test_entities_views_and_services_are_carried_over_and_can_be_applied(repository: FeastRepository) -> None:
    done = carry(repository, "mobility")
    for entity in done.entities:
        check_entity(entity)
    for view in done.views:
        check_view(view)
    (service,) = done.services
    check_service(service, done.views)
    city, stats = done.views
    assert (city.name, city.entity, city.ttl_us, city.arrival_time) == ("driver_city", ("driver_id", "city"), 0, "event_timestamp")
    assert (stats.source, stats.event_time, stats.arrival_time) == ("driver_stats", "event_timestamp", "created")
    assert (stats.ttl_us, stats.owner, stats.tags) == (86_400_000_000, "mobility@example.org", ("team:mobility",))
    assert sorted(f.column for f in service.features) == ["driver_city__conv_rate", "driver_hourly_stats__conv_rate", "trips", "visits"]
    assert [key.type for entity in done.entities for key in entity.keys] == ["text", "integer"]


def test_what_is_left_behind_is_named(repository: FeastRepository) -> None:
    assert left(carry(repository, "mobility")) == [
        ("driver_hourly_stats.grade", "String"),
        ("on-demand view rate_plus", "rate_plus"),
        ("service driver_activity_v1", "grade"),
        ("service driver_activity_v1", "rate_plus"),
    ]


def test_a_store_of_another_kind_or_key_format_is_not_read_in_place(repository: FeastRepository) -> None:
    older = carry(replace(repository, key_version=2), "t")
    other = carry(replace(repository, online=replace(repository.online, kind="dynamodb")), "t")
    assert (older.store, other.store) == (None, None)
    assert ("online store", "2") in left(older)
    assert ("online store", "dynamodb") in left(other)


def test_a_view_without_its_entity_takes_its_part_of_a_service_along(repository: FeastRepository) -> None:
    done = carry(replace(repository, entities=repository.entities[:1]), "t")
    assert done.views == []
    assert done.services == []
    assert ("service driver_activity_v1", "driver_hourly_stats") in left(done)


def test_the_written_module_declares_exactly_what_was_carried_over(repository: FeastRepository, tmp_path: Path) -> None:
    done = carry(repository, "mobility")
    views = [replace(done.views[0], description='He said "no\\"\nand left\t\x07'), done.views[1]]
    path = tmp_path / "features.py"
    path.write_text(source_text("About.", done.entities, views, done.services, done.left))
    declared = [value for value in runpy.run_path(str(path)).values() if isinstance(value, (Entity, FeatureService, type(views[0])))]
    assert declared == [*done.entities, *views, *done.services]
    assert "# - on-demand view rate_plus: " in path.read_text()
