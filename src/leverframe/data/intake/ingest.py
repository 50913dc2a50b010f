"""One offered file: read, checked, and either kept as a snapshot or set aside with every fault named."""

import msgspec

from leverframe.core.dataset import ContractReport, RuleResult, Snapshot
from leverframe.core.digest import canonical_json, digest_bytes
from leverframe.core.errors import InvalidInput
from leverframe.data.checks.checks import Parents
from leverframe.data.contract.contracts import Contract
from leverframe.data.intake.intake import Ingested, Intake
from leverframe.data.personal import Pseudonymous, has_personal
from leverframe.data.snapshots.snapshots import Blobs
from leverframe.data.sources.files import Limits, read_rows


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """Stands in quarantine for bytes that could not be read and may hold personal values: they are not kept, only named."""

    sha256: str
    bytes: int
    why: str = "cannot be read, and its contract has personal columns: not kept"


def ingest(
    data: bytes,
    format: str,
    contract: Contract,
    *,
    dataset: str,
    blobs: Blobs,
    now_us: int,
    parents: Parents | None = None,
    limits: Limits | None = None,
    pseudonyms: Pseudonymous | None = None,
    base: Snapshot | None = None,
) -> Ingested:
    """Read, check and keep one file. Nothing is recorded here: ``data.commands`` does that, after the bytes are safe.

    Parameters
    ----------
    data: the file as uploaded.
    format: ``parquet``, ``csv`` or ``jsonl``.
    parents: rows that references point to, by dataset name.
    pseudonyms: hashes personal columns; needed when the contract has some.
    base: add to the rows of this snapshot; rows it has already are kept once, by primary key.

    Returns
    -------
    Ingested: the snapshot or the reasons why not. A file that cannot even be read is refused with rule ``readable``.

    Raises
    ------
    LimitExceeded: more bytes than a file may have; such a file is not even set aside.
    Refused: the rows of ``base`` have other columns.
    """
    intake = Intake(contract, dataset=dataset, blobs=blobs, now_us=now_us, parents=parents, pseudonyms=pseudonyms, base=base)
    return take_file(intake, data=data, format=format, limits=limits)


def take_file(intake: Intake, *, data: bytes, format: str, limits: Limits | None = None) -> Ingested:
    """Feed one file to ``intake``; see :func:`ingest`."""
    limits = limits or Limits()
    contract, blobs = intake.contract, intake.blobs
    try:
        offered = read_rows(data, format, limits)
    except InvalidInput as fault:
        if len(data) > limits.bytes_max:
            raise
        report = _unreadable(fault, contract, intake.dataset, intake.now_us)
        aside = canonical_json(Withheld(sha256=digest_bytes(data), bytes=len(data))) if has_personal(contract) else data
        return Ingested(snapshot=None, report=report, report_digest=blobs.put(canonical_json(report)), quarantine=blobs.put(aside))
    return intake.take([offered], raw=data)


def failed_rules(report: ContractReport) -> tuple[str, ...]:
    """One line for each rule that was not kept, worst first, for people and for the quarantine record."""
    order = {"refuse": 0, "quarantine": 1, "warn": 2}
    failed = sorted((result for result in report.results if not result.passed), key=lambda result: order[result.severity])
    return tuple(_line(result) for result in failed)


def _line(result: RuleResult) -> str:
    where = f"{result.column}: " if result.column else ""
    seen = f"; seen {', '.join(result.examples)}" if result.examples else ""
    share = f" ({result.failing_rows} of {result.checked_rows} rows)" if result.failing_rows else ""
    return f"[{result.severity}] {where}{result.rule}, expected {result.expected}{share}{seen}"


def _unreadable(fault: InvalidInput, contract: Contract, dataset: str, now_us: int) -> ContractReport:
    """A report for bytes that never became rows: the reader's fault, and each of its parts, as failed rules."""
    # What a fault got may be a value of the file (a header line that is none): not repeated where values are personal.
    hidden = has_personal(contract)
    parts = [(part.where, part.what if hidden else f"{part.what} {part.got}".strip(), part.expected) for part in fault.faults]
    reasons = parts or [(fault.where, fault.what if hidden else f"{fault.what} {fault.got}".strip(), fault.expected)]
    results = tuple(
        RuleResult(
            rule="readable",
            column=where,
            severity="refuse",
            passed=False,
            failing_rows=0,
            checked_rows=0,
            expected=expected or "a file that can be read",
            examples=(seen,),
        )
        for where, seen, expected in reasons
    )
    return ContractReport(
        dataset=dataset,
        contract=contract.name,
        contract_version=contract.version,
        rows=0,
        accepted=False,
        results=results,
        checked_at_us=now_us,
    )
