"""Signatures over bytes: Ed25519 keys, and DSSE envelopes that carry payload, type and signature together.

Source: Dead Simple Signing Envelope v1 (secure-systems-lab/dsse, ``protocol.md`` and ``envelope.md``); decision 0002.
"""

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from leverframe.core.errors import Integrity, Refused
from leverframe.governance.durable_files import make_folder, unavailable, write_durably

PRIVATE_KEY_FILE = "signing.key"
PUBLIC_KEY_FILE = "signing.pub"
SIGNATURES_MAX = 16
"""An envelope with more signatures is refused before any of them is checked."""


class _Signature(msgspec.Struct, frozen=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: tuple[_Signature, ...]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: type and payload, each with its length, so that no two pairs collide.

    >>> pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id_of(public_key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw public key, hex: a hint which key to try, never a proof."""
    return hashlib.sha256(public_key.public_bytes_raw()).hexdigest()


class SigningKey:
    """A private key that signs payloads into DSSE envelopes."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self._public_key = private_key.public_key()
        self.key_id = key_id_of(self._public_key)

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key, only in memory."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def public_pem(self) -> bytes:
        """The public half, PEM (SubjectPublicKeyInfo)."""
        return self._public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def private_pem(self) -> bytes:
        """The private half, PEM (PKCS #8, not encrypted): only ever written to a file nobody else may read."""
        return self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """The DSSE envelope (JSON) of ``payload``; the same input gives the same bytes.

        >>> key = SigningKey.generate()
        >>> TrustStore([key.public_pem]).verify(key.sign("text/plain", b"proceed"), "text/plain")
        b'proceed'
        """
        signature = self._private_key.sign(pre_authentication_encoding(payload_type, payload))
        signatures = (_Signature(self.key_id, base64.b64encode(signature).decode()),)
        return msgspec.json.encode(_Envelope(base64.b64encode(payload).decode(), payload_type, signatures))

    def detached(self, data: bytes) -> bytes:
        """The bare Ed25519 signature over ``data`` (64 bytes), for formats that carry payload and signature apart."""
        return self._private_key.sign(data)


class TrustStore:
    """The public keys whose signatures count."""

    def __init__(self, public_pems: Iterable[bytes]) -> None:
        """Raises Integrity if one of ``public_pems`` is not an Ed25519 public key in PEM."""
        self._keys = {key_id_of(key): key for key in map(_public_key, public_pems)}

    @classmethod
    def from_folder(cls, folder: Path) -> "TrustStore":
        """Trust every ``*.pub`` file in ``folder``."""
        try:
            return cls([path.read_bytes() for path in sorted(folder.glob("*.pub"))])
        except OSError as error:
            raise unavailable(error, str(folder)) from error

    def __len__(self) -> int:
        return len(self._keys)

    def verify(self, envelope: bytes, payload_type: str) -> bytes:
        """The payload of ``envelope`` if a trusted key signed it as ``payload_type``.

        Raises
        ------
        Integrity: not an envelope, another type, no trusted signature, or bytes changed since signing.
        """
        try:
            parsed = msgspec.json.decode(envelope, type=_Envelope)
            payload = base64.b64decode(parsed.payload, validate=True)
            signatures = [(s.keyid, base64.b64decode(s.sig, validate=True)) for s in parsed.signatures[:SIGNATURES_MAX]]
        except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
            raise Integrity("not a DSSE envelope", where="envelope", expected="payload, payloadType, signatures") from error
        if parsed.payload_type != payload_type:
            raise Integrity("signed as something else", where="envelope", expected=payload_type, got=parsed.payload_type[:100])
        if len(parsed.signatures) > SIGNATURES_MAX:
            raise Integrity("too many signatures", where="envelope", expected=f"at most {SIGNATURES_MAX}", got=str(len(parsed.signatures)))
        signed = pre_authentication_encoding(payload_type, payload)
        if any(key_id in self._keys and _holds(self._keys[key_id], signature, signed) for key_id, signature in signatures):
            return payload
        raise Integrity(
            "no trusted signature",
            where="envelope",
            expected=f"a signature by one of {len(self._keys)} trusted keys",
            got=", ".join(key_id[:12] for key_id, _ in signatures) or "none",
            next_step="add the signer's .pub file to the trusted keys, if it should be trusted",
        )


def load_or_create(folder: Path) -> SigningKey:
    """The signing key kept in ``folder``; made, with its public file beside it, when there is none yet.

    Raises
    ------
    Refused: the private key file can be read by anyone but its owner.  Integrity: the file is not a key.  Unavailable: it cannot be read.
    """
    path = folder / PRIVATE_KEY_FILE
    try:
        make_folder(folder)
    except OSError as error:
        raise unavailable(error, str(folder)) from error
    if not path.exists():
        # When another process makes it between our look and our write, its key is the key.
        with suppress(FileExistsError):
            write_durably(path, SigningKey.generate().private_pem, mode=0o600, replace=False)
    key = _load(path)
    public_path = folder / PUBLIC_KEY_FILE
    if not public_path.exists() or public_path.read_bytes() != key.public_pem:
        write_durably(public_path, key.public_pem)
    return key


def _load(path: Path) -> SigningKey:
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o077:
            raise Refused(
                "the private key can be read by others",
                where=path.name,
                expected="mode 0600",
                got=f"mode {mode:04o}",
                next_step=f"chmod 600 {path}; if others had access to this machine, make a new key",
            )
        private_key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise unavailable(error, path.name) from error
    except (ValueError, TypeError) as error:
        raise Integrity("not a private key", where=path.name, expected="PEM, PKCS #8, Ed25519, no password") from error
    if not isinstance(private_key, Ed25519PrivateKey):
        raise Integrity("not an Ed25519 key", where=path.name, expected="Ed25519", got=type(private_key).__name__)
    return SigningKey(private_key)


def _public_key(pem: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError) as error:
        raise Integrity("not a public key", where="trusted keys", expected="PEM, Ed25519") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Integrity("not an Ed25519 key", where="trusted keys", expected="Ed25519", got=type(key).__name__)
    return key


def _holds(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
