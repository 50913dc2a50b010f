"""What the platform saw in a bundle when it opened it: facts about bytes, recorded by their digest and never by anybody's word."""

from typing import ClassVar

import msgspec

from leverframe.core.command import Command, Transaction
from leverframe.core.digest import Digest, check_digest
from leverframe.core.model import IMPORTED, Lineage, ModelSpec

KIND_OBSERVED = "observed_bundle"

_UNSTATED = ("", "none yet")


class ObservedBundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle as opened and verified by the platform at ``at_us``.

    ``signed``: manifest and every file were checked against a trusted signature. ``card_missing``: sections of the model card that the
    owner left unsaid. ``lineage_missing``: what is not recorded of how it was made, so that it cannot be made again.
    """

    bundle: Digest
    envelope: Digest
    signed: bool
    card_missing: tuple[str, ...]
    lineage_missing: tuple[str, ...]
    at_us: int


class ObserveBundle(Command, frozen=True, kw_only=True):
    """Record what was seen in a bundle; only the platform does, which opened it."""

    action: ClassVar[str] = "Release.Observe"
    bundle: Digest
    envelope: Digest
    signed: bool
    card_missing: tuple[str, ...]
    lineage_missing: tuple[str, ...]

    def resource(self) -> str:
        """``bundle/<digest>``."""
        return f"bundle/{self.bundle}"


def observe_bundle(command: ObserveBundle, tx: Transaction) -> dict[str, str]:
    """Put the observation.

    Raises
    ------
    InvalidInput: a digest is malformed.
    """
    check_digest(command.bundle)
    fields = {name: getattr(command, name) for name in command.__struct_fields__}
    tx.put(KIND_OBSERVED, command.bundle, ObservedBundle(**fields, at_us=tx.now_us))
    return {"bundle": command.bundle}


def card_missing(spec: ModelSpec) -> tuple[str, ...]:
    """Sections of the card that its owner left unsaid.

    >>> from leverframe.core.model import ModelSpec
    >>> card_missing(ModelSpec(name="m", description="d", owner="o", team="t", runbook="r", dataset="x", label="y", request=()))
    ('intended_use', 'limitations')
    """
    return tuple(name for name in ("description", "intended_use", "limitations") if getattr(spec, name).strip() in _UNSTATED)


def stated(text: str) -> str:
    """``text``, or nothing when it says that there is none yet."""
    return "" if text.strip() in _UNSTATED else text.strip()


def lineage_missing(lineage: Lineage) -> tuple[str, ...]:
    """What would be needed to make the version again and is not recorded; all of it for a version that was made elsewhere."""
    if lineage.run_id == IMPORTED:
        return ("code", "data", "parameters")
    recorded = {
        "code": bool(lineage.code_commit and lineage.code_digest),
        "data": bool(lineage.snapshots and lineage.training_set),
        "environment": bool(lineage.environment_digest),
    }
    return tuple(name for name, there in recorded.items() if not there)
