"""What each tier must show before a release starts, decided by the shipped policy on records, and what an exception lifts."""

import msgspec
import pytest
from tests.faults.test_release_two_persons import ADMIN, AUTHOR, ENGINEER, ONE, OUTSIDER, ROBOT, TWO, Office
from tests.release.harness import NAME, TEAM, Register, version

from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.alert import Alert, Signal
from leverframe.core.clock import DAY_US
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import Forbidden, InvalidInput, NotFound
from leverframe.core.model import Lineage, ModelSpec
from leverframe.governance.policy import Policy
from leverframe.release.commands import ApplyPlan, GrantException, ObserveBundle, WithdrawException
from leverframe.release.requirements.exceptions import EXCEPTABLE, EXCEPTION_EXPIRES_MAX_US
from leverframe.release.requirements.observed import KIND_OBSERVED, ObservedBundle, lineage_missing

OLGA = Actor(subject="olga", roles=("operator",), teams=(TEAM,))


class Put(Command, frozen=True, kw_only=True):
    """Puts any record, as another room would."""

    action = "Test.Register"
    kind: str
    id: str
    record: dict

    def resource(self) -> str:
        return "record/x"


def _put(command: Put, tx: Transaction) -> None:
    tx.put(
        command.kind, command.id, msgspec.convert(command.record, msgspec.defstruct("R", [(n, type(v)) for n, v in command.record.items()]))
    )


def office(tier: str = "high", *, approved: bool = True) -> Office:
    """A plan of this tier with every approval and all evidence."""
    made = Office(tier=tier)
    made.rig.journal._registry._handlers[Put] = Handles(command=Put, run=_put)
    if approved:
        made.approve(ONE)
        made.approve(TWO)
    return made


def put(made: Office, kind: str, id: str, record: object) -> None:
    made.rig.write(ADMIN, Put(kind=kind, id=id, record={k: v for k, v in msgspec.to_builtins(record).items() if v is not None}))


def _no_owner(made: Office) -> None:
    _declare(made, owner=" ")


def _no_runbook(made: Office) -> None:
    _declare(made, runbook="none yet")


def _declare(made: Office, **fields: str) -> None:
    held = made.rig.journal.get("model", NAME, ModelSpec)
    put(made, "model", NAME, msgspec.structs.replace(held, **fields))


def _observe(made: Office, **fields: object) -> None:
    held = made.rig.journal.get(KIND_OBSERVED, version(1).bundle, ObservedBundle)
    asked = {name: getattr(held, name) for name in ("bundle", "envelope", "signed", "card_missing", "lineage_missing")} | fields
    made.rig.write(PLATFORM, ObserveBundle(**asked))


def _unsigned(made: Office) -> None:
    _observe(made, signed=False)


def _signature_of_another_envelope(made: Office) -> None:
    _observe(made, envelope="sha256:" + "e" * 64)


def _card(made: Office) -> None:
    _observe(made, card_missing=("limitations",))


def _lineage(made: Office) -> None:
    _observe(made, lineage_missing=("code",))


def _incident(made: Office, severity: int = 2, endpoint: str = NAME) -> None:
    put(made, "incident", "i1", msgspec.defstruct("I", ["endpoint", "severity"])(endpoint, severity))


def _page(made: Office, severity: str = "page") -> None:
    signal = Signal(kind="errors", subject="x", observed=1.0, threshold=0.5, window=(0, 1))
    put(
        made,
        "alert",
        f"{NAME}/g/1",
        Alert(id=f"{NAME}/g/1", group="g", endpoint=NAME, severity=severity, title="t", opened_at_us=1, signals=(signal,)),
    )


def _budget(made: Office, left: float = 0.0) -> None:
    put(made, "error_budget", NAME, msgspec.defstruct("B", ["left"])(left))


LACKS = {
    "evidence-signed": (_unsigned, {"low", "high"}),
    "evidence-owner": (_no_owner, {"low", "high"}),
    "evidence-incident": (_incident, {"low", "high"}),
    "evidence-runbook": (_no_runbook, {"high"}),
    "evidence-card": (_card, {"high"}),
    "evidence-reproducible": (_lineage, {"high"}),
    "evidence-alert": (_page, {"high"}),
    "evidence-budget": (_budget, {"high"}),
}
"""Rule to what breaks it, and the tiers that ask for it: the table of ``35-evidence.cedar``."""


@pytest.mark.parametrize("tier", ["low", "high"])
@pytest.mark.parametrize("rule", LACKS)
def test_each_tier_asks_for_exactly_its_evidence(rule: str, tier: str) -> None:
    made = office(tier)
    lack, tiers = LACKS[rule]
    lack(made)
    if tier in tiers:
        with pytest.raises(Forbidden) as caught:
            made.apply()
        assert rule in caught.value.expected
        assert not made.live()
    else:
        made.apply()
        assert made.live()


def test_every_evidence_rule_that_is_shipped_is_tried_here() -> None:
    assert {id for id in Policy().policy_ids if id.startswith("evidence-")} == set(LACKS)
    assert set(EXCEPTABLE) == set(LACKS) - {"evidence-signed"}


def test_without_the_lack_it_starts() -> None:
    """The negative control of the table above."""
    made = office()
    made.apply()
    assert made.live()


@pytest.mark.parametrize(
    "harmless",
    [
        lambda made: _incident(made, severity=3),
        lambda made: _incident(made, severity=1, endpoint="another"),
        lambda made: _page(made, severity="ticket"),
        lambda made: _budget(made, left=0.01),
    ],
)
def test_what_is_no_reason_does_not_hold_a_release_up(harmless: object) -> None:
    made = office()
    harmless(made)  # type: ignore[operator]
    made.apply()
    assert made.live()


def test_a_bundle_that_was_never_opened_is_not_signed() -> None:
    made = Office(tier="low")
    made.rig.write(ADMIN, Register(record=version(2, tier="low"), evidence=False))
    _signature_of_another_envelope(made)
    with pytest.raises(Forbidden, match="verified byte for byte"):
        made.apply(PLATFORM)


def test_only_the_platform_says_what_is_in_a_bundle() -> None:
    made = office()
    asked = ObserveBundle(bundle=version(1).bundle, envelope=version(1).envelope, signed=True, card_missing=(), lineage_missing=())
    for actor in (ADMIN, AUTHOR, ENGINEER, ONE, OLGA, ROBOT):
        with pytest.raises(Forbidden):
            made.rig.write(actor, asked)


# Exceptions ------------------------------------------------------------------------------------------------------


def grant(made: Office, actor: Actor = ONE, rule: str = "evidence-card", **fields: object) -> None:
    made.rig.write(actor, GrantException(**{"plan": made.plan, "rule": rule, "owner_team": TEAM, "reason": "being written", **fields}))


@pytest.mark.parametrize("rule", EXCEPTABLE)
def test_an_exception_lifts_its_rule_on_its_plan_and_no_other(rule: str) -> None:
    made = office()
    LACKS[rule][0](made)
    other = next(each for each in EXCEPTABLE if each != rule)
    grant(made, rule=other)
    with pytest.raises(Forbidden):
        made.apply()
    grant(made, rule=rule)
    made.apply()
    assert made.live()


def test_an_expired_exception_is_none() -> None:
    made = office()
    _card(made)
    grant(made, expires_after_us=DAY_US)
    made.rig.clock.advance(DAY_US)
    with pytest.raises(Forbidden, match="model card"):
        made.apply()


def _withdrawn(made: Office) -> None:
    grant(made)
    made.rig.write(TWO, WithdrawException(plan=made.plan, rule="evidence-card", owner_team=TEAM))


def _granter_lost_the_role(made: Office) -> None:
    from leverframe.governance.commands import RevokeToken

    extra = Actor(subject="third", roles=("approver",), teams=(TEAM,))
    token = made.issue(extra)
    grant(made, extra)
    made.rig.write(ADMIN, RevokeToken(token_id=token))


def _of_another_plan(made: Office) -> None:
    from leverframe.release.commands import PlanRelease

    grant(made)
    again = PlanRelease(environment="prod", endpoint=NAME, version=f"{NAME}@v1", owner_team=TEAM, strategy="initial", note="changed since")
    made.plan = made.rig.write(AUTHOR, again)["plan"]
    made.approve(ONE)
    made.approve(TWO)


@pytest.mark.parametrize("way", [_withdrawn, _granter_lost_the_role, _of_another_plan])
def test_an_exception_that_counts_no_more_lifts_nothing(way: object) -> None:
    made = office()
    _card(made)
    way(made)  # type: ignore[operator]
    with pytest.raises(Forbidden, match="model card"):
        made.apply()
    assert not made.live()


@pytest.mark.parametrize(
    "actor",
    [AUTHOR, ENGINEER, ADMIN, ROBOT, OUTSIDER, OLGA, PLATFORM, msgspec.structs.replace(AUTHOR, roles=("admin", "approver", "platform"))],
    ids=lambda actor: f"{actor.subject}-{len(actor.roles)}",
)
def test_nobody_else_grants_one(actor: Actor) -> None:
    made = office()
    with pytest.raises(Forbidden):
        grant(made, actor)


@pytest.mark.parametrize("rule", ["apply-gates-passed", "apply-high-risk", "apply-not-frozen", "evidence-signed", "approve-not-own", "x"])
def test_gates_signatures_approvals_and_freezes_are_lifted_by_nobody(rule: str) -> None:
    with pytest.raises(InvalidInput, match="no exception lifts this rule"):
        grant(office(), rule=rule)


@pytest.mark.parametrize(
    ("fields", "what"),
    [({"reason": "  "}, "reason"), ({"expires_after_us": EXCEPTION_EXPIRES_MAX_US + 1}, "14 days"), ({"expires_after_us": 0}, "14")],
)
def test_an_exception_has_a_reason_and_an_end(fields: dict, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        grant(office(), **fields)


def test_there_is_none_for_a_plan_that_nobody_wrote() -> None:
    made = office()
    with pytest.raises((NotFound, Forbidden)):
        made.rig.write(ONE, GrantException(plan="sha256:" + "a" * 64, rule="evidence-card", owner_team=TEAM, reason="r"))


def test_broken_glass_waits_for_no_incident_and_still_for_the_rest() -> None:
    made = office(approved=False)
    for lack in (_incident, _page, _budget):
        lack(made)
    _card(made)
    glass = ApplyPlan(plan=made.plan, owner_team=TEAM, break_glass="the live model answers nonsense")
    with pytest.raises(Forbidden, match="model card") as caught:
        made.rig.write(OLGA, glass)
    assert not any(rule in caught.value.expected for rule in ("evidence-incident", "evidence-alert", "evidence-budget"))
    grant(made)
    made.rig.write(OLGA, glass)
    assert made.live()


def test_what_was_made_elsewhere_cannot_be_made_again() -> None:
    whole = Lineage(
        run_id="r",
        code_commit="c",
        code_digest="sha256:c",
        dataset="d",
        snapshots={"d": "sha256:d"},
        training_set="sha256:t",
        feature_views={},
        params={},
        environment_digest="sha256:e",
        seed=0,
        rows_fit=1,
        rows_holdout=1,
        window=("", ""),
    )
    assert lineage_missing(whole) == ()
    assert lineage_missing(msgspec.structs.replace(whole, snapshots={}, code_commit="")) == ("code", "data")
    assert lineage_missing(msgspec.structs.replace(whole, run_id="imported")) == ("code", "data", "parameters")
