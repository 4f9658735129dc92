"""Links with which a member of staff binds a passkey: the first one after setup, an invitation, and after a loss.

A link is good once and until its end; only the SHA-256 of its token is kept. Of a member of staff's there is one: a new
one takes the place of the one before. The first run's is good only while nobody owns the installation: it is written
down on the machine, and who became an owner by another way does not know of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from . import plain
from . import staff_schema as tables
from .errors import BadValue, Conflict, NotFound
from .installation import Installed, WholeChange
from .staff_rows import owners, staff_row

LONGEST = 30 * 86400.0  # seconds
VERIFIER = 32  # octets


class LinkKind(StrEnum):
    """What a link is for."""

    FIRST_RUN = "first-run"
    INVITE = "invite"
    RECOVER = "recover"


@dataclass(frozen=True, slots=True)
class StaffLink:
    """``used_at`` 0: not used."""

    id: str
    kind: LinkKind
    staff: str
    by: str
    made_at: float
    expires_at: float
    used_at: float = 0.0


class StaffLinks(Installed):
    """The links part of :class:`gambeson.store.staff.StaffStore`."""

    def make_link(
        self, kind: str, staff: str, verifier: bytes, *, expires_at: float, by: str, at: float
    ) -> StaffLink:
        """A new link for a member of staff, instead of any before. Raises NotFound, BadValue, Conflict (disabled)."""
        sort = _kind(kind)
        if len(verifier) != VERIFIER:
            raise BadValue(f"A link's verifier has {VERIFIER} octets.")
        if not at < plain.moment(expires_at, "end") <= at + LONGEST:
            raise BadValue("The link's end is past, or more than 30 days away.")
        table, new = tables.staff_links, plain.new_id("link")
        with self._changing(by, at) as change:
            staff_row(change, staff, enabled=True)
            replaced = change.delete(table, table.c.staff == staff)
            change.insert(
                table,
                id=new,
                kind=str(sort),
                staff=staff,
                verifier=verifier.hex(),
                by=change.by,
                made_at=change.at,
                expires_at=expires_at,
                used_at=0.0,
            )
            change.audit(
                "staff-link.made", new, staff=staff, kind=str(sort), ends=expires_at, replaced=replaced
            )
        return StaffLink(new, sort, staff, by, at, expires_at)

    def link(self, verifier: bytes, at: float) -> StaffLink | None:
        """The link of a token (its SHA-256) where it is good now, else None."""
        table = tables.staff_links
        good = (table.c.used_at == 0, table.c.made_at <= at, table.c.expires_at > at)
        with self._reading() as scope:
            row = scope.one(table, table.c.verifier == verifier.hex(), *good)
            if row is not None and row.kind == LinkKind.FIRST_RUN and owners(scope):
                return None
        return link_of(row) if row is not None else None

    def use_link(self, verifier: bytes, *, by: str, at: float) -> StaffLink:
        """Uses a link up. Raises NotFound (unknown, or its time is over) and Conflict (used already)."""
        with self._changing(by, at) as change:
            return spend(change, verifier)

    def void_link(self, staff: str, *, by: str, at: float) -> bool:
        """Takes the unused link of a member of staff back; False where there was none."""
        with self._changing(by, at) as change:
            return void(change, staff)


def spend(change: WholeChange, verifier: bytes) -> StaffLink:
    """Uses a link up within a change."""
    table = tables.staff_links
    row = change.one(table, table.c.verifier == verifier.hex())
    if row is not None and row.used_at:
        raise Conflict("This link was used already: ask for a new one.")
    late = row is not None and row.kind == LinkKind.FIRST_RUN and owners(change) > 0
    if row is None or late or not row.made_at <= change.at < row.expires_at:
        raise NotFound("This link is not right or not good any more: ask for a new one.")
    staff_row(change, row.staff, enabled=True)
    change.update(table, table.c.id == row.id, used_at=change.at)
    change.audit("staff-link.used", row.id, staff=row.staff, kind=row.kind, made_by=row.by)
    found = change.one(table, table.c.id == row.id)
    assert found is not None
    return link_of(found)


def void(change: WholeChange, staff: str) -> bool:
    """Takes the unused link of a member of staff back, within a change."""
    table = tables.staff_links
    where = (table.c.staff == staff, table.c.used_at == 0)
    row = change.one(table, *where)
    if row is None:
        return False
    change.delete(table, *where)
    change.audit("staff-link.voided", row.id, staff=staff, kind=row.kind)
    return True


def link_of(row: sa.Row[Any]) -> StaffLink:
    """The link in a row (its verifier stays there)."""
    return StaffLink(row.id, LinkKind(row.kind), row.staff, row.by, row.made_at, row.expires_at, row.used_at)


def _kind(word: str) -> LinkKind:
    try:
        return LinkKind(word)
    except ValueError:
        raise BadValue(f"{word[:40]!a} is no kind of link: {', '.join(LinkKind)}.") from None
