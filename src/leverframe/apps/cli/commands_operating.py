"""``lever fallback``, ``limits`` and ``quota``: what answers when a model cannot, how long it may take, and who may ask how often."""

from typing import TYPE_CHECKING, Annotated

import typer

from leverframe.apps.cli.commands_levers import For, for_asked
from leverframe.apps.cli.commands_release import LEVER_PANEL, EndpointName, Reason, followed, print_endpoint
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Environment, Json, print_facts, print_json, print_table
from leverframe.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from leverframe.apps.client import Client
    from leverframe.apps.platform.views import EndpointView, TenantQuotaView

quota = typer.Typer(help="Quotas of tenants: how much all callers of one may ask together.", no_args_is_help=True)

PerSecond = Annotated[float | None, typer.Option("--per-second", help="Requests a second; 0 lifts the quota.", min=0.0)]
Burst = Annotated[float | None, typer.Option("--burst", help="Requests that may come at once; 0: one second's worth.", min=0.0)]


def _shown(client: "Client", environment: str, endpoint: str) -> "EndpointView":
    for each in client.release.endpoints():
        if (each.environment, each.endpoint.name) == (environment, endpoint):
            return each
    raise NotFound("no such endpoint", where=f"{environment}/{endpoint}", next_step="lever status")


def fallback(
    endpoint: EndpointName,
    value: Annotated[float | None, typer.Option("--value", help="The constant that is answered when nothing else does.")] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", help="Such as 'distance>=1000 and wind<5 -> 0.3'; repeatable, the first that holds answers."),
    ] = None,
    last_good: Annotated[bool, typer.Option("--last-good", help="First ask the version that was live before; kept true for you.")] = False,
    none: Annotated[bool, typer.Option("--none", help="No fallback: refuse instead.")] = False,
    for_: For = "",
    reason: Reason = "",
    environment: Environment = "prod",
    json_output: Json = False,
) -> None:
    """Set the whole chain of what answers when a model cannot; without options, show it."""
    from leverframe.apps.web.rules import rule_of

    asked = value is not None or bool(rule) or last_good
    if none and asked:
        raise InvalidInput("a fallback and none at once", where="--none", next_step=f"lever fallback {endpoint} --none --reason '...'")
    for_us = for_asked(for_)
    with connect() as client:
        if not (asked or none):
            shown = _shown(client, environment, endpoint)
        else:
            rules = [rule_of(text) for text in rule or ()]
            why = reason or "fallback from the command line"
            done = client.operating.fallback(
                environment, endpoint, value=value, rules=rules, last_good=last_good, reason=why, for_us=for_us
            )
            shown = followed(client, done)
    print_endpoint(shown, json_output)
    if not json_output:
        print_facts(_chain(shown))


def _chain(shown: "EndpointView") -> list[tuple[str, str]]:
    from leverframe.apps.console.endpoint_words import fallback_chain

    return [(f"fallback {place}", step) for place, step in enumerate(fallback_chain(shown), 1)] or [("fallback", "none: refuse")]


def limits(
    endpoint: EndpointName,
    deadline_ms: Annotated[
        int | None, typer.Option("--deadline-ms", help="How long an answer may take; past it the fallback answers. 0: no limit.", min=0)
    ] = None,
    per_second: PerSecond = None,
    burst: Burst = None,
    reason: Reason = "",
    environment: Environment = "prod",
    json_output: Json = False,
) -> None:
    """Set deadline and quota of an endpoint, each as named; without options, show them."""
    from leverframe.apps.console.endpoint_words import quota_words

    with connect() as client:
        if deadline_ms is None and per_second is None and burst is None:
            shown = _shown(client, environment, endpoint)
        else:
            why = reason or "limits from the command line"
            done = client.operating.limits(environment, endpoint, deadline_ms=deadline_ms, per_second=per_second, burst=burst, reason=why)
            shown = followed(client, done)
    print_endpoint(shown, json_output)
    if not json_output:
        record = shown.endpoint
        deadline = f"{record.deadline_ms} ms" if record.deadline_ms else "none"
        print_facts((("deadline", deadline), ("quota", quota_words(record.quota))))


@quota.command("set")
def set_quota(
    tenant: Annotated[str, typer.Argument(help="Name of the tenant.")],
    per_second: Annotated[float, typer.Option("--per-second", help="Requests a second; 0 lifts the quota.", min=0.0)],
    burst: Annotated[float, typer.Option("--burst", help="Requests that may come at once; 0: one second's worth.", min=0.0)] = 0.0,
    reason: Reason = "",
    json_output: Json = False,
) -> None:
    """Bound all callers of a tenant together."""
    with connect() as client:
        held = client.operating.set_quota(tenant, per_second, burst, reason=reason or "quota from the command line")
    _print_quotas(held, json_output)


@quota.command("list")
def list_quotas(json_output: Json = False) -> None:
    """Every tenant's quota."""
    with connect() as client:
        held = client.operating.quotas()
    _print_quotas(held, json_output)


def _print_quotas(held: "tuple[TenantQuotaView, ...]", json_output: bool) -> None:
    from leverframe.apps.console.endpoint_words import quota_words
    from leverframe.apps.console.words import moment

    if json_output:
        print_json(held)
        return
    rows = ((each.tenant, quota_words(each.quota), each.reason, each.by, moment(each.at_us)) for each in held)
    print_table("Quotas of tenants", ("tenant", "quota", "why", "by", "since"), rows, empty="none: no tenant is bounded.")


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    for verb in (fallback, limits):
        app.command(rich_help_panel=LEVER_PANEL)(verb)
    app.add_typer(quota, name="quota", rich_help_panel=LEVER_PANEL)
