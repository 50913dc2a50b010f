"""A person's deletion that is killed at any moment leaves each snapshot as it was or without the person, and the next look finishes it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.data.conftest import TRIPS

from leverframe.apps.data_loop import DataLoop
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.actor import Actor
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import LeverframeError
from leverframe.data.commands import KIND_SNAPSHOT
from leverframe.data.snapshots.snapshots import read_snapshot

ANA = Actor(subject="ana", roles=("admin",), teams=("*",))
HEADER = "id,kind,miles,seats,rider,ended_at\n"
WITH = {1: ["t0", "t1"], 2: ["t0", "t1", "t2"], 3: ["t0", "t1", "t2", "t3", "t4"]}
WITHOUT = {1: ["t1"], 2: ["t1", "t2"], 3: ["t1", "t2", "t4"]}
AGAIN = "import sys; from tests.faults.test_erasure_crash import die_at; die_at(sys.argv[1], int(sys.argv[2]))"


def opened(home: Path) -> Platform:
    return open_platform(Settings(home=home))


def prepared(home: Path) -> None:
    platform = opened(home)
    platform.data.apply_contract(ANA, TRIPS, key="contract")
    for number, persons in enumerate(({"t0": "ann", "t1": "bob"}, {"t2": "cy"}, {"t3": "ann", "t4": "di"})):
        body = HEADER + "".join(f"{id},short,1.5,2,{rider},{n}\n" for n, (id, rider) in enumerate(persons.items()))
        became = platform.data.ingest(ANA, "trips", body.encode(), format="csv", key=f"k{number}", append=number > 0)
        assert became.accepted
    platform.erasing.ask(ANA, "trips", "rider", "ann", reason="asked", key="forget")
    platform.close()


def steps_of(platform: Platform, act: Any) -> None:
    """Call ``act`` before and after every step that lasts: bytes put, bytes deleted, commands written."""

    def stepped(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def doing(*args: Any, **options: Any) -> Any:
            act()
            done = real(*args, **options)
            act()
            return done

        setattr(owner, name, doing)

    stepped(platform.parts.artifacts, "put")
    stepped(platform.parts.artifacts, "delete")
    stepped(platform.parts.ledger, "write")


def die_at(home: str, step: int) -> None:
    """Run the worker's look in this process and kill it at one step; it returns when there are fewer."""
    platform, count = opened(Path(home)), 0

    def act() -> None:
        nonlocal count
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    steps_of(platform, act)
    DataLoop(platform.parts).look()


def found(platform: Platform) -> dict[int, list[str]]:
    """The rows of every readable snapshot, by its place in time; old ones that were replaced are not readable, their successors are."""
    snapshots = platform.parts.ledger.find(KIND_SNAPSHOT, Snapshot, prefix="trips/")
    whole = {each.digest: each for each in snapshots if each.erased is None}
    first = sorted((each for each in snapshots if not _made_by_erasure(each, snapshots)), key=lambda each: each.created_at_us)
    rows = {}
    for place, each in enumerate(first, start=1):
        now = whole[each.erased.replaced_by] if each.erased is not None else each
        rows[place] = read_snapshot(platform.parts.artifacts, now).collect()["id"].to_list()
    return rows


def _made_by_erasure(snapshot: Snapshot, among: list[Snapshot]) -> bool:
    return any(each.erased is not None and each.erased.replaced_by == snapshot.digest for each in among)


class Died(BaseException):
    """The process is gone."""


def test_at_every_step_each_snapshot_is_old_or_new_and_the_next_look_finishes(tmp_path: Path) -> None:
    step, seen = 0, []
    prepared(tmp_path / "made")
    while True:
        home = tmp_path / f"h{step}"
        shutil.copytree(tmp_path / "made", home)
        platform, count = opened(home), 0

        def act(at: int = step) -> None:
            nonlocal count
            count += 1
            if count == at + 1:
                raise Died

        steps_of(platform, act)
        try:
            DataLoop(platform.parts).look()
            break
        except Died:
            platform.close()
        again = opened(home)
        rows = found(again)
        seen.append("old" if rows == WITH else "new" if rows == WITHOUT else "mixed")
        DataLoop(again.parts).look()
        assert found(again) == WITHOUT, f"not finished after a death at step {step}"
        assert again.erasing.records()[0].status == "done"
        assert again.erasing.records()[0].rows == 1 + 1 + 2
        assert again.keeping.collect() == 0, "bytes nobody names are left"
        again.close()
        step += 1
    assert step > 20
    assert set(seen) == {"old", "new"}, "a snapshot was neither"
    assert seen == sorted(seen, key=("old", "new").index), "once new, always new"


@pytest.mark.parametrize("step", [3, 17])
def test_kill_9_leaves_old_or_new(tmp_path: Path, step: int) -> None:
    prepared(tmp_path)
    died = subprocess.run([sys.executable, "-c", AGAIN, str(tmp_path), str(step)], check=False, timeout=60, env={**os.environ})
    assert died.returncode == -signal.SIGKILL
    platform = opened(tmp_path)
    assert found(platform) in (WITH, WITHOUT)
    DataLoop(platform.parts).look()
    assert found(platform) == WITHOUT
    platform.close()


def test_deleting_bytes_before_the_record_would_leave_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the order of the two is what the promise rests on."""
    prepared(tmp_path)
    platform = opened(tmp_path)

    def too_soon(contract: Any, *_: Any) -> int:
        for each in platform.parts.ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{contract.dataset}/"):
            platform.parts.artifacts.delete(each.blobs[0].digest)
        raise Died

    loop = DataLoop(platform.parts)
    monkeypatch.setattr(loop._erasing, "_forget_online", too_soon)
    with pytest.raises(Died):
        loop.look()
    platform.close()
    again = opened(tmp_path)
    with pytest.raises(LeverframeError, match="no such artifact"):
        found(again)
    again.close()
