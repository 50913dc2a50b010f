"""An endpoint's fallback chain, limits, objectives and freeze in words."""

from leverframe.apps.console.words import moment
from leverframe.apps.platform.views import EndpointView, FreezeView, ObjectivesView
from leverframe.apps.web.rules import rule_text
from leverframe.core.route import Quota


def fallback_chain(shown: EndpointView) -> tuple[str, ...]:
    """What answers when an arm cannot, first to last; empty: nothing does, the request is refused."""
    chain = shown.endpoint.fallback
    steps = []
    if chain.last_good is not None:
        steps.append(f"last good version {chain.last_good.version}")
    elif shown.keeps_last_good:
        steps.append("last good version: none yet (kept from the next release on)")
    steps.extend(f"rule {rule_text(rule)}" for rule in chain.rules)
    if chain.value is not None:
        steps.append(f"constant {chain.value:g}")
    return tuple(steps)


def quota_words(quota: Quota | None) -> str:
    """A quota as people say it.

    >>> quota_words(Quota(per_second=200.0, burst=400.0)), quota_words(Quota(per_second=0.5)), quota_words(None)
    ('200 a second, 400 at once', '0.5 a second', 'none')
    """
    if quota is None:
        return "none"
    return f"{quota.per_second:g} a second" + (f", {quota.burst:g} at once" if quota.burst else "")


def objective_words(shown: ObjectivesView) -> list[tuple[str, str]]:
    """What is promised, what is left of its budget, and by whose word, each under its name."""

    def left(objective: str) -> str:
        share = shown.left.get(objective, 1.0)
        if share > 0:
            return f"{100 * share:.0f} % of four weeks' budget left"
        return f"four weeks' budget is spent, and {-100 * share:.0f} % of it once more"

    counted = f" (counted to {shown.counted_ms:g} ms)" if shown.counted_ms != shown.latency_ms else ""
    return [
        ("availability", f"{100 * shown.availability:.6g} % of answers succeed; {left('availability')}"),
        ("latency", f"{100 * shown.latency_target:.6g} % within {shown.latency_ms} ms{counted}; {left('latency')}"),
        ("promised by", f"{shown.by}, {moment(shown.at_us)}: {shown.reason}" if shown.declared else "nobody yet: these are the usual ones"),
    ]


def freeze_words(freeze: FreezeView) -> str:
    """Why releases are frozen, by whom, and until when."""
    where = "this endpoint" if freeze.endpoint else "the whole environment"
    until = f" until {moment(freeze.expires_us)}" if freeze.expires_us is not None else ""
    return f"Releases are frozen for {where}{until}: {freeze.reason} ({freeze.by}, {moment(freeze.at_us)})"
