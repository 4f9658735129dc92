"""Which cloud services' programs an organisation lets in: none, until it says so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds the column."""
    op.add_column(
        "organisations", sa.Column("clouds", sa.Text(), nullable=False, server_default=sa.text("'[]'"))
    )


def downgrade() -> None:
    """Removes it: afterwards no such program may come in. Not by a copy of the table (which SQLite of before 3.35 would
    want): what refers to organisations would go with the old one."""
    op.drop_column("organisations", "clouds")
