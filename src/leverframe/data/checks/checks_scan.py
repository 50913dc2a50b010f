"""A table larger than memory against its contract: the same rules and the same report, streamed from where the rows lie."""

import msgspec
import polars as pl

from leverframe.core.dataset import ContractReport
from leverframe.data.checks.checks import ROW, Parents, counted_by, counting, known_values
from leverframe.data.checks.report import EXAMPLE_ROWS_MAX, Table, contract_report, passes
from leverframe.data.checks.rules import REPEATS, Rule, row_rules
from leverframe.data.checks.rules_polars import OFFERED, PolarsRules
from leverframe.data.contract.contracts import Contract

KEYS_AT_ONCE_MAX = 16_000_000
"""So many keys are held to find the repeated ones (about 1 GB); more are looked at in several passes, each with its part of the hashes."""
REPEATED_KEYS_MAX = 100_000
"""Examples of repeated keys are looked for among so many; the count is exact however many there are."""


def check_scan(
    scan: pl.LazyFrame, contract: Contract, now_us: int, parents: Parents | None = None, *, keys_at_once_max: int = KEYS_AT_ONCE_MAX
) -> ContractReport:
    """Check rows that are read as they are needed, such as ``pl.scan_parquet``, in bounded memory.

    Parameters
    ----------
    scan: the rows; it is read once, once more when a rule fails, and once for each uniqueness rule and ``keys_at_once_max`` keys.
    now_us: the moment of the check, for freshness.
    parents: rows that references point to; their distinct values are held in memory.

    Returns
    -------
    ContractReport: what ``data.checks.check`` reports of the same rows. ``quarantined_rows`` counts rows that break a quarantine rule.
    """
    schema = scan.collect_schema()
    rules = row_rules(contract, frozenset(schema))
    compiled = PolarsRules(contract, schema, known_values(contract, parents or {}), row=pl.col(ROW))
    both = scan.rename({name: f"{OFFERED}{name}" for name in schema}).with_row_index(ROW).with_columns(compiled.columns)
    apart = frozenset(index for index, rule in enumerate(rules) if rule.kind in REPEATS)
    asked = counting(rules, compiled, leave=apart)
    if contract.freshness is not None:
        asked.append(pl.col(contract.freshness.column).cast(pl.Int64).max().alias("newest"))
    facts = both.select(asked).collect(engine="streaming").row(0, named=True)
    parts = max(1, -(-int(facts["rows"]) // keys_at_once_max))
    facts |= {f"failing_{index}": _repeated(both, rules[index], parts) for index in apart}
    counted = [counted_by(facts, index, compiled.verifiable(rule)) for index, rule in enumerate(rules)]
    looked = [index for index, rule in enumerate(rules) if not passes(rule, counted[index])]
    for index, seen in _seen(both, rules, compiled, [index for index in looked if index not in apart]).items():
        counted[index] = msgspec.structs.replace(counted[index], seen=seen)
    for index in apart.intersection(looked):
        counted[index] = msgspec.structs.replace(counted[index], seen=_seen_repeated(both, rules[index], compiled, parts))
    aside = [rule for index, rule in enumerate(rules) if rule.severity == "quarantine" and counted[index].failing]
    table = Table(rows=int(facts["rows"]), columns=tuple(schema), newest_us=facts.get("newest"))
    return contract_report(contract, table, rules, counted, now_us=now_us, quarantined_rows=_set_aside(both, aside, compiled))


def _part(both: pl.LazyFrame, rule: Rule, part: int, parts: int) -> pl.LazyFrame:
    """The complete keys whose hash falls into ``part``."""
    keys = both.select(rule.columns).drop_nulls()
    if parts == 1:
        return keys
    key = pl.struct(rule.columns) if len(rule.columns) > 1 else pl.col(rule.columns[0])
    return keys.filter(key.hash() % parts == part)


def _repeated(both: pl.LazyFrame, rule: Rule, parts: int) -> int:
    """How many rows have a key that stood in an earlier row."""
    repeated = 0
    for part in range(parts):
        sizes = _part(both, rule, part, parts).group_by(rule.columns).len("times").select(pl.col("times").cast(pl.Int64) - 1)
        repeated += int(sizes.sum().collect(engine="streaming").item() or 0)
    return repeated


def _seen(both: pl.LazyFrame, rules: list[Rule], compiled: PolarsRules, looked: list[int]) -> dict[int, tuple[tuple[str, str], ...]]:
    """Example and row of the first rows that break each rule, read no further than the last of them."""
    seen: dict[int, list[tuple[str, str]]] = {index: [] for index in looked}
    if not looked:
        return {}
    masks = [compiled.broken(rules[index]).alias(f"broken_{index}") for index in looked]
    shown = [compiled.example(rules[index]).alias(f"example_{index}") for index in looked]
    bad = both.select(*masks, *shown, compiled.label().alias("label:")).filter(pl.any_horizontal([f"broken_{index}" for index in looked]))
    # Unstable in Polars, but the one way to stop reading early; the query ends when its batches are dropped.
    for batch in bad.collect_batches(engine="streaming", lazy=True):
        for index, found in seen.items():
            more = batch.filter(pl.col(f"broken_{index}")).head(EXAMPLE_ROWS_MAX - len(found))
            found += zip(more[f"example_{index}"].to_list(), more["label:"].to_list(), strict=True)
        if all(len(found) == EXAMPLE_ROWS_MAX for found in seen.values()):
            break
    return {index: tuple(found) for index, found in seen.items()}


def _seen_repeated(both: pl.LazyFrame, rule: Rule, compiled: PolarsRules, parts: int) -> tuple[tuple[str, str], ...]:
    """Example and row of the first rows whose key stood in an earlier one."""
    several = []
    for part in range(parts):
        more = _part(both, rule, part, parts).group_by(rule.columns).len("times:").filter(pl.col("times:") > 1).drop("times:")
        several.append(more.head(REPEATED_KEYS_MAX).collect(engine="streaming"))
    keys = pl.concat(several).head(REPEATED_KEYS_MAX)
    shown = [pl.col(ROW), *rule.columns, compiled.example(rule).alias("example:"), compiled.label().alias("label:")]
    again = both.join(keys.lazy(), on=list(rule.columns), how="semi").select(shown).collect(engine="streaming").sort(ROW)
    later = again.filter(~pl.struct(rule.columns).is_first_distinct()).head(EXAMPLE_ROWS_MAX)
    return tuple(zip(later["example:"].to_list(), later["label:"].to_list(), strict=True))


def _set_aside(both: pl.LazyFrame, aside: list[Rule], compiled: PolarsRules) -> int:
    """How many rows break any of these rules. Only a uniqueness rule that sets rows aside holds its whole column for this."""
    if not aside:
        return 0
    return int(both.select(pl.any_horizontal([compiled.broken(rule) for rule in aside]).sum()).collect(engine="streaming").item())
