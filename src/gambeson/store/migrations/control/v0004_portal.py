"""The portal: second factors, binding codes, sessions, what was decided of ActiveSync devices, and its secret.

Row-level security as in 0002, on PostgreSQL only.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

OWNED = ("authenticators", "binding_codes", "eas_devices", "web_sessions")
_SAYS = "current_setting('gambeson.organisation', true)"


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _time(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Float(precision=53), nullable=False) for name in names]


def _of_account() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation", "account"], ["accounts.organisation", "accounts.id"], ondelete="CASCADE"
    )


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "authenticators",
        *_text("organisation", "id", "account", "kind", "name", "locator"),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        *_text("transports"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        *_text("verifiers"),
        *_time("created_at", "last_used"),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("locator"),
        _of_account(),
    )
    op.create_index("authenticators_of_account", "authenticators", ["organisation", "account"])
    op.create_table(
        "binding_codes",
        *_text("organisation", "account"),
        sa.Column("verifier", sa.LargeBinary(), nullable=False),
        *_text("by"),
        *_time("made_at", "expires_at"),
        sa.PrimaryKeyConstraint("organisation", "account"),
        _of_account(),
    )
    op.create_table(
        "web_sessions",
        *_text("organisation", "id", "account", "secret", "rung"),
        *_time("at", "last_seen", "stepped_at", "ends"),
        *_text("source", "agent", "how"),
        *_time("ended_at"),
        *_text("end_reason"),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("secret"),
        _of_account(),
    )
    op.create_index("web_sessions_of_account", "web_sessions", ["organisation", "account"])
    op.create_index("web_sessions_ended", "web_sessions", ["ended_at"])
    op.create_table(
        "eas_devices",
        *_text("organisation", "account", "device_id", "decision", "by"),
        *_time("at"),
        sa.PrimaryKeyConstraint("organisation", "account", "device_id"),
        _of_account(),
    )
    # Filled when it is first needed, so that a restored one has its place.
    op.create_table(
        "portal_secrets",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    condition = f"organisation = {_SAYS} OR {_SAYS} = '*'"
    for table in OWNED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY by_organisation ON {table} USING ({condition}) WITH CHECK ({condition})")


def downgrade() -> None:
    """Removes them: everybody signs in again, and binds second factors anew. (Policies go with their tables.)"""
    for table in ("portal_secrets", *reversed(OWNED)):
        op.drop_table(table)
