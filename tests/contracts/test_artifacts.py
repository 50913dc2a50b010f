"""One suite for every place artifacts and publications can be kept: a folder, a folder behind a cache, S3, S3 behind a cache, memory."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leverframe.core.digest import digest_bytes
from leverframe.core.errors import Integrity, InvalidInput, LimitExceeded, NotFound, Unavailable
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.objects import open_objects
from leverframe.governance.publication import PUBLISHED_BYTES_MAX, Publication

Place = tuple[str, dict[str, Any], Path | None]


@pytest.fixture(params=["folder", "file-url", "folder-cached", "s3", "s3-cached", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kind = request.param
    cache = tmp_path / "cache" if kind.endswith("cached") else None
    if kind.startswith("s3"):
        url, options = request.getfixturevalue("s3_store")
        return url, options, cache
    if kind == "memory":
        return "memory:///", {}, None
    return (f"file://{tmp_path}/with%20space" if kind == "file-url" else str(tmp_path / "store")), {}, cache


@pytest.fixture
def store(place: Place) -> ArtifactStore:
    url, options, cache = place
    return ArtifactStore(url, options=options, cache_dir=cache)


def damage(place: Place, digest: str, change: Callable[[bytes], bytes], store: ArtifactStore) -> None:
    """Change bytes behind the store's back, in the backing store and in the cache."""
    name = f"sha256/{digest[7:9]}/{digest[7:]}"
    for objects in filter(None, (store._objects, store._cache)):
        data = objects.read(name)
        if data is not None:
            objects.put(name, change(data))


def test_what_was_put_comes_back(store: ArtifactStore) -> None:
    for data in (b"", b"x", bytes(range(256)) * 100):
        digest = store.put(data)
        assert digest == digest_bytes(data)
        assert store.get(digest) == data
        assert store.has(digest)
        assert store.size(digest) == len(data)


def test_a_large_artifact_comes_back(store: ArtifactStore) -> None:
    data = b"0123456789abcdef" * (12 * 65536)  # 12 MiB: several parts of a multipart upload
    assert store.get(store.put(data)) == data


def test_what_is_there_is_listed_and_moved_piece_by_piece(store: ArtifactStore, place: Place, tmp_path: Path) -> None:
    large = b"0123456789abcdef" * (9 * 65536)
    digests = {store.put(data) for data in (b"", b"x", large)}
    assert dict(store.sizes()) == {digest: store.size(digest) for digest in digests}
    other = ArtifactStore(str(tmp_path / "other"))
    for digest in digests:
        other.put_pieces(digest, store.pieces(digest))
    in_one = place[0].startswith("memory")
    assert in_one or len(list(store.pieces(digest_bytes(large)))) > 1, "9 MiB came in one piece"
    assert other.get(digest_bytes(large)) == large
    again = digest_bytes(b"y" * 9_000_000)
    store.put_pieces(again, (b"y" * 3_000_000 for _ in range(3)))
    assert store.get(again) == b"y" * 9_000_000
    with pytest.raises(NotFound):
        store.pieces(digest_bytes(b"never"))


def test_putting_twice_keeps_one(store: ArtifactStore) -> None:
    assert store.put(b"same") == store.put(b"same")


def test_what_nobody_put_is_not_found(store: ArtifactStore) -> None:
    absent = digest_bytes(b"never put")
    assert not store.has(absent)
    with pytest.raises(NotFound):
        store.get(absent)
    with pytest.raises(NotFound):
        store.size(absent)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "sha256:../../x", "file:///etc/passwd", "sha256:" + "A" * 64, "", "sha256:" + "0" * 63]
)
def test_a_path_is_never_a_name(store: ArtifactStore, name: str) -> None:
    with pytest.raises(InvalidInput):
        store.get(name)
    with pytest.raises(InvalidInput):
        store.has(name)


def test_damage_is_found_and_the_original_heals_it(store: ArtifactStore, place: Place) -> None:
    digest = store.put(b"proceed")
    store.get(digest)
    damage(place, digest, lambda data: b"P" + data[1:], store)
    with pytest.raises(Integrity, match="damaged"):
        store.get(digest)
    assert store.put(b"proceed") == digest
    assert store.get(digest) == b"proceed"


def test_local_path_has_exactly_the_bytes(store: ArtifactStore, place: Place) -> None:
    digest = store.put(b"model")
    if place[0].startswith(("s3", "memory")) and place[2] is None:
        with pytest.raises(InvalidInput, match="cache_dir"):
            store.local_path(digest)
        return
    assert store.local_path(digest).read_bytes() == b"model"
    damage(place, digest, lambda data: data[:-1], store)
    with pytest.raises(Integrity):
        store.local_path(digest)


def test_a_damaged_cache_is_fetched_again(tmp_path: Path, s3_store: tuple[str, dict[str, Any]]) -> None:
    store = ArtifactStore(s3_store[0], options=s3_store[1], cache_dir=tmp_path)
    digest = store.put(b"weights")
    path = store.local_path(digest)
    path.chmod(0o644)
    path.write_bytes(b"WEIGHTS")
    assert store.local_path(digest).read_bytes() == b"weights"


def test_the_cache_answers_when_the_store_is_gone(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "store"), cache_dir=tmp_path / "cache")
    digest = store.put(b"last good")
    store.get(digest)
    (tmp_path / "store").rename(tmp_path / "away")
    again = ArtifactStore(str(tmp_path / "store"), cache_dir=tmp_path / "cache")
    assert again.get(digest) == b"last good"


def test_an_unreachable_store_says_so() -> None:
    options = {
        "endpoint": "http://127.0.0.1:1",
        "region": "us-east-1",
        "access_key_id": "k",
        "secret_access_key": "a-secret-value",
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 0},
    }
    store = ArtifactStore("s3://bucket/x", options=options)
    with pytest.raises(Unavailable) as caught:
        store.put(b"x")
    assert "a-secret-value" not in str(caught.value)
    assert caught.value.next_step


def test_only_known_kinds_of_store_open() -> None:
    for url in ("http://example.com/x", "ftp://x/y", "javascript://x"):
        with pytest.raises(InvalidInput):
            open_objects(url)


def test_publication_replaces_whole(place: Place) -> None:
    board = Publication(place[0], options=place[1])
    assert board.read("routes/prod.json") is None
    board.publish("routes/prod.json", b"generation 1")
    board.publish("routes/prod.json", b"generation 2")
    board.publish("routes/dev.json", b"other")
    assert board.read("routes/prod.json") == b"generation 2"
    assert board.read("routes/dev.json") == b"other"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../b", "", ".hidden", "a//b", "a\\b", "x" * 200, "a/b/c/d/e", "nul\0"])
def test_publication_names_stay_inside(place: Place, name: str) -> None:
    board = Publication(place[0], options=place[1])
    with pytest.raises(InvalidInput):
        board.publish(name, b"x")
    with pytest.raises(InvalidInput):
        board.read(name)


def test_publication_has_a_bound(place: Place) -> None:
    with pytest.raises(LimitExceeded):
        Publication(place[0], options=place[1]).publish("x", b"x" * (PUBLISHED_BYTES_MAX + 1))


def test_readers_see_old_or_new_while_a_writer_replaces(tmp_path: Path) -> None:
    """Would be wrong if a reader ever saw half of a publication."""
    board = Publication(str(tmp_path))
    versions = [bytes([65 + n]) * 50_000 for n in range(20)]
    board.publish("routes.json", versions[0])
    seen: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(board.read("routes.json") or b"")

    reader = threading.Thread(target=read)
    reader.start()
    for version in versions:
        board.publish("routes.json", version)
    done.set()
    reader.join()
    assert seen
    assert set(seen) <= set(versions)
