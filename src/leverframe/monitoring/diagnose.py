"""Given "the KPI fell": which causes are likely, in order, with the evidence for each and the lever to pull.

Causes lie upstream of one another: a refused file makes a feed late, a late feed makes features missing, missing features move the scores.
What is explained by something upstream is scored down, so the first cause is the one to act on.

================  ===========================================================================================================
cause             score
================  ===========================================================================================================
contract break    0.55, + 0.35 when the refused data set feeds a late feed or a column with signals; 0.2 when it feeds none
late feed         0.5, + 0.15 as the lag grows from one to two SLAs, + 0.3 x the share of its columns that miss values or drift
missing feature   0.45 + 0.4 x the rise in the share of missing values (one cause a view, its worst column)
feature drift     0.3 + 0.4 x how far the distance is on its way from the threshold to 1
release           0.35, + 0.3 when the scores or the service changed since and inputs did not, + 0.2 when the new version does
                  worse on labels than the one before; 0.15 when the trouble is older than the change
label shift       0.25 + 0.4 x the change in label rate / 0.2, at most 0.65
infrastructure    0.4 + 0.5 x the worst of: share of failed answers x 5, share of log records dropped x 20, latency over its limit
================  ===========================================================================================================

Explained by a late feed of the same source: missing x 0.6, drift x 0.5. Explained by a refused file: late feed x 0.9. While any input cause
stands above 0.6, a label shift is halved: what went in is known to be wrong, what came out is then no news.
"""

from collections.abc import Sequence

from leverframe.core.alert import Cause, Signal
from leverframe.core.clock import DAY_US, iso_from_us
from leverframe.monitoring.evidence import Evidence, RouteChange
from leverframe.monitoring.feeds import hours

LOOKBACK_US = 3 * DAY_US
CAUSES_MAX = 12
LABEL_SHIFT_MIN = 0.05


def diagnose(evidence: Evidence) -> list[Cause]:
    """Likely causes, likeliest first, at most ``CAUSES_MAX``; none when nothing stands out."""
    stale = {s.subject for s in evidence.signals if s.kind == "freshness"} | {f.view for f in evidence.freshness if f.late}
    late_sources = {o.source for o in evidence.origins if o.view in stale}
    refusals = _refusals(evidence, late_sources)
    blocked = {cause.subject for cause in refusals if cause.score >= 0.6}
    inputs = [
        *refusals,
        *_late_feeds(evidence, late_sources, blocked),
        *_missing(evidence, late_sources),
        *_drifts(evidence, late_sources),
    ]
    wrong_inputs = any(cause.score >= 0.6 for cause in inputs)
    causes = [
        *inputs,
        *_releases(evidence, wrong_inputs=bool(inputs)),
        *_label_shift(evidence, wrong_inputs=wrong_inputs),
        *_infrastructure(evidence),
    ]
    return sorted(causes, key=lambda cause: (-cause.score, cause.kind, cause.subject))[:CAUSES_MAX]


def _cause(kind: str, subject: str, score: float, evidence: Sequence[str], lever: str) -> Cause:
    bounded = round(min(0.99, max(0.0, score)), 3)
    return Cause(kind=kind, subject=subject, score=bounded, evidence=tuple(evidence), lever=lever)  # type: ignore[arg-type]


def _affected(evidence: Evidence, source: str) -> tuple[list[str], list[str]]:
    """Columns that ``source`` feeds and that are not switched off: all of them, and those with signals."""
    columns = [o.column for o in evidence.origins if o.source == source and o.column not in evidence.disabled]
    noisy = {signal.subject for signal in evidence.signals if signal.kind in ("missing", "drift")}
    return columns, [column for column in columns if column in noisy]


def _views_lever(evidence: Evidence, source: str) -> str:
    views = sorted({o.view for o in evidence.origins if o.source == source})
    return " && ".join(f"lever disable-feature {evidence.endpoint} '{view}.*'" for view in views)


def _refusals(evidence: Evidence, late_sources: set[str]) -> list[Cause]:
    """One cause a data set: its newest refused file within the lookback."""
    newest = {r.dataset: r for r in sorted(evidence.refused, key=lambda r: r.at_us) if r.at_us >= evidence.now_us - LOOKBACK_US}
    used = {o.source for o in evidence.origins}
    causes = []
    for refused in newest.values():
        columns, noisy = _affected(evidence, refused.dataset)
        score = 0.55 + 0.35 * (refused.dataset in late_sources or bool(noisy)) if refused.dataset in used else 0.2
        sentences = [
            f"a file for {refused.dataset} was refused at {iso_from_us(refused.at_us)} with {refused.faults:,} "
            f"fault{'s' * (refused.faults != 1)}" + (f", first: {refused.first_fault}" if refused.first_fault else ""),
        ]
        if noisy:
            sentences.append(f"{len(noisy)} of {len(columns)} columns that {refused.dataset} feeds have signals")
        causes.append(_cause("contract_break", refused.dataset, score, sentences, f"lever data reports {refused.dataset}"))
    return causes


def _late_feeds(evidence: Evidence, late_sources: set[str], blocked: set[str]) -> list[Cause]:
    causes = []
    for source in sorted(late_sources):
        views = {o.view for o in evidence.origins if o.source == source}
        late = [f for f in evidence.freshness if f.view in views and f.sla_us]
        worst = max(late, key=lambda f: f.lag_us / f.sla_us, default=None)
        columns, noisy = _affected(evidence, source)
        score, sentences = 0.5, []
        if worst is not None:
            score += 0.15 * min(1.0, max(0.0, worst.lag_us / worst.sla_us - 1.0))
            sentences.append(
                f"view {worst.view} last heard from feed {source} {hours(worst.lag_us)} ago"
                f" ({iso_from_us(worst.newest_arrival_us)}); its promise is {hours(worst.sla_us)}"
            )
        sentences.extend(s.detail for s in evidence.signals if s.kind == "freshness" and s.subject in views and worst is None)
        if columns:
            score += 0.3 * len(noisy) / len(columns)
            sentences.append(f"{len(noisy)} of its {len(columns)} columns miss values or drift")
            lever = _views_lever(evidence, source)
        else:
            sentences.append("all of its columns are switched off: answers do not depend on it now")
            lever = f"lever features list  # then, once it delivers: lever enable-feature {evidence.endpoint} '{sorted(views)[0]}.*'"
        causes.append(_cause("late_feed", source, score * (0.9 if source in blocked else 1.0), sentences, lever))
    return causes


def _missing(evidence: Evidence, late_sources: set[str]) -> list[Cause]:
    """One cause a view (or request column): the column that misses most speaks for all."""
    by_view: dict[str, list[Signal]] = {}
    known = {o.column: o for o in evidence.origins}
    for signal in evidence.signals:
        if signal.kind == "missing" and signal.subject not in evidence.disabled:
            origin = known.get(signal.subject)
            by_view.setdefault(origin.view if origin else signal.subject, []).append(signal)
    causes = []
    for view, signals in by_view.items():
        worst = max(signals, key=lambda s: s.observed)
        origin = known.get(worst.subject)
        score = 0.45 + 0.4 * worst.observed
        sentences = [worst.detail] + ([f"{len(signals)} columns of {view} are affected"] if len(signals) > 1 else [])
        if origin and origin.source in late_sources:
            score *= 0.6
            sentences.append(f"explained by the late feed {origin.source}")
        lever = f"lever disable-feature {evidence.endpoint} '{view}.*'" if origin else f"lever history {evidence.endpoint}"
        causes.append(_cause("missing_feature", view, score, sentences, lever))
    return causes


def _drifts(evidence: Evidence, late_sources: set[str]) -> list[Cause]:
    known = {o.column: o for o in evidence.origins}
    missing = {s.subject for s in evidence.signals if s.kind == "missing"}
    causes = []
    for signal in evidence.signals:
        if signal.kind != "drift" or signal.subject in missing or signal.subject in evidence.disabled:
            continue
        origin = known.get(signal.subject)
        score = 0.3 + 0.4 * (signal.observed - signal.threshold) / max(1e-9, 1.0 - signal.threshold)
        sentences = [signal.detail]
        if origin and origin.source in late_sources:
            score *= 0.5
            sentences.append(f"explained by the late feed {origin.source}")
        lever = (
            f"lever disable-feature {evidence.endpoint} {origin.view}.{origin.feature}" if origin else f"lever history {evidence.endpoint}"
        )
        causes.append(_cause("feature_drift", signal.subject, score, sentences, lever))
    return sorted(causes, key=lambda cause: -cause.score)[:5]


def _releases(evidence: Evidence, *, wrong_inputs: bool) -> list[Cause]:
    """Route changes within the lookback, when there is any symptom a version could have caused."""
    symptoms = [s for s in evidence.signals if s.kind in ("score_drift", "performance", "errors", "latency")]
    causes = []
    for change in evidence.changes:
        recent = 0 <= evidence.now_us - change.at_us <= LOOKBACK_US
        worse = _worse(evidence, change)
        if not recent or change.version == change.before or not (symptoms or worse):
            continue
        score = 0.35
        sentences = [
            f"{change.version} was {change.action} to {change.weight:g} % of answers at {iso_from_us(change.at_us)}, "
            f"{hours(evidence.now_us - change.at_us)} ago; before it answered {change.before or 'nobody'}"
        ]
        before = 0 < evidence.symptoms_since_us < change.at_us
        if before:
            sentences.append(f"but the trouble was first seen at {iso_from_us(evidence.symptoms_since_us)}, before the change")
        elif symptoms and not wrong_inputs:
            score += 0.3
            sentences.extend(symptom.detail for symptom in symptoms[:3])
            sentences.append("what goes in has not changed")
        if worse and not before:
            score += 0.2
            sentences.append(worse)
        causes.append(_cause("release", change.version, 0.15 if before else score, sentences, f"lever rollback {evidence.endpoint}"))
    return causes


def _worse(evidence: Evidence, change: RouteChange) -> str:
    """A sentence when the new version's losses on labels lie wholly above the old one's, else empty."""
    new, old = evidence.performance.get(change.version), evidence.performance.get(change.before)
    if new is None or old is None or min(new.labels, old.labels) < 50 or new.brier.low <= old.brier.high:
        return ""
    return (
        f"on labels the Brier score of {change.version} is {new.brier.value:.3f} ({new.brier.low:.3f} to {new.brier.high:.3f}, "
        f"{new.labels:,} labels) against {old.brier.value:.3f} ({old.brier.low:.3f} to {old.brier.high:.3f}) of {change.before}"
    )


def _label_shift(evidence: Evidence, *, wrong_inputs: bool) -> list[Cause]:
    rate, reference = evidence.label_rate, evidence.label_rate_reference
    if rate is None or reference is None:
        return []
    shift = max(rate.low - reference, reference - rate.high)
    if shift < LABEL_SHIFT_MIN:
        return []
    score = 0.25 + 0.4 * min(1.0, abs(rate.value - reference) / 0.2)
    sentence = f"{rate.value:.1%} of recent labels are positive ({rate.low:.1%} to {rate.high:.1%}); {reference:.1%} in training"
    model = evidence.endpoint
    return [_cause("label_shift", "label", score * (0.5 if wrong_inputs else 1.0), [sentence], f"lever train {model}")]


def _infrastructure(evidence: Evidence) -> list[Cause]:
    service = evidence.service
    causes = []
    failed = service.failed / service.requests if service.requests else 0.0
    dropped = service.dropped / service.served if service.served else 0.0
    slow = service.latency_us_p99 / service.latency_us_max - 1.0 if service.latency_us_max else 0.0
    kinds = {s.kind for s in evidence.signals}
    if "errors" in kinds or failed >= 0.01:
        said = f"{service.failed:,} of {service.requests:,} recent requests failed or were answered by the fallback ({failed:.1%})"
        causes.append(_cause("infrastructure", "errors", 0.4 + 0.5 * min(1.0, failed * 5), [said], "lever doctor"))
    if "log" in kinds or dropped >= 0.001:
        said = f"{service.dropped:,} of {service.served:,} answers are not in the prediction log ({dropped:.1%}): figures may mislead"
        causes.append(_cause("infrastructure", "prediction log", 0.4 + 0.5 * min(1.0, dropped * 20), [said], "lever doctor"))
    if slow > 0:
        said = (
            f"the slowest 1 % of answers take {service.latency_us_p99 / 1000:.1f} ms; the limit is {service.latency_us_max / 1000:.1f} ms"
        )
        causes.append(_cause("infrastructure", "latency", 0.4 + 0.5 * min(1.0, slow), [said], "lever doctor"))
    return causes


def sentence(causes: Sequence[Cause]) -> str:
    """The diagnosis in one sentence for the person who asked.

    >>> sentence([])
    'Nothing stands out: feeds are on time, no column drifts, and no version, label rate or service figure changed.'
    """
    if not causes:
        return "Nothing stands out: feeds are on time, no column drifts, and no version, label rate or service figure changed."
    first = causes[0]
    also = f" Next likely: {causes[1].kind.replace('_', ' ')} {causes[1].subject} ({causes[1].score:.2f})." if len(causes) > 1 else ""
    named = f"Most likely: {first.kind.replace('_', ' ')} {first.subject} ({first.score:.2f})"
    return f"{named}. {first.evidence[0]}. To act: {first.lever}.{also}"
