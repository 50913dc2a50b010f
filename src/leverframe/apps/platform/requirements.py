"""What a plan still lacks: asked of the very policies that will decide, and told with what was observed and the command that mends it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from leverframe.apps.platform.looking import Looking
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views.requirements import RequirementView
from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.digest import short
from leverframe.core.errors import Integrity, NotFound
from leverframe.core.model import LINEAGE, SPEC, Lineage, ModelSpec, ModelVersion
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import open_bundle
from leverframe.governance.decision import OWN_POLICY, Decides, OwnPolicy
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.signing import TrustStore
from leverframe.release.planning.planning import ApplyPlan, plan_facts
from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.requirements.exceptions import exceptions_in_force
from leverframe.release.requirements.facts import PPM
from leverframe.release.requirements.observed import KIND_OBSERVED, ObserveBundle, ObservedBundle, card_missing, lineage_missing

Facts = Mapping[str, Any]
APPROVALS_NEEDED = {"low": 1, "high": 2}
"""What the shipped policy asks for; said to people beside the rule, decided by the policy alone."""


@dataclass(frozen=True)
class Told:
    """How a policy is told to people: the fact it rests on, what was observed of it, and what to type when it does not hold."""

    fact: str
    observed: Callable[[Facts], str]
    fix: Callable[[ReleasePlan, Facts], str]


def _approvals(facts: Facts) -> str:
    needed = APPROVALS_NEEDED.get(facts["tier"], 2)
    return f"{facts['approvals_valid']} of {needed} approvals by someone other than {facts['author']}"


def _approve(plan: ReleasePlan, facts: Facts) -> str:
    more = APPROVALS_NEEDED.get(facts["tier"], 2) - facts["approvals_valid"]
    return f"{more} more approval{'s' if more > 1 else ''} by someone other than {plan.author}: lever release approve {short(plan.digest)}"


def _model(plan: ReleasePlan) -> str:
    return plan.candidate.version.partition("@v")[0]


def _missing(facts: Facts, name: str) -> str:
    return f"missing: {', '.join(facts[name])}" if facts[name] else "complete"


TOLD: dict[str, Told] = {
    "apply-gates-passed": Told("gates", lambda f: f"gates are {f['gates']}", lambda p, f: f"lever models show {p.candidate.version}"),
    "apply-low-risk": Told("approvals_valid", _approvals, _approve),
    "apply-high-risk": Told("approvals_valid", _approvals, _approve),
    "apply-not-frozen": Told(
        "frozen", lambda f: "releases are frozen" if f["frozen"] else "not frozen", lambda p, f: f"lever unfreeze {p.endpoint}, or wait"
    ),
    "evidence-signed": Told(
        "signed",
        lambda f: "verified" if f["signed"] else "the bundle could not be opened and verified",
        lambda p, f: f"lever models show {p.candidate.version}; then train or import it again",
    ),
    "evidence-owner": Told(
        "owner",
        lambda f: "named" if f["owner"] else "no owner",
        lambda p, f: f"set owner of model {_model(p)}, then: lever apply PROJECT_DIR",
    ),
    "evidence-runbook": Told(
        "runbook",
        lambda f: "named" if f["runbook"] else "no runbook",
        lambda p, f: f"set runbook of model {_model(p)}, then: lever apply PROJECT_DIR",
    ),
    "evidence-card": Told(
        "card_missing",
        lambda f: _missing(f, "card_missing"),
        lambda p, f: f"set {', '.join(f['card_missing'])} of model {_model(p)}, then: lever apply PROJECT_DIR; lever train {_model(p)}",
    ),
    "evidence-reproducible": Told(
        "lineage_missing",
        lambda f: _missing(f, "lineage_missing") if f["lineage_missing"] else "code, data and environment are recorded",
        lambda p, f: f"lever train {_model(p)}, which records them",
    ),
    "evidence-incident": Told(
        "incidents_open",
        lambda f: f"{f['incidents_open']} open incidents of severity 1 or 2",
        lambda p, f: f"close the incidents of {p.endpoint}: lever diagnose {p.endpoint}",
    ),
    "evidence-alert": Told(
        "alerts_open", lambda f: f"{f['alerts_open']} open pages", lambda p, f: f"lever alerts --open; lever diagnose {p.endpoint}"
    ),
    "evidence-budget": Told(
        "error_budget_left_ppm",
        lambda f: f"{f['error_budget_left_ppm'] / PPM:.0%} of the error budget left",
        lambda p, f: f"wait until it recovers; what burnt it: lever diagnose {p.endpoint}",
    ),
}
"""Every shipped rule of a plan's readiness by its policy id. A rule of an installation's own is told by its reason alone."""


def observe(ledger: Ledger, artifacts: ArtifactStore, trust: TrustStore, version: ModelVersion) -> None:
    """Open the version's bundle once and record what is in it; one that cannot be verified leaves no record, and so is not signed."""
    seen = ledger.get(KIND_OBSERVED, version.bundle, ObservedBundle)
    if seen is not None and seen.envelope == version.envelope:
        return
    try:
        bundle = open_bundle(artifacts, trust, version.bundle, version.envelope)
        spec = msgspec.json.decode(bundle.read(SPEC), type=ModelSpec)
        lineage = msgspec.json.decode(bundle.read(LINEAGE), type=Lineage)
    except (Integrity, NotFound):
        return
    command = ObserveBundle(
        bundle=version.bundle,
        envelope=version.envelope,
        signed=True,
        card_missing=card_missing(spec),
        lineage_missing=lineage_missing(lineage),
    )
    ledger.write(PLATFORM, command, key=f"observe/{version.bundle}/{version.envelope}"[:200])


class Requirements:
    """Rules of plans, as the policies in force decide them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def observe(self, version: ModelVersion) -> None:
        """See :func:`observe`."""
        observe(self._parts.ledger, self._parts.artifacts, self._parts.trust, version)

    def of(self, plan: ReleasePlan, *, unmet_only: bool = False) -> tuple[RequirementView, ...]:
        """Every rule that this plan must meet, those that do not hold first; ``unmet_only``: none but those.

        Which rules its tier must meet is asked too: one that would not hold it up without its fact is not required.
        """
        parts = self._parts
        asking = Actor(subject="somebody", roles=("engineer",), teams=(plan.team,))
        now_us = parts.clock.now_us()
        facts = dict(plan_facts(ApplyPlan(plan=plan.digest, owner_team=plan.team), Looking(parts.ledger, asking, now_us)))
        granters = {granted.rule: granted.granter for granted in exceptions_in_force(parts.ledger, plan, now_us)}
        policy = self._policy()
        denied = dict(self._denied(policy, asking, plan, facts))
        found = [
            RequirementView(
                rule=rule,
                reason=denied[rule],
                holds=False,
                observed=TOLD[rule].observed(facts) if rule in TOLD else "",
                fix=TOLD[rule].fix(plan, facts) if rule in TOLD else f"lever policy why Release.Apply plan/{plan.digest}",
            )
            for rule in sorted(denied, key=_order)
        ]
        for rule, told in TOLD.items() if not unmet_only else ():
            without = {name: value for name, value in facts.items() if name not in (told.fact, "excepted")}
            reason = dict(self._denied(policy, asking, plan, without)).get(rule)
            if rule not in denied and reason is not None:
                granter = granters.get(rule, "")
                found.append(RequirementView(rule=rule, reason=reason, holds=True, observed=told.observed(facts), excepted_by=granter))
        return tuple(found)

    def _policy(self) -> Decides:
        own = tuple(policy.text for policy in self._parts.ledger.find(OWN_POLICY, OwnPolicy))
        return self._parts.policy.with_own(own)

    def _denied(self, policy: Decides, asking: Actor, plan: ReleasePlan, facts: Facts) -> list[tuple[str, str]]:
        decision = policy.decide(asking, "Release.Apply", f"plan/{plan.digest}", plan.team, facts)
        return [] if decision.allowed else list(zip(decision.policy_ids, decision.reasons, strict=False))


def _order(rule: str) -> int:
    known = list(TOLD)
    return known.index(rule) if rule in known else len(known)


def sentences(requirements: tuple[RequirementView, ...]) -> tuple[str, ...]:
    """What is missing, a sentence a rule: what was observed, and the command that mends it."""
    return tuple(
        each.fix if "more approval" in each.fix else f"{each.observed or each.reason}: {each.fix}"
        for each in requirements
        if not each.holds
    )
