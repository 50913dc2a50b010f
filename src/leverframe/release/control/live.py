"""What a look at a release saw, in plain words: what is fine, what is still needed, and in about what time.

An account for people, made anew at every look and never decided by.
"""

import msgspec

from leverframe.core.clock import MINUTE_US, span_words
from leverframe.core.verdict import Verdict
from leverframe.release.control.decide import Decision
from leverframe.release.evidence.evidence import Counts, Point, StageEvidence
from leverframe.release.evidence.judge import margin_words, observations_words, rule_words
from leverframe.release.plans.plan import MetricRule
from leverframe.release.records import Release


class LiveLook(msgspec.Struct, frozen=True, kw_only=True):
    """One release at the newest look; ``eta_us``: in about what time the stage is proven if things stay so (None: nobody knows)."""

    release: str
    stage: str
    at_us: int
    reason: str
    lines: tuple[str, ...]
    eta_us: int | None
    verdicts: tuple[Verdict, ...]
    counts: Counts
    paths: tuple[Point, ...]


def live_look(release: Release, evidence: StageEvidence, decision: Decision, now_us: int, *, held_up: str = "") -> LiveLook:
    """The account of one look; ``held_up``: why what was decided could not be carried out."""
    lines, eta_us = _lines(release, evidence, decision, now_us)
    return LiveLook(
        release=release.id,
        stage=evidence.stage.name,
        at_us=now_us,
        reason=decision.reason,
        lines=(*lines, *filter(None, (evidence.distribution.words(), held_up))),
        eta_us=eta_us,
        verdicts=decision.verdicts,
        counts=evidence.counts,
        paths=tuple(point for path in evidence.paths.values() for point in path),
    )


def _lines(release: Release, evidence: StageEvidence, decision: Decision, now_us: int) -> tuple[tuple[str, ...], int | None]:
    if release.state == "watching" or evidence.plan.endless or not decision.verdicts:
        return (decision.reason,), None
    stage = evidence.stage
    by_rule: dict[str, MetricRule] = {rule.metric: rule for rule in evidence.rules}
    fine = [rule_words(by_rule[v.rule]) for v in decision.verdicts if v.answer == "pass" and v.rule != "sample_ratio"]
    waits = [_need(evidence, v, now_us) for v in decision.verdicts if v.answer == "inconclusive"]
    plain = [_Need(text, eta_us) for text, eta_us in _plain_needs(evidence, now_us)]
    needs = [*waits, *plain]
    etas = [need.eta_us for need in needs]
    eta_us = max((eta for eta in etas if eta is not None), default=0) if all(eta is not None for eta in etas) else None
    word = "holding" if release.state == "running" else release.state
    proven = f"{_listed(fine)} proven to be within bounds" if fine else "nothing is proven yet"
    head = f"{word} at {stage.name}: {proven}"
    lines = [head, *(need.text for need in needs)]
    lines += [v.reason for v in decision.verdicts if v.answer == "fail"]
    if needs:
        lines.append(f"about {span_words(eta_us)} more at this pace" if eta_us is not None else "nobody can tell yet how long that takes")
    return tuple(lines), eta_us


class _Need(msgspec.Struct, frozen=True):
    text: str
    eta_us: int | None


def _need(evidence: StageEvidence, verdict: Verdict, now_us: int) -> _Need:
    rule = next(rule for rule in evidence.rules if rule.metric == verdict.rule)
    missing = evidence.missing.get(rule.metric)
    if missing is None or not missing:
        return _Need(verdict.reason, None)
    seen_us = max(evidence.counts.last_at_us - evidence.started_us, now_us - evidence.started_us, MINUTE_US)
    if rule.metric.startswith("outcome_"):
        # Nothing of this kind is counted before the first requests are as old as the label horizon.
        seen_us = max(seen_us - evidence.plan.label_horizon_us, MINUTE_US)
    eta_us = round(missing * seen_us / verdict.n) if verdict.n else None
    text = f"need about {missing:,} more {observations_words(rule)} to rule out {margin_words(rule)}"
    return _Need(f"{text}; ~{span_words(eta_us)}" if eta_us is not None else text, eta_us)


def _plain_needs(evidence: StageEvidence, now_us: int) -> list[tuple[str, int | None]]:
    """The hold time and the least numbers of rows and labels."""
    stage, counts = evidence.stage, evidence.counts
    spent_us = max(now_us - evidence.started_us, MINUTE_US)
    found: list[tuple[str, int | None]] = []
    held_us = min(now_us - evidence.started_us, evidence.observed_us)
    if held_us < stage.min_hold_us:
        left_us = stage.min_hold_us - max(held_us, 0)
        found.append((f"{span_words(left_us)} of its hold time to go", left_us))
    if counts.scored_by_candidate < stage.rows_min:
        more = stage.rows_min - counts.scored_by_candidate
        found.append((f"need {more:,} more answers", _pace(more, counts.scored_by_candidate, spent_us)))
    if counts.outcomes < stage.labels_min:
        more = stage.labels_min - counts.outcomes
        found.append((f"need {more:,} more labelled requests", _pace(more, counts.outcomes, spent_us)))
    return found


def _pace(more: int, so_far: int, spent_us: int) -> int | None:
    return round(more * spent_us / so_far) if so_far else None


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
