"""``lever policy``: what is in force, why, whether it decides as it should, and how it changes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from leverframe.apps.cli.commands_record import PANEL
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.output import Json, print_json, print_table, say
from leverframe.core.errors import InvalidInput, NotFound

policy = typer.Typer(help="Policy as code (Cedar): what is in force, why, and how it changes.", no_args_is_help=True)

Cases = Annotated[list[Path] | None, typer.Option("--cases", help="YAML files of cases that must hold; repeatable.")]


@policy.command("list")
def list_policies(
    text: Annotated[bool, typer.Option("--text", help="Print the policies themselves.")] = False, json_output: Json = False
) -> None:
    """Every policy in force, and what was asked for."""
    from leverframe.apps.console.words import moment

    with connect() as client:
        found, asked = client.policies.list(), client.policies.proposals()
    if json_output:
        print_json({"policies": found, "proposals": asked})
        return
    if text:
        say(*(f"// {each.name}\n{each.text}" for each in found))
        return
    print_table(
        "Policies in force", ("file", "whose", "#lines"), ((p.name, "own" if p.own else "shipped", p.text.count("\n")) for p in found)
    )
    rows = (
        (
            a.digest,
            a.proposal.name,
            "ends it" if not a.proposal.text else "",
            a.proposal.author,
            moment(a.proposal.at_us),
            a.proposal.approved_by,
        )
        for a in asked
    )
    print_table("Proposals", ("proposal", "name", "", "by", "at", "put in force by"), rows, empty="none.")


@policy.command("why")
def why(
    action: Annotated[str, typer.Argument(help="The action, for instance Release.Apply.")],
    resource: Annotated[str, typer.Argument(help="What it is done to: plan/sha256:…, endpoint/prod/flight-delay, dataset/flights …")],
    team: Annotated[str, typer.Option(help="The team that owns it.")] = "",
    fact: Annotated[list[str] | None, typer.Option("--fact", help="name=value, added to what the ledger knows; repeatable.")] = None,
    json_output: Json = False,
) -> None:
    """What would be decided for you now, by which policies and why; nothing is done (exit code 3 when it is denied)."""
    import yaml

    facts: dict[str, Any] = {}
    for each in fact or ():
        name, found, value = each.partition("=")
        if not found:
            raise InvalidInput("not a fact", where="--fact", expected="name=value", got=each[:80])
        facts[name] = yaml.safe_load(value)
    with connect() as client:
        said = client.policies.why(action, resource, team=team, facts=facts)
    if json_output:
        print_json(said)
    else:
        say(f"{said.subject} {'may' if said.allowed else 'may not'} {action} {resource}")
        say(*(f"  {id}: {reason}" for id, reason in zip(said.policy_ids or ("default",), said.reasons, strict=False)))
        say(*(f"  fact {name} = {value}" for name, value in said.facts.items()))
    if not said.allowed:
        raise typer.Exit(REFUSED)


@policy.command("test")
def run_cases(
    files: Annotated[list[Path], typer.Argument(help="YAML files: a list of cases (name, action, allowed, roles, facts …).")],
    with_: Annotated[list[Path] | None, typer.Option("--with", help="Cedar files added to the shipped policies; repeatable.")] = None,
    json_output: Json = False,
) -> None:
    """Run cases against the policies, here, without any server (exit code 3 when one does not hold)."""
    from leverframe.governance.policy import Policy
    from leverframe.governance.policy_cases import run_case

    cases = [case for path in files for case in read_cases(path)]
    rules = Policy().with_own(tuple(_text(path) for path in with_ or ()))
    results = [run_case(rules, case) for case in cases]
    if json_output:
        print_json([{"case": r.case.name, "holds": r.holds, "decided": r.words} for r in results])
    else:
        print_table("Cases", ("case", "holds", "decided"), ((r.case.name, "yes" if r.holds else "NO", r.words) for r in results))
        say(f"{sum(r.holds for r in results)} of {len(results)} cases hold.")
    if not all(result.holds for result in results):
        raise typer.Exit(REFUSED)


@policy.command("propose")
def propose(
    name: Annotated[str, typer.Argument(help="Name of the policy.")],
    file: Annotated[Path | None, typer.Argument(help="Cedar file; none: end the policy of this name.")] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    cases: Cases = None,
    json_output: Json = False,
) -> None:
    """Ask for a policy of your own; another administrator puts it in force."""
    wanted = tuple(case for path in cases or () for case in read_cases(path))
    with connect() as client:
        said = client.policies.propose(name, _text(file) if file else "", reason, wanted)
    if json_output:
        print_json(said)
    else:
        say(f"{name} is proposed; nothing changes yet.", f"next, by another administrator: lever policy approve {said['proposal']}")


@policy.command("approve")
def approve(digest: Annotated[str, typer.Argument(help="The proposal's digest.")], json_output: Json = False) -> None:
    """Put exactly this proposal in force."""
    with connect() as client:
        said = client.policies.approve(digest)
    if json_output:
        print_json(said)
    else:
        say(f"{said['name']} is {'in force' if said['in_force'] == 'yes' else 'in force no more'}.")


def read_cases(path: Path) -> list[Any]:
    """The cases in a YAML file.

    Raises
    ------
    InvalidInput: not a list of cases; says which field.
    """
    import msgspec
    import yaml

    from leverframe.governance.policy_cases import PolicyCase

    try:
        return msgspec.convert(yaml.safe_load(_text(path)), list[PolicyCase])
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        expected = "a list of cases with name, action and allowed"
        raise InvalidInput("not cases", where=str(path), expected=expected, got=str(error)[:200]) from error


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeError) as error:
        raise NotFound("this file cannot be read", where=str(path), got=type(error).__name__) from error


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.add_typer(policy, name="policy", rich_help_panel=PANEL)
