"""``lever release rules``, ``environments``, ``promote`` and ``lift``: a team's way from environment to environment."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_release import EndpointName, Reason, print_plan, release
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Environment, Json, print_facts, print_json, print_table, say
from leverframe.core.errors import InvalidInput

if TYPE_CHECKING:
    from leverframe.release.plans.team_rules import TeamRules
    from leverframe.release.plans.windows import Calendar

RULES_BYTES_MAX = 64 * 1024


def _read(path: Path, team: str) -> "TeamRules":
    import msgspec
    import yaml

    from leverframe.release.plans.team_rules import TeamRules

    text = path.read_bytes()
    if len(text) > RULES_BYTES_MAX:
        raise InvalidInput("the file is too long for release rules", where=str(path), expected=f"at most {RULES_BYTES_MAX:,} bytes")
    try:
        # Every scalar is read as text first: YAML takes 17:00 for a number and 2026-12-24 for a date.
        written = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  builds text, lists and mappings only
        return msgspec.convert({**written, "team": team}, TeamRules, strict=False)
    except (yaml.YAMLError, msgspec.ValidationError, TypeError) as error:
        raise InvalidInput("not release rules", where=str(path), got=str(error)[:200], next_step="lever release rules --help") from error


def rules(
    team: Annotated[str, typer.Argument(help="The team; none: every team that declared rules.")] = "",
    file: Annotated[Path | None, typer.Option("--file", help="YAML with environments, calendars and bounds; replaces the rules.")] = None,
    reason: Reason = "",
    json_output: Json = False,
) -> None:
    """A team's environments, release hours and rollback limits: show them, or replace them by a file."""
    if file is not None and not team:
        raise InvalidInput("whose rules?", where="TEAM", next_step=f"lever release rules TEAM --file {file}")
    with connect() as client:
        found: tuple[TeamRules, ...]
        if file is not None:
            found = (client.promoting.declare(_read(file, team), reason or "release rules from the command line"),)
        else:
            found = (client.promoting.rules(team),) if team else client.promoting.all_rules()
    if json_output:
        print_json(found[0] if team else found)
        return
    if not found:
        say("No team has declared release rules; everybody releases to prod.", "next: lever release rules TEAM --file rules.yaml")
    for each in found:
        _print_rules(each)


def _print_rules(rules: "TeamRules") -> None:
    from leverframe.apps.console.words import duration, moment

    back = "goes back with it" if rules.dependants == "roll_back" else "stays, and is flagged"
    facts = [
        ("team", rules.team or "none"),
        (
            "rollbacks",
            f"{rules.rollbacks_max} of an endpoint, or {rules.rollbacks_of_version_max} of a version, within "
            f"{duration(rules.rollbacks_period_us)}: then a person looks first",
        ),
        ("what rests on a version that is taken back", back),
    ]
    if rules.by:
        facts.append(("declared", f"by {rules.by} at {moment(rules.at_us)}: {rules.reason}"))
    print_facts(facts)
    rows = ((each.name, each.demands if rules.below(each.name) else "–", _hours(each.calendar)) for each in rules.environments)
    columns = ("environment", "the one below must have", "releases start and climb")
    print_table("Environments, lowest first", columns, rows, empty="none declared: everything goes to prod.")
    say("")


def _hours(calendar: "Calendar | None") -> str:
    from leverframe.apps.console.plan_words import hours_words

    return "at any time" if calendar is None else hours_words(calendar)


def environments(endpoint: EndpointName, json_output: Json = False) -> None:
    """Where an endpoint stands in each environment, lowest first."""
    from leverframe.apps.console.words import moment

    with connect() as client:
        found = client.promoting.environments(endpoint)
    if json_output:
        print_json(found)
        return
    rows = (
        (
            each.environment,
            each.live or "nothing",
            f"{each.release} {each.state}" if each.release else "none yet",
            each.demands or "–",
            f"{each.shut}; opens {moment(each.opens_us) if each.opens_us else 'not within a year'}" if each.shut else "open",
        )
        for each in found
    )
    print_table(endpoint, ("environment", "live", "release", "the one below must have", "releases"), rows)


def promote(
    endpoint: EndpointName,
    to: Annotated[str, typer.Option("--to", help="The environment to plan for; what is live in the one below goes there.")] = "prod",
    strategy: Annotated[str, typer.Option(help="initial, canary, shadow_canary or blue_green; default: what fits there.")] = "",
    hash_field: Annotated[str, typer.Option(help="Request field that sticks a caller to an arm.")] = "",
    note: Annotated[str, typer.Option(help="Kept with the plan.")] = "",
    json_output: Json = False,
) -> None:
    """Plan for an environment what is live in the one below it: the same bundle, to the digest."""
    import msgspec

    from leverframe.apps.platform.views.promoting import PromoteRequest

    facts = {"endpoint": endpoint, "to": to, "strategy": strategy, "hash_field": hash_field, "note": note}
    try:
        request = msgspec.convert(facts, PromoteRequest)
    except msgspec.ValidationError as error:
        expected = "initial, canary, shadow_canary or blue_green"
        raise InvalidInput("no such strategy", where="--strategy", expected=expected, got=strategy) from error
    with connect() as client:
        plan = client.promoting.promote(request)
    if json_output:
        print_json(plan)
    else:
        print_plan(plan)


def lift(
    endpoint: EndpointName,
    reason: Reason = "",
    hours: Annotated[float, typer.Option(help="For how long.", min=0.1, max=168.0)] = 24.0,
    environment: Environment = "prod",
    json_output: Json = False,
) -> None:
    """Let releases of an endpoint start again although it was rolled back often; for a while, with a reason."""
    from leverframe.apps.console.words import moment

    if not reason.strip():
        again = f"lever release lift {endpoint} --reason '...'"
        raise InvalidInput("the limit is not lifted without a reason", where="--reason", next_step=again)
    with connect() as client:
        done = client.promoting.lift(environment, endpoint, reason, hours)
    if json_output:
        print_json(done)
    else:
        say(f"Releases of {environment}/{endpoint} may start again until {moment(done['expires_us'])}.")


def register(_app: typer.Typer) -> None:
    """Add these verbs to ``lever release``."""
    for verb in (rules, environments, promote, lift):
        release.command()(verb)
