"""A project planned and applied on an installation with a live endpoint: what breaks has names, what is applied is what was shown."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.whole_program import FROM_US, NOW_US, SPEC, copy_home, open_in_process

from leverframe.apps.demo.project.features import VIEWS
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import Declarations, ProjectRequest, TrainRequest
from leverframe.apps.settings import Settings
from leverframe.core.actor import Actor
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused, SchemaMismatch
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import Entity, EntityKey, FeatureService, ServedFeature
from leverframe.features.declared.definitions import view_version

replace = msgspec.structs.replace
WEATHER: FeatureView = next(view for view in VIEWS if view.name == "origin_weather")
KEPT = WEATHER.expressions[0]
GONE = WEATHER.expressions[1]
SERVICE = FeatureService(
    name="sky", team="flights", owner="ops", features=tuple(ServedFeature(view=WEATHER.name, feature=f.name) for f in (KEPT, GONE))
)
READS_BOTH = replace(
    SPEC, name="second", columns=tuple(c for c in SPEC.columns if c.source != "view"), service="sky", baseline="", prepare={}
)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    home = copy_home(tmp_path / "home")
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}", core_hour_price=0.36))
    yield opened
    opened.close()


@pytest.fixture
def ana(platform: Platform, tmp_path: Path) -> Actor:
    secrets = msgspec.json.decode((tmp_path / "home" / "secrets.json").read_bytes(), type=dict[str, str])
    return platform.access.authenticate(secrets["ana"])


def test_an_unchanged_project_changes_nothing_and_says_what_else_there_is(platform: Platform, ana: Actor) -> None:
    entries = len(platform.audit.entries(after=0, limit=1000, newest_first=False))
    declared = Declarations(views=tuple(VIEWS[:2]), models=(SPEC,))
    plan = platform.projects.plan(ana, declared)
    assert [step.change for step in plan.steps] == ["unchanged"] * 3
    assert (plan.breaks, plan.backfills, plan.behind, plan.faults) == ((), (), (), ())
    assert "feature view origin_weather" in plan.stays
    assert "contract weather" in plan.stays
    applied = platform.projects.apply(ana, ProjectRequest(declared=declared, plan=plan.digest), key="same")
    assert applied.said == ()
    assert len(platform.audit.entries(after=0, limit=1000, newest_first=False)) == entries, "nothing was written"


def test_a_feature_that_goes_names_the_service_the_models_and_the_live_endpoint_that_read_it(platform: Platform, ana: Actor) -> None:
    platform.projects.apply(ana, ProjectRequest(declared=Declarations(services=(SERVICE,), models=(READS_BOTH,))), key="first")
    less = Declarations(views=(replace(WEATHER, expressions=tuple(e for e in WEATHER.expressions if e != GONE)),))
    plan = platform.projects.plan(ana, less)
    assert [step.change for step in plan.steps] == ["breaking"]
    (broken,) = plan.breaks
    assert broken.where == f"origin_weather.{GONE.name}"
    assert broken.consumers == ("service sky", "model flight-delay", "model second", "endpoint prod/flight-delay (flight-delay@v1)")
    assert plan.behind == (
        "endpoint prod/flight-delay (flight-delay@v1) goes on reading the version of origin_weather before this one until a model trained "
        "on the new one is released",
    )
    with pytest.raises(Refused, match=r"service sky, model flight-delay, model second, endpoint prod/flight-delay"):
        platform.projects.apply(ana, ProjectRequest(declared=less, plan=plan.digest), key="no")
    with pytest.raises(Refused, match="the feature goes"):
        platform.features.apply_view(ana, less.views[0], key="not by another door either")
    platform.projects.apply(ana, ProjectRequest(declared=less, plan=plan.digest, allow_breaking=True), key="yes")
    (shown,) = platform.services.services()
    assert (shown.models, shown.missing) == (("second",), (f"origin_weather.{GONE.name}",))


def test_who_gives_up_a_feature_in_the_same_plan_does_not_lose_it(platform: Platform, ana: Actor) -> None:
    view = replace(WEATHER, name="sky_only")
    service = replace(SERVICE, features=tuple(replace(f, view="sky_only") for f in SERVICE.features))
    platform.projects.apply(ana, ProjectRequest(declared=Declarations(views=(view,), services=(service,))), key="first")
    together = Declarations(
        views=(replace(view, expressions=tuple(e for e in view.expressions if e != GONE)),),
        services=(replace(service, features=service.features[:1]),),
    )
    plan = platform.projects.plan(ana, together)
    assert (plan.breaks, [step.change for step in plan.steps]) == ((), ["values", "values"])
    platform.projects.apply(ana, ProjectRequest(declared=together, plan=plan.digest), key="both")
    assert platform.services.services()[0].missing == ()


def test_a_new_version_says_how_many_rows_it_reads_how_long_and_for_how_much(platform: Platform, ana: Actor) -> None:
    changed = replace(WEATHER, expressions=(replace(KEPT, sql=f"({KEPT.sql}) * 2"), *WEATHER.expressions[1:]))
    worded = replace(VIEWS[0], description="better words")
    plan = platform.projects.plan(ana, Declarations(views=(changed, worded)))
    assert [step.change for step in plan.steps] == ["values", "words"]
    (backfill,) = plan.backfills
    rows = next(d.latest.rows for d in platform.data.datasets() if d.name == "weather" and d.latest)
    assert (backfill.view, backfill.view_version, backfill.rows) == ("origin_weather", view_version(changed), rows)
    assert backfill.days >= 10
    assert backfill.seconds is not None
    assert 0 < backfill.seconds < 60
    (job,) = [job for job in platform.materializing.jobs() if job.view == "origin_weather"]
    assert backfill.seconds == pytest.approx(rows / job.rows * job.seconds)
    assert backfill.cost == pytest.approx(rows / job.rows * job.cpu_seconds * 0.36 / 3600)
    assert " rows in " in backfill.measured_on


def test_what_was_shown_is_what_is_applied_or_nothing_is(platform: Platform, ana: Actor) -> None:
    declared = Declarations(services=(SERVICE,))
    shown = platform.projects.plan(ana, declared)
    platform.features.apply_view(ana, replace(WEATHER, description="someone was faster"), key="meanwhile")
    with pytest.raises(Conflict, match="changed since it was planned"):
        platform.projects.apply(ana, ProjectRequest(declared=declared, plan=shown.digest), key="late")
    assert platform.services.services() == ()
    again = platform.projects.plan(ana, declared)
    assert platform.projects.apply(ana, ProjectRequest(declared=declared, plan=again.digest), key="now").plan == again.digest
    assert [s.service.name for s in platform.services.services()] == ["sky"]


def test_every_fault_of_every_declaration_is_shown_and_nothing_of_it_is_applied(platform: Platform, ana: Actor) -> None:
    declared = Declarations(
        contracts=("kind: nonsense",),
        entities=(Entity(name="airport", keys=(EntityKey(name="origin", type="integer"),), team="flights"),),
        views=(replace(WEATHER, name="w2"), replace(WEATHER, name="w3", source="nowhere")),
        services=(replace(SERVICE, features=(ServedFeature(view="w2", feature="warmth"),)),),
        models=(replace(SPEC, name="third", service="none"),),
    )
    plan = platform.projects.plan(ana, declared)
    said = " / ".join(f"{f.where}: {f.what}" for f in plan.faults)
    for part in (
        "view w2.origin: the key of entity 'airport' has another type there",
        "view w3: its source has no contract",
        "service sky: warmth: no such feature of w2",
        "model third: none: no such feature service",
    ):
        assert part in said
    with pytest.raises(InvalidInput):
        platform.projects.apply(ana, ProjectRequest(declared=declared), key="faulty")
    assert {v.view.name for v in platform.features.views()} == {view.name for view in VIEWS}
    with pytest.raises(SchemaMismatch, match="expected integer, got text"):
        platform.services.apply_entity(ana, declared.entities[0], key="entity")


def test_a_project_is_applied_whole_or_not_at_all(platform: Platform, ana: Actor) -> None:
    """The view and the service come first and are permitted; the model is another team's, and nothing of the three is left."""
    entries = len(platform.audit.entries(after=0, limit=1000, newest_first=False))
    view = replace(WEATHER, name="sky_only")
    service = replace(SERVICE, features=tuple(replace(f, view="sky_only") for f in SERVICE.features))
    theirs = Declarations(views=(view,), services=(service,), models=(replace(READS_BOTH, team="pricing"),))
    assert platform.projects.plan(ana, theirs).faults == ()
    with pytest.raises(Forbidden):
        platform.projects.apply(ana, ProjectRequest(declared=theirs), key="theirs")
    assert "sky_only" not in {v.view.name for v in platform.features.views()}
    assert len(platform.audit.entries(after=0, limit=1000, newest_first=False)) == entries, "not even a part of it was written"
    ours = replace(theirs, models=(READS_BOTH,))
    said = platform.projects.apply(ana, ProjectRequest(declared=ours), key="theirs").said
    assert [next(iter(told)) for told in said] == ["view", "service", "model"], "the same key is free, for nothing was done with it"


def test_a_plan_is_shown_to_those_who_may_read_and_applied_by_those_who_may_change(platform: Platform, tmp_path: Path) -> None:
    nobody, vic = Actor(subject="nora"), Actor(subject="vic", roles=("viewer",), teams=("flights",))
    declared = Declarations(services=(SERVICE,))
    with pytest.raises(Forbidden):
        platform.projects.plan(nobody, declared)
    assert platform.projects.plan(vic, declared).differs
    with pytest.raises(Forbidden):
        platform.projects.apply(vic, ProjectRequest(declared=declared), key="vic")


def test_a_model_that_takes_a_service_trains_on_what_the_service_selects(platform: Platform, ana: Actor) -> None:
    platform.projects.apply(ana, ProjectRequest(declared=Declarations(services=(SERVICE,), models=(READS_BOTH,))), key="first")
    bound = platform.training._request(READS_BOTH, TrainRequest(model="second", from_us=FROM_US, to_us=NOW_US, seed=1), run_id="run-1")
    names = [column.name for column in bound.signature.columns]
    assert names[-2:] == [KEPT.name, GONE.name]
    assert bound.feature_views == {WEATHER.name: view_version(WEATHER)}
    with pytest.raises(NotFound, match="no such feature service"):
        platform.training.apply_model(ana, replace(READS_BOTH, service="none"), key="none")


def test_a_view_is_shown_with_its_readers_its_ages_and_how_its_values_lie(platform: Platform, ana: Actor) -> None:
    platform.projects.apply(ana, ProjectRequest(declared=Declarations(services=(SERVICE,), models=(READS_BOTH,))), key="first")
    shown = platform.details.view(WEATHER.name)
    assert (shown.services, shown.models) == (("sky",), ("flight-delay", "second"))
    (reader,) = shown.endpoints
    assert (reader.endpoint, reader.version, reader.current) == ("prod/flight-delay", "flight-delay@v1", True)
    assert [age.watermark_us for age in shown.ages] == [NOW_US]
    assert [d.feature for d in shown.distributions] == list(WEATHER.features)
    assert all(sum(d.counts) == d.rows - d.missing for d in shown.distributions)
    assert platform.details.view(WEATHER.name).distributions is shown.distributions, "looked at again, not computed again"
    platform.features.apply_view(ana, replace(WEATHER, ttl_us=WEATHER.ttl_us + 1), key="newer")
    (reader,) = platform.details.view(WEATHER.name).endpoints
    assert reader.current is False
    with pytest.raises(NotFound, match="no such feature view"):
        platform.details.view("nothing")
