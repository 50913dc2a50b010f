"""The ledger's tables. ``migrations/`` makes them; this file reads and writes them.

``audit`` is append-only and chained; it also answers "was this key used before", so that no second table can disagree with it.
``record`` keeps every revision (slowly changing dimension, type 2). ``checkpoint`` keeps signed statements about the chain.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint, text

HEAD_REVISION = "0003"
"""The newest migration; a database at another revision is brought here when it is opened, or refused when it is newer."""

# Ids are ordered by code point on every database, as Python orders them.
Name = String().with_variant(String(collation="C"), "postgresql")

metadata = MetaData()

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("recorded_at_us", BigInteger, nullable=False),
    Column("actor", Name, nullable=False),
    Column("roles", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("key", Name, nullable=False),
    Column("command", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("policy_ids", Text, nullable=False),
    Column("prev", Text, nullable=False),
    Column("hash", Text, nullable=False),
    UniqueConstraint("actor", "key", name="audit_once"),
)
Index("audit_recorded", audit.c.recorded_at_us)

record = Table(
    "record",
    metadata,
    Column("kind", Name, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=True),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger, nullable=True),
    Column("from_seq", BigInteger, nullable=False),
    Column("to_seq", BigInteger, nullable=True),
)

# One open revision a record, found without looking at its past.
Index(
    "record_open",
    record.c.kind,
    record.c.id,
    unique=True,
    sqlite_where=text("to_seq IS NULL"),
    postgresql_where=text("to_seq IS NULL"),
)
# Those of them that did not end: snapshots of a stream come and go by the thousand, and a listing must not pass over them.
Index(
    "record_live",
    record.c.kind,
    record.c.id,
    sqlite_where=text("to_seq IS NULL AND body IS NOT NULL"),
    postgresql_where=text("to_seq IS NULL AND body IS NOT NULL"),
)
Index("record_at", record.c.kind, record.c.id, record.c.from_us)
Index("record_written", record.c.from_seq)
Index("record_known", record.c.kind, record.c.id, record.c.from_seq)
# The few revisions that a later one of the same or an earlier date overtook at once: without them, dates climb as numbers do.
Index(
    "record_overtaken",
    record.c.kind,
    record.c.id,
    record.c.revision,
    sqlite_where=text("to_us <= from_us"),
    postgresql_where=text("to_us <= from_us"),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("seq", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
)
