"""The control tables. Every row belongs to an organisation, and the keys say so.

* The primary key of an owned table begins with ``organisation``; references between owned tables
  carry it too, so that the database itself refuses a device on another organisation's account.
* Ids, domains, addresses, certificate serials and a credential's public id are unique over the
  installation: the doors find an account by them before they know the organisation.
* ``installation`` has one row and ``audit_heads`` holds signatures; both belong to nobody. So do the tables of the
  console's people, in :mod:`.staff_schema`.
* Times are seconds since 1970 (double), lists are JSON text, secrets are sealed or hashed before
  they come here.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKeyConstraint, Integer, LargeBinary

from . import staff_schema as staff_schema  # so that whoever has the metadata has all of its tables
from .columns import control_metadata as control_metadata
from .columns import text as _text
from .columns import time as _time


def _to(column: str, table: str, other: str = "id") -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["organisation", column], [f"{table}.organisation", f"{table}.{other}"], ondelete="CASCADE"
    )


def _of_organisation() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["organisation"], ["organisations.id"], ondelete="CASCADE")


installation = sa.Table(
    "installation",
    control_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _text("name"),  # random; part of what a signed head signs, so that heads are not exchangeable
    Column("change_counter", BigInteger, nullable=False),
    Column("audit_count", BigInteger, nullable=False),
    _text("audit_hash"),
)

organisations = sa.Table(
    "organisations",
    control_metadata,
    _text("id", primary_key=True),
    _text("name"),
    _text("name_key", unique=True),  # casefolded: "Acme" and "acme" would be mixed up in --org
    _text("enrolment_url"),
    Column("policy_version", Integer, nullable=False),
    _text("clouds", server_default=sa.text("'[]'")),  # ids of cloud services whose programs may come in
    Column(
        "hours_per_week", Float(53), nullable=False, server_default=sa.text("1.0")
    ),  # for looking after it
)

domains = sa.Table(
    "domains",
    control_metadata,
    _text("domain", primary_key=True),
    _text("organisation", index=True),
    _of_organisation(),
)

accounts = sa.Table(
    "accounts",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("id", primary_key=True),
    _text("address"),
    _text("groups"),
    Column("enabled", Boolean, nullable=False),
    _text("source"),
    _text("upstream_login"),
    _text("server"),
    Column("sealed_password", LargeBinary, nullable=False),
    sa.UniqueConstraint("id"),
    _of_organisation(),
)

addresses = sa.Table(
    "addresses",
    control_metadata,
    _text("address", primary_key=True),
    _text("organisation"),
    _text("account"),
    Column("alias", Boolean, nullable=False),
    Column("position", Integer, nullable=False),
    _to("account", "accounts"),
    sa.Index("addresses_of_account", "organisation", "account"),
)

passwords = sa.Table(
    "passwords",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("account", primary_key=True),
    _text("hash"),
    _time("set_at"),
    _to("account", "accounts"),
)

devices = sa.Table(
    "devices",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("id", primary_key=True),
    _text("account"),
    _text("name"),
    _text("kind"),
    _text("state"),
    _text("doors"),
    _time("created_at"),
    _time("expires_at"),
    _text("networks"),
    _text("senders"),
    Column("hourly_limit", Integer, nullable=False),
    _text("owner"),
    _time("review_at"),
    sa.UniqueConstraint("id"),
    sa.UniqueConstraint("organisation", "account", "name"),
    _to("account", "accounts"),
)

credentials = sa.Table(
    "credentials",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("id", primary_key=True),
    _text("device"),
    _text("kind"),
    _text("public_id"),
    Column("verifier", LargeBinary, nullable=False),
    _time("created_at"),
    _time("expires_at"),
    _time("revoked_at"),
    sa.UniqueConstraint("id"),
    sa.UniqueConstraint("kind", "public_id"),
    _to("device", "devices"),
    sa.Index("credentials_of_device", "organisation", "device"),
)

# A certificate outlives its device here: the revocation list needs it until it expires.
certificates = sa.Table(
    "certificates",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("serial", primary_key=True),
    _text("fingerprint", unique=True),
    _text("device"),
    _time("issued_at"),
    _time("not_after"),
    _time("revoked_at"),
    _text("revocation_reason"),
    sa.UniqueConstraint("serial"),
    _of_organisation(),
    sa.Index("certificates_of_device", "organisation", "device"),
)

# Those of removed organisations: no reference, so that nothing takes them along before they expire.
forgotten_certificates = sa.Table(
    "forgotten_certificates",
    control_metadata,
    _text("organisation"),
    _text("serial", primary_key=True),
    _text("fingerprint"),
    _text("device"),
    _time("issued_at"),
    _time("not_after"),
    _time("revoked_at"),
    _text("revocation_reason"),
)

# What a person signs in with at the portal beside the password. ``locator`` is a passkey's credential id in hex, which
# is unique over the installation, or the row's own id.
authenticators = sa.Table(
    "authenticators",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("id", primary_key=True),
    _text("account"),
    _text("kind"),
    _text("name"),
    _text("locator", unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("backup_eligible", Boolean, nullable=False),
    Column("backed_up", Boolean, nullable=False),
    _text("transports"),
    Column("sealed", LargeBinary, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    _text("verifiers"),
    _time("created_at"),
    _time("last_used"),
    sa.UniqueConstraint("id"),
    _to("account", "accounts"),
    sa.Index("authenticators_of_account", "organisation", "account"),
)

binding_codes = sa.Table(
    "binding_codes",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("account", primary_key=True),
    Column("verifier", LargeBinary, nullable=False),
    _text("by"),
    _time("made_at"),
    _time("expires_at"),
    _to("account", "accounts"),
)

# Who was asked to bind a second factor. ``used_at``: when a binding code was used after that; ``first_sign_in`` at the
# portal after that; ``times``: how often they were asked.
invitations = sa.Table(
    "invitations",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("account", primary_key=True),
    _text("by"),
    _time("made_at"),
    _time("expires_at"),
    _time("used_at"),
    _time("first_sign_in"),
    Column("times", Integer, nullable=False),
    _to("account", "accounts"),
)

# ``secret`` is the SHA-256 of the browser's cookie in hex. ``ended_at`` 0: not ended by anybody.
web_sessions = sa.Table(
    "web_sessions",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("id", primary_key=True),
    _text("account"),
    _text("secret", unique=True),
    _text("rung"),
    _time("at"),
    _time("last_seen"),
    _time("stepped_at"),
    _time("ends"),
    _text("source"),
    _text("agent"),
    _text("how"),
    _time("ended_at"),
    _text("end_reason"),
    sa.UniqueConstraint("id"),
    _to("account", "accounts"),
    sa.Index("web_sessions_of_account", "organisation", "account"),
    sa.Index("web_sessions_ended", "ended_at"),
)

# What an administrator decided of an ActiveSync device of an account; ``device_id`` in lower case.
eas_devices = sa.Table(
    "eas_devices",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("account", primary_key=True),
    _text("device_id", primary_key=True),
    _text("decision"),
    _text("by"),
    _time("at"),
    _to("account", "accounts"),
)

# The DeviceId (in lower case) that a device's credential came with first, over ActiveSync.
eas_firsts = sa.Table(
    "eas_firsts",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("credential", primary_key=True),
    _text("account"),
    _text("device_id"),
    _time("at"),
    _to("credential", "credentials"),
    sa.Index("eas_firsts_of_account", "organisation", "account"),
)

# One row: what makes the portal's answers about unknown names look like those about known ones.
portal_secrets = sa.Table(
    "portal_secrets",
    control_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", LargeBinary, nullable=False),
)

policies = sa.Table(
    "policies",
    control_metadata,
    _text("organisation", primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    _text("source"),
    _text("note"),
    _text("by"),
    _time("at"),
    _of_organisation(),
)

modes = sa.Table(
    "modes",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("door", primary_key=True),
    _text("group_name", primary_key=True),
    _text("account", primary_key=True),
    _text("mode"),
    _time("until"),
    _text("reason"),
    _of_organisation(),
)

sealed = sa.Table(
    "sealed",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("name", primary_key=True),
    Column("box", LargeBinary, nullable=False),
    _time("at"),
    _of_organisation(),
)

bypasses = sa.Table(
    "bypasses",
    control_metadata,
    _text("organisation", primary_key=True),
    _time("until"),
    _text("reason"),
    _text("by"),
    _time("at"),
    _of_organisation(),
)

findings = sa.Table(
    "findings",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("id", primary_key=True),
    _text("asset_kind"),
    _text("asset_name"),
    _text("rule"),
    _text("title"),
    Column("severity", Integer, nullable=False),
    _text("reason"),
    _text("confidence"),
    _text("state"),
    _time("first_seen"),
    _time("last_seen"),
    _text("evidence"),
    _text("remedy"),
    _text("references"),
    _text("closing_reason"),
    _time("waived_until"),
    _text("assignee", server_default=sa.text("''")),  # the id of a member of staff
    sa.UniqueConstraint("id"),
    sa.UniqueConstraint("organisation", "rule", "asset_kind", "asset_name"),
    _of_organisation(),
)

jobs = sa.Table(
    "jobs",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("id", primary_key=True),
    _text("kind"),
    _text("payload"),
    _text("state"),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    _time("run_at"),
    _time("lease_until"),
    _text("worker"),
    _text("result"),
    _time("created_at"),
    _time("changed_at"),
    sa.UniqueConstraint("id"),
    _of_organisation(),
    sa.Index("jobs_to_claim", "state", "run_at"),
)

# What was planned to be done to a mail server or to Gambeson, and what came of it.
actions = sa.Table(
    "actions",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("id", primary_key=True),
    _text("kind"),
    _text("target"),
    _text("details"),
    _text("state"),
    _text("result"),
    _text("reason"),
    _text("planned_by"),
    _time("planned_at"),
    _text("approved_by"),
    _time("approved_at"),
    _time("changed_at"),
    sa.UniqueConstraint("id"),
    _of_organisation(),
    sa.Index("actions_by_time", "organisation", "planned_at"),
)

action_journal = sa.Table(
    "action_journal",
    control_metadata,
    _text("organisation", primary_key=True),
    _text("action", primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _time("at"),
    _text("by"),
    _text("state"),
    _text("note"),
    _text("details"),
    _to("action", "actions"),
)

audit = sa.Table(
    "audit",
    control_metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    _text("by"),
    _text("organisation"),
    _text("action"),
    _text("subject"),
    _text("details"),
    _text("prev_hash"),
    _text("hash", index=True),
    sa.Index("audit_of_organisation", "organisation", "seq"),
)

audit_heads = sa.Table(
    "audit_heads",
    control_metadata,
    Column("count", BigInteger, primary_key=True, autoincrement=False),
    _text("hash"),
    _time("at"),
    Column("signature", LargeBinary, nullable=False),
)
