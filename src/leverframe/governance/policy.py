"""Permission as text: Cedar policies, parsed once, asked at one place. Default deny, and an error in a policy denies.

Every policy has an ``@id`` (it comes back in the decision and goes into the audit entry) and a ``@reason`` a person understands.
Owner of cedarpy. Source: Cedar policy language reference, "Authorization".
"""

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import cedarpy
import msgspec

from leverframe.core.actor import Actor
from leverframe.core.errors import InvalidInput
from leverframe.governance.decision import Decision, Fact

_ACTION = re.compile(r'Action::"([^"]+)"')
_ID = re.compile(r'^@id\("([^"]+)"\)', re.MULTILINE)
_INT64 = 2**63
EXTENDED_MAX = 8
"""Parsed sets kept: as many as there are own policies while one is being tried."""


def shipped_policies() -> tuple[str, ...]:
    """The policy files that come with the platform, in the order of their names."""
    folder = files("leverframe.governance") / "policies"
    return tuple(path.read_text() for path in sorted(folder.iterdir(), key=lambda p: p.name) if path.name.endswith(".cedar"))


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True):
    """One policy of a file: what comes back in decisions (``id``), whether it permits or forbids, and why, in words."""

    id: str
    effect: str
    reason: str


def rules_in(text: str) -> tuple[PolicyRule, ...]:
    """The policies of a Cedar text, in its order.

    Raises
    ------
    InvalidInput: it does not parse.

    >>> rules_in('@id("a") @reason("because") forbid (principal, action, resource);')
    (PolicyRule(id='a', effect='forbid', reason='because'),)
    """
    parsed = _parsed(text).to_pst().static_policies.values()
    found = {rule.annotations.get("id", ""): rule for rule in parsed}
    ordered = (found[id] for id in _ID.findall(text) if id in found)
    return tuple(
        PolicyRule(id=rule.annotations["id"], effect=str(rule.effect), reason=rule.annotations.get("reason", "")) for rule in ordered
    )


def _parsed(text: str) -> cedarpy.PolicySet:
    try:
        return cedarpy.PolicySet.from_str(text)
    except ValueError as error:
        raise InvalidInput("the policies cannot be read", where="policies", got=str(error)[:300]) from error


class Policy:
    """Decides by Cedar policies.

    Parameters
    ----------
    texts: Cedar policy files; the shipped ones when None. Pass ``(*shipped_policies(), own)`` to add to them.

    Raises
    ------
    InvalidInput: a text does not parse, a policy lacks ``@id`` or ``@reason``, or two have the same id.
    """

    def __init__(self, texts: Sequence[str] | None = None) -> None:
        self._texts = tuple(shipped_policies() if texts is None else texts)
        self._extended: dict[tuple[str, ...], Policy] = {}
        text = "\n".join(self._texts)
        self._policies = _parsed(text)
        parsed = self._policies.to_pst().static_policies
        self._annotations: dict[str, Mapping[str, str]] = {name: policy.annotations for name, policy in parsed.items()}
        self._check_annotations()
        self.actions = frozenset(_ACTION.findall(text))

    @property
    def policy_ids(self) -> tuple[str, ...]:
        """The ids of all policies, sorted."""
        return tuple(sorted(annotations["id"] for annotations in self._annotations.values()))

    @property
    def explained(self) -> tuple[tuple[str, str], ...]:
        """Id and reason of every policy, sorted."""
        return tuple(sorted((annotations["id"], annotations["reason"]) for annotations in self._annotations.values()))

    def with_own(self, texts: tuple[str, ...]) -> "Policy":
        """These policies with an installation's own added; the last few sets are kept parsed.

        Raises
        ------
        InvalidInput: as when a set is made.
        """
        if not texts:
            return self
        found = self._extended.get(texts)
        if found is None:
            found = Policy((*self._texts, *texts))
            if len(self._extended) >= EXTENDED_MAX:
                self._extended.clear()
            self._extended[texts] = found
        return found

    def _check_annotations(self) -> None:
        seen: set[str] = set()
        for name, annotations in self._annotations.items():
            for wanted in ("id", "reason"):
                if not annotations.get(wanted):
                    raise InvalidInput("a policy does not explain itself", where=annotations.get("id", name), expected=f"an @{wanted}")
            if annotations["id"] in seen:
                raise InvalidInput("two policies have the same id", where=annotations["id"])
            seen.add(annotations["id"])

    def decide(self, actor: Actor, action: str, resource: str, team: str, facts: Mapping[str, Fact]) -> Decision:
        """May ``actor`` do ``action`` to ``resource`` (``kind/id``) of ``team`` (empty: platform-wide), given ``facts``?

        Policies see ``principal.subject``, ``.roles``, ``.teams``, ``.kind``; ``resource.kind``, ``.team``; and the facts as ``context``.

        >>> viewer = Actor(subject="vera", roles=("viewer",), teams=("flights",))
        >>> Policy().decide(viewer, "Data.Read", "dataset/weather", "flights", {}).policy_ids
        ('read',)
        >>> Policy().decide(viewer, "Data.Read", "dataset/weather", "fraud", {}).reasons
        ('this belongs to another team',)
        """
        principal = {"type": "Actor", "id": actor.subject}
        thing = {"type": "Resource", "id": resource}
        attributes = {"subject": actor.subject, "roles": list(actor.roles), "teams": list(actor.teams), "kind": actor.kind}
        entities = [
            {"uid": principal, "attrs": attributes, "parents": []},
            {"uid": thing, "attrs": {"kind": resource.partition("/")[0], "team": team}, "parents": []},
        ]
        request = {"principal": principal, "action": {"type": "Action", "id": action}, "resource": thing, "context": _context(facts)}
        answer = cedarpy.is_authorized(request, self._policies, json.dumps(entities))
        return self._decision(answer, actor, action)

    def _decision(self, answer: Any, actor: Actor, action: str) -> Decision:
        diagnostics = answer.diagnostics
        if diagnostics.errors:
            # Cedar skips a policy that fails; skipping a prohibition would permit. So any failure denies.
            return Decision(
                allowed=False, policy_ids=(), reasons=("a policy could not be evaluated: " + "; ".join(diagnostics.errors)[:300],)
            )
        named = sorted((self._annotations[name] for name in diagnostics.reasons), key=lambda annotations: annotations["id"])
        ids = tuple(annotations["id"] for annotations in named)
        reasons = tuple(annotations["reason"] for annotations in named)
        if not answer.allowed and not ids:
            reasons = (f"no policy lets {'roles ' + ', '.join(actor.roles) if actor.roles else 'someone without a role'} do {action}",)
        return Decision(allowed=answer.allowed, policy_ids=ids, reasons=reasons)


def _context(facts: Mapping[str, Fact]) -> dict[str, Any]:
    """Facts as Cedar values; a fact of another type is a programmer's fault."""
    context: dict[str, Any] = {}
    for name, fact in facts.items():
        if isinstance(fact, (list, tuple)) and all(isinstance(item, str) for item in fact):
            context[name] = list(fact)
        elif isinstance(fact, (bool, str)) or (isinstance(fact, int) and -_INT64 <= fact < _INT64):
            context[name] = fact
        else:
            raise TypeError(
                f"fact {name!r} is a {type(fact).__name__}; Cedar knows booleans, 64-bit integers, strings and lists of strings"
            )
    return context
