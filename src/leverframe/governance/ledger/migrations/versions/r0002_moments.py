"""Indexes that answer "what was live at T, as known at T'" without reading a record's whole past."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the three indexes."""
    op.create_index("audit_recorded", "audit", ["recorded_at_us"])
    op.create_index("record_known", "record", ["kind", "id", "from_seq"])
    overtaken = sa.text("to_us <= from_us")
    op.create_index("record_overtaken", "record", ["kind", "id", "revision"], sqlite_where=overtaken, postgresql_where=overtaken)
