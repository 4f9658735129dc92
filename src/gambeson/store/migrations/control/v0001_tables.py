"""The control tables."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("audit_of_organisation", "audit", ["organisation", "seq"], unique=False)
    op.create_index(op.f("ix_audit_hash"), "audit", ["hash"], unique=False)
    op.create_table(
        "audit_heads",
        sa.Column("count", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("count"),
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("change_counter", sa.BigInteger(), nullable=False),
        sa.Column("audit_count", sa.BigInteger(), nullable=False),
        sa.Column("audit_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "organisations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("enrolment_url", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name_key"),
    )
    op.create_table(
        "accounts",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("upstream_login", sa.Text(), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("sealed_password", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "bypasses",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("until", sa.Float(precision=53), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organisation"),
    )
    op.create_table(
        "certificates",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.Float(precision=53), nullable=False),
        sa.Column("not_after", sa.Float(precision=53), nullable=False),
        sa.Column("revoked_at", sa.Float(precision=53), nullable=False),
        sa.Column("revocation_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organisation", "serial"),
        sa.UniqueConstraint("fingerprint"),
        sa.UniqueConstraint("serial"),
    )
    op.create_index("certificates_of_device", "certificates", ["organisation", "device"], unique=False)
    op.create_table(
        "domains",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("domain"),
    )
    op.create_index(op.f("ix_domains_organisation"), "domains", ["organisation"], unique=False)
    op.create_table(
        "findings",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("asset_kind", sa.Text(), nullable=False),
        sa.Column("asset_name", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.Float(precision=53), nullable=False),
        sa.Column("last_seen", sa.Float(precision=53), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("references", sa.Text(), nullable=False),
        sa.Column("closing_reason", sa.Text(), nullable=False),
        sa.Column("waived_until", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("organisation", "rule", "asset_kind", "asset_name"),
    )
    op.create_table(
        "jobs",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("run_at", sa.Float(precision=53), nullable=False),
        sa.Column("lease_until", sa.Float(precision=53), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("changed_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("jobs_to_claim", "jobs", ["state", "run_at"], unique=False)
    op.create_table(
        "modes",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("until", sa.Float(precision=53), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organisation", "door", "group_name", "account"),
    )
    op.create_table(
        "policies",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organisation", "version"),
    )
    op.create_table(
        "sealed",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organisation", "name"),
    )
    op.create_table(
        "addresses",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("alias", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "account"], ["accounts.organisation", "accounts.id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_index("addresses_of_account", "addresses", ["organisation", "account"], unique=False)
    op.create_table(
        "devices",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("doors", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("senders", sa.Text(), nullable=False),
        sa.Column("hourly_limit", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("review_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "account"], ["accounts.organisation", "accounts.id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("organisation", "account", "name"),
    )
    op.create_table(
        "passwords",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("set_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "account"], ["accounts.organisation", "accounts.id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation", "account"),
    )
    op.create_table(
        "credentials",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=False),
        sa.Column("revoked_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "device"], ["devices.organisation", "devices.id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("kind", "public_id"),
    )
    op.create_index("credentials_of_device", "credentials", ["organisation", "device"], unique=False)

    # The one row that belongs to the installation; its name tells its audit heads from another's.
    row = sa.table(
        "installation",
        sa.column("id"),
        sa.column("name"),
        sa.column("change_counter"),
        sa.column("audit_count"),
        sa.column("audit_hash"),
    )
    op.execute(
        row.insert().values(
            id=1, name=secrets.token_hex(16), change_counter=0, audit_count=0, audit_hash="0" * 64
        )
    )


def downgrade() -> None:
    """Removes them, and everything in them."""
    op.drop_index("credentials_of_device", table_name="credentials")
    op.drop_table("credentials")
    op.drop_table("passwords")
    op.drop_table("devices")
    op.drop_index("addresses_of_account", table_name="addresses")
    op.drop_table("addresses")
    op.drop_table("sealed")
    op.drop_table("policies")
    op.drop_table("modes")
    op.drop_index("jobs_to_claim", table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("findings")
    op.drop_index(op.f("ix_domains_organisation"), table_name="domains")
    op.drop_table("domains")
    op.drop_index("certificates_of_device", table_name="certificates")
    op.drop_table("certificates")
    op.drop_table("bypasses")
    op.drop_table("accounts")
    op.drop_table("organisations")
    op.drop_table("installation")
    op.drop_table("audit_heads")
    op.drop_index(op.f("ix_audit_hash"), table_name="audit")
    op.drop_index("audit_of_organisation", table_name="audit")
    op.drop_table("audit")
