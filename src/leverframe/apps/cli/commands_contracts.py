"""``lever contracts``: check, draft and apply data contracts. ``lever data contracts apply`` is the same verb."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from leverframe.apps.cli.commands_contract_import import imports
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.exit_codes import REFUSED
from leverframe.apps.cli.moments import moment_us
from leverframe.apps.cli.output import Json, print_json, print_table, say, write_new
from leverframe.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from leverframe.apps.platform.views import ContractCheckView
    from leverframe.core.consumers import Consumer
    from leverframe.core.dataset import ContractReport

contracts = typer.Typer(help="Data contracts (ODCS files): draft, import, check, apply.", no_args_is_help=True)
contracts.add_typer(imports, name="import")

Named = Annotated[list[str] | None, typer.Option("--break-consumers", help="Someone whom the change breaks, by name; repeatable.")]
CHANGE_WORDS = {
    "first": "first version",
    "same": "nothing differs",
    "additive": "only adds: nothing breaks",
    "breaking": "breaks readers or writers",
}


def read(path: Path) -> bytes:
    """A file of the caller's."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise NotFound("this file cannot be read", where=str(path), got=exc.strerror or "") from exc


@contracts.command("apply")
def apply(
    files: Annotated[list[Path], typer.Argument(help="ODCS files (YAML).")], break_consumers: Named = None, json_output: Json = False
) -> None:
    """Put data contracts in force."""
    with connect() as client:
        said = [client.data.apply_contract(read(path).decode(), break_consumers=break_consumers or ()) for path in files]
    if json_output:
        print_json(said)
    else:
        for path, answer in zip(files, said, strict=True):
            _print_applied(path.name, answer)


def _print_applied(file: str, answer: dict[str, Any]) -> None:
    """What putting a contract in force changed, in words; what breaks and whom, a line each."""
    change = str(answer.get("change", ""))
    say(f"{file}: {answer.get('contract', '')} {answer.get('version', '')} is in force, {CHANGE_WORDS.get(change, change)}")
    say(*(f"  breaks {what}" for what in answer.get("breaks", ())))
    readers = ", ".join(answer.get("consumers", ()))
    say(*([f"  read by {readers}: tell their owners"] if readers else []))


@contracts.command("draft")
def draft(
    data_file: Annotated[Path, typer.Argument(help="A Parquet, CSV or JSON lines file.")],
    team: Annotated[str, typer.Option(help="The team that may change the contract.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset; by default the file's name.")] = "",
    out: Annotated[Path | None, typer.Option(help="File to write (default: standard output).")] = None,
    json_output: Json = False,
) -> None:
    """Write a first contract from data, with every guess marked as one; correct it and keep it."""
    from leverframe.apps.clocks import SystemClock
    from leverframe.apps.contract_check import open_rows
    from leverframe.data.contract.contract_draft import dataset_name, draft_contract

    rows = open_rows(data_file).collect()
    text = draft_contract(rows, dataset=dataset or dataset_name(data_file.stem), team=team, owner=owner, now_us=SystemClock().now_us())
    if out is not None:
        write_new(out, text)
    if json_output:
        print_json({"contract": text, "rows": rows.height, "file": str(out) if out else ""})
    elif out is None:
        say(text.rstrip("\n"))
    else:
        say(f"drafted {out} from {rows.height:,} rows", f"next: correct it, then lever contracts check {out} --against {data_file}")


@contracts.command("check")
def check(
    place: Annotated[Path, typer.Argument(help="An ODCS file, or a folder of them.")],
    against: Annotated[
        Path | None, typer.Option(help="Rows to check, here and without any server: a file, or a folder with one named after each dataset.")
    ] = None,
    parent: Annotated[
        list[str] | None, typer.Option(help="DATASET=FILE that references point to; repeatable. With a folder: its files.")
    ] = None,
    at: Annotated[str, typer.Option(help="Moment of the check (ISO 8601), for freshness; default: now.")] = "",
    engine: Annotated[
        Literal["polars", "spark"],
        typer.Option(help="What reads the rows; spark (LEVER_SPARK_MASTER says where) takes Parquet or the name of a table."),
    ] = "polars",
    last_snapshot: Annotated[bool, typer.Option("--last-snapshot", help="Also check the newest snapshot's rows, on the server.")] = False,
    break_consumers: Named = None,
    json_output: Json = False,
) -> None:
    """Check contracts before they are in force: against rows, or what they would change and break; exit code 3 when one may not ship."""
    from leverframe.apps.contract_check import contract_files

    files = contract_files(place)
    if against is not None:
        reports = list(_offline(files, against, parent or (), at, engine))
        said: list[dict[str, Any]] = [{"file": str(path), "report": report} for path, report in reports]
        fine = all(report.accepted for _, report in reports)
        if not json_output:
            for path, report in reports:
                print_contract_report(path.name, report)
    else:
        with connect() as client:
            views = [(path, client.data.check_contract(read(path).decode(), last_snapshot=last_snapshot)) for path in files]
        said = [{"file": str(path), "check": view} for path, view in views]
        fine = all(_may_ship(view, break_consumers or ()) for _, view in views)
        if not json_output:
            for path, view in views:
                _print_check(path, view, break_consumers or ())
    if json_output:
        print_json(said)
    if not fine:
        raise typer.Exit(REFUSED)


def _offline(files: list[Path], against: Path, parents: Sequence[str], at: str, engine: str) -> "Iterator[tuple[Path, ContractReport]]":
    from leverframe.apps.clocks import SystemClock
    from leverframe.apps.contract_check import check_sample, load_contract, sample_of

    now_us = moment_us(at, "--at") or SystemClock().now_us()
    told = {name: Path(file) for name, _, file in (text.partition("=") for text in parents)}
    loaded = [(path, load_contract(path)) for path in files]
    if engine == "spark":
        from leverframe.apps.contract_check_spark import check_on_spark

        master = os.environ.get("LEVER_SPARK_MASTER", "")
        with TemporaryDirectory(prefix="lever-spark-") as home:
            contracts = [contract for _, contract in loaded]
            found = check_on_spark(contracts, against, told, now_us, master=master, home=Path(home))
            yield from zip(files, found, strict=True)
        return
    if len(loaded) > 1 and against.is_file():
        raise InvalidInput("one file of rows and several contracts", where=str(against), expected="a folder with a file for each dataset")
    beside = {} if against.is_file() else {contract.dataset: sample_of(against, contract) for _, contract in loaded}
    for path, contract in loaded:
        yield path, check_sample(contract, sample_of(against, contract), {**beside, **told}, now_us)


def _may_ship(view: "ContractCheckView", named: Sequence[str]) -> bool:
    kept = view.report is None or view.report.accepted
    return kept and not view.refusals and not _unnamed(view, named)


def _unnamed(view: "ContractCheckView", named: Sequence[str]) -> "list[Consumer]":
    return [consumer for consumer in view.consumers if consumer.name not in named]


def _print_check(path: Path, view: "ContractCheckView", named: Sequence[str]) -> None:
    since = f" (in force: {view.version_in_force})" if view.version_in_force else ""
    say(f"{path.name}: {view.contract} {view.version}{since}, {CHANGE_WORDS.get(view.change, view.change)}")
    for title, faults in (("May not be applied", view.refusals), ("What breaks", view.breaks)):
        if faults:
            print_table(title, ("where", "what", "before", "now"), ((f.where, f.what, f.expected, f.got) for f in faults))
    if view.consumers:
        rows = ((c.name, c.through, "yes" if c.name in named else "no") for c in view.consumers)
        print_table("Consumers that lose what they read", ("consumer", "reads", "named"), rows)
    if view.report is not None:
        print_contract_report(f"newest snapshot of {view.dataset}", view.report)
    if _unnamed(view, named) and not view.refusals:
        options = " ".join(f"--break-consumers '{consumer.name}'" for consumer in view.consumers)
        say(f"next: tell their owners, then lever contracts apply {path} {options}")


def print_contract_report(what: str, report: "ContractReport") -> None:
    """One line of verdict, and a table of the rules that do not hold, the worst first."""
    failing = sorted((r for r in report.results if not r.passed), key=lambda r: ("refuse", "quarantine", "warn").index(r.severity))
    verdict = "kept" if not failing else "accepted with warnings" if report.accepted else "refused"
    aside = f", {report.quarantined_rows:,} set aside" if report.quarantined_rows else ""
    say(f"{what}: {verdict}, {report.rows:,} rows{aside}, {len(report.results) - len(failing)} of {len(report.results)} rules hold")
    if failing:
        rows = ((r.rule, r.column, r.severity, f"{r.failing_rows:,}", f"{r.failing_share:.2%}", r.expected, _examples(r)) for r in failing)
        print_table("Rules that do not hold", ("rule", "column", "severity", "#rows", "#share", "expected", "for example"), rows)


def _examples(result: Any) -> str:
    """Values with the rows they stand in; where only the row may be told, the row."""
    pairs = zip(result.examples, result.example_rows or result.examples, strict=False)
    return ", ".join(value if value == row or value.startswith("row ") else f"{value} ({row})" for value, row in pairs)


def register(app: typer.Typer) -> None:
    """Add these verbs to ``app``."""
    app.add_typer(contracts, name="contracts", rich_help_panel="Data and features")
