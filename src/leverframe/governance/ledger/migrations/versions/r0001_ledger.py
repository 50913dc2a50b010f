"""Audit chain, records with their history, checkpoints."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the three tables."""
    texts = ("action", "resource", "team")
    more = ("command", "body", "result", "changes", "policy_ids", "prev", "hash")
    op.create_table(
        "audit",
        sa.Column("seq", _SEQ, primary_key=True, autoincrement=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("recorded_at_us", sa.BigInteger, nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("key", _NAME, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in more),
        sa.UniqueConstraint("actor", "key", name="audit_once"),
    )
    op.create_table(
        "record",
        sa.Column("kind", _NAME, primary_key=True),
        sa.Column("id", _NAME, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text, nullable=True),
        sa.Column("from_us", sa.BigInteger, nullable=False),
        sa.Column("to_us", sa.BigInteger, nullable=True),
        sa.Column("from_seq", sa.BigInteger, nullable=False),
        sa.Column("to_seq", sa.BigInteger, nullable=True),
    )
    still_open = sa.text("to_seq IS NULL")
    op.create_index("record_open", "record", ["kind", "id"], unique=True, sqlite_where=still_open, postgresql_where=still_open)
    op.create_index("record_at", "record", ["kind", "id", "from_us"])
    op.create_index("record_written", "record", ["from_seq"])
    op.create_table(
        "checkpoint",
        sa.Column("seq", _SEQ, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
    )
