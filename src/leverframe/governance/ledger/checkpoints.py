"""Signed statements "the chain's entry n has hash h": kept off the host, they make a rewritten or shortened chain visible."""

from collections.abc import Sequence

import msgspec

from leverframe.core.digest import canonical_json
from leverframe.core.errors import Integrity
from leverframe.governance.signing import SigningKey, TrustStore

CHECKPOINT_TYPE = "application/vnd.leverframe.checkpoint+json"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """At ``at_us`` the chain had ``seq`` entries and the last had ``hash``, which covers all before it."""

    seq: int
    hash: str
    at_us: int


def sign_checkpoint(key: SigningKey, checkpoint: Checkpoint) -> bytes:
    """The checkpoint in a DSSE envelope."""
    return key.sign(CHECKPOINT_TYPE, canonical_json(checkpoint))


def read_checkpoint(trust: TrustStore, envelope: bytes) -> Checkpoint:
    """The checkpoint in ``envelope``.

    Raises
    ------
    Integrity: not signed by a trusted key, or not a checkpoint.
    """
    try:
        return msgspec.json.decode(trust.verify(envelope, CHECKPOINT_TYPE), type=Checkpoint)
    except msgspec.MsgspecError as error:
        raise Integrity("not a checkpoint", where="checkpoint", got=str(error)) from error


def read_checkpoints(trust: TrustStore, envelopes: Sequence[bytes]) -> dict[int, Checkpoint]:
    """Checkpoints by sequence number.

    Raises
    ------
    Integrity: one is not genuine, or two name different hashes for one entry (the chain was forked).
    """
    found: dict[int, Checkpoint] = {}
    for envelope in envelopes:
        checkpoint = read_checkpoint(trust, envelope)
        if found.setdefault(checkpoint.seq, checkpoint).hash != checkpoint.hash:
            raise Integrity("two genuine checkpoints disagree: the chain was forked", where=f"entry {checkpoint.seq}")
    return found
