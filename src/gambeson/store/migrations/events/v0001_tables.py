"""The events tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "cursors",
        sa.Column("spool", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("spool"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("events_by_account", "events", ["organisation", "account", "at"], unique=False)
    op.create_index("events_by_device", "events", ["organisation", "device", "at"], unique=False)
    op.create_index("events_by_time", "events", ["organisation", "at"], unique=False)
    op.create_table(
        "failures",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "subject", "hour"),
    )


def downgrade() -> None:
    """Removes them, and everything in them."""
    op.drop_table("failures")
    op.drop_index("events_by_time", table_name="events")
    op.drop_index("events_by_device", table_name="events")
    op.drop_index("events_by_account", table_name="events")
    op.drop_table("events")
    op.drop_table("cursors")
