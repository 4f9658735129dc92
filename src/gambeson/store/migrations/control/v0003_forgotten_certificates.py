"""The certificates of organisations that were removed: the revocation list names them until they expire.

The table refers to nothing, so no removal takes its rows along. On PostgreSQL only the removal itself writes for its
organisation; every organisation may read, so that none takes over what was revoked with another.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "forgotten_certificates",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.Float(precision=53), nullable=False),
        sa.Column("not_after", sa.Float(precision=53), nullable=False),
        sa.Column("revoked_at", sa.Float(precision=53), nullable=False),
        sa.Column("revocation_reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("serial"),
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    says = "current_setting('gambeson.organisation', true)"
    condition = f"organisation = {says} OR {says} = '*'"
    op.execute("ALTER TABLE forgotten_certificates ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE forgotten_certificates FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY by_organisation ON forgotten_certificates USING ({condition}) WITH CHECK ({condition})"
    )
    op.execute("CREATE POLICY seen_by_all ON forgotten_certificates FOR SELECT USING (true)")


def downgrade() -> None:
    """Removes it: the revocation list then names only what organisations still have."""
    op.drop_table("forgotten_certificates")
