"""One batch of a stream against its contract, row by row: good rows become a part, every other message is set aside with its rule.

A file is refused whole; a stream cannot be, so here every rule about rows sets rows aside, and rules about a whole file (its volume, its
freshness) only say so or do not apply.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import polars as pl

from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.data.checks.checks import Checked, Parents, check
from leverframe.data.checks.report_merge import said, with_rule
from leverframe.data.contract.contracts import Contract, MetricRule
from leverframe.data.personal import Pseudonymous, as_offered, has_personal, offered_as_stored, stored_columns, treat
from leverframe.data.snapshots.append import check_appendable, newest_rows, put_gathered
from leverframe.data.snapshots.snapshots import Blobs, canonical_rows, event_column, event_span, parquet_bytes, put_part, seal
from leverframe.data.streams.messages import StreamMessage, Table, Unread, table_of
from leverframe.data.streams.taken import StreamRules

REPEAT_ROWS_MAX = 1_000_000
"""A key is looked for among at least so many of the newest rows (whole parts); older rows are not looked at."""
BREAK_ROWS_MIN = 20
BREAK_SHARE = 0.5
"""A column that is missing or of another type in so much of a batch of so many rows is a change of the schema, not a bad row."""
NUMBER, PLACE, RULE, RAW = "stream:number", "stream:place", "stream:rule", "stream:text"
"""Columns beside the contract's in what is set aside; no contract can name a column with a colon."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one batch of ``stream`` is checked against and added to. ``seen`` has the ids of earlier messages where rows have no key."""

    dataset: str
    stream: str
    contract: Contract
    rules: StreamRules
    base: Snapshot | None
    blobs: Blobs
    now_us: int
    parents: Parents = field(default_factory=dict)
    pseudonyms: Pseudonymous | None = None
    seen: set[bytes] = field(default_factory=set)
    newest_us: int | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a batch: ``rows + quarantined + repeated`` are its messages.

    ``pause`` says why the stream has to wait, and then nothing of the batch was kept; ``broken`` what is wrong with it all the same.
    ``snapshot`` is None when no row was new; ``fresh`` names its part that has the new rows (and perhaps older ones), which are ``new``.
    """

    report: ContractReport
    report_digest: Digest
    snapshot: Snapshot | None = None
    fresh: Digest = ""
    new: pl.DataFrame = field(default_factory=pl.DataFrame)
    quarantine: Digest = ""
    reasons: tuple[str, ...] = ()
    rows: int = 0
    quarantined: int = 0
    repeated: int = 0
    late: int = 0
    strange: tuple[str, ...] = ()
    broken: str = ""
    pause: str = ""


def row_by_row(contract: Contract) -> Contract:
    """``contract`` for a stream: what would refuse a file sets a row aside; tolerated shares, which one batch cannot show, only warn.

    >>> row_by_row(Contract(name="n", version="1.0.0", dataset="d", owner="o", team="t", columns=())).volume is None
    True
    """

    def metric(rule: MetricRule) -> MetricRule:
        tolerant = rule.share_max > 0 or rule.rows_max > 0
        return msgspec.structs.replace(rule, severity="warn" if tolerant else _aside(rule.severity))

    return msgspec.structs.replace(
        contract,
        columns=tuple(msgspec.structs.replace(column, severity=_aside(column.severity)) for column in contract.columns),
        sql_rules=tuple(
            msgspec.structs.replace(rule, severity="warn" if rule.share_max > 0 else _aside(rule.severity)) for rule in contract.sql_rules
        ),
        metrics=tuple(metric(rule) for rule in contract.metrics),
        volume=None,
        freshness=msgspec.structs.replace(contract.freshness, severity="warn") if contract.freshness else None,
    )


def _aside(severity: str) -> str:
    return "quarantine" if severity == "refuse" else severity


def take_batch(batch: Batch, messages: Sequence[StreamMessage]) -> Taken:
    """Check ``messages`` and keep what is good. Nothing is recorded here: ``commands_streams`` does that, after the bytes are safe.

    Raises
    ------
    Refused: rows of the contract in force cannot stand beside those of the dataset.
    """
    contract = batch.contract
    if batch.base is not None:
        check_appendable(batch.base, contract)
    offered = table_of(messages, contract, batch.seen, set_strange_aside=batch.rules.new_columns == "quarantine")
    offered, doubled = _without_doubles(offered, contract)
    parents = as_offered(batch.parents, offered.rows, contract, batch.pseudonyms)
    checked = check(offered.rows, row_by_row(contract), batch.now_us, parents)
    changed_schema = _schema_break(checked)
    broken = f"its schema changed: {changed_schema}" if changed_schema else ""
    pause = changed_schema if batch.rules.on_break == "pause" else ""
    if offered.strange and batch.rules.new_columns == "pause":
        pause = f"columns that the contract does not name: {', '.join(offered.strange[:5])}"
    report = msgspec.structs.replace(checked.report, dataset=batch.dataset)
    if pause:
        return Taken(report=report, report_digest="", strange=offered.strange, broken=broken, pause=pause)
    rows = treat(checked.rows, contract, batch.pseudonyms).with_columns(pl.Series(NUMBER, range(checked.rows.height), dtype=pl.Int64))
    fresh, again, changed = _split(rows.filter(~checked.bad), batch)
    aside = [*_rules_of(checked, offered, changed), *offered.unread]
    report = _reported(report, aside, again + doubled + offered.repeated, len(messages), changed, contract)
    snapshot, part = _kept(fresh.drop(NUMBER), report, batch)
    return Taken(
        report=report,
        report_digest=batch.blobs.put(canonical_json(report)),
        quarantine=_set_aside(aside, offered, checked, messages, batch),
        reasons=tuple(sorted({unread.rule for unread in aside})),
        rows=fresh.height,
        quarantined=len(aside),
        repeated=again + doubled + offered.repeated,
        late=_late(fresh, batch),
        strange=offered.strange,
        broken=broken or _mostly_aside(aside, len(messages)),
        snapshot=snapshot,
        fresh=part,
        new=canonical_rows(fresh, contract),
    )


def _without_doubles(offered: Table, contract: Contract) -> tuple[Table, int]:
    """Without rows that are equal, key and all, to an earlier one of the batch; how many those were."""
    if not contract.primary_key or offered.rows.height < 2:
        return offered, 0
    once = offered.rows.with_row_index(NUMBER).unique(subset=offered.rows.columns, keep="first", maintain_order=True)
    numbers = [offered.numbers[index] for index in once[NUMBER].to_list()]
    return offered._replace(rows=once.drop(NUMBER), numbers=numbers), offered.rows.height - once.height


def _schema_break(checked: Checked) -> str:
    """The columns that are missing or of another type in much of the batch; empty: none."""
    least = max(BREAK_ROWS_MIN, BREAK_SHARE * checked.rows.height)
    found = [
        f"{result.column} ({result.rule}, expected {result.expected}) in {result.failing_rows} of {checked.rows.height} rows"
        for result in checked.report.results
        if result.rule in ("type", "required") and result.failing_rows >= least
    ]
    return "; ".join(found)[:500]


def _mostly_aside(aside: Sequence[Unread], messages: int) -> str:
    """That most of a batch was set aside, and by which rule, if it was; empty: it was not."""
    if len(aside) < max(BREAK_ROWS_MIN, BREAK_SHARE * messages):
        return ""
    (rule, count), *_ = Counter(each.rule for each in aside).most_common(1)
    return f"{len(aside):,} of {messages:,} messages of its last batch were set aside, {count:,} of them by {rule}"[:500]


def _split(rows: pl.DataFrame, batch: Batch) -> tuple[pl.DataFrame, int, list[int]]:
    """Rows that are new, how many were there already, and the numbers of those that contradict what is there under their key."""
    key = list(batch.contract.primary_key)
    if not key or batch.base is None or rows.height == 0:
        return rows, 0, []
    names = [column.name for column in stored_columns(batch.contract)]
    stored = newest_rows(batch.base, REPEAT_ROWS_MAX, batch.blobs)
    there = set(stored.collect_schema())
    added = [pl.lit(None, dtype=rows.schema[name]).alias(name) for name in names if name not in there]
    held = stored.join(rows.lazy().select(key), on=key, how="semi", nulls_equal=True).with_columns(added).select(names).collect()
    known = rows.join(held, on=key, how="semi", nulls_equal=True)
    changed = known.join(held, on=names, how="anti", nulls_equal=True)[NUMBER].to_list()
    return rows.join(held, on=key, how="anti", nulls_equal=True), known.height - len(changed), changed


def _rules_of(checked: Checked, offered: Table, changed: Sequence[int]) -> Iterator[Unread]:
    """The first rule that each bad row breaks, by the message's number in the batch."""
    first: dict[int, str] = {}
    for rule, mask in checked.aside:
        for index in mask.arg_true().to_list():
            first.setdefault(index, f"{rule.name} {rule.column}".strip())
    for index in changed:
        first.setdefault(index, "changed_key")
    for index, name in sorted(first.items()):
        yield Unread(offered.numbers[index], name)


def _reported(
    report: ContractReport, aside: Sequence[Unread], repeated: int, messages: int, changed: Sequence[int], contract: Contract
) -> ContractReport:
    unreadable = sum(1 for each in aside if each.rule.startswith("readable"))
    strange = sum(1 for each in aside if each.rule == "unexpected")
    key = ", ".join(contract.primary_key)
    for result in (
        said("readable", "", "quarantine", unreadable, messages, "one flat JSON object a message"),
        said("unexpected", "", "quarantine", strange, messages, "only columns the contract names"),
        said("changed_key", key, "quarantine", len(changed), messages, "new keys"),
        said("delivered_again", "", "warn", repeated, messages, "messages that were not delivered before (these are kept once)"),
    ):
        if not result.passed:
            report = with_rule(report, result)
    return msgspec.structs.replace(report, rows=messages, quarantined_rows=len(aside))


def _set_aside(aside: Sequence[Unread], offered: Table, checked: Checked, messages: Sequence[StreamMessage], batch: Batch) -> Digest:
    """Keep what is set aside as one Parquet: rows with their rule and place, and messages that are no rows as they came."""
    if not aside:
        return ""
    rule = {each.number: each.rule for each in aside}
    at = {number: index for index, number in enumerate(offered.numbers)}
    rows = [number for number in rule if number in at]
    texts = [number for number in rule if number not in at]
    # A text that could not be read may hold anybody's data: only its digest is kept where the contract has personal columns.
    hidden = has_personal(batch.contract)
    kept = [digest_bytes(messages[n].text.encode("utf-8", "surrogatepass")) if hidden else messages[n].text for n in texts]
    table = offered_as_stored(offered.rows, checked.rows, batch.contract, batch.pseudonyms)[[at[n] for n in rows]]
    about = {RULE: [rule[n] for n in rows + texts], PLACE: [messages[n].place for n in rows + texts], RAW: [None] * len(rows) + kept}
    marks = pl.DataFrame(about, schema={RULE: pl.String, PLACE: pl.String, RAW: pl.String})
    # ``table`` is shorter than ``marks``: the missing rows are the texts, whose columns stay empty.
    whole = pl.concat([table, table.clear(len(texts))]) if texts else table
    return batch.blobs.put(parquet_bytes(pl.concat([marks, whole], how="horizontal")))


def _late(fresh: pl.DataFrame, batch: Batch) -> int:
    name = event_column(batch.contract)
    if name is None or batch.newest_us is None or fresh.height == 0:
        return 0
    return int((fresh[name].cast(pl.Int64) < batch.newest_us).sum())


def _kept(fresh: pl.DataFrame, report: ContractReport, batch: Batch) -> tuple[Snapshot | None, Digest]:
    """The snapshot of what was there and ``fresh``, and the part that has ``fresh``."""
    if fresh.height == 0:
        return None, ""
    contract, base = batch.contract, batch.base
    if base is not None and base.rows:
        parts = put_gathered(fresh, base.blobs, base, contract, batch.blobs)
    else:
        parts = [put_part(fresh, contract, batch.blobs)]
    low, high = event_span(fresh, contract)
    if base is not None:
        low = min((moment for moment in (low, base.event_time_min_us) if moment is not None), default=None)
        high = max((moment for moment in (high, base.event_time_max_us) if moment is not None), default=None)
    dataset, blobs, now_us = batch.dataset, batch.blobs, batch.now_us
    snapshot = seal(parts, (low, high), contract, report, dataset=dataset, blobs=blobs, now_us=now_us, base=base)
    return msgspec.structs.replace(snapshot, stream=batch.stream), parts[-1].digest
