"""``lever train`` and ``models``."""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from leverframe.apps.cli import commands_compare
from leverframe.apps.cli.code_commit import code_commit
from leverframe.apps.cli.commands_training_set import engine_named
from leverframe.apps.cli.connection import connect, home_folder, load
from leverframe.apps.cli.exit_codes import INTERNAL, REFUSED
from leverframe.apps.cli.moments import moment_us
from leverframe.apps.cli.output import Json, print_json, print_table, say
from leverframe.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from leverframe.apps.client import Client
    from leverframe.apps.platform.views import RunView, VersionView

PANEL = "Models"
LOOK_SECONDS = 0.5
models = typer.Typer(help="Models and their immutable versions.", no_args_is_help=True)


def train(
    model: Annotated[str, typer.Argument(help="Name of the model.")] = "",
    from_: Annotated[str, typer.Option("--from", help="First moment of the rows (ISO 8601).")] = "",
    to: Annotated[str, typer.Option("--to", help="End of the rows; labels known by then.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 20130401,
    note: Annotated[str, typer.Option(help="Kept with the version.")] = "",
    made_from: Annotated[
        list[str] | None, typer.Option("--made-from", help="A version it is made from, besides those that predicted its rows; repeatable.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Who joins the features: polars, or spark (at LEVER_SPARK_MASTER).")] = "polars",
    attach: Annotated[str, typer.Option(help="Follow this run instead of starting one.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Start and return at once.")] = False,
    json_output: Json = False,
) -> None:
    """Train a candidate as a durable run and follow it; Ctrl-C leaves it running."""
    from leverframe.apps.platform.views import TrainRequest

    with connect() as client:
        if attach:
            run = client.training.run(attach)
        else:
            from_us, to_us = moment_us(from_, "--from"), moment_us(to, "--to")
            if not model or from_us is None or to_us is None:
                raise InvalidInput(
                    "what to train, on which rows?",
                    where="lever train",
                    expected="MODEL --from MOMENT --to MOMENT",
                    next_step="lever train flight-delay --from 2013-01-01 --to 2013-04-01",
                )
            asked = {"model": model, "from_us": from_us, "to_us": to_us, "seed": seed, "note": note, "engine": engine_named(engine)}
            request = msgspec.convert({**asked, "code_commit": code_commit(), "made_from": made_from or ()}, TrainRequest)
            run = client.training.start(request)
        if not detach:
            try:
                run = _follow(client, run, quiet=json_output)
            except KeyboardInterrupt:
                typer.echo(f"\n{run.id} goes on.\nnext: lever train --attach {run.id}", err=True)
                raise typer.Exit(0) from None
        shown = client.training.version(run.version) if run.version else None
    _conclude(run, shown, json_output)


def _follow(client: "Client", run: "RunView", *, quiet: bool) -> "RunView":
    """Look at ``run`` until it is over, with a bar that moves a step at a time."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=False) as progress:
        bar = progress.add_task(run.id, total=max(1, len(run.steps)))
        while True:
            done = sum(step.status == "done" for step in run.steps)
            current = next((step.name for step in run.steps if step.status == "running"), run.status)
            progress.update(bar, completed=done, total=max(1, len(run.steps)), description=f"{run.id}  {current}")
            if run.status in ("succeeded", "failed"):
                return run
            time.sleep(LOOK_SECONDS)
            run = client.training.run(run.id)


def _conclude(run: "RunView", shown: "VersionView | None", json_output: bool) -> None:
    if json_output:
        print_json({"run": run, "version": shown.version if shown else None, "gates": shown.evaluation.gates if shown else ()})
    elif shown is not None:
        _print_version(shown)
    elif run.status == "failed":
        typer.echo(f"{run.id} failed: {run.failure}", err=True)
        typer.echo(f"next: lever train --attach {run.id}", err=True)
    else:
        say(f"{run.id} is {run.status}", f"next: lever train --attach {run.id}")
    if run.status == "failed":
        raise typer.Exit(INTERNAL)
    if shown is not None and shown.version.gates != "pass":
        raise typer.Exit(REFUSED)


def _print_version(shown: "VersionView") -> None:
    from leverframe.apps.console.words import verdict_sentence

    say(
        f"{shown.version.name}  gates: {shown.version.gates}  routed: {', '.join(shown.arms) or 'nowhere'}",
        f"bundle {shown.version.bundle}",
        *(parent.words for parent in shown.version.made_from or ()),
    )
    rows = ((m.name, m.slice, f"{m.value:.4f}", f"{m.low:.4f} – {m.high:.4f}", m.n) for m in shown.evaluation.metrics)
    print_table("Metrics (95 % intervals)", ("metric", "slice", "#value", "#interval", "#rows"), rows)
    say(*(["Gates"] if shown.evaluation.gates else []))
    for verdict in shown.evaluation.gates:
        say(f"  {verdict.answer:<12}  {verdict_sentence(verdict)}", *([f"      next: {verdict.next_step}"] if verdict.next_step else []))


@models.command("list")
def list_models(json_output: Json = False) -> None:
    """Every model and version."""
    with connect() as client:
        found = {spec.name: client.training.versions(spec.name) for spec in client.training.models()}
    if json_output:
        print_json(found)
        return
    rows = (
        (v.name, v.gates, f"{v.metrics.get('roc_auc', float('nan')):.4f}", v.risk_tier, v.created_by, v.run_id, v.note)
        for versions in found.values()
        for v in versions
    )
    print_table("Model versions", ("version", "gates", "#roc_auc", "risk", "by", "run", "note"), rows, empty="none yet.")
    if not found:
        say("no model is declared", "next: lever apply PROJECT_DIR")
    for name, versions in found.items():
        if not versions:
            say(f"{name} has no version yet", f"next: lever train {name} --from MOMENT --to MOMENT")


@models.command("import")
def import_model(
    name: Annotated[str, typer.Option(help="Name of the model here.")],
    team: Annotated[str, typer.Option(help="The owning team.")],
    folder: Annotated[Path | None, typer.Argument(help="A folder with MLmodel, or one that lf.export_torch wrote.")] = None,
    torch: Annotated[str, typer.Option(help="SCRIPT.py:NAME of a PyTorch module instead; the script runs here, as you.")] = "",
    python: Annotated[str, typer.Option(help="The Python with PyTorch for --torch; default: this one.")] = "",
    owner: Annotated[str, typer.Option(help="Who answers for it.")] = "",
    risk: Annotated[str, typer.Option(help="Risk tier: high or low.")] = "high",
    made_from: Annotated[
        list[str] | None, typer.Option("--made-from", help="A version here that its weights began as, such as base@v3; repeatable.")
    ] = None,
    column: Annotated[int, typer.Option(help="Which of several columns that a pyfunc answers is the score (predict_proba: 1).")] = -1,
    note: Annotated[str, typer.Option(help="Kept with the version.")] = "",
    json_output: Json = False,
) -> None:
    """Make a signed version of an MLflow model folder, or of a PyTorch module, and register it.

    Runs on the installation's own machine, with its signing key. An MLflow model that is not data is run once, in a locked-down process.
    """
    from leverframe.apps.importing import import_mlflow, write_imported
    from leverframe.apps.importing_torch import export_script, import_torch, is_torch
    from leverframe.apps.platform.views import ImportRequest

    if (folder is None) == (not torch):
        raise InvalidInput("what to import?", where="lever models import", expected="FOLDER, or --torch SCRIPT.py:NAME")
    with connect() as client, TemporaryDirectory() as exported:
        if torch:
            export_script(torch, Path(exported), python=python or sys.executable)
        source = folder or Path(exported)
        asked: dict[str, Any] = {"name": name, "team": team, "owner": owner or team, "risk_tier": risk}
        asked["made_from"] = tuple(client.training.version(parent).version.name for parent in made_from or ())
        now_us = time.time_ns() // 1000
        if is_torch(source):
            made = import_torch(source, now_us=now_us, **asked)
        else:
            made = import_mlflow(source, home=home_folder(), now_us=now_us, column=column, **asked)
        bundle, envelope = write_imported(home_folder(), made)
        if name not in {spec.name for spec in client.training.models()}:
            client.training.apply_model(made.spec)
        registered = client.training.register_import(name, ImportRequest(bundle=bundle, envelope=envelope, note=note))
    if json_output:
        print_json({**registered, "bundle": bundle, "runtime": made.runtime})
        return
    say(f"{registered['version']}  runtime: {made.runtime}  gates: {made.report.answer}", f"bundle {bundle}")
    if made.runtime == "isolated":
        say("gateways serve it when they are started with --allow-isolated")


@models.command("evaluate")
def evaluate_model(
    version: Annotated[str, typer.Argument(help="An imported version, such as delays@v1.")],
    dataset: Annotated[str, typer.Option(help="Its newest snapshot is scored; default: the one declared.")] = "",
    label: Annotated[str, typer.Option(help="Column of what turned out to be true, 0 or 1.")] = "",
    as_of: Annotated[str, typer.Option(help="Column of the moment a row was asked.")] = "",
    known_at: Annotated[str, typer.Option(help="Column of the moment its label was known.")] = "",
    from_: Annotated[str, typer.Option("--from", help="First moment of the rows (ISO 8601).")] = "",
    to: Annotated[str, typer.Option("--to", help="End of the rows; labels known by then.")] = "",
    gate: Annotated[list[str] | None, typer.Option(help="A gate, such as 'lower roc_auc >= 0.65'; repeatable.")] = None,
    slice_: Annotated[list[str] | None, typer.Option("--slice", help="A column whose values are judged apart; repeatable.")] = None,
    baseline: Annotated[str, typer.Option(help="An input column that alone ranks the rows.")] = "",
    note: Annotated[str, typer.Option(help="Kept with the version.")] = "",
    json_output: Json = False,
) -> None:
    """Judge an imported version on a dataset and register it anew, with its evaluation, profile and card.

    What is given here is declared for the model first, and stays; what is not is as declared. Runs on the installation's own machine.
    """
    from leverframe.apps.cli.gate_rules import gate_rule
    from leverframe.apps.evaluating import Evaluating
    from leverframe.apps.platform.views import ImportRequest
    from leverframe.apps.settings import Settings

    from_us, to_us, (_, token) = moment_us(from_, "--from"), moment_us(to, "--to"), load(home_folder())
    gates, slices = tuple(gate_rule(text) for text in gate or ()), tuple(slice_ or ())
    stated = {"dataset": dataset, "label": label, "asked_at": as_of, "label_known_at": known_at, "gates": gates}
    stated |= {
        "slices": tuple(dict.fromkeys((*slices, *(rule.slice.partition("=")[0] for rule in gates if rule.slice)))),
        "baseline": baseline,
    }
    model = version.partition("@")[0]
    with connect() as client:
        declared = next((spec for spec in client.training.models() if spec.name == model), None)
        if declared is None:
            raise NotFound("no such model", where=model[:120], next_step="lever models list")
        spec = msgspec.structs.replace(declared, **{field: value for field, value in stated.items() if value})
        if spec != declared:
            client.training.apply_model(spec)
        with Evaluating(Settings()) as evaluating:
            made = evaluating.run(evaluating.authenticate(token), version, from_us=from_us or 0, to_us=to_us)
        request = ImportRequest(bundle=made.bundle, envelope=made.envelope, note=note or f"{version}, evaluated")
        shown = client.training.version(str(client.training.register_import(model, request)["version"]))
    if json_output:
        print_json({"version": shown.version, "gates": shown.evaluation.gates})
    else:
        _print_version(shown)
    if shown.version.gates != "pass":
        raise typer.Exit(REFUSED)


@models.command("show")
def show(version: Annotated[str, typer.Argument(help="A version, such as flight-delay@v2.")], json_output: Json = False) -> None:
    """One version with its evidence."""
    with connect() as client:
        shown = client.training.version(version)
    if json_output:
        print_json(shown)
    else:
        _print_version(shown)
        rows = ((name, size) for name, size in shown.files.items())
        print_table("Bundle", ("file", "#bytes"), rows)


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.command(rich_help_panel=PANEL)(train)
    commands_compare.register(models)
    app.add_typer(models, name="models", rich_help_panel=PANEL)
