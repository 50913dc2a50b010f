"""One look at an experiment: from what was folded to what may be said. The split of callers is judged before anything else."""

import math

import msgspec

from leverframe.core.statistics.lift import CallerSums, Lift, e_bh, lift_interval, lift_log_evidence, lift_of, variance_for
from leverframe.core.verdict import Answer, Verdict
from leverframe.release.evidence.evidence import LATE_SHARE_MAX, UNLABELLED_SHARE_MAX
from leverframe.release.evidence.judge import judge, read_test
from leverframe.release.experiments.exposures import Exposures, Guard
from leverframe.release.experiments.plan import SPLIT_ALPHA, ExperimentPlan
from leverframe.release.experiments.readout import ArmReadout, Readout, SegmentReadout
from leverframe.release.plans.plan import MetricRule

SPLIT_KEYS_MIN = 100
"""Below so many callers a split that looks right says nothing."""

MISASSIGNED_SHARE_MAX = 0.001
"""More answers than this by another arm than the hash says, and the gateways are not running the experiment that was planned."""

DROPPED_SHARE_MAX = 0.01


def look(exposures: Exposures, now_us: int) -> Readout:
    """Everything that may be said as of ``now_us``; may be asked as often as one likes."""
    exposures.ripen(now_us)
    plan = exposures.plan
    split = _split(exposures, now_us)
    hidden = _hidden(exposures, split)
    segments, segment_alpha = ((), plan.alpha) if hidden else _segments(exposures)
    return Readout(
        experiment=plan.id,
        at_us=now_us,
        split=split,
        hidden=hidden,
        arms=tuple(_arm(exposures, arm, now_us, hidden=bool(hidden)) for arm in range(len(plan.versions))),
        guardrails=tuple(
            _guardrail(plan, guard, version, now_us)
            for guards, version in zip(exposures.guards, plan.versions[1:], strict=True)
            for guard in guards
        ),
        segments=segments,
        segment_alpha=segment_alpha,
        counts=exposures.counts,
        alpha_variant=plan.alpha_variant,
    )


def _split(exposures: Exposures, now_us: int) -> Verdict:
    counts, n = exposures.split.counts, exposures.split.n
    seen = ", ".join(f"{version} {count:,}" for version, count in zip(exposures.plan.versions, counts, strict=True))
    planned = ", ".join(f"{100.0 * share:.4g} %" for share in exposures.plan.shares)
    answer: Answer = "fail" if exposures.mismatched else "pass" if n >= SPLIT_KEYS_MIN else "inconclusive"
    sentence = {
        "fail": f"callers are not split as planned ({planned}): {seen}; no comparison of these arms can be trusted",
        "pass": f"callers are split as planned ({planned}): {seen}",
        "inconclusive": f"{n:,} callers are too few to check the split",
    }[answer]
    step = "find what filters, caches or repeats requests of one arm, then plan a new experiment" if answer == "fail" else ""
    return Verdict(
        rule="sample_ratio", answer=answer, observed=None, threshold=SPLIT_ALPHA, n=n, reason=sentence, next_step=step, at_us=now_us
    )


def _hidden(exposures: Exposures, split: Verdict) -> str:
    """Why no lift is shown, or empty."""
    if split.answer == "fail":
        return split.reason
    counts, cohort, plan = exposures.counts, exposures.cohort, exposures.plan
    if counts.misassigned > MISASSIGNED_SHARE_MAX * (counts.answers + counts.misassigned):
        return f"{counts.misassigned:,} answers came from another arm than the caller's hash says: a gateway does not run this experiment"
    if plan.primary.metric == "score":
        return ""
    known = cohort.mature - cohort.unlabelled + cohort.late
    if plan.primary.unlabelled is None and cohort.mature >= 20 and cohort.unlabelled > UNLABELLED_SHARE_MAX * cohort.mature:
        return f"{cohort.unlabelled:,} of {cohort.mature:,} requests have no label after the label horizon"
    if known >= 20 and cohort.late > LATE_SHARE_MAX * known:
        return f"{cohort.late:,} labels came later than the label horizon; plan with a longer one"
    if cohort.dropped > DROPPED_SHARE_MAX * cohort.requests:
        return f"{cohort.dropped:,} requests were dropped from the label window because it was full"
    return ""


def _sign(plan: ExperimentPlan) -> float:
    return 1.0 if plan.primary.better == "higher" else -1.0


def _gain(plan: ExperimentPlan, variant: CallerSums, control: CallerSums, *, adjusted: bool) -> Lift | None:
    lift = lift_of(variant, control, adjusted=adjusted)
    return lift._replace(estimate=_sign(plan) * lift.estimate) if lift is not None else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _arm(exposures: Exposures, arm: int, now_us: int, *, hidden: bool) -> ArmReadout:
    plan, sums = exposures.plan, exposures.primary[arm]
    seen = ArmReadout(
        version=plan.versions[arm],
        keys=exposures.keys[arm],
        answers=exposures.answers[arm],
        failed=exposures.failed[arm],
        rows=sums.rows,
        mean=None if hidden else sums.mean,
    )
    if arm == 0 or hidden:
        return seen
    gain = _gain(plan, sums, exposures.primary[0], adjusted=plan.covariate is not None)
    if gain is None:
        return seen
    low, high = lift_interval(gain, plan.primary.effect, plan.alpha_variant)
    more_keys, more_us = _more(exposures, arm, gain, now_us)
    return ArmReadout(
        version=seen.version,
        keys=seen.keys,
        answers=seen.answers,
        failed=seen.failed,
        rows=seen.rows,
        mean=seen.mean,
        gain=gain.estimate,
        low=_finite(low),
        high=_finite(high),
        standing=standing(low, high, plan.primary.effect),
        more_keys=more_keys,
        more_us=more_us,
    )


def standing(low: float, high: float, effect: float) -> str:
    """What an interval of gains says.

    >>> standing(0.01, 0.05, 0.02), standing(-0.05, -0.01, 0.02), standing(-0.01, 0.015, 0.02), standing(-0.01, 0.03, 0.02)
    ('better', 'worse', 'futile', '')
    """
    if low > 0.0:
        return "better"
    if high < 0.0:
        return "worse"
    return "futile" if high < effect else ""


def _more(exposures: Exposures, arm: int, gain: Lift, now_us: int) -> tuple[int | None, int | None]:
    """Callers and time until the interval decides, if the gain stays what it is and callers come as they came."""
    plan, effect = exposures.plan, exposures.plan.primary.effect
    # Two ways out: told from 0, or every gain that matters excluded. The one that leaves the variance larger comes first.
    distances = [distance for distance in (gain.estimate, effect - gain.estimate) if distance > 0.0]
    needed = max(variance_for(distance, effect, plan.alpha_variant) for distance in distances)
    keys = exposures.primary[arm].keys + exposures.primary[0].keys
    more = max(0, math.ceil(keys * (gain.variance / needed - 1.0)))
    span_us = exposures.counts.last_at_us - exposures.experiment.started_us
    met = exposures.keys[arm] + exposures.keys[0]
    # Read-outs and forecasts beyond the horizon are of no use: there the experiment ends.
    more_us = round(more * span_us / met) if span_us > 0 and met else None
    return more, more_us


def _guardrail(plan: ExperimentPlan, guard: Guard, version: str, now_us: int) -> Verdict:
    guardrail = guard.guardrail
    rule = MetricRule(
        metric=guardrail.metric,
        margin=guardrail.margin,
        alpha=plan.alpha_guardrail,
        bound_us=guardrail.bound_us,
        quantile=guardrail.quantile,
        unit="key",
    )
    verdict = judge(rule, read_test(guard.test, rule), where=version, at_us=now_us)
    return msgspec.structs.replace(verdict, reason=verdict.reason.replace("from the champion", "from the control"))


def _segments(exposures: Exposures) -> tuple[tuple[SegmentReadout, ...], float]:
    """Every variant in every segment; which stand is decided over all of them (e-BH), and the intervals are as wide as that takes."""
    plan, effect = exposures.plan, exposures.plan.primary.effect
    gains: dict[tuple[str, str, int], Lift] = {}
    keys: dict[tuple[str, str, int], int] = {}
    for (column, value), sums in sorted(exposures.segments.items()):
        for arm in range(1, len(sums)):
            keys[column, value, arm] = min(sums[arm].keys, sums[0].keys)
            gain = _gain(plan, sums[arm], sums[0], adjusted=False)
            if gain is not None:
                gains[column, value, arm] = gain
    evidence = {repr(name): float(lift_log_evidence(gain.estimate, gain.variance, 0.0, effect)) for name, gain in gains.items()}
    standing_out = e_bh(evidence, plan.alpha)
    alpha = plan.alpha * max(1, len(standing_out)) / max(1, len(gains))
    read = []
    for name, n in keys.items():
        low, high = lift_interval(gains.get(name), effect, alpha)
        read.append(
            SegmentReadout(
                column=name[0],
                value=name[1],
                version=plan.versions[name[2]],
                keys=n,
                gain=gains[name].estimate if name in gains else None,
                low=_finite(low),
                high=_finite(high),
                stands=repr(name) in standing_out,
            )
        )
    return tuple(read), alpha
