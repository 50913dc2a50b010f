"""``lever experiment``: which of several versions is better for callers, and by how much."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Environment, Json, print_facts, print_json, print_table, say
from leverframe.core.digest import short
from leverframe.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from leverframe.apps.client import Client
    from leverframe.apps.platform.views.experiments import ExperimentPlanView, ExperimentView

PANEL = "Release"
WATCH_SECONDS = 2.0
HOUR_US = 3_600_000_000
experiment = typer.Typer(help="Find out which version is better for callers, and by how much.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The experiment's id.")]
PlanDigest = Annotated[str, typer.Argument(help="The plan's digest, or its first 8 hex digits.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(experiment, name="experiment", rich_help_panel=PANEL)


def _guardrail(text: str) -> dict[str, Any]:
    """``latency_quantile:margin=0.25,quantile=0.99`` as fields.

    >>> _guardrail("errors:margin=0.02")
    {'metric': 'errors', 'margin': 0.02}
    """
    metric, _, rest = text.partition(":")
    try:
        pairs = [part.split("=", 1) for part in rest.split(",") if part]
        return {"metric": metric, **{name.strip(): int(value) if name.strip() == "bound_us" else float(value) for name, value in pairs}}
    except ValueError as error:
        raise InvalidInput("not a guardrail", where="--guardrail", expected="errors:margin=0.02", got=text[:80]) from error


def _digest(client: "Client", text: str) -> str:
    start = text.removeprefix("sha256:")
    if len(start) == 64:
        return f"sha256:{start}"
    found = [p.digest for p in client.experiments.plans() if len(start) >= 8 and p.digest.startswith(f"sha256:{start}")]
    if len(found) != 1:
        raise NotFound("not exactly one plan begins like this", where=text, expected="at least 8 hex digits", got=f"{len(found)} plans")
    return found[0]


def _print_plan(plan: "ExperimentPlanView") -> None:
    from leverframe.apps.console.experiment_words import plan_facts

    say(f"Experiment {short(plan.digest)}", f"digest {plan.digest}", "")
    print_facts(plan_facts(plan))
    say("", f"approvals: {len(plan.approvals)} of {plan.needed} ({', '.join(plan.approvals) or 'nobody yet'})")
    say(*(f"missing: {item}" for item in plan.missing))
    say(f"next: lever experiment {'approve' if plan.missing else 'start'} {short(plan.digest)}")


@experiment.command("plan")
def make_plan(
    versions: Annotated[list[str], typer.Argument(help="The versions to try against what is live, such as flight-delay@v2.")],
    metric: Annotated[str, typer.Option(help="outcome_value, outcome_hit, outcome_brier, outcome_log_loss or score.")] = "outcome_value",
    effect: Annotated[float, typer.Option(help="The smallest gain that matters, in the metric's unit.")] = 0.01,
    lower: Annotated[bool, typer.Option("--lower", help="Lower is better.")] = False,
    unlabelled: Annotated[float | None, typer.Option(help="What a request without label counts as; default: it does not count.")] = None,
    endpoint: Annotated[str, typer.Option(help="Endpoint (default: the model's name).")] = "",
    environment: Environment = "prod",
    share: Annotated[list[float] | None, typer.Option(help="Percent of those who take part, one a version; default: equal.")] = None,
    traffic: Annotated[float, typer.Option(help="Percent of all callers who take part.")] = 100.0,
    layer: Annotated[str, typer.Option(help="Experiments of one layer never share a caller.")] = "",
    hash_field: Annotated[str, typer.Option(help="Request field that identifies a caller; default: every request is one.")] = "",
    guardrail: Annotated[list[str] | None, typer.Option(help="Such as errors:margin=0.02 (again for more).")] = None,
    covariate: Annotated[str, typer.Option(help="Input column known before, to take variance out.")] = "",
    segment: Annotated[list[str] | None, typer.Option(help="Input column to read out by (again for more).")] = None,
    min_hours: Annotated[float, typer.Option(help="Least duration.")] = 24.0,
    horizon_hours: Annotated[float, typer.Option(help="It ends then, whatever it knows.")] = 336.0,
    label_hours: Annotated[float, typer.Option(help="Age at which a request's label counts as decided.")] = 12.0,
    note: Annotated[str, typer.Option(help="Kept with the plan.")] = "",
    json_output: Json = False,
) -> None:
    """Write an experiment down, with how long it will take; nothing runs yet."""
    import msgspec

    from leverframe.apps.platform.views.experiments import ExperimentRequest

    facts: dict[str, Any] = {
        "endpoint": endpoint or versions[0].partition("@")[0],
        "versions": versions,
        "environment": environment,
        "primary": {"metric": metric, "effect": effect, "better": "lower" if lower else "higher", "unlabelled": unlabelled},
        "shares": share or [],
        "traffic": traffic,
        "layer": layer,
        "hash_field": hash_field,
        "covariate": covariate,
        "segments": segment or [],
        "min_us": round(min_hours * HOUR_US),
        "horizon_us": round(horizon_hours * HOUR_US),
        "label_horizon_us": round(label_hours * HOUR_US),
        "note": note,
    }
    if guardrail:
        facts["guardrails"] = [_guardrail(each) for each in guardrail]
    try:
        request = msgspec.convert(facts, ExperimentRequest)
    except msgspec.ValidationError as error:
        raise InvalidInput("this cannot be planned", where="lever experiment plan", got=str(error)) from error
    with connect() as client:
        plan = client.experiments.plan(request)
    if json_output:
        print_json(plan)
    else:
        _print_plan(plan)


@experiment.command("show")
def show_plan(digest: PlanDigest, json_output: Json = False) -> None:
    """One plan as it waits: what it does, how long it takes, who approved, what is missing."""
    with connect() as client:
        plan = client.experiments.plan_of(_digest(client, digest))
    if json_output:
        print_json(plan)
    else:
        _print_plan(plan)


@experiment.command("approve")
def approve(digest: PlanDigest, note: Annotated[str, typer.Option(help="Kept with the approval.")] = "", json_output: Json = False) -> None:
    """Approve exactly this experiment."""
    with connect() as client:
        plan = client.experiments.approve(_digest(client, digest), note)
    if json_output:
        print_json(plan)
    else:
        say(f"Approved {plan.digest}; what runs is exactly this.", *(f"missing: {item}" for item in plan.missing))
        say(f"next: lever experiment {'approve' if plan.missing else 'start'} {short(plan.digest)}")


@experiment.command("start")
def start(digest: PlanDigest, json_output: Json = False) -> None:
    """Let callers meet the variants, as planned and approved."""
    with connect() as client:
        started = client.experiments.start(_digest(client, digest))
    _show(started, json_output)


def _show(found: "ExperimentView", json_output: bool) -> None:
    from leverframe.apps.console.experiment_words import ARM_COLUMNS, OUTCOMES, SEGMENT_COLUMNS, arm_rows, segment_rows
    from leverframe.apps.console.words import moment

    if json_output:
        print_json(found)
        return
    where = f", {found.low:g} to {found.high:g} % of layer {found.layer}" if found.layer else f", {found.high - found.low:g} % of callers"
    say(f"{found.id}  {found.environment}/{found.endpoint}{where}  {OUTCOMES[found.outcome]}")
    say(f"since {moment(found.started_at_us)}, until {moment(found.ended_at_us or found.horizon_at_us)} at the latest")
    readout = found.readout
    if readout is None:
        say("nobody has met it yet")
    else:
        say("", f"as of {moment(readout.at_us)}: {readout.split.reason}")
        if readout.hidden:
            say(f"no lift is shown: {readout.hidden}")
        print_table(
            f"Arms: {found.metric}, {found.better} is better", ARM_COLUMNS, arm_rows(readout, found.shares, over=bool(found.outcome))
        )
        say(*(f"{verdict.answer:>12}  {verdict.reason}" for verdict in readout.guardrails))
        if readout.segments:
            print_table("Segments; which stand is decided over all of them", SEGMENT_COLUMNS, segment_rows(readout))
    say("", found.summary)
    if found.proposed:
        say(f"next: lever release show {short(found.proposed)}")
    elif found.report:
        say(f"next: lever experiment report {found.id}")


@experiment.command("status")
def status(experiment_id: Id, json_output: Json = False) -> None:
    """One experiment: split of callers first, then gains with their intervals, guardrails, how much longer."""
    with connect() as client:
        found = client.experiments.get(experiment_id)
    _show(found, json_output)


@experiment.command("watch")
def watch(
    experiment_id: Id,
    seconds: Annotated[float, typer.Option(help="Stop watching after this long; 0: until it ends.")] = 0.0,
    json_output: Json = False,
) -> None:
    """Follow an experiment until its report is there; a line for every new read-out."""
    from leverframe.apps.console.words import moment

    until, seen_us = time.monotonic() + seconds, -1
    with connect() as client:
        while True:
            found = client.experiments.get(experiment_id)
            at_us = found.readout.at_us if found.readout is not None else 0
            if at_us != seen_us and not json_output:
                say(f"{moment(at_us) if at_us else 'waiting'}: {found.summary}")
            seen_us = at_us
            if found.state == "ended" or (seconds and time.monotonic() >= until):
                break
            time.sleep(min(WATCH_SECONDS, max(0.0, until - time.monotonic())) if seconds else WATCH_SECONDS)
    _show(found, json_output)


@experiment.command("stop")
def stop(
    experiment_id: Id, reason: Annotated[str, typer.Option("--reason", "-m", help="Why; the record keeps it.")], json_output: Json = False
) -> None:
    """End an experiment; everybody meets the control again, at once."""
    with connect() as client:
        found = client.experiments.stop(experiment_id, reason)
    if not json_output:
        say("Stopped. The final report is made from the log within seconds.")
    _show(found, json_output)


@experiment.command("report")
def report(
    experiment_id: Id,
    filed: Annotated[bool, typer.Option("--filed", help="Show what was filed, without computing it from the log again.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write it here: .json the exact bytes that were filed, else Markdown.")] = None,
    json_output: Json = False,
) -> None:
    """Compute the final report from the log again, and show it; exit code 3 when the log does not give what was filed."""
    from leverframe.apps.console.experiment_words import report_markdown
    from leverframe.core.digest import canonical_json

    with connect() as client:
        shown = client.experiments.report(experiment_id, again=not filed)
    if output is not None:
        output.write_bytes(canonical_json(shown.report) if output.suffix == ".json" else report_markdown(shown).encode())
    if json_output:
        print_json(shown)
    elif output is None:
        typer.echo(report_markdown(shown), nl=False)
    else:
        say(f"written to {output}", shown.finding)
    if shown.same is False:
        if not json_output:
            say(f"NOT THE SAME: {shown.finding}")
        raise typer.Exit(3)


def _callers(found: "ExperimentView") -> int:
    return found.readout.counts.keys if found.readout is not None else 0


@experiment.command("list")
def list_experiments(endpoint: Annotated[str, typer.Option(help="Only on this endpoint.")] = "", json_output: Json = False) -> None:
    """All experiments, and the plans that wait."""
    from leverframe.apps.console.experiment_words import OUTCOMES
    from leverframe.apps.console.words import moment

    with connect() as client:
        found, plans = client.experiments.list(endpoint), client.experiments.plans()
    if json_output:
        print_json({"experiments": found, "plans": plans})
        return
    rows = [(e.id, ", ".join(e.versions[1:]), e.metric, OUTCOMES[e.outcome], e.winner, moment(e.started_at_us), _callers(e)) for e in found]
    columns = ("experiment", "variants", "measured", "state", "winner", "started", "#callers")
    print_table("Experiments", columns, rows, empty="none yet. next: lever experiment plan MODEL@v2")
    waiting = (
        (short(plan.digest), ", ".join(v["version"]["version"] for v in plan.plan["variants"]), "; ".join(plan.missing) or "nothing")
        for plan in plans
    )
    print_table("Plans that wait", ("plan", "variants", "missing"), waiting, empty="none.")
