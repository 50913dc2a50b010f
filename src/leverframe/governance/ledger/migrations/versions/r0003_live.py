"""An index of the records there are, without those that ended: what comes and goes by the thousand slows down no listing of the rest."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index."""
    live = sa.text("to_seq IS NULL AND body IS NOT NULL")
    op.create_index("record_live", "record", ["kind", "id"], sqlite_where=live, postgresql_where=live)
