"""Data contracts: what a team promises about a dataset, compiled from an Open Data Contract Standard (ODCS v3) file.

Start at :func:`leverframe.data.contract.contract_file.read_contract` for how a file becomes a :class:`Contract`.
"""

from typing import Literal

import msgspec

from leverframe.core.digest import Digest, digest_record

Severity = Literal["refuse", "quarantine", "warn"]
"""What a broken rule does: turn the whole file away, set the rows aside, or only say so."""

LogicalType = Literal["string", "integer", "number", "boolean", "date", "timestamp"]
Scalar = str | int | float | bool

Treatment = Literal["keep", "hash", "mask", "drop"]
"""What is stored of a personal value: itself, a keyed hash of it that still joins, nothing but that there was one, or no column."""

PERSONAL_CLASSIFICATIONS = frozenset({"pii", "personal", "restricted"})
PERSONAL_TAGS = frozenset({"pii", "personal"})
HASHED_TYPES = frozenset({"string", "int64"})
"""Physical types wide enough to hold a keyed hash of their values."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column and everything promised about its values.

    ``physical_type`` is a canonical name of ``data.column_types``. Limits are inclusive unless named exclusive. ``references`` is
    ``<dataset>.<column>``: each value must be there. ``missing_share_max`` (0 to 1) bounds the share of nulls and only warns.
    ``severity`` is what a broken rule of this column does; ``declared_treatment`` what is stored of a personal value (decision 0027).
    """

    name: str
    logical_type: LogicalType
    physical_type: str
    description: str = ""
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusive_minimum: int | float | None = None
    exclusive_maximum: int | float | None = None
    length_min: int | None = None
    length_max: int | None = None
    pattern: str = ""
    enumeration: tuple[Scalar, ...] = ()
    references: str = ""
    missing_share_max: float | None = None
    classification: str = "internal"
    tags: tuple[str, ...] = ()
    severity: Severity = "refuse"
    declared_treatment: Treatment | None = None

    @property
    def treatment(self) -> Treatment:
        """What is stored of this column's values. Of a personal one as little as joins need, unless the contract says otherwise.

        >>> Column(name="rider", logical_type="string", physical_type="string", tags=("pii",)).treatment
        'hash'
        >>> Column(name="born", logical_type="date", physical_type="date", tags=("pii",)).treatment
        'mask'
        """
        if self.declared_treatment is not None:
            return self.declared_treatment
        if not self.personal:
            return "keep"
        return "hash" if self.physical_type in HASHED_TYPES else "mask"

    @property
    def personal(self) -> bool:
        """Whether a value may identify a person, so that it must never appear in a message."""
        return self.classification.lower() in PERSONAL_CLASSIFICATIONS or any(tag.lower() in PERSONAL_TAGS for tag in self.tags)


class SqlRule(msgspec.Struct, frozen=True, kw_only=True):
    """Rows for which ``bad_when`` (a SQL predicate over the columns) is true break the rule; ``share_max`` of them are tolerated."""

    name: str
    bad_when: str
    description: str = ""
    share_max: float = 0.0
    severity: Severity = "refuse"


class MetricRule(msgspec.Struct, frozen=True, kw_only=True):
    """A library metric of the standard: so many rows of ``columns`` may be missing, invalid or there before.

    ``missingValues`` counts nulls and ``missing_values``; ``invalidValues`` counts values outside ``valid_values`` or not matching
    ``pattern``; ``duplicateValues`` counts rows whose values of ``columns`` stood in an earlier row. ``share_max`` (0 to 1) of the rows
    or ``rows_max`` rows are tolerated, whichever is more.
    """

    name: str
    metric: Literal["missingValues", "invalidValues", "duplicateValues"]
    columns: tuple[str, ...]
    share_max: float = 0.0
    rows_max: int = 0
    missing_values: tuple[Scalar, ...] = ()
    valid_values: tuple[Scalar, ...] = ()
    pattern: str = ""
    description: str = ""
    severity: Severity = "refuse"


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows one file has, inclusive."""

    rows_min: int = 0
    rows_max: int | None = None
    severity: Severity = "refuse"


class FreshnessRule(msgspec.Struct, frozen=True, kw_only=True):
    """The newest value of ``column`` (a timestamp) is at most ``age_max_us`` old when a file is offered."""

    column: str
    age_max_us: int
    severity: Severity = "warn"


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled data contract of one dataset: ``owner`` is who answers for it, ``team`` who may change it."""

    name: str
    version: str
    dataset: str
    owner: str
    team: str
    columns: tuple[Column, ...]
    description: str = ""
    sql_rules: tuple[SqlRule, ...] = ()
    metrics: tuple[MetricRule, ...] = ()
    volume: Volume | None = None
    freshness: FreshnessRule | None = None

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Names of the columns that identify a row, in order; may be empty."""
        return tuple(column.name for column in self.columns if column.primary_key)

    @property
    def referenced(self) -> frozenset[str]:
        """The datasets that the columns' references point to."""
        return frozenset(column.references.rpartition(".")[0] for column in self.columns if column.references)

    @property
    def digest(self) -> Digest:
        """The digest of the compiled contract."""
        return digest_record(self)
