"""Use cases of the data room on a real installation in a folder: ledger, artifacts and keys, without a process."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.data.conftest import TRIPS

from leverframe.apps.platform.datasets import latest_rows, latest_snapshot
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.actor import Actor
from leverframe.core.errors import Conflict, LimitExceeded, NotFound
from leverframe.core.model import ModelSpec
from leverframe.core.schema import InputColumn, RequestField
from leverframe.data.commands import RecordSnapshot
from leverframe.data.snapshots.makers import with_makers
from leverframe.training.commands import ApplyModel, RegisterVersion

ANA = Actor(subject="ana", roles=("admin",), teams=("*",))
REQUEST = (RequestField(name="miles", datatype="FP64"),)
COLUMNS = (InputColumn(name="miles", source="request", field="miles"),)
HEADER = "id,kind,miles,seats,rider,ended_at\n"


def trips(*ids: int, rider: str = "ann") -> bytes:
    return (HEADER + "".join(f"t{n:03},short,1.5,2,{rider},{n}\n" for n in ids)).encode()


def registered(platform: Platform, *names: str) -> None:
    """Versions without a bundle: enough to be named."""
    spec = ModelSpec(name="risk", description="d", owner="ana", team="rides", runbook="r", dataset="trips", label="y", request=REQUEST)
    platform.parts.ledger.write(ANA, ApplyModel(spec=msgspec.structs.replace(spec, columns=COLUMNS)), key="risk")
    for number, name in enumerate(names, 1):
        digest = f"sha256:{number:064x}"
        facts = {"run_id": name, "risk_tier": "low", "gates": "pass", "owning_team": "rides"}
        platform.parts.ledger.write(ANA, RegisterVersion(model="risk", bundle=digest, envelope=digest, **facts), key=name)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    opened = open_platform(Settings(home=tmp_path / "home"))
    opened.data.apply_contract(ANA, TRIPS, key="contract")
    yield opened
    opened.close()


def held(platform: Platform) -> list[str]:
    return latest_rows(platform.parts, "trips")[1].collect()["id"].to_list()


def test_rows_are_added_and_a_delivery_repeated_under_its_key_is_the_same(platform: Platform) -> None:
    platform.data.ingest(ANA, "trips", trips(1, 2), format="csv", key="one")
    for _ in range(2):
        became = platform.data.ingest(ANA, "trips", trips(3), format="csv", key="two", append=True)
        assert became.accepted
    assert held(platform) == ["t001", "t002", "t003"]
    platform.data.ingest(ANA, "trips", trips(4), format="csv", key="three")
    assert held(platform) == ["t004"], "without append a file is the whole dataset"


def test_of_two_appends_to_one_snapshot_the_second_is_told(platform: Platform) -> None:
    platform.data.ingest(ANA, "trips", trips(1), format="csv", key="one")
    first = latest_snapshot(platform.parts, "trips")
    assert first is not None
    platform.data.ingest(ANA, "trips", trips(2), format="csv", key="two", append=True)
    with pytest.raises(Conflict, match="meanwhile"):
        platform.parts.ledger.write(ANA, RecordSnapshot(snapshot=first, owner_team="rides", after=first.digest), key="late")
    assert held(platform) == ["t001", "t002"]


def test_who_predicted_rows_stays_with_the_dataset_whatever_is_added_to_it(platform: Platform) -> None:
    registered(platform, "risk@v1", "risk@v2")

    def makers() -> tuple[str, ...]:
        latest = latest_snapshot(platform.parts, "trips")
        assert latest is not None
        return latest.made_by or ()

    platform.data.ingest(ANA, "trips", trips(1), format="csv", key="one", made_by=("risk@v2",))
    assert makers() == ("risk@v2",)
    platform.data.ingest(ANA, "trips", trips(2), format="csv", key="two", append=True)
    assert makers() == ("risk@v2",), "rows that nobody predicted do not take the others' makers away"
    platform.data.ingest(ANA, "trips", trips(3), format="csv", key="three", append=True, made_by=("risk@v1",))
    assert makers() == ("risk@v1", "risk@v2")
    platform.data.ingest(ANA, "trips", trips(4), format="csv", key="four")
    assert makers() == ()
    platform.data.ingest(ANA, "trips", trips(1), format="csv", key="five")
    assert makers() == ("risk@v2",), "the same rows are still those that risk@v2 predicted"
    with pytest.raises(NotFound, match="no such model version"):
        platform.data.ingest(ANA, "trips", trips(9), format="csv", key="six", made_by=("risk@v7",))
    with pytest.raises(LimitExceeded, match="too many versions"):
        with_makers(latest_snapshot(platform.parts, "trips"), [f"risk@v{number}" for number in range(100)])


def test_the_key_of_personal_values_is_the_owner_s_alone(platform: Platform) -> None:
    path = platform.parts.settings.keys_folder / "personal.key"
    assert (path.stat().st_mode & 0o777, path.stat().st_size) == (0o600, 32)
