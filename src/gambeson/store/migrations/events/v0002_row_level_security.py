"""Row-level security by organisation, on PostgreSQL only (SQLite has none; there the statements'
own condition holds alone).

A transaction sees and writes the rows of the organisation that it names in
``gambeson.organisation``, of all where it says ``*``, and none where it says nothing. FORCE holds
the tables' owner to it too; a superuser is above it, so Gambeson's role must not be one.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

OWNED = (
    ("events", "organisation"),
    ("failures", "organisation"),
)
_SAYS = "current_setting('gambeson.organisation', true)"


def upgrade() -> None:
    """Turns it on for every table that an organisation owns."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, owner in OWNED:
        condition = f"{owner} = {_SAYS} OR {_SAYS} = '*'"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY by_organisation ON {table} USING ({condition}) WITH CHECK ({condition})")


def downgrade() -> None:
    """Turns it off."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, _owner in OWNED:
        op.execute(f"DROP POLICY by_organisation ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
