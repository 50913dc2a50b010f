"""One offered file: read, checked, and either kept as a snapshot or set aside with every fault named."""

from dataclasses import dataclass

import msgspec

from leverframe.core.dataset import ContractReport, RuleResult, Snapshot
from leverframe.core.digest import Digest, canonical_json
from leverframe.core.errors import InvalidInput
from leverframe.data.checks import Parents, check
from leverframe.data.contracts import Contract
from leverframe.data.snapshots import Blobs, parquet_bytes, take_snapshot
from leverframe.data.sources import Limits, read_rows


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What became of an offered file.

    ``snapshot`` is None when the file was refused. ``quarantine`` names the blob set aside: the whole file as it came when refused,
    the Parquet of the rows set aside when some rows broke a quarantine rule, None when nothing was. ``report_digest`` names the
    stored report.
    """

    snapshot: Snapshot | None
    report: ContractReport
    report_digest: Digest
    quarantine: Digest | None


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
) -> Ingested:
    """Read, check and keep one file. Nothing is recorded here: ``data.commands`` does that, after the bytes are safe.

    Parameters
    ----------
    data: the file as uploaded.
    format: ``parquet``, ``csv`` or ``jsonl``.
    parents: rows that references point to, by dataset name.

    Returns
    -------
    Ingested: the snapshot or the reasons why not. A file that cannot even be read is refused with rule ``readable``.

    Raises
    ------
    LimitExceeded: more bytes than a file may have; such a file is not even set aside.
    """
    limits = limits or Limits()
    try:
        offered = read_rows(data, format, limits)
    except InvalidInput as fault:
        if len(data) > limits.bytes_max:
            raise
        report = _unreadable(fault, contract, dataset, now_us)
        return Ingested(snapshot=None, report=report, report_digest=blobs.put(canonical_json(report)), quarantine=blobs.put(data))
    checked = check(offered, contract, now_us, parents)
    report = msgspec.structs.replace(checked.report, dataset=dataset)
    if not report.accepted:
        return Ingested(snapshot=None, report=report, report_digest=blobs.put(canonical_json(report)), quarantine=blobs.put(data))
    aside = blobs.put(parquet_bytes(offered.filter(checked.bad))) if report.quarantined_rows else None
    snapshot = take_snapshot(checked.good_rows, contract, report, dataset=dataset, blobs=blobs, now_us=now_us)
    return Ingested(snapshot=snapshot, report=report, report_digest=snapshot.report_digest, quarantine=aside)


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
    parts = [(part.where, f"{part.what} {part.got}".strip(), part.expected) for part in fault.faults]
    reasons = parts or [(fault.where, f"{fault.what} {fault.got}".strip(), fault.expected)]
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
