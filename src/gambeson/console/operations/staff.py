"""Staff: who has which role where, invitations, and the links that bind a passkey.

Rules, and they hold for pages and the API alike:

* Nobody gives more than they have, nor for longer than they have it. The role of a responder always has an end; whoever
  may run actions in an organisation may give it there, for that is what a time-boxed elevation is for.
* Whoever looks after some organisations sees the grants of these and those for every organisation, and nothing of
  others. They act on a person as a whole (name, links, sessions, removal) only where all of the person's roles lie
  within what they look after: a link opens everything that its person may do.
* A new role somewhere else takes a link back that was made before: whoever made it did not see the whole.
* A session by break-glass may make a link for somebody who is there, and shut people out. It gives no role to anybody.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from gambeson.console.core.roles import VERBS_OF, alive, verbs
from gambeson.console.office import Office, RefusedError
from gambeson.model.staff import EVERY, Grant, Role, Staff, Verb
from gambeson.store.control import Store
from gambeson.store.errors import NotFound
from gambeson.store.staff_links import LinkKind

LINK_OCTETS = 32
LINK_SECONDS = 7 * 86400.0
RESPONDER_LONGEST = 30 * 86400.0
NOT_THERE = "There is no such member of staff, or it is not yours to see."


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody as the asker may see them: ``grants`` are those of reached organisations and of every one. ``hidden``:
    there are others. ``whole``: the asker may act on the person, not only on these grants."""

    staff: Staff
    grants: tuple[Grant, ...]
    hidden: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that binds a passkey. ``url`` is shown once and kept nowhere."""

    staff: Staff
    kind: LinkKind
    url: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Invitation({self.staff.id!r}, {self.kind})"


def members(office: Office, search: str = "") -> tuple[Member, ...]:
    """Everybody whom the asker may see, by name. ``search``: part of a name or an address. Raises RefusedError(404)
    where the asker may see the audit log of nothing."""
    store, wanted = _store(office), search.strip().casefold()
    found = (_seen(office, each) for each in store.staff.list())
    return tuple(
        each
        for each in found
        if each is not None
        and (wanted in each.staff.name.casefold() or wanted in each.staff.address.casefold())
    )


def member(office: Office, id: str) -> Member:
    """One of them. Raises RefusedError(404)."""
    try:
        found = _seen(office, _store(office).staff.get(id))
    except NotFound:
        found = None
    if found is None:
        raise RefusedError("not-found", NOT_THERE, 404)
    return found


def givable(office: Office, organisation: str) -> tuple[Role, ...]:
    """The roles that the asker may give there (an organisation's id, or :data:`EVERY`)."""
    return tuple(
        role for role in Role if not office.access.break_glass and _gives(office, role, organisation)
    )


def invite(
    office: Office, name: str, address: str, role: Role, organisation: str, until: float = 0.0
) -> Invitation:
    """A new member of staff with a role, and the link for their first passkey. Raises RefusedError, StepUpError,
    BadValue, Conflict."""
    _sealed(office)
    office.fresh()
    store, grant = _store(office), Grant(organisation, role, until)
    _may_give(office, grant)
    if not office.may(Verb.STAFF, organisation):
        raise RefusedError("not-allowed", "Only an owner invites people. Ask one.", 403)
    made = store.staff.create(name, address=address, grants=(grant,), by=office.by, at=office.at)
    return _link(office, store, made, LinkKind.INVITE)


def grant(office: Office, id: str, organisation: str, role: Role, until: float = 0.0) -> Staff:
    """Gives somebody a role, or the same one a new end. Raises RefusedError, StepUpError, BadValue, Conflict."""
    _sealed(office)
    office.fresh()
    given = Grant(organisation, role, until)
    _may_give(office, given)
    before = member(office, id).staff
    store = _store(office)
    if organisation not in {each.organisation for each in before.grants}:
        store.staff.void_link(id, by=office.by, at=office.at)
    return store.staff.grant(id, given, by=office.by, at=office.at)


def withdraw(office: Office, id: str, organisation: str, role: Role) -> Staff:
    """Takes a role away. Whoever could give a responder's role may take it. Raises RefusedError, StepUpError, NotFound,
    Conflict (the last owner's)."""
    office.fresh()
    member(office, id)
    elevation = role is Role.RESPONDER and _gives(office, role, organisation)
    if not office.may(Verb.STAFF, organisation) and not elevation:
        raise _not_allowed(office, organisation)
    return _store(office).staff.withdraw(id, organisation, role, by=office.by, at=office.at)


def change(office: Office, id: str, *, name: str | None = None, address: str | None = None) -> Staff:
    """Name and address. Raises RefusedError, StepUpError, BadValue, Conflict."""
    _sealed(office)
    office.fresh()
    _whole(office, id)
    return _store(office).staff.update(id, name=name, address=address, by=office.by, at=office.at)


def enable(office: Office, id: str, enabled: bool) -> Staff:
    """Shuts somebody out everywhere, or lets them in again. Raises RefusedError, StepUpError, Conflict."""
    if enabled:
        _sealed(office)
    office.fresh()
    _whole(office, id)
    if not enabled:
        _not_oneself(office, id)
    return _store(office).staff.update(id, enabled=enabled, by=office.by, at=office.at)


def remove(office: Office, id: str) -> None:
    """Removes somebody with roles, passkeys, sessions and link. Raises RefusedError, StepUpError, Conflict."""
    _sealed(office)
    office.fresh()
    _whole(office, id)
    _not_oneself(office, id)
    _store(office).staff.remove(id, by=office.by, at=office.at)


def new_link(office: Office, id: str, *, forget_passkeys: bool = False) -> Invitation:
    """A link for a further passkey, after a loss or when the first link is over; it takes the place of one from before.
    Sessions go on. ``forget_passkeys``: those that are there open nothing any more. Raises RefusedError, StepUpError,
    Conflict (disabled; the last owner's passkeys)."""
    if forget_passkeys:
        _sealed(office)
    office.fresh()
    person, store = _whole(office, id).staff, _store(office)
    passkeys = store.staff.passkeys(id)
    if forget_passkeys:
        _not_oneself(office, id)
        for each in passkeys:
            store.staff.remove_passkey(id, each.id, keep_one=False, by=office.by, at=office.at)
    return _link(office, store, person, LinkKind.RECOVER if passkeys else LinkKind.INVITE)


def end_sessions(office: Office, id: str) -> int:
    """Signs somebody out everywhere, but for the very session that asks; gives how many. Raises RefusedError,
    StepUpError."""
    office.fresh()
    _whole(office, id)
    ended = _store(office).staff.end_sessions(
        id, office.access.session, "ended by an owner", by=office.by, at=office.at
    )
    return len(ended)


def _store(office: Office) -> Store:
    if not office.may(Verb.AUDIT) and not office.organisations(Verb.AUDIT):
        raise RefusedError("not-found", "There is no such page, or it is not yours to see.", 404)
    return office.world.store


def _seen(office: Office, person: Staff) -> Member | None:
    everywhere = office.may(Verb.AUDIT)
    shown = tuple(
        each
        for each in person.grants
        if everywhere or each.organisation == EVERY or office.may(Verb.AUDIT, each.organisation)
    )
    if not shown and not everywhere:
        return None
    within = bool(person.grants) and all(
        each.organisation != EVERY and office.may(Verb.STAFF, each.organisation) for each in person.grants
    )
    return Member(person, shown, len(shown) < len(person.grants), office.may(Verb.STAFF) or within)


def _whole(office: Office, id: str) -> Member:
    found = member(office, id)
    if not found.whole:
        raise RefusedError(
            "not-yours",
            f"{found.staff.name} has roles beyond what you look after. Ask an owner of every organisation.",
            403,
        )
    return found


def _gives(office: Office, role: Role, organisation: str) -> bool:
    if organisation != EVERY and organisation not in office.world.organisations():
        return False
    own = office.access.verbs(organisation, office.at)
    asked = Verb.ACTIONS if role is Role.RESPONDER else Verb.STAFF
    return asked in own and VERBS_OF[role] <= own


def _may_give(office: Office, given: Grant) -> None:
    if not _gives(office, given.role, given.organisation):
        raise _not_allowed(office, given.organisation)
    if given.role is Role.RESPONDER and not office.at < given.until <= office.at + RESPONDER_LONGEST:
        raise RefusedError("end", "A responder's role needs an end, at most 30 days from now.", 422)
    ends = [
        each.until
        for each in office.access.staff.grants
        if alive(each, office.at) and VERBS_OF[given.role] <= verbs([each], given.organisation, office.at)
    ]
    last = 0.0 if 0.0 in ends else max(ends, default=0.0)
    if last and not 0 < given.until <= last:
        raise RefusedError("end", "Your own role ends before that: give an end that is not later.", 422)


def _not_allowed(office: Office, organisation: str) -> RefusedError:
    """404 for what the asker must not know of."""
    if organisation != EVERY:
        office.known(organisation)
    return RefusedError("not-allowed", "You cannot give or take this role there. Ask an owner.", 403)


def _sealed(office: Office) -> None:
    if office.access.break_glass:
        raise RefusedError(
            "break-glass",
            "A break-glass session does not do this. Make a link for an owner, bind a passkey with it, and go on as "
            "that owner.",
            403,
        )


def _not_oneself(office: Office, id: str) -> None:
    if id == office.access.staff.id:
        raise RefusedError("yourself", "You cannot shut yourself out. Ask another owner.")


def _link(office: Office, store: Store, person: Staff, kind: LinkKind) -> Invitation:
    token = urlsafe_b64encode(office.world.random(LINK_OCTETS)).rstrip(b"=").decode()
    ends = office.at + LINK_SECONDS
    store.staff.make_link(
        kind, person.id, sha256(token.encode()).digest(), expires_at=ends, by=office.by, at=office.at
    )
    return Invitation(person, kind, f"{office.facts.origin}/welcome/{token}", ends)
