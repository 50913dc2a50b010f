"""The list of a snapshot's parts. Its digest is the snapshot's name, so a list that was changed is another snapshot (decision 0026)."""

from collections.abc import Sequence

import msgspec

from leverframe.core.dataset import SnapshotPart
from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.errors import Integrity

PARTS_MAX = 256
"""A snapshot with more parts is appended to by joining small neighbours."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot consists of; ``columns`` are (name, physical type)."""

    contract_digest: Digest
    columns: tuple[tuple[str, str], ...]
    parts: tuple[SnapshotPart, ...]
    format: str = "leverframe.snapshot/1"


def manifest_bytes(contract_digest: Digest, columns: Sequence[tuple[str, str]], parts: Sequence[SnapshotPart]) -> bytes:
    """The one byte form of a manifest."""
    return canonical_json(Manifest(contract_digest=contract_digest, columns=tuple(columns), parts=tuple(parts)))


def read_manifest(data: bytes, digest: Digest) -> Manifest:
    """The manifest called ``digest``.

    Raises
    ------
    Integrity: the bytes are not those of that name, or no manifest.
    """
    if digest_bytes(data) != digest:
        raise Integrity("the manifest is damaged or was replaced", where=digest, next_step="restore the artifact store")
    try:
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Integrity("not a manifest", where=digest, next_step="restore the artifact store") from error
