"""``lever release``, ``rollback`` and the operator's levers."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Environment, Json, print_facts, print_json, print_table, say
from leverframe.apps.cli.plan_options import plan_overrides
from leverframe.core.digest import short
from leverframe.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from leverframe.apps.client import Client
    from leverframe.apps.platform.views import EndpointView, PlanView, ReleaseView

PANEL = "Release"
LEVER_PANEL = "Operator's levers"
DIGEST_CHARS_MIN = 8
FOLLOW_S = 2.0
LOOK_SECONDS = 0.05
"""A change is shown once the gateway runs it; one that has not followed after ``FOLLOW_S`` is shown as it is."""
release = typer.Typer(help="Plan, approve, run and watch a release.", no_args_is_help=True)

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; the record keeps it.")]
EndpointName = Annotated[str, typer.Argument(help="Name of the endpoint.")]
PlanDigest = Annotated[str, typer.Argument(help="The plan's digest, its first 8 hex digits, or the id of its release.")]


def digest_of(client: "Client", text: str) -> str:
    """The whole digest of the one plan that ``text`` begins, applied or not, or that of the release called ``text``."""
    start = text.removeprefix("sha256:")
    if len(start) == 64:
        return f"sha256:{start}"
    waiting = [plan.digest for plan in client.release.plans() if plan.digest.startswith(f"sha256:{start}")]
    running = [] if waiting else client.release.list()
    named = [release.plan_digest for release in running if release.id == text or release.plan_digest.startswith(f"sha256:{start}")]
    found = [*waiting, *named] if len(start) >= DIGEST_CHARS_MIN else []
    if len(found) != 1:
        raise NotFound(
            "not exactly one plan begins like this",
            where=text,
            expected=f"at least {DIGEST_CHARS_MIN} hex digits, or the id of a release",
            got=f"{len(found)} plans",
            next_step="lever release list",
        )
    return found[0]


def print_plan(plan: "PlanView") -> None:
    """What a plan does, who approved it, and what comes next."""
    from leverframe.apps.console.plan_words import RULE_COLUMNS, STAGE_COLUMNS, plan_sheet

    sheet = plan_sheet(plan)
    say(f"Plan {short(plan.digest)}: {sheet.candidate} to {sheet.target}", f"digest {plan.digest}", "")
    print_facts(sheet.facts)
    say("")
    print_table("Stages; one is left upwards only when every rule is proven", STAGE_COLUMNS, sheet.stages)
    if sheet.rules:
        print_table("Rules; a broken one takes the candidate back", RULE_COLUMNS, sheet.rules)
    say(*(f"sees: {sentence}" for sentence in sheet.sees))
    _print_approvals(plan)


def _print_approvals(plan: "PlanView") -> None:
    say(f"approvals: {len(plan.approvals)} of {plan.needed} ({', '.join(plan.approvals) or 'nobody yet'})")
    if plan.requirements:
        rows = (
            (
                "lifted" if r.excepted_by else "yes" if r.holds else "NO",
                r.rule,
                r.observed or r.reason,
                r.fix or _exception_words(r.excepted_by),
            )
            for r in plan.requirements
        )
        print_table("What it must meet", ("holds", "rule", "observed", "next"), rows)
    else:
        say(*(f"missing: {item}" for item in plan.missing))
    say(f"next: lever release {'approve' if plan.missing else 'apply'} {short(plan.digest)}")


def _exception_words(granter: str) -> str:
    return f"by an exception that {granter} granted" if granter else ""


@release.command("plan")
def make_plan(
    version: Annotated[str, typer.Argument(help="The version to release, such as flight-delay@v2.")],
    endpoint: Annotated[str, typer.Option(help="Endpoint (default: the model's name).")] = "",
    environment: Environment = "prod",
    strategy: Annotated[str, typer.Option(help="initial, canary, shadow_canary, blue_green or challenger.")] = "shadow_canary",
    hash_field: Annotated[str, typer.Option(help="Request field that sticks a caller to an arm.")] = "",
    note: Annotated[str, typer.Option(help="Kept with the plan.")] = "",
    major: Annotated[bool, typer.Option("--major", help="Callers must change with this release, and know it.")] = False,
    ladder: Annotated[str, typer.Option(help="Stages in a line: shadow@6h,5@12h,25,50; 100 % is added.")] = "",
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", help="Over the default rules: 'latency_quantile:margin=0.25,quantile=0.99'; 'errors:off'; repeatable."),
    ] = None,
    rule_file: Annotated[Path | None, typer.Option("--rule-file", help="YAML list of rules, instead of the default ones.")] = None,
    when_busy: Annotated[
        str, typer.Option("--when-busy", help="refuse, supersede, queue, or follow (queue, against the version under way).")
    ] = "refuse",
    dependants: Annotated[str, typer.Option(help="roll_back or flag, when what it rests on is taken back; default: the team's.")] = "",
    label_horizon: Annotated[
        str, typer.Option("--label-horizon", help="Age at which a request's label counts as decided, such as 12h or 3d.")
    ] = "",
    watch: Annotated[str, typer.Option("--watch", help="How long it is watched at 100 %, such as 2d.")] = "",
    json_output: Json = False,
) -> None:
    """Show exactly what a release would do; nothing runs yet."""
    import msgspec

    from leverframe.apps.platform.views import PlanRequest

    facts = {
        "endpoint": endpoint or version.partition("@")[0],
        "version": version,
        "environment": environment,
        "strategy": strategy,
        "hash_field": hash_field,
        "note": note,
        "overrides": plan_overrides(
            major=major,
            ladder=ladder,
            rules=rule or [],
            file=rule_file,
            when_busy=when_busy,
            dependants=dependants,
            label_horizon=label_horizon,
            watch=watch,
        ),
    }
    try:
        request = msgspec.convert(facts, PlanRequest)
    except msgspec.ValidationError as exc:
        raise InvalidInput(
            "no such strategy", where="--strategy", expected="initial, canary, shadow_canary, blue_green or challenger", got=strategy
        ) from exc
    with connect() as client:
        plan = client.release.plan(request)
    if json_output:
        print_json(plan)
    else:
        print_plan(plan)


@release.command("approve")
def approve(digest: PlanDigest, note: Annotated[str, typer.Option(help="Kept with the approval.")] = "", json_output: Json = False) -> None:
    """Approve exactly this plan."""
    with connect() as client:
        plan = client.release.approve(digest_of(client, digest), note)
    if json_output:
        print_json(plan)
    else:
        say(f"Approved {plan.digest}; what runs is exactly this.")
        _print_approvals(plan)


@release.command("show")
def show_plan(digest: PlanDigest, json_output: Json = False) -> None:
    """One plan as it waits: what it does, who approved, what is missing."""
    with connect() as client:
        plan = client.release.plan_of(digest_of(client, digest))
    if json_output:
        print_json(plan)
    else:
        print_plan(plan)


@release.command("apply")
def apply(
    digest: PlanDigest,
    break_glass: Annotated[
        str, typer.Option("--break-glass", help="An operator's reason for not waiting for approvals or a freeze's end; it is reviewed.")
    ] = "",
    json_output: Json = False,
) -> None:
    """Run an approved plan."""
    with connect() as client:
        started = client.release.apply(digest_of(client, digest), break_glass=break_glass)
    if break_glass and not json_output:
        say(f"The glass is broken: {started.id} runs without what it lacked, and is to be reviewed by somebody else.")
    show(started, json_output)


@release.command("withdraw")
def withdraw(digest: PlanDigest, note: Annotated[str, typer.Option(help="Why, for the record.")] = "", json_output: Json = False) -> None:
    """Take your own approval of a plan back; a release that runs on it stops climbing."""
    with connect() as client:
        found = client.release.withdraw(digest_of(client, digest), note)
    if json_output:
        print_json(found)
    else:
        say(f"Withdrawn. {len(found.missing)} things are missing now." if found.missing else "Withdrawn.", *found.missing)


@release.command("review")
def review(
    release_id: Annotated[str, typer.Argument(help="The release's id; none: list what was started by breaking the glass.")] = "",
    finding: Annotated[str, typer.Option(help="What was found; closes the review.")] = "",
    json_output: Json = False,
) -> None:
    """Releases that were started by breaking the glass, and what somebody else found about them."""
    from leverframe.apps.console.words import moment

    with connect() as client:
        found = (client.release.review(release_id, finding),) if finding else client.release.reviews()
    shown = tuple(each for each in found if release_id in ("", each.release))
    if json_output:
        print_json(shown)
        return
    rows = ((r.release, r.opened_by, moment(r.opened_us), r.reason, r.closed_by or "OPEN", r.finding) for r in shown)
    print_table("Reviews", ("release", "glass broken by", "at", "because", "reviewed by", "finding"), rows, empty="no glass was broken.")


@release.command("status")
def status(release_id: Annotated[str, typer.Argument(help="The release's id.")], json_output: Json = False) -> None:
    """One release: stage log, verdicts, what was seen."""
    with connect() as client:
        found = client.release.get(release_id)
    show(found, json_output)


def show(found: "ReleaseView", json_output: bool) -> None:
    """One release, with its stage log and verdicts."""
    from leverframe.apps.console.words import moment, verdict_sentence

    if json_output:
        print_json(found)
        return
    say(f"{found.id}  {found.candidate} → {found.environment}/{found.endpoint}  {found.outcome or found.state}, stage {found.stage}")
    say(f"{found.weight:g} % of the traffic, {found.answers_by_candidate:,} answers, {found.labels_joined:,} labels joined")
    if found.flagged:
        say(f"FLAGGED: {found.flagged}", f"next: lever release keep {found.id}, or lever release rollback {found.id}")
    if found.summary:
        say(found.summary)
    say(*(f"by lineage: {words}" for words in found.resting))
    rows = ((moment(entry.at_us), entry.stage, entry.event, entry.reason) for entry in found.log)
    print_table("Stage log", ("when", "stage", "event", "reason"), rows)
    say(*(f"{verdict.answer:>12}  {verdict_sentence(verdict)}" for verdict in found.verdicts))


@release.command("list")
def list_releases(endpoint: Annotated[str, typer.Option(help="Only to this endpoint.")] = "", json_output: Json = False) -> None:
    """All releases, and the plans that wait."""
    from leverframe.apps.console.plan_words import plan_sheet

    with connect() as client:
        found, plans = client.release.list(endpoint), client.release.plans()
    if json_output:
        print_json({"releases": found, "plans": plans})
        return
    sheets = [(plan, plan_sheet(plan)) for plan in plans]
    rows = (
        (r.id, f"{r.environment}/{r.endpoint}", r.candidate, r.stage, f"{r.weight:g} %", r.outcome or r.state, r.answers_by_candidate)
        for r in found
    )
    columns = ("release", "endpoint", "candidate", "stage", "#weight", "state", "#answers")
    print_table("Releases", columns, rows, empty="none yet. next: lever release plan MODEL@v1")
    waiting = (
        (
            short(plan.digest),
            f"{sheet.candidate} to {sheet.target}",
            f"{len(plan.approvals)}/{plan.needed}",
            "; ".join(plan.missing) or "nothing",
        )
        for plan, sheet in sheets
    )
    print_table("Plans that wait", ("plan", "releases", "#approvals", "missing"), waiting, empty="none.")


def print_endpoint(shown: "EndpointView", json_output: bool) -> None:
    """Who answers, which levers are pulled, and whether the gateway has followed."""
    if json_output:
        print_json(shown)
        return
    arms = ", ".join(f"{arm.version} {arm.role} {arm.weight:g} %" for arm in shown.endpoint.arms)
    marks = [
        *(["killed"] if shown.endpoint.killed else []),
        *(["pinned"] if shown.endpoint.pinned else []),
        *(f"{feature} disabled" for feature in shown.endpoint.disabled_features),
        *([f"frozen: {shown.freeze.reason}"] if shown.freeze else []),
    ]
    say(f"{shown.environment}/{shown.endpoint.name}: {arms}{'  [' + ', '.join(marks) + ']' if marks else ''}")
    if shown.generation_running is None:
        say(f"desired generation {shown.generation_desired}; no gateway answers, so nothing runs it yet", "next: lever doctor")
    elif shown.generation_running >= shown.generation_desired:
        say(f"generation {shown.generation_desired} is desired and running")
    else:
        say(
            f"desired generation {shown.generation_desired}, running {shown.generation_running}: the gateway has not followed",
            "next: lever status",
        )


def followed(client: "Client", shown: "EndpointView") -> "EndpointView":
    """``shown`` once the gateway runs what was asked for, or as it is after ``FOLLOW_S``."""
    until = time.monotonic() + FOLLOW_S
    while shown.generation_running is not None and shown.generation_running < shown.generation_desired and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        for each in client.release.endpoints():
            if each.environment == shown.environment and each.endpoint.name == shown.endpoint.name:
                shown = each
    return shown


def rollback(endpoint: EndpointName, reason: Reason = "", environment: Environment = "prod", json_output: Json = False) -> None:
    """Point the route back at the version that was live before: no build, no gates, under a second."""
    with connect() as client:
        shown = followed(client, client.release.rollback(environment, endpoint, reason or "rolled back from the command line"))
    print_endpoint(shown, json_output)


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.add_typer(release, name="release", rich_help_panel=PANEL)
    for verb in (rollback,):
        app.command(rich_help_panel=PANEL)(verb)
