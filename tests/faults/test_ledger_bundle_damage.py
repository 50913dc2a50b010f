"""P5 and P9: damaged bundles are always refused; a publication is old or new, whenever its writer dies.

Negative controls: without the digest and signature checks most damage passes; a publication written in place is torn.
"""

import itertools
import random
from pathlib import Path

import pytest
from tests.faults.dying import publish_and_die, publish_in_place_and_die, start

from leverframe.core.errors import Integrity, LeverframeError, Unavailable
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import open_bundle, write_bundle
from leverframe.governance.publication import Publication
from leverframe.governance.signing import SigningKey, TrustStore

FILES = {
    "model.onnx": bytes(range(256)) * 8,
    "signature.json": b'{"columns": []}',
    "golden.json": b"[1, 2, 3]" * 20,
    "card.md": b"# card\n" * 9,
}


@pytest.fixture
def bundle(tmp_path: Path) -> tuple[ArtifactStore, TrustStore, str, str, list[Path]]:
    store, key = ArtifactStore(str(tmp_path)), SigningKey.generate()
    manifest, envelope = write_bundle(store, key, model="m", files=FILES, created_at_us=1)
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(paths) == len(FILES) + 2
    return store, TrustStore([key.public_pem]), manifest, envelope, paths


Bundle = tuple[ArtifactStore, TrustStore, str, str, list[Path]]


def refused(bundle: Bundle) -> bool:
    store, trust, manifest, envelope, _ = bundle
    try:
        open_bundle(store, trust, manifest, envelope)
    except Integrity:
        return True
    return False


def test_a_flipped_bit_anywhere_is_refused(bundle: Bundle) -> None:
    """1,000 places, over files, manifest and envelope, in proportion to their size and each at least 50 times."""
    rng, paths = random.Random(5), bundle[4]
    sizes = [path.stat().st_size for path in paths]
    targets = [path for path in paths for _ in range(50)] + rng.choices(paths, sizes, k=1_000 - 50 * len(paths))
    for path in targets:
        intact = path.read_bytes()
        damaged = bytearray(intact)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        assert refused(bundle), path
        path.write_bytes(intact)
    assert not refused(bundle), "restored, it opens again"


def test_control_without_the_checks_damage_passes(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _, manifest, envelope, paths = bundle
    monkeypatch.setattr("leverframe.governance.artifacts.digest_bytes", lambda _: f"sha256:{'0' * 64}")
    model = max(paths, key=lambda path: path.stat().st_size)
    model.write_bytes(b"X" + model.read_bytes()[1:])
    with pytest.raises(Integrity):
        open_bundle(store, bundle[1], manifest, envelope)
    monkeypatch.setattr(ArtifactStore, "get", lambda self, digest: self._objects.read(f"sha256/{digest[7:9]}/{digest[7:]}"))
    assert open_bundle(store, bundle[1], manifest, envelope).read("model.onnx")[:1] == b"X"


def test_a_truncated_or_lengthened_file_is_refused(bundle: Bundle) -> None:
    for path in bundle[4]:
        intact = path.read_bytes()
        for damaged in (b"", intact[:1], intact[:-1], intact + b"\0", intact * 2):
            path.write_bytes(damaged)
            assert refused(bundle), path
        path.write_bytes(intact)


def test_swapped_files_are_refused(bundle: Bundle) -> None:
    for first, second in itertools.combinations(bundle[4], 2):
        one, other = first.read_bytes(), second.read_bytes()
        first.write_bytes(other)
        second.write_bytes(one)
        assert refused(bundle), (first, second)
        first.write_bytes(one)
        second.write_bytes(other)


def test_missing_files_are_refused(bundle: Bundle) -> None:
    for path in bundle[4]:
        intact = path.read_bytes()
        path.unlink()
        assert refused(bundle), path
        path.symlink_to(path.parent / "nowhere")
        assert refused(bundle), "a dangling link"
        path.unlink()
        path.write_bytes(intact)


def test_damage_after_opening_is_refused_at_the_read(bundle: Bundle) -> None:
    store, trust, manifest, envelope, paths = bundle
    opened = open_bundle(store, trust, manifest, envelope)
    for path in paths:
        path.write_bytes(b"gone")
    for name in opened.names:
        with pytest.raises(Integrity):
            opened.read(name)


def test_a_full_disk_is_said_with_its_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P4 for artifacts and publications: refused with cause and fix, the old bytes stay, no litter, and it recovers."""
    store, board = ArtifactStore(str(tmp_path / "artifacts")), Publication(str(tmp_path / "published"))
    board.publish("routes.json", b"old")

    def full(_: int, __: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.write", full)
        for attempt in (lambda: store.put(b"x" * 1_000), lambda: board.publish("routes.json", b"new")):
            with pytest.raises(Unavailable, match="No space left") as caught:
                attempt()
            assert "free space" in caught.value.next_step
    assert board.read("routes.json") == b"old"
    assert [path.name for path in tmp_path.rglob(".writing-*")] == []
    assert store.get(store.put(b"x" * 1_000)) == b"x" * 1_000


def seen_after_dying_everywhere(target: object, folder: Path, old: bytes, new: bytes) -> set[bytes | None]:
    """What a reader finds after the writer died at each of its steps in turn."""
    seen: set[bytes | None] = set()
    for call in itertools.count(1):
        Publication(str(folder)).publish("routes/prod.json", old)
        process, pipe = start(target, str(folder), new, call)  # type: ignore[arg-type]
        try:
            done = pipe.recv() == "done"
        except EOFError:
            done = False
        process.join()
        try:
            seen.add(Publication(str(folder)).read("routes/prod.json"))
        except LeverframeError:
            seen.add(None)
        if done:
            assert call > 5, "the deaths did hit the publication"
            return seen
    raise AssertionError


def test_a_publication_is_old_or_new_wherever_its_writer_dies(tmp_path: Path) -> None:
    old, new = b"generation 1" * 1_000, b"generation 2" * 1_000
    assert seen_after_dying_everywhere(publish_and_die, tmp_path, old, new) == {old, new}


def test_control_writing_in_place_is_torn(tmp_path: Path) -> None:
    old, new = b"generation 1" * 1_000, b"generation 2" * 1_000
    assert seen_after_dying_everywhere(publish_in_place_and_die, tmp_path, old, new) - {old, new}
