"""Tokens: issued once, kept as a hash, expiring, revocable; and who may call a gateway."""

import pytest

from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.clock import DAY_US, ManualClock
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused, Unauthenticated
from leverframe.governance.commands import HANDLERS, IssueToken, RevokeToken, bootstrap
from leverframe.governance.identity import authenticate, callers, holds_role, new_secret, secret_sha256, tokens
from leverframe.governance.ledger.memory import MemoryJournal
from leverframe.governance.policy import Policy

ADMIN = Actor(subject="root", roles=("admin",), teams=("*",))


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal(ManualClock(0), Policy(), HANDLERS)


def issue(
    journal: MemoryJournal, subject: str, *roles: str, actor: Actor = ADMIN, days: int = 1, teams: tuple[str, ...] = ("flights",)
) -> str:
    secret = new_secret()
    command = IssueToken(
        sha256=secret_sha256(secret), subject=subject, roles=roles, teams=teams, issued_at_us=0, expires_at_us=days * DAY_US
    )
    journal.write(actor, command, key=secret_sha256(secret))
    return secret


def test_a_bearer_is_who_the_token_was_issued_to(journal: MemoryJournal) -> None:
    secret = issue(journal, "ada", "engineer", "approver")
    assert authenticate(journal, secret, now_us=1) == Actor(subject="ada", roles=("approver", "engineer"), teams=("flights",))


def test_the_secret_is_nowhere_in_the_ledger(journal: MemoryJournal) -> None:
    secret = issue(journal, "ada", "engineer")
    assert secret not in repr(journal.audit()) + repr(tokens(journal))


@pytest.mark.parametrize("bearer", ["", "lvr_", "nonsense", "lvr_" + "A" * 43, "é" * 47, "x" * 100_000])
def test_what_nobody_issued_is_nobody(journal: MemoryJournal, bearer: str) -> None:
    issue(journal, "ada", "engineer")
    with pytest.raises(Unauthenticated) as caught:
        authenticate(journal, bearer, now_us=0)
    assert not bearer or bearer not in str(caught.value)


def test_a_hash_is_no_secret(journal: MemoryJournal) -> None:
    """Would be wrong if someone who reads the ledger could log in with what it keeps."""
    secret = issue(journal, "ada", "engineer")
    with pytest.raises(Unauthenticated):
        authenticate(journal, secret_sha256(secret), now_us=0)


def test_a_token_expires(journal: MemoryJournal) -> None:
    secret = issue(journal, "ada", "service")
    assert authenticate(journal, secret, now_us=DAY_US - 1).subject == "ada"
    assert len(callers(journal, now_us=DAY_US - 1)) == 1
    with pytest.raises(Unauthenticated, match="expired"):
        authenticate(journal, secret, now_us=DAY_US)
    assert callers(journal, now_us=DAY_US) == ()


def test_a_revoked_token_is_nobody(journal: MemoryJournal) -> None:
    secret = issue(journal, "ada", "engineer")
    token_id = tokens(journal)[0].id
    journal.write(ADMIN, RevokeToken(token_id=token_id), key="revoke")
    with pytest.raises(Unauthenticated, match="no such token"):
        authenticate(journal, secret, now_us=0)
    with pytest.raises(NotFound):
        journal.write(ADMIN, RevokeToken(token_id=token_id), key="again")


def test_only_admins_issue_and_revoke(journal: MemoryJournal) -> None:
    issue(journal, "ada", "engineer")
    for role in ("engineer", "approver", "operator", "auditor", "viewer", "service"):
        actor = Actor(subject="eve", roles=(role,), teams=("*",))
        with pytest.raises(Forbidden):
            issue(journal, "eve", "admin", actor=actor)
        with pytest.raises(Forbidden):
            journal.write(actor, RevokeToken(token_id=tokens(journal)[0].id), key="r")


def test_nobody_is_made_the_platform(journal: MemoryJournal) -> None:
    with pytest.raises(InvalidInput) as caught:
        issue(journal, "platform", "platform", "engineer", days=400, teams=("",))
    assert {fault.where for fault in caught.value.faults} == {"subject", "roles", "teams", "expires_at_us"}, "all faults at once"


def test_the_last_admin_stays(journal: MemoryJournal) -> None:
    issue(journal, "ada", "admin")
    [token] = tokens(journal)
    with pytest.raises(Refused, match="last admin"):
        journal.write(ADMIN, RevokeToken(token_id=token.id), key="r")
    issue(journal, "grace", "admin")
    journal.write(ADMIN, RevokeToken(token_id=token.id), key="r2")
    assert [t.subject for t in tokens(journal)] == ["grace"]


def test_a_secret_is_used_once(journal: MemoryJournal) -> None:
    secret = issue(journal, "ada", "engineer")
    command = IssueToken(sha256=secret_sha256(secret), subject="eve", roles=("admin",), teams=("*",), issued_at_us=0, expires_at_us=1)
    with pytest.raises(Conflict):
        journal.write(ADMIN, command, key="other")


def test_the_first_token_is_made_once(journal: MemoryJournal) -> None:
    secret = bootstrap(journal, now_us=0)
    assert secret is not None
    assert authenticate(journal, secret, now_us=0).roles == ("admin",)
    assert bootstrap(journal, now_us=0) is None
    with pytest.raises(Forbidden):
        issue(journal, "eve", "admin", actor=PLATFORM)


def test_callers_are_those_who_may_predict(journal: MemoryJournal) -> None:
    secrets = {role: issue(journal, role, role) for role in ("service", "viewer", "auditor", "engineer")}
    found = callers(journal, now_us=0)
    assert {caller.subject for caller in found} == {"service", "engineer"}
    assert secret_sha256(secrets["service"]) in {caller.token_sha256 for caller in found}
    assert [caller.token_sha256 for caller in found] == sorted(caller.token_sha256 for caller in found)


def test_a_role_is_held_for_a_team_while_its_token_lives(journal: MemoryJournal) -> None:
    issue(journal, "grace", "approver")
    assert holds_role(journal, "grace", "approver", "flights", now_us=0)
    assert not holds_role(journal, "grace", "approver", "fraud", now_us=0)
    assert not holds_role(journal, "grace", "approver", "flights", now_us=DAY_US)
    assert not holds_role(journal, "ada", "approver", "flights", now_us=0)
    journal.write(ADMIN, RevokeToken(token_id=tokens(journal)[0].id), key="r")
    assert not holds_role(journal, "grace", "approver", "flights", now_us=0)
