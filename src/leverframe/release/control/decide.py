"""What the evidence means for the release: the one decision rule, shared by production and simulation."""

import msgspec

from leverframe.core.clock import span_words
from leverframe.core.verdict import Verdict
from leverframe.release.evidence.evidence import StageEvidence
from leverframe.release.machine import Event, Progress

_SENTENCES_MAX = 4


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The event the evidence calls for (None: go on waiting), why in one sentence, and the verdicts behind it."""

    event: Event | None
    reason: str
    verdicts: tuple[Verdict, ...]


def shortfalls(evidence: StageEvidence, verdicts: tuple[Verdict, ...], now_us: int) -> tuple[str, ...]:
    """Everything that still keeps the stage from being proven, in sentences; none means proven.

    The hold time must have passed both on the clock and in observed traffic, so that a clock that jumps proves nothing.
    """
    stage, counts = evidence.stage, evidence.counts
    found = []
    if now_us < evidence.started_us:
        found.append("the clock is before the start of the stage")
    held_us = min(now_us - evidence.started_us, evidence.observed_us)
    if held_us < stage.min_hold_us:
        found.append(f"{span_words(stage.min_hold_us - held_us)} more traffic before the hold time is over")
    if counts.scored_by_candidate < stage.rows_min:
        found.append(f"{stage.rows_min - counts.scored_by_candidate:,} more answers before the least number of rows")
    if counts.outcomes < stage.labels_min:
        found.append(f"{stage.labels_min - counts.outcomes:,} more labelled requests before the least number of labels")
    if not verdicts:
        found.append("no rule was judged")
    found.extend(verdict.reason for verdict in verdicts if verdict.answer != "pass")
    return tuple(found)


def decide(progress: Progress, evidence: StageEvidence, now_us: int) -> Decision:
    """Judge a stage as of ``now_us``: harm first, then a broken comparison, then proof, then patience."""
    verdicts = evidence.look(now_us)
    if evidence.plan.endless:
        return _challenge(evidence, verdicts, now_us)
    harm = [v for v in verdicts if v.answer == "fail" and v.rule != "sample_ratio"]
    if harm:
        return Decision(event="harm", reason="; ".join(v.reason for v in harm), verdicts=verdicts)
    if progress.state == "watching":
        return _watch(evidence, verdicts, now_us)
    mismatch = [v for v in verdicts if v.answer == "fail"]
    if mismatch:
        event: Event | None = "mismatch" if progress.state == "running" else None
        return Decision(event=event, reason=mismatch[0].reason, verdicts=verdicts)
    missing = shortfalls(evidence, verdicts, now_us)
    if not missing:
        reason = f"every rule is proven at {evidence.stage.name}"
        return Decision(event="proven" if progress.state in ("running", "holding") else None, reason=reason, verdicts=verdicts)
    reason = f"holding at {evidence.stage.name}: " + "; ".join(missing[:_SENTENCES_MAX])
    stalled = progress.state == "running" and now_us - evidence.started_us > evidence.plan.stall_us
    return Decision(event="stalled" if stalled else None, reason=reason, verdicts=verdicts)


def _challenge(evidence: StageEvidence, verdicts: tuple[Verdict, ...], now_us: int) -> Decision:
    """A challenger is judged for ever and decides nothing: no caller meets its answers, so there is nothing to take back."""
    name = evidence.plan.candidate.version
    worse = [v for v in verdicts if v.answer == "fail"]
    missing = shortfalls(evidence, verdicts, now_us)
    promote = f"to promote it: {evidence.plan.promotion}"
    better = [v.rule for v in verdicts if v.rule.startswith("outcome_") and v.high is not None and v.high < 0.0]
    if worse:
        reason = f"{name} challenges, and is worse: " + "; ".join(v.reason for v in worse)
    elif missing:
        reason = f"{name} challenges, undecided: " + "; ".join(missing[:_SENTENCES_MAX])
    elif better:
        reason = f"{name} challenges, and is better: proven in {', '.join(better)}, and within bounds in everything else; {promote}"
    else:
        proven = "every rule is proven to be within bounds, none shown to be better"
        reason = f"{name} challenges, and is as good: {proven}; {promote}"
    return Decision(event=None, reason=reason, verdicts=verdicts)


def _watch(evidence: StageEvidence, verdicts: tuple[Verdict, ...], now_us: int) -> Decision:
    """A watch ends when its time has passed, on the clock and in observed traffic, with enough answers and no harm seen."""
    plan = evidence.plan
    left_us = plan.watch_us - (now_us - evidence.started_us)
    quiet = bool(evidence.rules) and (
        evidence.observed_us < plan.watch_us // 2 or evidence.counts.scored_by_candidate < evidence.stage.rows_min
    )
    if left_us > 0:
        return Decision(event=None, reason=f"watching at 100 %: no harm seen, {span_words(left_us)} to go", verdicts=verdicts)
    if quiet:
        return Decision(event=None, reason="watching at 100 %: too little traffic to end the watch", verdicts=verdicts)
    return Decision(event="watched", reason="watched at 100 % for the planned time, no harm seen", verdicts=verdicts)
