"""Staff: who signs in at the console, and what each may do where.

    store.staff.create("Ann", grants=[Grant(EVERY, Role.OWNER)], by="root", at=now)

Rules: whoever is disabled or removed has no session, link or token any more, in the same transaction; and no change
leaves the installation without an owner who can sign in, once there was one (:mod:`.staff_rows`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gambeson.model.address import canonical
from gambeson.model.staff import EVERY, Grant, Role, Staff

from . import plain, schema, staff_links, staff_sessions, tokens
from . import staff_schema as tables
from .break_glass import BreakGlass
from .errors import BadValue, Conflict, NotFound
from .installation import Whole, WholeChange
from .staff_links import StaffLinks
from .staff_passkeys import StaffPasskeys
from .staff_rows import owned_still, owners, staff_row
from .staff_sessions import StaffSessions

MAX_STAFF, MAX_GRANTS = 10_000, 10_000
MAX_NAME_KEY = 200
_RESERVED = frozenset(("break-glass",))
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}\Z")  # RFC 5646 section 2.1, the plain ones
_ZONE = re.compile(r"[A-Za-z0-9+_-]{1,30}(?:/[A-Za-z0-9+_-]{1,30}){0,3}\Z")
_TAKEN = "A member of staff has this name already: the audit log names people, so choose another."


class StaffStore(StaffPasskeys, StaffSessions, StaffLinks, BreakGlass):
    """The staff of the installation, with their passkeys, sessions and links, and the break-glass codes."""

    def list(self) -> Sequence[Staff]:
        """Everybody, by name."""
        with self._reading() as scope:
            rows = scope.rows(tables.staff, order=[tables.staff.c.name_key])
            grants = _grants(scope)
        return [staff_of(row, grants.get(row.id, ())) for row in rows]

    def get(self, id: str) -> Staff:
        """The member of staff. Raises NotFound."""
        with self._reading() as scope:
            return _get(scope, id)

    def owners(self) -> int:
        """How many are enabled, own every organisation (without an end), and have a passkey."""
        with self._reading() as scope:
            return owners(scope)

    def create(
        self,
        name: str,
        *,
        address: str = "",
        language: str = "",
        zone: str = "",
        grants: Iterable[Grant] = (),
        id: str = "",
        by: str,
        at: float,
    ) -> Staff:
        """A new member of staff. Raises BadValue, Conflict (name in use), NotFound (an organisation of a grant)."""
        new = plain.text(id, "id", 64) or plain.new_id("staff")
        values = _named(name) | _checked(address=address, language=language, zone=zone)
        with self._changing(by, at) as change:
            if len(change.rows(tables.staff)) >= MAX_STAFF:
                raise Conflict(f"There are at most {MAX_STAFF} members of staff.")
            change.insert(tables.staff, taken=_TAKEN, id=new, enabled=True, created_at=change.at, **values)
            change.audit("staff.created", new, **values)
            for grant in grants:
                _grant(change, new, grant)
            return _get(change, new)

    def update(
        self,
        id: str,
        *,
        name: str | None = None,
        address: str | None = None,
        language: str | None = None,
        zone: str | None = None,
        enabled: bool | None = None,
        by: str,
        at: float,
    ) -> Staff:
        """Changes what is given. Who is disabled is signed out everywhere. Raises NotFound, BadValue, Conflict (name in
        use, or nobody would own the installation any more)."""
        values = _named(name) if name is not None else {}
        values |= _checked(address=address, language=language, zone=zone)
        if enabled is not None:
            values["enabled"] = bool(enabled)
        with self._changing(by, at) as change, owned_still(change):
            staff_row(change, id)
            if values:
                change.update(tables.staff, tables.staff.c.id == id, taken=_TAKEN, **values)
            change.audit("staff.changed", id, **values)
            if enabled is False:
                _shut_out(change, id, "disabled")
            return _get(change, id)

    def grant(self, id: str, grant: Grant, *, by: str, at: float) -> Staff:
        """Gives a role in an organisation, or in every one; the same role there gets the new end. Raises NotFound,
        BadValue, Conflict."""
        with self._changing(by, at) as change, owned_still(change):
            staff_row(change, id)
            _grant(change, id, grant)
            return _get(change, id)

    def withdraw(self, id: str, organisation: str, role: Role, *, by: str, at: float) -> Staff:
        """Takes a role away. Raises NotFound, and Conflict where nobody would own the installation any more."""
        with self._changing(by, at) as change, owned_still(change):
            staff_row(change, id)
            if not change.delete(tables.staff_grants, *_is(id, organisation, role)):
                raise NotFound("This member of staff has no such role there.")
            change.audit_of(organisation, "staff.withdrawn", id, role=str(role), organisation=organisation)
            return _get(change, id)

    def remove(self, id: str, *, by: str, at: float) -> None:
        """Removes somebody with grants, passkeys and link; findings of theirs are nobody's again. Raises NotFound, and
        Conflict where nobody would own the installation any more."""
        findings = schema.findings
        with self._changing(by, at) as change, owned_still(change):
            row = staff_row(change, id)
            _shut_out(change, id, "removed")
            change.delete(tables.staff, tables.staff.c.id == id)
            # The one thing of organisations that names staff; the transaction speaks for all of them.
            change.conn.execute(sa.update(findings).where(findings.c.assignee == id).values(assignee=""))
            change.audit("staff.removed", id, name=row.name)


def prune(conn: Connection, now: float) -> None:
    """Throws away what is over: sessions, and links whose time is past."""
    staff_sessions.prune(conn, now)
    conn.execute(sa.delete(tables.staff_links).where(tables.staff_links.c.expires_at < now))


def staff_of(row: sa.Row[Any], grants: Iterable[Grant]) -> Staff:
    """The member of staff in a row."""
    return Staff(
        row.id, row.name, row.address, row.enabled, row.created_at, row.language, row.zone, tuple(grants)
    )


def _get(scope: Whole, id: str) -> Staff:
    return staff_of(staff_row(scope, id), _grants(scope, id).get(id, ()))


def _grants(scope: Whole, id: str = "") -> dict[str, list[Grant]]:
    table = tables.staff_grants
    where = [table.c.staff == id] if id else []
    found: dict[str, list[Grant]] = {}
    for row in scope.rows(table, *where, order=[table.c.staff, table.c.organisation, table.c.role]):
        found.setdefault(row.staff, []).append(Grant(row.organisation, Role(row.role), row.until))
    return found


def _grant(change: WholeChange, id: str, grant: Grant) -> None:
    role, until = Role(grant.role), plain.moment(grant.until, "end of the role")
    if until and until <= change.at:
        raise BadValue("The role's end is past: give one in the future.")
    if role is Role.RESPONDER and not until:
        raise BadValue("A responder's role needs an end: say until when.")
    _organisation(change, grant.organisation)
    table = tables.staff_grants
    change.delete(table, *_is(id, grant.organisation, role))
    if len(change.rows(table, table.c.staff == id)) >= MAX_GRANTS:
        raise Conflict(f"A member of staff has at most {MAX_GRANTS} roles: give one for every organisation.")
    change.insert(table, staff=id, organisation=grant.organisation, role=str(role), until=until)
    details = {"role": str(role), "organisation": grant.organisation, "until": until}
    change.audit_of(grant.organisation, "staff.granted", id, **details)


def _organisation(change: WholeChange, id: str) -> None:
    table = schema.organisations
    if id != EVERY and change.conn.execute(sa.select(table.c.id).where(table.c.id == id)).scalar() is None:
        raise NotFound(f"There is no organisation {id[:80]!a}: see gambeson org list.")


def _shut_out(change: WholeChange, id: str, why: str) -> None:
    staff_sessions.end_all(change, id, why)
    staff_links.void(change, id)
    tokens.revoke_all(change, id, why)


def _is(id: str, organisation: str, role: Role) -> tuple[sa.ColumnElement[bool], ...]:
    table = tables.staff_grants
    return (table.c.staff == id, table.c.organisation == organisation, table.c.role == str(Role(role)))


def _named(name: str) -> dict[str, Any]:
    """The audit log names people, so no two names may look alike for a reason that nobody sees (Unicode Standard Annex
    #15: NFKC; format characters), and nobody is called what a session by break-glass is called there."""
    shown = " ".join(plain.text(name, "name", 100, empty=False).split())
    if any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Zl", "Zp") for c in shown):
        raise BadValue("The name has a character in it that cannot be seen: remove it.")
    key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())
    if len(key) > MAX_NAME_KEY or key in _RESERVED:
        raise BadValue("Nobody can be called so: choose another name.")
    return {"name": shown, "name_key": key}


def _checked(address: str | None, language: str | None, zone: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if address is not None:
        try:
            values["address"] = canonical(address) if address else ""
        except ValueError as error:
            raise BadValue(str(error)) from None
    if language is not None:
        if language and not _LANGUAGE.match(language):
            raise BadValue("A language is a tag such as de or en-GB.")
        values["language"] = language
    if zone is not None:
        if zone and not _ZONE.match(zone):
            raise BadValue("A time zone has a name such as Europe/Vienna.")
        values["zone"] = zone
    return values
