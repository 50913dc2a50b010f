"""P5 for data: whatever happens to a snapshot's bytes is found by reading it and by ``lever data verify``; the one before is read."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.apps.data_streams import ANA, opened, trip

from leverframe.apps.platform.platform import Platform
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import Integrity, LeverframeError, NotFound
from leverframe.data.snapshots import snapshots
from leverframe.data.snapshots.snapshots import read_snapshot

FLIPS = 1_000


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    made = opened(tmp_path / "home")
    for part in range(3):
        body = b"\n".join(trip(n) for n in range(300 * part, 300 * part + 300 - 100 * part))
        assert made.data.ingest(ANA, "trips", body, format="jsonl", key=f"k{part}", append=part > 0).accepted
    yield made
    made.close()


def latest(platform: Platform) -> Snapshot:
    found = platform.data.datasets()[0].latest
    assert found is not None
    assert len(found.parts) == 3
    return found


def blobs(platform: Platform, snapshot: Snapshot) -> list[Path]:
    """The files of its parts, and of the manifest that lists them."""
    root = platform.parts.settings.home / "artifacts"
    files = {path.name: path for path in root.rglob("*") if path.is_file()}
    names = [*(part.digest for part in snapshot.parts), snapshot.digest]
    return [next(path for name, path in files.items() if digest.removeprefix("sha256:").endswith(name[-32:])) for digest in names]


def found_by_reading(platform: Platform, snapshot: Snapshot) -> bool:
    try:
        read_snapshot(platform.parts.artifacts, snapshot).collect()
    except (Integrity, NotFound):
        return True
    return False


def found_by_verifying(platform: Platform, snapshot: Snapshot) -> bool:
    return not platform.keeping.verify("trips", snapshot.digest).intact


def test_a_thousand_flipped_bits_are_all_found(platform: Platform) -> None:
    chance, snapshot = random.Random(5), latest(platform)
    files = blobs(platform, snapshot)
    kept = [path.read_bytes() for path in files]
    missed = 0
    for _ in range(FLIPS):
        which = chance.randrange(len(files))
        data = bytearray(kept[which])
        at = chance.randrange(len(data))
        data[at] ^= 1 << chance.randrange(8)
        files[which].write_bytes(data)
        missed += not (found_by_reading(platform, snapshot) and found_by_verifying(platform, snapshot))
        files[which].write_bytes(kept[which])
    assert missed == 0
    assert not found_by_reading(platform, snapshot), "whole bytes are refused too: the test proves nothing"


@pytest.mark.parametrize("damage", ["cut short", "emptied", "lengthened", "gone", "swapped", "an older part in its place", "a folder"])
def test_other_damage_is_found_and_the_snapshot_before_is_read(platform: Platform, damage: str) -> None:
    snapshot = latest(platform)
    before = platform.keeping.snapshots("trips")[1].snapshot
    files = blobs(platform, snapshot)
    last = files[2]
    data = last.read_bytes()
    if damage == "swapped":
        manifest = files[3].read_bytes()
        files[3].write_bytes(data)
        last.write_bytes(manifest)
    elif damage == "an older part in its place":
        shutil.copy(files[0], last)
    elif damage in ("gone", "a folder"):
        last.unlink()
        if damage == "a folder":
            last.mkdir()
    else:
        last.write_bytes({"cut short": data[: len(data) // 2], "emptied": b"", "lengthened": data + b"\0"}[damage])
    with pytest.raises(LeverframeError) as refused:
        read_snapshot(platform.parts.artifacts, snapshot).collect()
    assert refused.value.code in ("integrity", "not_found", "unavailable")
    if damage != "a folder":
        assert found_by_verifying(platform, snapshot)
    assert read_snapshot(platform.parts.artifacts, before).collect().height == 500


def test_negative_control_without_the_digests_damage_is_read(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = latest(platform)
    files = blobs(platform, snapshot)
    shutil.copy(files[0], files[2])
    monkeypatch.setattr(snapshots, "part_bytes", lambda store, part, dataset: files[2 if part == snapshot.parts[2] else 0].read_bytes())
    assert not found_by_reading(platform, snapshot), "another part is found even so: the test above proves nothing"
