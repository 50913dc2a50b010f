"""The folder a batch is written to: one job, parts that are whole or not there, a manifest that is written last.

``part-<job>-<number>.parquet`` hold the rows; ``_job/`` (skipped by readers of a folder, as every name that starts with ``_``) holds what
was asked, a receipt for each finished part and the lock; ``manifest.json`` says that the job is finished, and what its parts are.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from leverframe.core.digest import Digest, canonical_json, digest_bytes, digest_record
from leverframe.core.errors import Conflict, Integrity, NotFound
from leverframe.governance.durable_files import make_folder, unavailable, write_durably

MANIFEST = "manifest.json"
JOB_CHARS = 16
_PRIVATE = "_job"
_ASIDE = ".writing-*"
_READ_BYTES = 1 << 20

T = TypeVar("T", bound=msgspec.Struct)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides the output, so that the same job has the same name.

    ``features`` says where feature values come from: nothing, ``as of <column>`` with the digest of each view's rows, or ``online``.
    ``moment_us`` is the one moment at which online values are read; it belongs to this folder, not to the name of the job.
    """

    version: str
    bundle: Digest
    inputs: tuple[Digest, ...]
    rows: int
    rows_per_part: int
    features: dict[str, str] = {}
    id_column: str = ""
    kept: tuple[str, ...] = ()
    moment_us: int = 0

    @property
    def digest(self) -> Digest:
        """The name of the job."""
        return digest_record(msgspec.structs.replace(self, moment_us=0))

    @property
    def parts(self) -> int:
        """How many parts it has."""
        return -(-self.rows // self.rows_per_part)


class PartReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One finished part; ``codes`` counts its rows without a score by reason, ``missing`` its missing input values."""

    number: int
    file: str
    digest: Digest
    rows: int
    codes: dict[str, int] = {}
    missing: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A finished job. ``rows`` = scored + the sum of ``codes``."""

    job: Digest
    asked: Job
    parts: tuple[PartReceipt, ...]
    rows: int
    scored: int
    codes: dict[str, int] = {}
    missing: int = 0
    format: str = "leverframe.scores/1"


class OutputFolder:
    """See the module. Everything but ``finished`` is done while holding the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._private = path / _PRIVATE

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from writing here; a process that dies lets go by dying.

        Raises
        ------
        Conflict: another process is writing here.    Unavailable: the folder cannot be made.
        """
        try:
            make_folder(self._private)
            handle = os.open(self._private / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unavailable(error, str(self.path)) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Conflict(
                    "another process is writing to this folder", where=str(self.path), next_step="wait for it, or choose another folder"
                ) from error
            yield
        finally:
            os.close(handle)

    def begin(self, job: Job) -> Job:
        """Claim the folder for ``job``; returns it as it was first asked for, with the moment of then.

        Raises
        ------
        Conflict: the folder holds something else.
        """
        note = self._private / "job.json"
        if note.exists():
            asked = _decode(note, Job)
            if asked.digest != job.digest:
                raise Conflict(
                    "this folder holds the output of another job",
                    where=str(self.path),
                    expected=f"job {job.digest}",
                    got=f"job {asked.digest} ({_difference(asked, job)})",
                    next_step="choose another folder",
                )
        elif foreign := sorted(path.name for path in self.path.iterdir() if path.name != _PRIVATE and not path.match(_ASIDE)):
            raise Conflict(
                "the folder is not empty", where=str(self.path), expected="a new or empty folder", got=", ".join(foreign[:5])[:200],
                next_step="choose another folder",
            )  # fmt: skip
        else:
            write_durably(note, canonical_json(job))
            asked = job
        for folder in (self.path, self._private):
            for aside in folder.glob(_ASIDE):
                aside.unlink(missing_ok=True)
        return asked

    def receipts(self, job: Job) -> dict[int, PartReceipt]:
        """The finished parts by number; a part whose file is gone or changed is not finished."""
        found = {}
        for number in range(job.parts):
            note = self._private / f"{number:06d}.json"
            if not note.exists():
                continue
            receipt = _decode(note, PartReceipt)
            if receipt.file == part_name(job, number) and file_digest(self.path / receipt.file) == receipt.digest:
                found[number] = receipt
        return found

    def put(self, job: Job, number: int, data: bytes, *, rows: int, codes: Mapping[str, int], missing: int) -> PartReceipt:
        """Keep a part, then its receipt.

        Raises
        ------
        Unavailable: the disk refused; the part is not finished.
        """
        name = part_name(job, number)
        receipt = PartReceipt(number=number, file=name, digest=digest_bytes(data), rows=rows, codes=dict(codes), missing=missing)
        write_durably(self.path / name, data)
        write_durably(self._private / f"{number:06d}.json", canonical_json(receipt))
        return receipt

    def finish(self, job: Job, receipts: Mapping[int, PartReceipt]) -> Manifest:
        """Say that the job is finished.

        Raises
        ------
        Integrity: the parts do not add up to the input.
        """
        rows = sum(receipt.rows for receipt in receipts.values())
        if rows != job.rows or sorted(receipts) != list(range(job.parts)):
            raise Integrity(
                "the parts do not add up to the input",
                where=str(self.path),
                expected=f"{job.rows} rows in {job.parts} parts",
                got=f"{rows} rows in {len(receipts)} parts",
                next_step="the input changed while it was read: choose another folder and start again",
            )
        codes: dict[str, int] = {}
        for receipt in receipts.values():
            for code, count in receipt.codes.items():
                codes[code] = codes.get(code, 0) + count
        manifest = Manifest(
            job=job.digest,
            asked=job,
            parts=tuple(receipts[number] for number in range(job.parts)),
            rows=rows,
            scored=rows - sum(codes.values()),
            codes=codes,
            missing=sum(receipt.missing for receipt in receipts.values()),
        )
        if not (self.path / MANIFEST).exists() or _decode(self.path / MANIFEST, Manifest) != manifest:
            write_durably(self.path / MANIFEST, msgspec.json.format(canonical_json(manifest), indent=1))
        return manifest

    def finished(self) -> Manifest:
        """The manifest.

        Raises
        ------
        NotFound: the job is not finished, or nothing was ever written here.
        """
        if not (self.path / MANIFEST).exists():
            raise NotFound("no finished job here", where=str(self.path), expected=MANIFEST, next_step="repeat the lever score command")
        return _decode(self.path / MANIFEST, Manifest)


def part_name(job: Job, number: int) -> str:
    """The file name of a part."""
    return f"part-{job.digest.partition(':')[2][:JOB_CHARS]}-{number:06d}.parquet"


def _decode(path: Path, type: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=type)
    except (OSError, msgspec.MsgspecError) as error:
        raise Integrity("a note of the job cannot be read", where=str(path), next_step="choose another folder and start again") from error


def _difference(asked: Job, job: Job) -> str:
    return "another " + ", ".join(f for f in job.__struct_fields__ if f != "moment_us" and getattr(asked, f) != getattr(job, f))


def file_digest(path: Path) -> Digest:
    """The digest of a file's bytes, or "" when it cannot be read."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                found.update(block)
    except OSError:
        return ""
    return f"sha256:{found.hexdigest()}"
