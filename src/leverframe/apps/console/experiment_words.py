"""An experiment as a person reads it: plan, read-out and report in words, shared by the command line and the console."""

import msgspec

from leverframe.apps.console.words import duration, figure, moment
from leverframe.apps.platform.views.experiments import ExperimentPlanView, ReportView
from leverframe.core.digest import short
from leverframe.release.experiments.decide import about
from leverframe.release.experiments.plan import ExperimentPlan, Guardrail
from leverframe.release.experiments.readout import ArmReadout, Readout

METRICS = {
    "outcome_value": "mean label",
    "outcome_hit": "share of labels missed",
    "outcome_brier": "Brier loss on labels",
    "outcome_log_loss": "log loss on labels",
    "score": "mean score",
}
OUTCOMES = {
    "": "running",
    "winner": "a variant is better",
    "harm": "stopped: a guardrail is broken",
    "worse": "ended: every variant is worse",
    "futile": "ended: no variant can gain what matters",
    "mismatch": "stopped: callers are not split as planned",
    "horizon": "ended: the planned time is over",
    "stopped": "stopped by a person",
    "interrupted": "cut short: the route was changed by somebody else",
}
STANDINGS = {"better": "better than the control", "worse": "worse than the control", "futile": "cannot gain what matters", "": "undecided"}
ARM_COLUMNS = ("arm", "#share", "#callers", "#answers", "#failed", "#rows", "#mean", "#gain", "interval", "it is", "how much longer")
SEGMENT_COLUMNS = ("segment", "variant", "#callers", "#gain", "interval", "stands")


def plan_facts(shown: ExperimentPlanView) -> list[tuple[str, str]]:
    """What an experiment would do, as (label, text)."""
    plan = msgspec.convert(shown.plan, ExperimentPlan)
    arms = [f"{version} {100.0 * share:g} %" for version, share in zip(plan.versions, plan.shares, strict=True)]
    people = "one approval" if shown.needed == 1 else f"{shown.needed} approvals"
    facts = [
        ("control", f"{arms[0]}, bundle {short(plan.control.bundle)}"),
        *(("variant", f"{arm}, bundle {short(variant.version.bundle)}") for arm, variant in zip(arms[1:], plan.variants, strict=True)),
        ("where", plan.endpoint_id),
        ("who takes part", f"{plan.traffic:g} % of callers" + (f", in layer {plan.layer}" if plan.layer else "")),
        ("a caller is", plan.hash_field or "a request: nothing identifies callers"),
        ("measured", f"{METRICS[plan.primary.metric]}, {plan.primary.better} is better"),
        ("a gain matters from", f"{plan.primary.effect:g}"),
        *(("guardrail", guardrail_words(guardrail)) for guardrail in plan.guardrails),
        ("lasts", f"{duration(plan.min_us) if plan.min_us else 'any time'} at least, {duration(plan.horizon_us)} at most"),
        ("labels", f"count when known {duration(plan.label_horizon_us)} after the request"),
        ("errs", f"at most {100.0 * plan.alpha:g} % of the time, over all variants and looks"),
    ]
    if plan.primary.unlabelled is not None:
        facts.append(("without a label", f"a request counts as {plan.primary.unlabelled:g}"))
    if plan.covariate is not None:
        facts.append(("less variance by", plan.covariate.name))
    if plan.segments:
        facts.append(("segments", ", ".join(column.name for column in plan.segments)))
    if shown.forecast is not None:
        facts.append(("how long", shown.forecast.sentence))
    facts += [("needs", f"{people} by someone other than {plan.author} (risk tier {plan.risk_tier})"), ("made", moment(plan.created_at_us))]
    return [*facts, ("note", plan.note)] if plan.note else facts


def guardrail_words(guardrail: Guardrail) -> str:
    """How much worse is tolerated.

    >>> guardrail_words(Guardrail(metric="errors", margin=0.02))
    'failing answers: at most 2 points more'
    """
    points = f"at most {100.0 * guardrail.margin:g} points more"
    return {
        "errors": f"failing answers: {points}",
        "latency_budget": f"answers slower than {duration(guardrail.bound_us)}: {points}",
        "latency_quantile": f"p{100.0 * guardrail.quantile:g} of latency: at most {100.0 * guardrail.margin:g} % more",
    }[guardrail.metric]


def interval(low: float | None, high: float | None) -> str:
    """Both ends, or a dash.

    >>> interval(-0.01, 0.02), interval(None, None)
    ('-0.0100 to +0.0200', '–')
    """
    return "–" if low is None or high is None else f"{low:+.4f} to {high:+.4f}"


def arm_rows(readout: Readout, shares: tuple[float, ...], *, over: bool = False) -> list[tuple[str, ...]]:
    """A row an arm, under :data:`ARM_COLUMNS`; where it is ``over`` nothing is left to wait for."""
    return [_arm(arm, share, control=not place, over=over) for place, (arm, share) in enumerate(zip(readout.arms, shares, strict=True))]


def _arm(arm: ArmReadout, share: float, *, control: bool, over: bool) -> tuple[str, ...]:
    counts = (f"{n:,}" for n in (arm.keys, arm.answers, arm.failed, arm.rows))
    seen = (arm.version, f"{100.0 * share:.1f} %", *counts, figure(arm.mean, 4))
    if control:
        return (*seen, "–", "–", "the control", "–")
    if arm.gain is None:
        return (*seen, "–", "–", "not enough data", "–")
    longer = "–" if arm.standing or over else about(arm.more_us)
    return (*seen, f"{arm.gain:+.4f}", interval(arm.low, arm.high), STANDINGS[arm.standing], longer)


def segment_rows(readout: Readout) -> list[tuple[str, ...]]:
    """A row a segment and variant, under :data:`SEGMENT_COLUMNS`."""
    return [
        (
            f"{s.column} = {s.value}",
            s.version,
            f"{s.keys:,}",
            "–" if s.gain is None else f"{s.gain:+.4f}",
            interval(s.low, s.high),
            "yes" if s.stands else "no",
        )
        for s in sorted(readout.segments, key=lambda segment: -segment.keys)
    ]


def report_markdown(shown: ReportView) -> str:
    """The final report as Markdown."""
    report, readout = shown.report, shown.report.readout
    plan, lasted = report.plan, duration(report.ended_us - report.started_us)
    lines = [
        f"# Experiment {report.experiment}",
        "",
        f"**{OUTCOMES[report.outcome]}**" + (f": {report.winner}" if report.winner else ""),
        "",
        f"- on {plan.endpoint_id}, {moment(report.started_us)} to {moment(report.ended_us)}, {lasted}",
        f"- {METRICS[plan.primary.metric]}, {plan.primary.better} is better; a gain matters from {plan.primary.effect:g}",
        f"- plan `{report.plan_digest}`",
        f"- report `{shown.digest}`" + (f": {shown.finding}" if shown.finding else ""),
        "",
        f"Split of callers: {readout.split.reason}.",
        "",
    ]
    if readout.hidden:
        lines += [f"No lift is shown: {readout.hidden}.", ""]
    lines += [*_table(ARM_COLUMNS[:-1], [row[:-1] for row in arm_rows(readout, plan.shares)]), ""]
    level = f"{100.0 * (1.0 - readout.alpha_variant):g} %"
    lines += [f"Intervals hold at every look, each at {level}, so that all of them hold together at {100.0 * (1.0 - plan.alpha):g} %.", ""]
    lines += ["## Guardrails", "", *(f"- {verdict.reason}" for verdict in readout.guardrails), ""]
    if readout.segments:
        level = f"{100.0 * (1.0 - readout.segment_alpha):.2f} %"
        lines += ["## Segments", "", *_table(SEGMENT_COLUMNS, segment_rows(readout)), ""]
        lines += [
            f"Which stand is decided over all of them (e-BH, {100.0 * plan.alpha:g} % false discoveries); intervals are at {level}.",
            "",
        ]
    counts = readout.counts
    lines += [
        "## What it rests on",
        "",
        f"- {counts.answers:,} answers to {counts.keys:,} callers who took part; {counts.outside:,} answers to others",
        f"- {counts.labels:,} labels; {counts.labels_late:,} came too late, {counts.unlabelled:,} requests have none",
        f"- {counts.outdated:,} answers by gateways with an older route, {counts.misassigned:,} by another arm than planned",
        f"- {report.records:,} records of the prediction log, `{report.records_digest}`",
        *(f"- {end.worker}: up to byte {end.offset:,} of segment {end.number}" for end in report.span),
        "",
        f"Compute it again: `lever experiment report {report.experiment}`",
    ]
    return "\n".join(lines) + "\n"


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    heads = [column.removeprefix("#") for column in columns]
    rule = ["---:" if column.startswith("#") else "---" for column in columns]
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]
