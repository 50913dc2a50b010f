"""What policy asks before a release climbs: the rules that only an exception had lifted when it started."""

from collections.abc import Mapping
from typing import Any

from leverframe.core.command import Transaction
from leverframe.core.model import ModelVersion, version_id_of
from leverframe.release.records import KIND_MODEL_VERSION, KIND_RELEASE, Release
from leverframe.release.requirements.facts import evidence_facts
from leverframe.release.rollout.rollout import AdvanceRelease, get_release


def advance_facts(command: AdvanceRelease, tx: Transaction) -> Mapping[str, Any]:
    """The facts of evidence as they are now, and ``lapsed``: rules excepted at the start whose exception has ended since.

    The evidence policies hold a climb up for exactly those, unless the rule holds by itself by now.
    """
    release = tx.get(KIND_RELEASE, command.release, Release)
    if release is None or not release.excepted:
        return {"lapsed": []}
    _, plan = get_release(tx, release.id)
    facts = evidence_facts(tx, plan)
    version = tx.get(KIND_MODEL_VERSION, version_id_of(plan.candidate.version), ModelVersion)
    lapsed = sorted(set(release.excepted) - set(facts["excepted"]))
    return {"tier": version.risk_tier if version is not None else plan.risk_tier, "lapsed": lapsed} | facts
