"""The request log: a table of its own, so that neither questions about events nor their indexes carry it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SAYS = "current_setting('gambeson.organisation', true)"


def upgrade() -> None:
    """Makes the table; on PostgreSQL it has row-level security as the others."""
    op.create_table(
        "requests",
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("at", "id"),
    )
    if op.get_bind().dialect.name == "postgresql":
        condition = f"organisation = {_SAYS} OR {_SAYS} = '*'"
        op.execute("ALTER TABLE requests ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE requests FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY by_organisation ON requests USING ({condition}) WITH CHECK ({condition})")


def downgrade() -> None:
    """Removes it, and everything in it."""
    op.drop_table("requests")
