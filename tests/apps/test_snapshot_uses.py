"""What holds a snapshot: jobs that read it, what the online store was filled from, versions, releases under way and their evidence."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.apps.test_materializing import CONTRACT, LATEST, HeldBack, Place, readings
from tests.whole_program import copy_home, issue_tokens, open_in_process

from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.snapshot_uses import uses
from leverframe.apps.platform.views import MaterializeRequest
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US, HOUR_US, ManualClock
from leverframe.data.commands import KIND_DATASET, Dataset
from leverframe.data.retention.retention import Retention
from leverframe.release.records import KIND_RELEASE, Release

ADMIN = Actor(subject="root", roles=("admin",), teams=("*",))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A small dataset and one view; jobs wait until the test carries them out."""
    parts = open_parts(Settings(home=tmp_path / "home"))
    parts.queue.close()
    clock = ManualClock(20_000 * DAY_US)
    parts.ledger._clock = clock
    queue = HeldBack()
    platform = Platform(dataclasses.replace(parts, queue=queue, clock=clock))  # type: ignore[arg-type]
    ana = platform.access.authenticate(issue_tokens(platform)["ana"])
    platform.data.apply_contract(ana, CONTRACT, key="contract")
    platform.keeping.set_retention(ADMIN, Retention(dataset="readings"), key="policy")
    platform.features.apply_view(ana, LATEST, key="latest")
    yield Place(platform, queue, ana)
    platform.close()


def taken(place: Place, days: int) -> str:
    place.platform.parts.clock.advance(2 * HOUR_US)  # type: ignore[attr-defined]
    place.ingest(readings(days))
    pointer = place.platform.parts.ledger.get(KIND_DATASET, "readings", Dataset)
    assert pointer is not None
    return pointer.snapshot


def let_go(place: Place) -> dict[str, tuple[str, ...]]:
    """Apply the policy, which keeps one snapshot; what keeps each."""
    place.platform.parts.clock.advance(2 * HOUR_US)  # type: ignore[attr-defined]
    shown = place.platform.keeping.apply_retention(ADMIN, "readings", key=str(place.platform.now_us()))
    return {kept.digest: kept.because for kept in shown.snapshots}


def test_a_materialisation_under_way_keeps_what_it_reads_and_the_store_s_last_one_is_kept_after_it(place: Place) -> None:
    first = taken(place, 3)
    (job,) = place.platform.materializing.start(place.ana, MaterializeRequest(names=("latest",)), key="one")
    taken(place, 4)
    assert let_go(place)[first] == (f"used by materialisation {job.id} of latest, under way",)
    assert place.queue.work(place.platform.parts) == "done", "its snapshot was taken away under it"
    third = taken(place, 5)
    assert let_go(place)[first] == ("used by last materialisation of latest",)
    place.materialize(names=("latest",))
    fourth = taken(place, 6)
    kept = let_go(place)
    assert kept[first] == (), "nothing needs it any more"
    assert kept[third] == ("used by last materialisation of latest",)
    assert kept[fourth] == ("the dataset's newest rows", "one of the last 1")
    assert {view.snapshot.digest for view in place.platform.keeping.snapshots("readings")} == {third, fourth}


def test_a_failed_materialisation_keeps_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from leverframe.apps import materialize_workflow

    first = taken(place, 3)

    def broken(*_: object) -> pl.DataFrame:
        raise OSError("disk")

    monkeypatch.setattr(materialize_workflow, "compute", broken)
    assert place.materialize(names=("latest",)).status == "failed"
    taken(place, 4)
    assert let_go(place)[first] == ()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = copy_home(tmp_path_factory.mktemp("uses") / "home")
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    yield opened
    opened.close()


def test_a_release_holds_both_its_versions_snapshots_and_so_does_its_evidence(trained: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    (release,) = trained.parts.ledger.find(KIND_RELEASE, Release)
    assert release.active
    (used,) = uses(trained.parts, "weather").values()
    assert f"release {release.id}, under way" in used
    assert {f"version flight-delay@v{n}" for n in (1, 2, 3)} <= set(used)
    assert "last materialisation of origin_weather" in used
    assert sum(name.startswith("run ") for name in used) == 3

    find = trained.parts.ledger.find

    def over(kind: str, type: type, **how: object) -> list[object]:
        found = find(kind, type, **how)  # type: ignore[arg-type]
        return [msgspec.structs.replace(each, state="complete", ended_us=1) for each in found] if kind == KIND_RELEASE else found

    monkeypatch.setattr(trained.parts.ledger, "find", over)
    (used,) = uses(trained.parts, "weather").values()
    assert f"evidence of release {release.id}" in used


def test_a_damaged_bundle_keeps_what_was_newest_when_its_version_was_registered(trained: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is deleted on a doubt."""
    from leverframe.apps.platform import lineage_bundles
    from leverframe.core.errors import Integrity

    def damaged(*_: object) -> None:
        raise Integrity("damaged", where="bundle")

    parts = trained.parts
    whole = uses(parts, "weather")
    forgotten = lineage_bundles.Bundles(parts.artifacts, parts.trust, lambda view: ())
    monkeypatch.setattr(lineage_bundles, "open_bundle", damaged)
    assert uses(dataclasses.replace(parts, bundles=forgotten), "weather") == whole
