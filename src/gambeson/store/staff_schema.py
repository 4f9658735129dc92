"""The tables of the console's people and of the API's tokens. They belong to the installation and to no organisation.

``staff_grants`` names the organisation that a role is for, or ``*``; on PostgreSQL row-level security keeps its rows
from a transaction of another organisation. It refers to no organisation, because ``*`` is none: the removal of an
organisation takes its grants along.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Integer, LargeBinary

from .columns import control_metadata
from .columns import text as _text
from .columns import time as _time


def _of_staff() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["staff"], ["staff.id"], ondelete="CASCADE")


staff = sa.Table(
    "staff",
    control_metadata,
    _text("id", primary_key=True),
    _text("name"),
    _text("name_key", unique=True),  # casefolded: the audit log names people
    _text("address"),
    Column("enabled", Boolean, nullable=False),
    _time("created_at"),
    _text("language"),
    _text("zone"),
)

staff_grants = sa.Table(
    "staff_grants",
    control_metadata,
    _text("staff", primary_key=True),
    _text("organisation", primary_key=True),
    _text("role", primary_key=True),
    _time("until"),
    _of_staff(),
    sa.Index("staff_grants_by_organisation", "organisation"),
)

staff_passkeys = sa.Table(
    "staff_passkeys",
    control_metadata,
    _text("id", primary_key=True),
    _text("staff", index=True),
    _text("name"),
    _text("public_id", unique=True),  # the credential id in hex
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("backup_eligible", Boolean, nullable=False),
    Column("backed_up", Boolean, nullable=False),
    _text("transports"),
    _time("created_at"),
    _time("last_used"),
    _of_staff(),
)

# ``staff`` is empty in a session by break-glass, so there is no reference. ``secret``: SHA-256 of the cookie in hex.
staff_sessions = sa.Table(
    "staff_sessions",
    control_metadata,
    _text("id", primary_key=True),
    _text("staff", index=True),
    _text("secret", unique=True),
    _text("how"),
    _text("source"),
    _text("agent"),
    _time("at"),
    _time("last_seen"),
    _time("stepped_at"),
    _time("ends"),
    _time("ended_at"),
    _text("end_reason"),
)

# ``verifier``: SHA-256 of the link's token in hex. A used one stays until the next is made, to say so.
staff_links = sa.Table(
    "staff_links",
    control_metadata,
    _text("id", primary_key=True),
    _text("kind"),
    _text("staff", unique=True),
    _text("verifier", unique=True),
    _text("by"),
    _time("made_at"),
    _time("expires_at"),
    _time("used_at"),
    _of_staff(),
)

# ``ended`` says what became of a code: empty (good), "used" or "void".
break_glass_codes = sa.Table(
    "break_glass_codes",
    control_metadata,
    _text("verifier", primary_key=True),
    _text("by"),
    _time("made_at"),
    _text("ended"),
    _time("ended_at"),
)

# ``organisations`` and ``verbs`` are JSON lists; ``staff`` is who answers for it (empty: made at the command line).
api_tokens = sa.Table(
    "api_tokens",
    control_metadata,
    _text("id", primary_key=True),
    _text("name"),
    _text("public_id", unique=True),
    Column("verifier", LargeBinary, nullable=False),
    _text("organisations"),
    _text("verbs"),
    _text("staff", index=True),
    _time("created_at"),
    _time("expires_at"),
    _time("last_used"),
    _time("revoked_at"),
)

# ``status`` 0: the first request with this key is being answered.
idempotency_keys = sa.Table(
    "idempotency_keys",
    control_metadata,
    _text("token", primary_key=True),
    _text("key", primary_key=True),
    _text("digest"),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _time("at"),
    ForeignKeyConstraint(["token"], ["api_tokens.id"], ondelete="CASCADE"),
    sa.Index("idempotency_keys_by_time", "at"),
)

OF_NOBODY = frozenset(
    (
        staff,
        staff_grants,
        staff_passkeys,
        staff_sessions,
        staff_links,
        break_glass_codes,
        api_tokens,
        idempotency_keys,
    )
)
