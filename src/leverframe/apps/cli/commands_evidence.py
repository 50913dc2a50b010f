"""``lever evidence``: one folder an auditor can check without us."""

import io
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from leverframe.apps.cli.commands_record import PANEL
from leverframe.apps.cli.connection import connect
from leverframe.apps.cli.output import Json, print_json, say
from leverframe.core.errors import Conflict


def evidence(
    release: Annotated[str, typer.Argument(help="The release's id, for instance prod.flight-delay.0002.")],
    out: Annotated[Path | None, typer.Option(help="Folder to make (default: evidence-RELEASE).")] = None,
    json_output: Json = False,
) -> None:
    """Everything a release was decided on, in one folder with a verifier that needs only Python and the public key."""
    folder = out or Path(f"evidence-{release}")
    if folder.exists():
        raise Conflict("this folder exists already", where=str(folder), next_step="name another: --out FOLDER")
    with connect() as client:
        archive = zipfile.ZipFile(io.BytesIO(client.audit.evidence(release)))
    for name in archive.namelist():
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise Conflict("the pack names a file outside its folder", where=name[:80])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(name))
    if json_output:
        print_json({"folder": str(folder), "files": archive.namelist()})
    else:
        say(f"{len(archive.namelist())} files in {folder}", f"next: python {folder}/verify.py --key KEYS/signing.pub")


def register(app: typer.Typer) -> None:
    """Add this verb to ``app``."""
    app.command(rich_help_panel=PANEL)(evidence)
