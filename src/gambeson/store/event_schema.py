"""The event tables, in a file of their own on SQLite.

Cursors and the counted failures stand beside the events because they are written in the same
transaction: that is what makes taking in a spool exactly once.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Float, Integer, Text

events_metadata = sa.MetaData()


def _text(name: str, **more: object) -> Column[str]:
    return Column(name, Text, nullable=False, **more)  # type: ignore[arg-type]  # keywords as given


events = sa.Table(
    "events",
    events_metadata,
    _text("id", primary_key=True),
    Column("at", Float(53), nullable=False),
    _text("kind"),
    _text("organisation"),
    _text("account"),
    _text("device"),
    _text("door"),
    _text("source"),
    _text("data"),
    sa.Index("events_by_time", "organisation", "at"),
    sa.Index("events_by_account", "organisation", "account", "at"),
    sa.Index("events_by_device", "organisation", "device", "at"),
)

# The request log: of each request at the web doors its shape. Many, short-lived, and read from one end to the other.
requests = sa.Table(
    "requests",
    events_metadata,
    Column("at", Float(53), primary_key=True),
    _text("id", primary_key=True),
    _text("organisation"),
    _text("account"),
    _text("door"),
    _text("source"),
    _text("data"),
)

cursors = sa.Table(
    "cursors",
    events_metadata,
    _text("spool", primary_key=True),
    Column("position", BigInteger, nullable=False),
)

failures = sa.Table(
    "failures",
    events_metadata,
    _text("organisation", primary_key=True),
    _text("subject", primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
)
