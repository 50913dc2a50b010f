"""A Feast repository becomes a project folder: read under the Python that has Feast, written as definitions a person would like to keep."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from leverframe.core.errors import Conflict, Fault, InvalidInput, LeverframeError, NotFound, Unavailable
from leverframe.data.contract.contract_draft import draft_contract
from leverframe.data.sources.files import read_rows
from leverframe.features.declared.definitions import check_view
from leverframe.features.feast import export_feast
from leverframe.features.feast.feast_import import Carried, FeastRepository, FeastSource, carry
from leverframe.features.feast.feast_source import source_text

EXPORT_S_MAX = 300
"""A repository that takes longer to read is given up."""
SAID_CHARS_MAX = 300
SOURCE_BYTES_MAX = 2 * 1024**3
"""A larger file source is not read for a draft of its contract; the contract is then written by hand or from a sample."""
FEATURES, STORE, CONTRACTS = "features.py", "feast-online.json", "contracts"


@dataclass(frozen=True)
class Imported:
    """What was written, by path relative to the folder, and what becomes of the repository."""

    carried: Carried
    files: tuple[str, ...]


def read_repository(folder: Path, *, python: str) -> FeastRepository:
    """What the repository in ``folder`` declares, read under ``python``, which has Feast.

    The repository's files are the caller's own programs and may do what the caller may: for a person's command line, never for a server.

    Raises
    ------
    NotFound: there is no repository.    InvalidInput: it cannot be read.    Unavailable: the Python cannot be run, or takes too long.
    """
    if not (folder / "feature_store.yaml").is_file():
        raise NotFound("no Feast repository here", where=str(folder)[:200], expected="a folder with feature_store.yaml")
    with tempfile.TemporaryDirectory(prefix="lever-feast-") as scratch:
        out = Path(scratch) / "repository.json"
        command = [python, "-I", export_feast.__file__, str(folder.resolve()), str(out)]
        try:
            done = subprocess.run(  # noqa: S603 (the caller's own repository, under the caller's own Python)
                command, capture_output=True, text=True, errors="replace", timeout=EXPORT_S_MAX, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            raise Unavailable(
                "this Python cannot be run", where=python[:120], next_step="--python /path/to/the/python/with/feast"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(
                "reading the repository took too long", where=str(folder)[:120], expected=f"at most {EXPORT_S_MAX} s"
            ) from error
        if done.returncode or not out.is_file():
            said = next(reversed(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
            raise InvalidInput(
                "the repository cannot be read",
                where=str(folder)[:120],
                expected="a repository that `feast plan` accepts, under a Python with feast",
                got=said[-SAID_CHARS_MAX:],
                next_step="name the Python that has Feast: --python PATH",
            )
        return msgspec.json.decode(out.read_bytes(), type=FeastRepository)


def import_feast(repo: Path, out: Path, *, python: str, team: str, now_us: int) -> Imported:
    """Write ``features.py``, drafts of contracts, and the description of the online store into ``out``; nothing that exists is replaced.

    Raises
    ------
    Conflict: a file is there already.    Others as :func:`read_repository` does.
    """
    repository = read_repository(repo, python=python)
    carried = carry(repository, team)
    texts: dict[str, str] = {}
    for dataset, source in carried.sources.items():
        text = _drafted(dataset, source, repo, carried, team, now_us)
        if text:
            texts[f"{CONTRACTS}/{dataset}.odcs.yaml"] = text
    for view in carried.views:
        check_view(view)
    about = f"Features of the Feast project {repository.project}, as read from its repository (Feast {repository.version})."
    texts[FEATURES] = source_text(about, carried.entities, carried.views, carried.services, carried.left)
    if carried.store is not None:
        store = carried.store
        if store.kind == "sqlite":
            store = msgspec.structs.replace(store, address=str((repo / store.address).resolve()))
        texts[STORE] = msgspec.json.format(msgspec.json.encode(store), indent=2).decode() + "\n"
    present = [name for name in texts if (out / name).exists()]
    if present:
        raise Conflict(
            "these files exist and are not replaced", where=str(out)[:200], got=", ".join(present), next_step="choose another --out"
        )
    for name, text in texts.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    return Imported(carried=carried, files=tuple(texts))


def _drafted(dataset: str, source: FeastSource, repo: Path, carried: Carried, team: str, now_us: int) -> str:
    """A contract drafted from a file source that can be read from here; empty, and named among what is left, where it cannot."""
    views = [view for view in carried.views if view.source == dataset]
    path = repo / source.path
    reason = ""
    if source.kind != "FileSource" or "://" in source.path:
        reason = f"{source.kind} {source.path}".strip()
    elif not path.is_file() or path.suffix not in (".parquet", ".csv"):
        reason = f"{source.path}: not a Parquet or CSV file here"
    elif path.stat().st_size > SOURCE_BYTES_MAX:
        reason = f"{source.path}: larger than {SOURCE_BYTES_MAX:,} bytes"
    if not reason:
        owner = next((view.owner for view in views if view.owner), team)
        try:
            rows = read_rows(path.read_bytes(), path.suffix.removeprefix("."))
            return draft_contract(rows, dataset=dataset, team=team, owner=owner, now_us=now_us)
        except LeverframeError as error:
            reason = error.what
    what = f"no contract was drafted: lever contracts draft FILE --dataset {dataset}"
    carried.left.append(Fault(where=f"source {source.name}", what=what, got=reason))
    return ""
