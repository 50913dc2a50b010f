"""What the shipped policies permit and forbid, and how a policy set protects itself."""

import pytest

from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.errors import InvalidInput
from leverframe.governance.decision import Fact
from leverframe.governance.policy import Policy, shipped_policies

POLICY = Policy()
READY: dict[str, Fact] = {
    "tier": "low",
    "approvals_valid": 1,
    "gates": "pass",
    "frozen": False,
    "author": "ada",
    "unattended": False,
    "person": True,
    "signed": True,
    "owner": True,
    "runbook": True,
    "card_missing": (),
    "lineage_missing": (),
    "incidents_open": 0,
    "alerts_open": 0,
    "error_budget_left_ppm": 1,
    "excepted": (),
}


def who(*roles: str, subject: str = "ada", teams: tuple[str, ...] = ("flights",), kind: str = "human") -> Actor:
    return Actor(subject=subject, roles=roles, teams=teams, kind=kind)


def may(actor: Actor, action: str, team: str = "flights", **facts: Fact) -> bool:
    return POLICY.decide(actor, action, "thing/x", team, facts).allowed


def denied_by(actor: Actor, action: str, **facts: Fact) -> tuple[str, ...]:
    decision = POLICY.decide(actor, action, "thing/x", "flights", facts)
    assert not decision.allowed
    return decision.policy_ids


def test_nothing_is_permitted_by_default() -> None:
    for action in [*POLICY.actions, "Made.Up"]:
        decision = POLICY.decide(Actor(subject="nobody", teams=("flights",)), action, "thing/x", "flights", READY)
        assert not decision.allowed
        assert decision.reasons


def test_an_action_no_policy_names_is_permitted_to_nobody() -> None:
    everything = who("admin", "approver", "auditor", "engineer", "operator", "service", "viewer", "platform", teams=("*",))
    assert not may(everything, "Made.Up")


READS = {"Platform.Read", "Data.Read", "Lineage.Read", "Features.Read", "Training.Read", "Release.Read", "Monitoring.Read"}
ENGINEER = READS | {
    "Data.ApplyContract",
    "Data.Ingest",
    "Data.Retain",
    "Data.Export",
    "Data.DeclareSource",
    "Features.Apply",
    "Features.Materialize",
    "Features.Forget",
    "Training.ApplyModel",
    "Training.Start",
    "Training.Run",
    "Training.RegisterVersion",
    "Release.Plan",
    "Release.Apply",
    "Release.Rollback",
    "Experiment.Plan",
    "Experiment.Start",
    "Experiment.Stop",
    "Monitoring.SetObjectives",
    "Table.Write",
    "Serving.Score",
}
MATRIX = {
    "viewer": READS,
    "engineer": ENGINEER,
    "approver": READS | {"Audit.Read", "Release.Approve", "Release.Review"} | {"Release.Except"},
    "operator": READS
    | {"Serving.Score", "Audit.Read", "Release.Rollback", "Release.Operate", "Release.Apply", "Monitoring.Alert", "Monitoring.Incident"}
    | {"Experiment.Stop"}
    | {"Monitoring.SetObjectives"}
    | {"Data.Forget", "Features.Forget", "Webhooks.Read", "Webhooks.Manage", "Registries.Manage"},
    "auditor": READS | {"Audit.Read", "Tokens.Read", "Release.Review"},
    "service": READS | {"Data.Ingest", "Serving.Score", "Table.Write"},
    "admin": POLICY.actions
    - {"Experiment.Conclude", "Experiment.Note"}
    - {"Release.Advance", "Release.Approve", "Release.Review", "Data.Collect", "Data.Erase", "Features.RecordParity"}
    - {"Release.Except", "Release.Observe", "Monitoring.Judge", "Registries.Follow"},
    "platform": READS
    | {
        "Audit.Read",
        "Data.Ingest",
        "Data.Retain",
        "Data.Collect",
        "Data.Erase",
        "Features.Materialize",
        "Features.RecordParity",
        "Training.Start",
        "Training.Run",
        "Training.RegisterVersion",
        "Release.Plan",
        "Release.Apply",
        "Release.Advance",
        "Release.Rollback",
        "Experiment.Conclude",
        "Experiment.Note",
        "Monitoring.Alert",
        "Monitoring.Incident",
        "Monitoring.Judge",
        "Registries.Follow",
        "Training.ApplyModel",
        "Release.Observe",
    },
}


@pytest.mark.parametrize("role", MATRIX)
def test_a_role_may_do_exactly_its_part(role: str) -> None:
    actor = who(role, subject="zoe")
    assert {action for action in POLICY.actions if POLICY.decide(actor, action, "thing/x", "flights", READY).allowed} == MATRIX[role]


def test_teams_are_kept_apart() -> None:
    for role in ("viewer", "engineer", "approver", "operator", "service"):
        for action in POLICY.actions:
            assert not POLICY.decide(who(role, subject="zoe"), action, "thing/x", "fraud", READY).allowed
    assert may(who("viewer", teams=("*",)), "Data.Read", team="fraud")
    assert may(who("admin", teams=()), "Data.Ingest", team="fraud")
    assert may(who("auditor", teams=()), "Release.Read", team="fraud")
    assert not may(who("auditor", "engineer"), "Data.Ingest", team="fraud"), "an auditor's reach is for reading only"
    assert may(who("viewer"), "Platform.Read", team="")


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"gates": "fail"}, "apply-gates-passed"),
        ({"gates": "inconclusive"}, "apply-gates-passed"),
        ({"frozen": True}, "apply-not-frozen"),
        ({"approvals_valid": 0}, "apply-low-risk"),
        ({"tier": "high"}, "apply-high-risk"),
        ({"tier": "unheard-of"}, "apply-high-risk"),
        ({"tier": "high", "approvals_valid": 1, "unattended": True}, "apply-high-risk"),
    ],
)
def test_what_keeps_a_release_back(changed: dict[str, Fact], rule: str) -> None:
    for role in ("engineer", "admin", "operator", "platform"):
        assert denied_by(who(role), "Release.Apply", **{**READY, **changed}) == (rule,)


@pytest.mark.parametrize("missing", ["gates", "frozen", "tier", "approvals_valid"])
def test_a_missing_fact_keeps_a_release_back(missing: str) -> None:
    assert denied_by(who("engineer"), "Release.Apply", **{k: v for k, v in READY.items() if k != missing})


def test_what_lets_a_release_go() -> None:
    assert may(who("engineer"), "Release.Apply", **READY)
    assert may(who("engineer", kind="service"), "Release.Apply", **{**READY, "approvals_valid": 0, "unattended": True})
    assert may(who("engineer"), "Release.Apply", **{**READY, "tier": "high", "approvals_valid": 2})


def test_nobody_approves_their_own_plan() -> None:
    """P28: two people."""
    author = who("approver", "admin", "engineer", subject="ada", teams=("*",))
    assert denied_by(author, "Release.Approve", **READY) == ("approve-not-own",)
    assert denied_by(who("approver"), "Release.Approve") == ("approve-not-own",), "an unknown author could be anyone"
    assert denied_by(who("approver"), "Release.Approve", author="") == ("approve-not-own",)
    assert may(who("approver", subject="grace"), "Release.Approve", **READY)
    assert denied_by(who("admin", subject="grace"), "Release.Approve", **READY) == ("approve-needs-role",)


def test_rolling_back_waits_for_nothing() -> None:
    for actor in (who("operator"), who("engineer"), PLATFORM):
        assert may(actor, "Release.Rollback", frozen=True, gates="fail")


def test_the_first_token_only_while_there_is_none() -> None:
    assert may(PLATFORM, "Tokens.Issue", team="", first=True)
    assert not may(PLATFORM, "Tokens.Issue", team="", first=False)
    assert not may(PLATFORM, "Tokens.Issue", team="")


def test_a_decision_names_its_policies_and_says_why() -> None:
    decision = POLICY.decide(who("engineer"), "Data.Ingest", "dataset/x", "flights", {})
    assert decision.policy_ids == ("engineer",)
    decision = POLICY.decide(who("viewer"), "Data.Ingest", "dataset/x", "flights", {})
    assert decision.reasons == ("no policy lets roles viewer do Data.Ingest",)


def test_a_prohibition_that_cannot_be_evaluated_denies() -> None:
    """Cedar itself skips a failing policy: a prohibition that fails would then permit."""
    own = '@id("own") @reason("r") forbid(principal, action, resource) when { context.amount > 10 };'
    policy = Policy((*shipped_policies(), own))
    assert policy.decide(who("viewer"), "Data.Read", "x/1", "flights", {"amount": 1}).allowed
    for facts in ({}, {"amount": "much"}):
        decision = policy.decide(who("viewer"), "Data.Read", "x/1", "flights", facts)
        assert not decision.allowed
        assert "could not be evaluated" in decision.reasons[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("permit(principal, action, resource", "cannot be read"),
        ("permit(principal, action, resource);", "expected an @id"),
        ('@id("x") permit(principal, action, resource);', "expected an @reason"),
        ('@id("read") @reason("again") permit(principal, action, resource);', "same id"),
    ],
)
def test_a_policy_that_does_not_explain_itself_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        Policy((*shipped_policies(), text))


def test_hostile_names_stay_data() -> None:
    for text in ('x"} permit(principal, action, resource);', "\n", "\\", "a" * 5_000, "☃", '", "roles": ["admin'):
        actor = Actor(subject=text, roles=(text,), teams=(text,))
        assert not POLICY.decide(actor, "Data.Ingest", text, text, {"author": text}).allowed
        assert not POLICY.decide(actor, text, text, text, {}).allowed


def test_a_fact_cedar_does_not_know_is_a_programmers_fault() -> None:
    for fact in (1.5, None, {"a": 1}, [1], 2**63):
        with pytest.raises(TypeError):
            POLICY.decide(who("viewer"), "Data.Read", "x/1", "flights", {"f": fact})  # type: ignore[dict-item]
