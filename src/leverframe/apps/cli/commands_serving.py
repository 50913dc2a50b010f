"""``lever predict``, ``top`` and ``serve``: the gateway from a terminal."""

import csv
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leverframe.apps.cli.connection import connect, home_folder
from leverframe.apps.cli.output import Environment, Json, console, print_facts, print_json, print_table, say, table_of
from leverframe.core.errors import InvalidInput, LimitExceeded, NotFound, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from rich.table import Table

    from leverframe.apps.client import Client
    from leverframe.apps.gateway_view.client import Prediction
    from leverframe.apps.gateway_view.traffic import Traffic
    from leverframe.core.route import Arm
    from leverframe.core.schema import RequestField

PANEL = "Serving"
CSV_ROWS_MAX = 10_000
EndpointName = Annotated[str, typer.Argument(help="Name of the endpoint.")]


def predict(
    endpoint: EndpointName,
    inputs: Annotated[list[str] | None, typer.Argument(help="Inputs as NAME=VALUE; none: the model's example.")] = None,
    entity: Annotated[
        list[str] | None, typer.Option("--entity", help="An entity key as NAME=VALUE, the rest from the example; repeatable.")
    ] = None,
    body: Annotated[str, typer.Option("--body", help="Inputs as one JSON object, or @FILE with one.")] = "",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="A CSV file, its columns named like the inputs; a request a row.")] = None,
    json_output: Json = False,
) -> None:
    """Ask an endpoint and show the score, who gave it and what was missing; a real request, answered and logged like any."""
    if sum(map(bool, (inputs, body, csv_file))) > 1:
        raise InvalidInput(
            "inputs in more than one form", where="lever predict", expected="NAME=VALUE, --body or --csv", next_step="choose one"
        )
    with connect() as client:
        fields = client.gateway.fields(endpoint)
        rows = list(_rows(client, endpoint, fields, inputs or [], entity or [], body, csv_file))
        datatypes = {field.name: field.datatype for field in fields}
        answers = [client.predict(endpoint, {name: [v] for name, v in row.items()}, datatypes=datatypes) for row in rows]
    if json_output:
        print_json(answers if csv_file else answers[0])
    elif csv_file:
        lines = ((str(number), *_line(answer)) for number, answer in enumerate(answers, 1))
        print_table(f"{endpoint}: {csv_file.name}", ("#row", "#score", "version", "arm", "missing"), lines, empty="the file has no rows.")
    else:
        _print_answer(rows[0], answers[0])


def _rows(
    client: "Client",
    endpoint: str,
    fields: tuple["RequestField", ...],
    inputs: list[str],
    entity: list[str],
    body: str,
    csv_file: Path | None,
) -> Iterator[Mapping[str, object]]:
    """The rows to ask with, typed."""
    from leverframe.apps.web.ask import row_of

    keys = row_of(fields, _pairs(entity))
    if csv_file is not None:
        for typed in _csv_rows(csv_file):
            yield row_of(fields, typed) | keys
    elif body:
        yield _json_row(body) | keys
    elif inputs:
        yield row_of(fields, _pairs(inputs)) | keys
    else:
        yield _example(client, endpoint) | keys


def _pairs(texts: list[str]) -> dict[str, str]:
    wrong = next((text for text in texts if "=" not in text), None)
    if wrong is not None:
        raise InvalidInput("not an input", where=wrong[:80], expected="NAME=VALUE", next_step="lever predict --help")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _csv_rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.DictReader(file, restkey=""), 1):
                if number > CSV_ROWS_MAX:
                    raise LimitExceeded("too many rows", where=str(path), expected=f"at most {CSV_ROWS_MAX:,}", next_step="lever score")
                yield {name: value or "" for name, value in row.items() if name}
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise NotFound("this file cannot be read as CSV", where=str(path), got=str(exc)[:80]) from exc


def _json_row(body: str) -> dict[str, Any]:
    try:
        text = Path(body[1:]).read_text() if body.startswith("@") else body
        row = json.loads(text)
    except (OSError, ValueError) as exc:
        raise InvalidInput("not a JSON object", where="--body", expected='{"name": value, …} or @FILE', got=str(exc)[:80]) from exc
    if not isinstance(row, dict):
        raise InvalidInput("not a JSON object", where="--body", expected='{"name": value, …}', got=type(row).__name__)
    return row


def _example(client: "Client", endpoint: str) -> dict[str, Any]:
    """The example row of the model that answers ``endpoint`` by default, as its team declared it."""
    from leverframe.apps.web.ask import example_of

    shown = next((each.endpoint for each in client.release.endpoints() if each.endpoint.name == endpoint), None)
    if shown is None or shown.live is None:
        raise NotFound("nothing is live at this endpoint", where=endpoint, next_step="lever status")
    return {field.name: example_of(field) for field in client.training.version(shown.live.version).spec.request}


def _line(answer: "Prediction") -> tuple[str, str, str, str]:
    about = answer.parameters
    scores = ", ".join(f"{value:.6g}" for values in answer.outputs.values() for value in values)
    status = f" (fallback {about['fallback']})" if about.get("fallback") else ""
    return scores, answer.version, f"{about.get('arm', '')}{status}", str(about.get("missing_features", "")).replace(",", ", ") or "nothing"


def _print_answer(row: Mapping[str, object], answer: "Prediction") -> None:
    scores, version, arm, missing = _line(answer)
    output = ", ".join(answer.outputs)
    print_facts(
        (
            (output or "score", scores),
            ("version", version),
            ("arm", arm),
            ("missing", missing),
            ("id", answer.id),
            ("asked with", ", ".join(f"{name}={value}" for name, value in row.items())),
        )
    )


def top(
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
    interval: Annotated[float, typer.Option("--interval", help="Seconds between two looks.", min=0.1, max=60.0)] = 1.0,
    json_output: Json = False,
) -> None:
    """Live traffic by arm: requests a second, latency, errors, the log's balance; Ctrl-C ends it."""
    from leverframe.apps.gateway_view.traffic import between

    with connect() as client:
        first = client.gateway.look()
        if once or json_output:
            time.sleep(interval)
            seen = between(first, client.gateway.look())
            if json_output:
                print_json(seen)
            else:
                console().print(_traffic_table(seen))
                say(_balance(seen))
            return
        _watch(client, interval)


def _watch(client: "Client", interval: float) -> None:
    from rich.console import Group
    from rich.live import Live

    from leverframe.apps.gateway_view.traffic import between

    last = client.gateway.look()
    with Live(console=console(), screen=True, auto_refresh=False) as screen:
        try:
            while True:
                time.sleep(interval)
                now = client.gateway.look()
                seen, last = between(last, now), now
                screen.update(Group(_traffic_table(seen), _balance(seen)), refresh=True)
        except KeyboardInterrupt:
            return


def _traffic_table(seen: "Traffic") -> "Table":
    columns = ("endpoint", "version", "role", "#per second", "#p50 ms", "#p99 ms", "#fallbacks", "#errors", "#all answers")
    rows = (
        (
            arm.endpoint,
            arm.version,
            arm.role,
            f"{arm.per_second:,.1f}",
            "–" if arm.p50_ms is None else f"{arm.p50_ms:.2f}",
            "–" if arm.p99_ms is None else f"{arm.p99_ms:.2f}",
            arm.fallbacks,
            arm.errors,
            arm.total,
        )
        for arm in seen.arms
    )
    return table_of(f"Traffic in the last {seen.seconds:.1f} s", columns, rows)


def _balance(seen: "Traffic") -> str:
    balance = "holds" if seen.adds_up else "DOES NOT HOLD"
    line = f"served {seen.served:,} = logged {seen.logged:,} + dropped {seen.dropped:,} {balance}; {seen.refused:,} requests refused"
    generation = "no routes yet" if seen.generation is None else f"generation {seen.generation}"
    return f"{generation}; {line}" + (f"\nproblem: {seen.problem}" if seen.problem else "")


def serve(
    target: Annotated[
        str,
        typer.Argument(help="An endpoint, model@version or bundle digest of the home, or a bundle's folder; none: its published routes."),
    ] = "",
    home: Annotated[Path | None, typer.Option(help="Folder of the installation (default: LEVER_HOME or .leverframe).")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8401,
    grpc_port: Annotated[int, typer.Option("--grpc-port", help="Port for gRPC; 0: none.", min=0, max=65535)] = 0,
    workers: Annotated[str, typer.Option(help="Processes on the port; auto: one a usable core.")] = "1",
    trust: Annotated[Path | None, typer.Option(help="Folder of public keys whose bundles are served (default: the home's).")] = None,
    environment: Environment = "prod",
    worker: Annotated[
        str, typer.Option(help="Name of this worker's log segments; of its own for each gateway of a home.")
    ] = "gateway-alone",
    json_output: Json = False,
) -> None:
    """Start a gateway alone, on an installation's published routes or on one model; prints where it listens and how to ask."""
    from leverframe.apps.cli import serve_alone
    from leverframe.apps.cli.gateway_child import run_gateway

    folder, given = home or home_folder(), os.environ
    artifacts, publication = given.get("LEVER_ARTIFACTS_URL", ""), given.get("LEVER_PUBLICATION_URL", "")
    options = ["--host", host, "--port", str(port), "--grpc-port", str(grpc_port), "--workers", workers, "--environment", environment]
    options += ["--worker", worker, "--clock", given.get("LEVER_CLOCK", "system")]
    with ExitStack() as opened:
        if target and (Path(target).is_dir() or "/" in target):
            alone = opened.enter_context(serve_alone.bundle_folder(Path(target), trust or folder / "keys", environment))
        elif not (folder / "keys").is_dir():
            raise NotFound(
                "no installation here", where=str(folder), expected="a folder that lever up made", next_step="lever up --home DIR"
            )
        elif target:
            arm = serve_alone.arm_called(serve_alone.published_table(folder, environment, publication), target) or _registered(target)
            alone = opened.enter_context(serve_alone.bundle_of_home(folder, arm, environment, artifacts))
        else:
            alone = None
        if alone is not None:
            options += ["--home", str(alone.home), "--artifacts-url", alone.artifacts_url, "--publication-url", ""]
            example: tuple[str, tuple[RequestField, ...]] | None = (alone.endpoint, alone.fields)
            what = f"{alone.version} as endpoint {alone.endpoint}; what it answers is logged in a temporary folder and gone afterwards"
        else:
            options += ["--home", str(folder), "--artifacts-url", artifacts, "--publication-url", publication]
            table = serve_alone.published_table(folder, environment, publication)
            example = serve_alone.first_endpoint(folder, table, artifacts)
            what = f"the published routes of {folder}: {', '.join(e.name for e in table.endpoints) if table else 'none yet'}"
        code = run_gateway(options, lambda said: _announce(said, what, example, grpc_port), echo=json_output)
    if code:
        raise typer.Exit(code)


def _registered(name: str) -> "Arm":
    """The bundle of a registered version (``model@v2``), asked of the control plane."""
    from leverframe.core.route import Arm

    missing = NotFound(
        "nothing of this name is published here",
        where=name[:80],
        expected="an endpoint, a model@version, a digest that a route names, or a bundle's folder",
        next_step="lever status lists endpoints; while lever up runs, every registered model@version can be served",
    )
    if "@" not in name:
        raise missing
    try:
        with connect() as client:
            version = client.training.version(name).version
    except (NotFound, Unavailable, Unauthenticated) as error:
        raise missing from error
    return Arm(version=name, bundle=version.bundle, envelope=version.envelope, role="live", weight=100.0)


def _announce(said: dict[str, Any], what: str, example: "tuple[str, tuple[RequestField, ...]] | None", grpc_port: int) -> None:
    from leverframe.apps.console.snippets import snippets

    address = f"http://{said['host']}:{said['port']}"
    say(f"Serving {what}.", f"It listens at {address}" + (f", gRPC at {said['host']}:{grpc_port}" if grpc_port else "") + ".")
    if example is not None:
        say("", "Ask it (LEVER_TOKEN matters only where the routes name callers):", snippets(address, *example)[0].text)
    say("", "Ctrl-C stops it, a second one at once.")
    sys.stdout.flush()


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    for verb in (predict, top, serve):
        app.command(rich_help_panel=PANEL)(verb)
