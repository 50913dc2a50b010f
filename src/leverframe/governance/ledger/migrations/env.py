"""Where Alembic starts: it is handed an open write transaction and runs every missing step inside it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False, version_table="ledger_version")
context.run_migrations()
