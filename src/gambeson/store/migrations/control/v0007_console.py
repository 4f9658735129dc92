"""The console: staff and what they may, tokens of the API, actions and their journal; who a finding is assigned to, the
hours that an organisation gives to its mail.

Row-level security as in 0002, and from here on a transaction may name several organisations, separated by commas: it
sees all of theirs, and still writes for none but one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

OLD = (
    "accounts",
    "addresses",
    "audit",
    "authenticators",
    "binding_codes",
    "bypasses",
    "certificates",
    "credentials",
    "devices",
    "domains",
    "eas_devices",
    "eas_firsts",
    "findings",
    "forgotten_certificates",
    "jobs",
    "modes",
    "organisations",
    "passwords",
    "policies",
    "sealed",
    "web_sessions",
)
NEW = ("staff_grants", "actions", "action_journal")
_SAYS = "current_setting('gambeson.organisation', true)"


def _one(owner: str) -> str:
    return f"{owner} = {_SAYS} OR {_SAYS} = '*'"


def _several(owner: str) -> str:
    return f"{owner} = ANY(string_to_array({_SAYS}, ',')) OR {_one(owner)}"


def _owner(table: str) -> str:
    return "id" if table == "organisations" else "organisation"


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _time(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Float(precision=53), nullable=False) for name in names]


def _octets(*names: str) -> list[sa.Column[bytes]]:
    return [sa.Column(name, sa.LargeBinary(), nullable=False) for name in names]


def _of_staff() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["staff"], ["staff.id"], ondelete="CASCADE")


def upgrade() -> None:
    """Makes the tables and columns; on PostgreSQL also the policies."""
    op.add_column("findings", sa.Column("assignee", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column(
        "organisations",
        sa.Column("hours_per_week", sa.Float(precision=53), nullable=False, server_default=sa.text("1.0")),
    )
    _staff()
    _tokens()
    _actions()
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in OLD:
        op.execute(f"ALTER POLICY by_organisation ON {table} USING ({_several(_owner(table))})")
    for table in NEW:
        owner = _owner(table)
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY by_organisation ON {table} USING ({_several(owner)}) WITH CHECK ({_one(owner)})"
        )


def _staff() -> None:
    op.create_table(
        "staff",
        *_text("id", "name", "name_key", "address"),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        *_time("created_at"),
        *_text("language", "zone"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name_key"),
    )
    op.create_table(
        "staff_grants",
        *_text("staff", "organisation", "role"),
        *_time("until"),
        sa.PrimaryKeyConstraint("staff", "organisation", "role"),
        _of_staff(),
    )
    op.create_index("staff_grants_by_organisation", "staff_grants", ["organisation"])
    op.create_table(
        "staff_passkeys",
        *_text("id", "staff", "name", "public_id"),
        *_octets("public_key"),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        *_text("transports"),
        *_time("created_at", "last_used"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("public_id"),
        _of_staff(),
    )
    op.create_index("ix_staff_passkeys_staff", "staff_passkeys", ["staff"])
    op.create_table(
        "staff_sessions",
        *_text("id", "staff", "secret", "how", "source", "agent"),
        *_time("at", "last_seen", "stepped_at", "ends", "ended_at"),
        *_text("end_reason"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret"),
    )
    op.create_index("ix_staff_sessions_staff", "staff_sessions", ["staff"])
    op.create_table(
        "staff_links",
        *_text("id", "kind", "staff", "verifier", "by"),
        *_time("made_at", "expires_at", "used_at"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("staff"),
        sa.UniqueConstraint("verifier"),
        _of_staff(),
    )
    op.create_table(
        "break_glass_codes",
        *_text("verifier", "by"),
        *_time("made_at"),
        *_text("ended"),
        *_time("ended_at"),
        sa.PrimaryKeyConstraint("verifier"),
    )


def _tokens() -> None:
    op.create_table(
        "api_tokens",
        *_text("id", "name", "public_id"),
        *_octets("verifier"),
        *_text("organisations", "verbs", "staff"),
        *_time("created_at", "expires_at", "last_used", "revoked_at"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("public_id"),
    )
    op.create_index("ix_api_tokens_staff", "api_tokens", ["staff"])
    op.create_table(
        "idempotency_keys",
        *_text("token", "key", "digest"),
        sa.Column("status", sa.Integer(), nullable=False),
        *_octets("body"),
        *_time("at"),
        sa.PrimaryKeyConstraint("token", "key"),
        sa.ForeignKeyConstraint(["token"], ["api_tokens.id"], ondelete="CASCADE"),
    )
    op.create_index("idempotency_keys_by_time", "idempotency_keys", ["at"])


def _actions() -> None:
    op.create_table(
        "actions",
        *_text("organisation", "id", "kind", "target", "details", "state", "result", "reason", "planned_by"),
        *_time("planned_at"),
        *_text("approved_by"),
        *_time("approved_at", "changed_at"),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
    )
    op.create_index("actions_by_time", "actions", ["organisation", "planned_at"])
    op.create_table(
        "action_journal",
        *_text("organisation", "action"),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *_time("at"),
        *_text("by", "state", "note", "details"),
        sa.PrimaryKeyConstraint("organisation", "action", "number"),
        sa.ForeignKeyConstraint(
            ["organisation", "action"], ["actions.organisation", "actions.id"], ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Removes them: nobody signs in at the console any more, and no token opens the API. By no copy of a table, as in
    0005."""
    if op.get_bind().dialect.name == "postgresql":
        for table in OLD:
            op.execute(f"ALTER POLICY by_organisation ON {table} USING ({_one(_owner(table))})")
    for table in (
        "action_journal",
        "actions",
        "idempotency_keys",
        "api_tokens",
        "break_glass_codes",
        "staff_links",
        "staff_sessions",
        "staff_passkeys",
        "staff_grants",
        "staff",
    ):
        op.drop_table(table)
    op.drop_column("organisations", "hours_per_week")
    op.drop_column("findings", "assignee")
