"""History put right: what was live then is told later, beside what was believed before, and never over it."""

import msgspec

from leverframe.core.command import Journal, Transaction
from leverframe.core.errors import InvalidInput, LimitExceeded
from leverframe.release.levers.operate import Operate, endpoint_of
from leverframe.release.records import REASON_CHARS_MAX
from leverframe.release.rollout.routes import next_value

KIND_CORRECTION = "correction"

CORRECTIONS_MAX = 500
"""Corrections of one endpoint; more would mean that its routes are not what answers, which is to be mended and not told."""

_ENDLESS_US = 2**62
"""Later than any date a record has: a correction is never replaced, so its newest revision is its only one."""


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """From ``from_us`` to ``until_us`` not the recorded route answered but ``version`` (empty: nobody), as ``by`` learnt later."""

    id: str
    environment: str
    endpoint: str
    version: str
    from_us: int
    until_us: int
    reason: str
    by: str
    at_us: int


class CorrectHistory(Operate, frozen=True, kw_only=True):
    """Write down what really answered in a time that has passed: an outage, or a switch made past the platform. No route changes."""

    version: str
    from_us: int
    until_us: int


def correct_history(command: CorrectHistory, tx: Transaction) -> dict[str, str]:
    """Put the correction.

    Raises
    ------
    NotFound: no such endpoint.    Forbidden: another team's.    InvalidInput: an empty time, one that has not passed, or no reason.
    LimitExceeded: too many.
    """
    endpoint_of(command, tx)
    where = f"{command.environment}/{command.endpoint}"
    if not command.from_us < command.until_us <= tx.now_us:
        raise InvalidInput(
            "a correction is of a time that has passed",
            where="from, until",
            expected=f"from before until, until no later than {tx.now_us}",
            got=f"{command.from_us} to {command.until_us}",
        )
    number = next_value(tx, f"correction/{where}")
    if number > CORRECTIONS_MAX:
        raise LimitExceeded("too many corrections of one endpoint", where=where, expected=f"at most {CORRECTIONS_MAX}", got=str(number))
    correction = Correction(
        id=f"{where}/{number:06d}",
        environment=command.environment,
        endpoint=command.endpoint,
        version=command.version,
        from_us=command.from_us,
        until_us=command.until_us,
        reason=command.reason[:REASON_CHARS_MAX],
        by=tx.actor.subject,
        at_us=tx.now_us,
    )
    tx.put(KIND_CORRECTION, correction.id, correction)
    return {"correction": correction.id}


def correction_at(journal: Journal, environment: str, endpoint: str, at_us: int, known_us: int | None) -> tuple[Correction, int] | None:
    """The newest correction that holds ``at_us``, of those recorded by ``known_us``, with its audit entry; None when there is none."""
    told = journal.find(KIND_CORRECTION, Correction, prefix=f"{environment}/{endpoint}/")
    for correction in reversed([each for each in told if each.from_us <= at_us < each.until_us]):
        revision = journal.revision_at(KIND_CORRECTION, correction.id, Correction, _ENDLESS_US, known_us=known_us)
        if revision is not None:
            return correction, revision.seq
    return None
