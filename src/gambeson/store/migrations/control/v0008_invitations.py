"""Invitations: who was asked to bind a second factor, and how far they are. Row-level security as in 0002 and 0007."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_SAYS = "current_setting('gambeson.organisation', true)"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "invitations",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("organisation", "account", "by")],
        *[
            sa.Column(name, sa.Float(precision=53), nullable=False)
            for name in ("made_at", "expires_at", "used_at", "first_sign_in")
        ],
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "account"),
        sa.ForeignKeyConstraint(
            ["organisation", "account"], ["accounts.organisation", "accounts.id"], ondelete="CASCADE"
        ),
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    one = f"organisation = {_SAYS} OR {_SAYS} = '*'"
    several = f"organisation = ANY(string_to_array({_SAYS}, ',')) OR {one}"
    op.execute("ALTER TABLE invitations ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE invitations FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_organisation ON invitations USING ({several}) WITH CHECK ({one})")


def downgrade() -> None:
    """Removes it: codes that were printed stay good, and nobody sees by name who has come."""
    op.drop_table("invitations")
