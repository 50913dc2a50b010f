"""Every error Leverframe raises on purpose.

::

    LeverframeError                 code "internal"
    ├── InvalidInput                "invalid_input"       the caller sent something that cannot be accepted
    │   ├── ContractViolation       "contract_violation"  rows break their data contract
    │   ├── SchemaMismatch          "schema_mismatch"     dtype, shape, column or feature differs from the signature
    │   └── LimitExceeded           "limit_exceeded"      larger, deeper or longer than the declared bound
    ├── Unauthenticated             "unauthenticated"     no or unknown token
    ├── Forbidden                   "forbidden"           policy says no
    ├── NotFound                    "not_found"           no such thing, at that moment
    ├── Conflict                    "conflict"            someone else changed it first, or the key was used before
    ├── Refused                     "refused"             a rule of the road is not met (gate, approval, freeze)
    ├── Integrity                   "integrity"           bytes are not what their digest or signature says
    └── Unavailable                 "unavailable"         a store, model or process is not there now
        ├── Overloaded              "overloaded"          shed on purpose, try again
        └── DeadlineExceeded        "deadline_exceeded"   the caller's time ran out

A refused *model* is not an error: a failed gate is a :class:`leverframe.core.verdict.Verdict`.
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a request or a file; all faults are reported at once."""

    where: str
    what: str
    expected: str = ""
    got: str = ""


def expectation(expected: str, got: str) -> str:
    """The two sides of a disagreement, as far as they are known.

    >>> expectation("1 to 9", "12"), expectation("a new file", ""), expectation("", "No such file")
    ('expected 1 to 9, got 12', 'expected a new file', 'got No such file')
    """
    return ", ".join(filter(None, (f"expected {expected}" if expected else "", f"got {got}" if got else "")))


class LeverframeError(Exception):
    """An operating fault: what, where, expected and got, and the next command to type.

    Parameters
    ----------
    what: one sentence without secrets and without values of personal columns.
    where: the thing concerned (model, column, route, file name).
    expected, got: the two sides of the disagreement, when there is one.
    next_step: a command or an action the reader can take now.
    faults: every single fault, when there are several.
    """

    code: ClassVar[str] = "internal"
    usual_next_step: ClassVar[str] = "look into the log of the process that answered"
    """What to do when whoever raised it knew nothing better: no refusal leaves a person without a next step."""

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        expected: str = "",
        got: str = "",
        next_step: str = "",
        faults: Sequence[Fault] = (),
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.got = got
        self.next_step = next_step
        self.faults = tuple(faults)
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """The whole fault as one line of text."""
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.expected or self.got:
            parts.append(expectation(self.expected, self.got))
        text = "; ".join(parts)
        if self.next_step:
            text = f"{text.rstrip('.')}. Next: {self.next_step}"
        return text

    def to_dict(self) -> dict[str, object]:
        """The one JSON shape of an error, the same at every door (``error`` is the sentence)."""
        return {
            "error": self.sentence(),
            "code": self.code,
            "where": self.where,
            "expected": self.expected,
            "got": self.got,
            "next": self.next_step or self.usual_next_step,
            "faults": [msgspec.to_builtins(fault) for fault in self.faults],
        }


class InvalidInput(LeverframeError):
    """The caller sent something that cannot be accepted."""

    code = "invalid_input"
    usual_next_step = "correct what is named here and send it again"


class ContractViolation(InvalidInput):
    """Rows break their data contract."""

    code = "contract_violation"


class SchemaMismatch(InvalidInput):
    """A dtype, shape, column or feature differs from the signature."""

    code = "schema_mismatch"


class LimitExceeded(InvalidInput):
    """Larger, deeper or longer than the declared bound."""

    code = "limit_exceeded"
    usual_next_step = "send less at once"


class Unauthenticated(LeverframeError):
    """No token, or one nobody issued."""

    code = "unauthenticated"
    usual_next_step = "lever login URL --token TOKEN"


class Forbidden(LeverframeError):
    """The policy does not permit this actor to do this."""

    code = "forbidden"
    usual_next_step = "ask an admin of the owning team"


class NotFound(LeverframeError):
    """No such thing, at that moment."""

    code = "not_found"
    usual_next_step = "check the name: lever status lists what there is"


class Conflict(LeverframeError):
    """Someone else changed it first, or the idempotency key was used for another command."""

    code = "conflict"
    usual_next_step = "read the state as it is now, then decide again"


class Refused(LeverframeError):
    """A rule of the road is not met: a gate, an approval, a freeze."""

    code = "refused"
    usual_next_step = "meet the rule named here, then repeat"


class Integrity(LeverframeError):
    """Bytes are not what their digest, signature or chain says."""

    code = "integrity"
    usual_next_step = "restore the original bytes, then repeat"


class Unavailable(LeverframeError):
    """A store, a model or a process is not there now."""

    code = "unavailable"
    usual_next_step = "lever doctor"


class Overloaded(Unavailable):
    """Shed on purpose because a bound was reached."""

    code = "overloaded"
    usual_next_step = "try again in a few seconds"


class QuotaExceeded(Overloaded):
    """More than the caller, its tenant or the endpoint is entitled to."""

    code = "quota_exceeded"
    usual_next_step = "slow down, or ask the platform's operators for a larger quota"


class DeadlineExceeded(Unavailable):
    """The caller's time ran out before the work could be finished."""

    code = "deadline_exceeded"
    usual_next_step = "read the state, then repeat"
