"""Versions of a real, trained installation made again: bit for bit; after a deletion with the truth about it, and never a false verdict."""

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from tests.whole_program import copy_home, open_in_process, world

from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.reproducing import ReproductionRequest
from leverframe.apps.reproduce_workflow import ReproduceWorkflow
from leverframe.apps.settings import Settings
from leverframe.core.actor import Actor
from leverframe.core.clock import HOUR_US
from leverframe.core.errors import NotFound, Refused
from leverframe.core.model import IMPORTED, ModelVersion
from leverframe.training.commands import KIND_MODEL_VERSION
from leverframe.training.reproduction_commands import StartReproduction

V1 = "flight-delay@v1"
OPERATOR = Actor(subject="olga", roles=("admin",), teams=("*",))


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    home = copy_home(tmp_path / "home")
    opened = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    yield opened
    opened.close()


@pytest.fixture
def ana(platform: Platform) -> Actor:
    secrets = json.loads((platform.parts.settings.home / "secrets.json").read_text())
    return platform.access.authenticate(secrets["ana"])


def plane_is_a_person(platform: Platform) -> None:
    """From now on the contract of planes calls a plane's number personal, and keeps it as it is."""
    text = (files("leverframe.apps.demo.project") / "contracts" / "planes.odcs.yaml").read_text()
    personal = text.replace(
        "classification: internal", "classification: restricted\n        customProperties: [{property: treatment, value: keep}]", 1
    )
    platform.data.apply_contract(OPERATOR, personal.replace("version: 1.0.0", "version: 1.1.0"), key="personal")


def forget(platform: Platform, tailnum: str) -> str:
    platform.parts.clock.set(platform.now_us() + HOUR_US)  # type: ignore[attr-defined]
    record = platform.erasing.ask(OPERATOR, "planes", "tailnum", tailnum, reason="sold", key=f"forget-{tailnum}")
    assert platform.erasing.carry_out_due() == 1
    done = platform.erasing.record(record.id)
    assert done.rows > 0, "nobody was deleted, so nothing is shown"
    return record.id


def test_every_version_comes_again_bit_for_bit(platform: Platform, ana: Actor) -> None:
    for number in (1, 2, 3):
        found = platform.reproducing.start(ana, f"flight-delay@v{number}", key=f"again-{number}")
        assert (found.status, found.differences, found.changes) == ("identical", (), ()), found
    assert not list((platform.parts.settings.home / "reproduce").iterdir()), "rows of the training set were left behind"
    assert platform.training.version(V1).reproduction == platform.reproducing.newest(V1)


def test_definitions_that_changed_since_are_those_of_then(platform: Platform, ana: Actor) -> None:
    from leverframe.apps.demo.project.features import ORIGIN_WEATHER
    from leverframe.core.feature import Expression

    platform.parts.clock.set(platform.now_us() + HOUR_US)  # type: ignore[attr-defined]
    changed = (Expression(name="temp", sql="dewp + humid"), *ORIGIN_WEATHER.expressions[1:])
    platform.features.apply_view(ana, msgspec.structs.replace(ORIGIN_WEATHER, expressions=changed), key="anew")
    assert platform.reproducing.start(ana, V1, key="again").status == "identical"


def test_after_a_deletion_it_says_which_and_how_many_rows_and_what_is_still_proven(platform: Platform, ana: Actor) -> None:
    plane_is_a_person(platform)
    asked = world()["flights"].drop_nulls("tailnum").join(world()["planes"], on="tailnum", how="semi")
    (tailnum,) = asked.group_by("tailnum").len().sort("len", "tailnum").tail(1)["tailnum"]
    erasure = forget(platform, tailnum)
    found = platform.reproducing.start(ana, V1, key="again")
    assert found.status == "rows_deleted"
    lost = {line.partition(" rows of ")[2].partition(" ")[0]: line for line in found.deleted}
    assert "planes" in lost
    assert all(erasure in line for line in found.deleted)
    planes = world()["planes"]
    gone = planes.filter(pl.col("tailnum") == tailnum).height
    assert lost["planes"].startswith(f"{gone:,} of {planes.height:,} rows of planes were deleted for good")
    assert [line.partition(":")[0] for line in found.differences] == ["training set"], "a model of other rows was fitted and compared"
    assert "the exported model is made of the fitted one, byte for byte" in found.proven
    assert any(line.startswith("weather sha256:") and line.endswith("every part is what its name says") for line in found.proven)
    shown = platform.training.version(V1)
    assert {each.dataset for each in shown.deleted} == set(lost)
    (node,) = (node for node in platform.lineage.of(V1).nodes if node.name == V1)
    assert node.note.startswith("rows it was trained on were deleted since: ")
    assert f"planes ({erasure})" in node.note


def test_a_deletion_of_rows_that_were_never_in_the_training_set_changes_no_byte(platform: Platform, ana: Actor) -> None:
    """The negative control of the verdict: it follows the training set, not the mere fact of a deletion."""
    plane_is_a_person(platform)
    unused = world()["planes"].join(world()["flights"].drop_nulls("tailnum"), on="tailnum", how="anti").sort("tailnum")["tailnum"][0]
    forget(platform, unused)
    found = platform.reproducing.start(ana, V1, key="again")
    assert found.status == "identical"
    assert len(found.deleted) == 1
    assert found.proven[-1] == "what remains gives the very same training set: none of the deleted rows was in it"


def test_what_remains_is_kept_for_the_version_it_was_taken_from(platform: Platform, ana: Actor) -> None:
    from leverframe.apps.platform.snapshot_uses import uses

    plane_is_a_person(platform)
    forget(platform, world()["planes"].sort("tailnum")["tailnum"][0])
    (lost,) = [each for each in platform.training.version(V1).deleted if each.dataset == "planes"]
    assert f"version {V1}" in uses(platform.parts, "planes")[lost.remains]


def test_a_killed_attempt_goes_on_at_the_step_where_it_died(platform: Platform, ana: Actor) -> None:
    platform.parts.ledger.write(ana, StartReproduction(reproduction_id="rep-x", version=V1, owning_team="flights"), key="rep-x")
    argument = msgspec.json.encode(ReproductionRequest(id="rep-x", version=V1, owning_team="flights")).decode()
    remembered: dict[str, Any] = {}
    ran: list[str] = []

    def call(name: str, step: Callable[[], Any], *, retries: int = 0) -> Any:
        if name not in remembered:
            if name == dies_at:
                raise KeyboardInterrupt
            ran.append(name)
            remembered[name] = step()
        return remembered[name]

    dies_at = "fit"
    with pytest.raises(KeyboardInterrupt):
        ReproduceWorkflow(platform.parts).run(argument, call)
    assert platform.reproducing.newest(V1).status == "running"
    platform.parts.queue.enqueue = lambda *asked, queue="": None  # type: ignore[method-assign]
    assert platform.reproducing.start(ana, V1, key="joined").id == "rep-x", "a second attempt beside the first"
    dies_at = ""
    assert ReproduceWorkflow(platform.parts).run(argument, call) == "identical"
    assert ran == ["deletions", "select", "features", "split", "fit", "export"]
    # Another machine that takes an attempt up has the remembered names of the outputs, and none of the outputs.
    platform.parts.ledger.write(ana, StartReproduction(reproduction_id="rep-y", version=V1, owning_team="flights"), key="rep-y")
    assert ReproduceWorkflow(platform.parts).run(argument.replace("rep-x", "rep-y"), call) == "identical"


def test_a_version_from_elsewhere_is_refused_and_an_unknown_one_named(
    platform: Platform, ana: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound):
        platform.reproducing.start(ana, "flight-delay@v9", key="k")
    with pytest.raises(NotFound, match="never made again"):
        platform.reproducing.newest(V1)
    get = platform.parts.ledger.get

    def elsewhere(kind: str, id: str, type: Any, **how: Any) -> Any:
        found = get(kind, id, type, **how)
        return msgspec.structs.replace(found, run_id=IMPORTED) if kind == KIND_MODEL_VERSION and isinstance(found, ModelVersion) else found

    monkeypatch.setattr(platform.parts.ledger, "get", elsewhere)
    with pytest.raises(Refused, match="trained elsewhere"):
        platform.reproducing.start(ana, V1, key="k")
