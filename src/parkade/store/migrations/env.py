"""Run by Alembic for each migration command, inside the transaction of the connection it is handed."""

from __future__ import annotations

from alembic import context

from parkade.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False)
context.run_migrations()
