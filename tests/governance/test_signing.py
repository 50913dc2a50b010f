"""Envelopes, keys and who is trusted."""

import base64
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from leverframe.core.errors import Integrity, Refused
from leverframe.governance.signing import SigningKey, TrustStore, load_or_create

TYPE = "application/x-test"


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate()


def test_the_envelope_has_the_fields_of_the_standard(key: SigningKey) -> None:
    envelope = json.loads(key.sign(TYPE, b"payload"))
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    assert base64.b64decode(envelope["payload"]) == b"payload"
    assert envelope["payloadType"] == TYPE
    assert set(envelope["signatures"][0]) == {"keyid", "sig"}


def test_every_single_bit_counts(key: SigningKey) -> None:
    """Would be wrong if any changed bit of an envelope still gave a payload other than the signed one."""
    envelope = key.sign(TYPE, b"proceed to danger")
    trust = TrustStore([key.public_pem])
    for offset in range(len(envelope)):
        for bit in range(8):
            changed = bytearray(envelope)
            changed[offset] ^= 1 << bit
            try:
                # Bits of the key id are a hint and not signed; some bits of base64 padding mean nothing. The payload never differs.
                assert trust.verify(bytes(changed), TYPE) == b"proceed to danger"
            except Integrity:
                continue


def test_another_key_another_type_or_another_payload_is_refused(key: SigningKey) -> None:
    envelope = key.sign(TYPE, b"payload")
    with pytest.raises(Integrity, match="no trusted signature"):
        TrustStore([SigningKey.generate().public_pem]).verify(envelope, TYPE)
    with pytest.raises(Integrity, match="something else"):
        TrustStore([key.public_pem]).verify(envelope, "application/x-other")
    swapped = json.loads(envelope) | {"payload": base64.b64encode(b"other").decode()}
    with pytest.raises(Integrity, match="no trusted signature"):
        TrustStore([key.public_pem]).verify(json.dumps(swapped).encode(), TYPE)


def test_a_borrowed_key_id_is_no_proof(key: SigningKey) -> None:
    forged = json.loads(SigningKey.generate().sign(TYPE, b"payload"))
    forged["signatures"][0]["keyid"] = key.key_id
    with pytest.raises(Integrity):
        TrustStore([key.public_pem]).verify(json.dumps(forged).encode(), TYPE)


@pytest.mark.parametrize(
    "envelope", [b"", b"{}", b"[]", b"null", b'{"payload":"!","payloadType":"t","signatures":[]}', b"\xff", b"{" * 10_000]
)
def test_what_is_no_envelope_is_refused(key: SigningKey, envelope: bytes) -> None:
    with pytest.raises(Integrity):
        TrustStore([key.public_pem]).verify(envelope, TYPE)


def test_too_many_signatures_are_refused_unchecked(key: SigningKey) -> None:
    envelope = json.loads(key.sign(TYPE, b"x"))
    envelope["signatures"] *= 17
    with pytest.raises(Integrity, match="too many"):
        TrustStore([key.public_pem]).verify(json.dumps(envelope).encode(), TYPE)


def test_the_key_is_made_once_private_and_kept(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "keys")
    assert load_or_create(tmp_path / "keys").key_id == first.key_id
    assert stat.S_IMODE((tmp_path / "keys" / "signing.key").stat().st_mode) == 0o600
    assert TrustStore.from_folder(tmp_path / "keys").verify(first.sign(TYPE, b"x"), TYPE) == b"x"


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_or_create(tmp_path).key_id, range(8)))
    assert len(set(keys)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_key_others_can_read_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    """P33: secure start."""
    load_or_create(tmp_path)
    os.chmod(tmp_path / "signing.key", mode)
    with pytest.raises(Refused, match="read by others") as caught:
        load_or_create(tmp_path)
    assert "chmod 600" in caught.value.next_step


def test_a_damaged_or_foreign_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    path.touch(0o600)
    with pytest.raises(Integrity, match="not a private key"):
        load_or_create(tmp_path)
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(Integrity, match="Ed25519"):
        load_or_create(tmp_path)
    with pytest.raises(Integrity, match="Ed25519"):
        TrustStore([other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)])
    with pytest.raises(Integrity, match="not a public key"):
        TrustStore([b"-----BEGIN"])
