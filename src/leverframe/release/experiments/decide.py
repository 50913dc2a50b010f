"""What a read-out means for the experiment: the stop rules, in their order."""

import msgspec

from leverframe.core.clock import span_words
from leverframe.release.experiments.plan import ExperimentPlan
from leverframe.release.experiments.readout import ArmReadout, Readout
from leverframe.release.experiments.records import Experiment, Outcome


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Why the experiment ends (empty: it goes on), the version that won if one did, and the reason in one sentence."""

    outcome: Outcome
    reason: str
    winner: str = ""


def about(us: int | None) -> str:
    """A time to come in words.

    >>> about(None), about(3 * 3_600_000_000), about(90_000_000)
    ('nobody can tell how much longer', 'about 3 h more', 'about 2 min more')
    """
    return "nobody can tell how much longer" if us is None else f"about {span_words(us)} more"


def ending(plan: ExperimentPlan, experiment: Experiment, readout: Readout, now_us: int) -> Ending:
    """Harm first, then a broken split, the horizon, a winner, futility; anything else waits.

    A winner is a variant that is better than the control. Of several the one with the largest gain is named; that it is better than the
    other variants is not claimed.
    """
    harm = [verdict for verdict in readout.guardrails if verdict.answer == "fail"]
    if harm:
        return Ending(outcome="harm", reason="; ".join(verdict.reason for verdict in harm))
    if readout.split.answer == "fail":
        return Ending(outcome="mismatch", reason=readout.split.reason)
    variants, least_us = readout.arms[1:], experiment.started_us + plan.min_us
    better = [arm for arm in variants if arm.standing == "better"]
    if better and now_us >= least_us:
        best = max(better, key=lambda arm: arm.gain or 0.0)
        return Ending(outcome="winner", winner=best.version, reason=_gains(plan, best))
    if now_us >= experiment.started_us + plan.horizon_us:
        return Ending(outcome="horizon", reason=f"the planned time is over; {_standing(plan, readout)}")
    if now_us >= least_us and variants and all(arm.standing == "worse" for arm in variants):
        return Ending(outcome="worse", reason="; ".join(_gains(plan, arm) for arm in variants))
    if now_us >= least_us and variants and all(arm.standing in ("worse", "futile") for arm in variants):
        return Ending(outcome="futile", reason="no variant can gain what matters: " + "; ".join(_gains(plan, arm) for arm in variants))
    wait = max(0, least_us - now_us)
    held = f"; {about(wait)} before the least duration is over" if wait else ""
    return Ending(outcome="", reason=_standing(plan, readout) + held)


def _gains(plan: ExperimentPlan, arm: ArmReadout) -> str:
    if arm.gain is None or arm.low is None or arm.high is None:
        return f"{arm.version}: nothing to compare yet"
    return f"{arm.version} gains {arm.gain:+.4g} in {plan.primary.metric} ({arm.low:+.4g} to {arm.high:+.4g}) on {arm.keys:,} callers"


def _standing(plan: ExperimentPlan, readout: Readout) -> str:
    """Where it stands, in plain words: never more than the intervals say."""
    if readout.hidden:
        return f"no lift is shown: {readout.hidden}"
    sentences = []
    for arm in readout.arms[1:]:
        if arm.gain is None:
            sentences.append(f"{arm.version}: not enough data ({arm.keys:,} callers)")
        elif arm.standing:
            sentences.append(f"{_gains(plan, arm)}: {arm.standing}")
        else:
            sentences.append(f"not enough data: {_gains(plan, arm)}; {about(arm.more_us)}")
    return "; ".join(sentences)
