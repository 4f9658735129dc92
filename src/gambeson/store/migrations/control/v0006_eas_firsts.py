"""The DeviceId that each credential came with first, over ActiveSync. Row-level security as in 0002."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_SAYS = "current_setting('gambeson.organisation', true)"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "eas_firsts",
        *[
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("organisation", "credential", "account", "device_id")
        ],
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "credential"),
        sa.ForeignKeyConstraint(
            ["organisation", "credential"],
            ["credentials.organisation", "credentials.id"],
            ondelete="CASCADE",
        ),
    )
    op.create_index("eas_firsts_of_account", "eas_firsts", ["organisation", "account"])
    if op.get_bind().dialect.name != "postgresql":
        return
    condition = f"organisation = {_SAYS} OR {_SAYS} = '*'"
    op.execute("ALTER TABLE eas_firsts ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE eas_firsts FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_organisation ON eas_firsts USING ({condition}) WITH CHECK ({condition})")


def downgrade() -> None:
    """Removes it: each credential's next phone is its first again."""
    op.drop_table("eas_firsts")
