"""A release plan as a person reads it: facts, the ladder of stages and the rules, shared by the command line and the console."""

import msgspec

from leverframe.apps.console.words import duration, moment
from leverframe.apps.platform.views import PlanView
from leverframe.core.digest import short
from leverframe.release.evidence.forecast import about
from leverframe.release.evidence.plan_forecast import PlanForecast
from leverframe.release.plans.plan import MetricRule, ReleasePlan, Stage, VersionRef, applies
from leverframe.release.plans.windows import Calendar

STRATEGY_WORDS = {
    "initial": "initial: the endpoint's first version, at once",
    "blue_green": "blue-green: everyone at once, the old version kept beside it",
    "challenger": "challenger: scores everything unseen, for good; nobody is answered by it, and it climbs only by a plan of its own",
    "canary": "canary: a growing share of the callers",
    "shadow_canary": "shadow, then canary: unseen first, then a growing share of the callers",
}
GATE_WORDS = {"pass": "all hold", "fail": "a gate is broken", "inconclusive": "a gate is undecided"}
ROLE_WORDS = {"shadow": "scores everything, unseen", "canary": "answers its share", "full": "answers everyone"}


class PlanSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A plan in words: ``facts`` are (label, text); ``stages`` and ``rules`` are rows under the module's column names."""

    candidate: str
    target: str
    strategy: str
    author: str
    facts: tuple[tuple[str, str], ...]
    stages: tuple[tuple[str, ...], ...]
    rules: tuple[tuple[str, ...], ...]
    sees: tuple[str, ...] = ()
    """With today's traffic, what each rule can see in each stage and how soon; empty where nothing is known of the traffic."""


STAGE_COLUMNS = ("stage", "#share", "candidate", "for at least", "#rows", "#labels", "#requests a day", "expected")
RULE_COLUMNS = ("candidate against champion", "at most", "proven at", "asked in")


def plan_sheet(shown: PlanView) -> PlanSheet:
    """The sheet of one plan."""
    plan = msgspec.convert(shown.plan, ReleasePlan)
    return PlanSheet(
        candidate=plan.candidate.version,
        target=plan.endpoint_id,
        strategy=plan.strategy.replace("_", " "),
        author=plan.author,
        facts=(*_facts(plan, shown.needed), *_further(plan, shown)),
        stages=tuple(_stage(stage, shown.forecast) for stage in plan.stages),
        sees=tuple(each.sentence for each in shown.forecast.rules) if shown.forecast and shown.forecast.measured else (),
        rules=tuple(_rule(rule, plan.stages) for rule in plan.rules),
    )


def _version(ref: VersionRef) -> str:
    return f"{ref.version}, bundle {short(ref.bundle)}"


def _facts(plan: ReleasePlan, needed: int) -> list[tuple[str, str]]:
    people = "one approval" if needed == 1 else f"{needed} approvals"
    watched = (
        f"{duration(plan.watch_us)} at 100 %, the old version beside it in shadow"
        if plan.watch_us
        else "not watched: nothing to compare with"
    )
    facts = [
        ("candidate", _version(plan.candidate)),
        ("replaces", _version(plan.champion) if plan.champion else "nothing: the endpoint has no live version"),
        ("where", plan.endpoint_id),
        ("how", STRATEGY_WORDS[plan.strategy]),
        ("callers", f"stick to an arm by {plan.hash_field or 'request id'}"),
        ("afterwards", watched),
        ("rolls back to", plan.champion.version if plan.champion else "nothing: lever kill, or a fallback"),
    ]
    if plan.rules:
        facts.append(("labels", f"count when known {duration(plan.label_horizon_us)} after the request, later ones do not"))
        facts.append(("put on hold", f"when a stage is undecided for {duration(plan.stall_us)}"))
    facts += [
        ("gates", GATE_WORDS.get(plan.gates, plan.gates)),
        ("needs", f"{people} by someone other than {plan.author} (risk tier {plan.risk_tier})"),
        ("author", f"{plan.author}, team {plan.team}" if plan.team else plan.author),
        ("made", moment(plan.created_at_us)),
    ]
    if plan.supersede:
        facts.append(("supersedes", "the release under way, which ends when this one starts"))
    return [*facts, ("note", plan.note)] if plan.note else facts


def _further(plan: ReleasePlan, shown: PlanView) -> list[tuple[str, str]]:
    """When it may climb, what it rests on, what happens when something is under way, and how long it is expected to take."""
    facts, forecast = [], shown.forecast
    if plan.promoted_from:
        facts.append(("promoted from", plan.promoted_from))
    if plan.follows:
        facts.append(("follows", f"{plan.follows}, whose candidate must be live when this one starts"))
    elif plan.queue:
        facts.append(("when busy", "waits in line until the release under way has ended"))
    if plan.calendar:
        facts.append(("climbs", hours_words(plan.calendar)))
    if plan.dependants:
        back = "goes back too" if plan.dependants == "roll_back" else "stays, flagged for a person"
        facts.append(("if what it rests on is taken back", back))
    if shown.rests_on:
        facts.append(("rests on", "; ".join(shown.rests_on)))
    if shown.dependants:
        facts.append(("rests on it", ", ".join(shown.dependants)))
    if forecast is not None:
        facts.append(("takes", forecast.sentence))
        if forecast.labels:
            facts.append(("labels come", forecast.labels))
        if forecast.measured:
            guessed = sorted({rule.metric for rule in plan.rules} - {*forecast.measured, "sample_ratio"})
            typical = f"; typical values for {', '.join(guessed)}" if guessed else ""
            facts.append(("forecast from", f"{', '.join(forecast.measured)} as measured this week{typical}"))
    return facts


def hours_words(calendar: Calendar) -> str:
    """A calendar in a line.

    >>> hours_words(Calendar(zone="Europe/Vienna"))
    'at any time Europe/Vienna'
    """
    open_hours = [f"{' '.join(each.weekdays)} {each.opens}-{each.closes}" for each in calendar.openings] or ["at any time"]
    shut = [f"not {each.first} to {each.last} ({each.reason})" for each in calendar.closures]
    return f"{', '.join(open_hours)} {calendar.zone}" + "".join(f"; {each}" for each in shut)


def _stage(stage: Stage, forecast: PlanForecast | None) -> tuple[str, ...]:
    role = ROLE_WORDS[stage.role] + (", scores the rest unseen" if stage.mirror and stage.role == "canary" else "")
    hold = duration(stage.min_hold_us) if stage.min_hold_us else "–"
    found = next((each for each in forecast.stages if each.stage == stage.name), None) if forecast and forecast.measured else None
    touched = f"{found.requests_per_day:,.0f}" if found else "–"
    expected = "–" if found is None or stage.role == "full" else f"{about(found.hours)}: {found.waits_for}"
    return (stage.name, f"{stage.weight:g} %", role, hold, f"{stage.rows_min:,}", f"{stage.labels_min:,}", touched, expected)


def _rule(rule: MetricRule, stages: tuple[Stage, ...]) -> tuple[str, ...]:
    subject, margin = _margin(rule)
    asked = [stage.name for stage in stages if applies(rule, stage)]
    where = "every stage" if len(asked) == len(stages) else "canary stages"
    return (subject, margin, f"{100 * (1 - rule.alpha_proof):g} %", where)


def _margin(rule: MetricRule) -> tuple[str, str]:
    """What is compared, and how much worse is tolerated.

    >>> from leverframe.release.plans.plan import MetricRule
    >>> _margin(MetricRule(metric="latency_budget", margin=0.05, alpha=0.001))
    ('share of answers slower than 100 ms', '5 points more')
    """
    points = f"{100 * rule.margin:g} points more"
    return {
        "errors": ("share of failing answers", points),
        "latency_budget": (f"share of answers slower than {duration(rule.bound_us)}", points),
        "latency_quantile": (f"p{100 * rule.quantile_level:g} of latency", f"{100 * rule.margin:g} % more"),
        "prediction_shift": ("mean score", f"{rule.margin:g} up or down"),
        "outcome_brier": ("Brier loss on late labels", f"{rule.margin:g} more"),
        "outcome_log_loss": ("log loss on late labels", f"{rule.margin:g} more"),
        "outcome_auc": ("ROC AUC on late labels", f"{100 * rule.margin:g} points less"),
        "outcome_hit": ("share of labels missed", points),
        "outcome_value": ("mean label", f"{rule.margin:g} less"),
        "sample_ratio": ("callers split as the route says", "chance alone"),
    }[rule.metric]
