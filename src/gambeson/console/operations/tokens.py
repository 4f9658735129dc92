"""Tokens of the API: made by a person, for programs; shown once.

Rules:

* A token names organisations in which its maker may say who does what, verbs, and an end within a year. It always
  reads. It never says who may do what: that is a person's matter.
* Whoever looks after some organisations sees and revokes the tokens that reach nothing else, and their own.
* A session by break-glass makes none: what it opened would outlive the emergency. It revokes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gambeson.console.core import api_token
from gambeson.console.office import Office, RefusedError
from gambeson.model.staff import EVERY, Verb
from gambeson.store.control import Store
from gambeson.store.errors import NotFound
from gambeson.store.tokens import ApiToken

LONGEST = 366 * 86400.0
CHOICES = tuple(verb for verb in Verb if verb not in (Verb.READ, Verb.STAFF))


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token, and the name of who answers for it (empty: root on the machine, or somebody who is gone)."""

    token: ApiToken
    staff: str


@dataclass(frozen=True, slots=True)
class MadeToken:
    """A new token, and its text, which nobody will see again."""

    token: ApiToken
    text: str = field(repr=False)


def tokens(office: Office) -> tuple[TokenView, ...]:
    """Those that the asker may revoke, newest first; revoked ones too. Raises RefusedError(404)."""
    store, people = _store(office), office.world.staff()
    return tuple(
        TokenView(each, people[each.staff].name if each.staff in people else "")
        for each in store.tokens.list()
        if _seen(office, each)
    )


def make(
    office: Office, name: str, organisations: Iterable[str], verbs: Iterable[Verb], expires_at: float
) -> MadeToken:
    """A new one. Raises RefusedError, StepUpError, BadValue, Conflict."""
    if office.access.break_glass or not office.access.staff.id:
        raise RefusedError(
            "break-glass", "A break-glass session makes no token. Bind a passkey, and go on as an owner.", 403
        )
    office.fresh()
    store, whose = _store(office), tuple(dict.fromkeys(organisations))
    for each in whose:
        if each != EVERY:
            office.known(each)
        if not office.may(Verb.STAFF, each):
            raise RefusedError("not-allowed", "Only an owner there makes tokens for it.", 403)
    if not whose:
        raise RefusedError("no-organisation", "Choose at least one organisation.", 422)
    if not office.at < expires_at <= office.at + LONGEST:
        raise RefusedError("end", "A token ends in the future and within a year: give such a date.", 422)
    wanted = {Verb.READ, *verbs}
    if Verb.STAFF in wanted:
        raise RefusedError("no-verb", "Who may do what is decided by people, not by a token.", 422)
    made = api_token.make(office.world.random(api_token.ENTROPY_BYTES))
    kept = store.tokens.create(
        name,
        organisations=whose,
        verbs=wanted,
        verifier=made.verifier,
        public_id=made.public_id,
        staff=office.access.staff.id,
        expires_at=expires_at,
        by=office.by,
        at=office.at,
    )
    return MadeToken(kept, made.text)


def revoke(office: Office, id: str) -> ApiToken:
    """It opens nothing any more. Raises RefusedError(404)."""
    store = _store(office)
    try:
        found = store.tokens.get(id)
    except NotFound:
        found = None
    if found is None or not _seen(office, found):
        raise RefusedError("not-found", "There is no such token, or it is not yours to see.", 404)
    return store.tokens.revoke(id, by=office.by, at=office.at)


def _store(office: Office) -> Store:
    if not office.may(Verb.STAFF) and not office.organisations(Verb.STAFF):
        raise RefusedError("not-found", "There is no such page, or it is not yours to see.", 404)
    return office.world.store


def _seen(office: Office, token: ApiToken) -> bool:
    own = bool(token.staff) and token.staff == office.access.staff.id
    return own or office.may(Verb.STAFF) or all(office.may(Verb.STAFF, each) for each in token.organisations)
