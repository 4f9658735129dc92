"""A transaction may name several organisations, separated by commas, and sees the events of all of them. What it may
write stays as it was: those of one, or of all. PostgreSQL only, as 0002."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

OWNED = ("events", "failures", "requests")
_SAYS = "current_setting('gambeson.organisation', true)"
_ONE = f"organisation = {_SAYS} OR {_SAYS} = '*'"


def upgrade() -> None:
    """Widens what a policy shows."""
    _show(f"organisation = ANY(string_to_array({_SAYS}, ',')) OR {_ONE}")


def downgrade() -> None:
    """Makes it one organisation again."""
    _show(_ONE)


def _show(condition: str) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in OWNED:
        op.execute(f"ALTER POLICY by_organisation ON {table} USING ({condition})")
