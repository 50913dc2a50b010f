"""Bundles: what was written opens, what was touched does not."""

import json
from pathlib import Path

import pytest

from leverframe.core.digest import canonical_json
from leverframe.core.errors import Integrity, InvalidInput, NotFound
from leverframe.core.model import BundleFile, BundleManifest
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import STATEMENT_TYPE, open_bundle, write_bundle
from leverframe.governance.signing import SigningKey, TrustStore

FILES = {"model.onnx": b"weights" * 100, "signature.json": b"{}", "card.md": b"# card"}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path))


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def trust(key: SigningKey) -> TrustStore:
    return TrustStore([key.public_pem])


def test_what_was_written_opens(store: ArtifactStore, key: SigningKey, trust: TrustStore) -> None:
    manifest, envelope = write_bundle(store, key, model="flight-delay", files=FILES, created_at_us=5)
    bundle = open_bundle(store, trust, manifest, envelope)
    assert bundle.names == ("card.md", "model.onnx", "signature.json")
    assert {name: bundle.read(name) for name in bundle.names} == FILES
    assert (bundle.digest, bundle.manifest.model, bundle.manifest.created_at_us) == (manifest, "flight-delay", 5)
    with pytest.raises(NotFound):
        bundle.read("other")


def test_the_same_input_gives_the_same_digests(store: ArtifactStore, key: SigningKey) -> None:
    first = write_bundle(store, key, model="m", files=FILES, created_at_us=5)
    assert write_bundle(store, key, model="m", files=dict(reversed(FILES.items())), created_at_us=5) == first


def test_the_envelope_signs_an_in_toto_statement(store: ArtifactStore, key: SigningKey, trust: TrustStore) -> None:
    manifest, envelope = write_bundle(store, key, model="m", files=FILES, created_at_us=5)
    statement = json.loads(trust.verify(store.get(envelope), STATEMENT_TYPE))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0] == {"name": "manifest.json", "digest": {"sha256": manifest[7:]}}
    assert {subject["name"] for subject in statement["subject"]} == {"manifest.json", *FILES}
    assert statement["predicate"] == {"model": "m", "createdAtUs": 5}


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a\\b", "/etc/passwd", ".hidden", "", "manifest.json", "x" * 101, "nul\0", "Ω", "a b", "-rf"]
)
def test_a_file_name_is_never_a_path(store: ArtifactStore, key: SigningKey, name: str) -> None:
    """P30: names inside a bundle cannot leave a folder."""
    with pytest.raises(InvalidInput):
        write_bundle(store, key, model="m", files={name: b"x"}, created_at_us=1)


def test_a_signed_manifest_with_a_path_is_refused_too(store: ArtifactStore, key: SigningKey, trust: TrustStore) -> None:
    """Would be wrong if the check stood only at the writer: a signer with a bug or with malice writes what it likes."""
    digest = store.put(b"x")
    manifest = BundleManifest(model="m", files={"../../x": BundleFile(digest=digest, size=1)}, created_at_us=1)
    manifest_digest = store.put(canonical_json(manifest))
    subjects = [{"name": "manifest.json", "digest": {"sha256": manifest_digest[7:]}}, {"name": "../../x", "digest": {"sha256": digest[7:]}}]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://leverframe.dev/bundle/v1",
        "predicate": {"model": "m", "createdAtUs": 1},
    }
    envelope = store.put(key.sign(STATEMENT_TYPE, canonical_json(statement)))
    with pytest.raises(Integrity, match="must not"):
        open_bundle(store, trust, manifest_digest, envelope)


def test_an_envelope_of_another_bundle_is_refused(store: ArtifactStore, key: SigningKey, trust: TrustStore) -> None:
    first = write_bundle(store, key, model="m", files=FILES, created_at_us=1)
    second = write_bundle(store, key, model="m", files=FILES, created_at_us=2)
    with pytest.raises(Integrity, match="another bundle"):
        open_bundle(store, trust, first[0], second[1])


def test_an_unknown_signer_is_refused(store: ArtifactStore, trust: TrustStore) -> None:
    digests = write_bundle(store, SigningKey.generate(), model="m", files=FILES, created_at_us=1)
    with pytest.raises(Integrity, match="no trusted signature"):
        open_bundle(store, trust, *digests)


def test_digests_of_other_things_are_no_bundle(store: ArtifactStore, key: SigningKey, trust: TrustStore) -> None:
    _, envelope = write_bundle(store, key, model="m", files=FILES, created_at_us=1)
    text = store.put(b"just text")
    for manifest_digest, envelope_digest in ((text, envelope), (envelope, envelope), (text, text)):
        with pytest.raises(Integrity):
            open_bundle(store, trust, manifest_digest, envelope_digest)


def test_no_files_is_no_bundle(store: ArtifactStore, key: SigningKey) -> None:
    with pytest.raises(InvalidInput):
        write_bundle(store, key, model="m", files={}, created_at_us=1)
