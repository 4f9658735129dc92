"""The first owner's link: while nobody can sign in at the console as an owner, each start makes a new one.

It binds one passkey and is over with that, or after a week, or with the next start. It is shown to whoever started
Gambeson and written to ``ready.json``, which is theirs alone (0600): they own the machine and could make another.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256
from itertools import count

from gambeson.model.staff import EVERY, Grant, Role, Staff
from gambeson.store.control import Store

LINK_OCTETS = 32
LINK_SECONDS = 7 * 86400.0
NAME = "Owner"


def new_token() -> str:
    """The secret part of a link."""
    return secrets.token_urlsafe(LINK_OCTETS)


def verifier(token: str) -> bytes:
    """What the store keeps of it."""
    return sha256(token.encode()).digest()


def first_link(store: Store, *, by: str, at: float) -> str:
    """The token of a new link; empty where an owner with a passkey is there."""
    if store.staff.owners():
        return ""
    everywhere = Grant(EVERY, Role.OWNER)
    people = store.staff.list()
    waiting = [each for each in people if each.enabled and everywhere in each.grants]
    owner = waiting[0] if waiting else store.staff.create(_free(people), grants=(everywhere,), by=by, at=at)
    token = new_token()
    store.staff.make_link("first-run", owner.id, verifier(token), expires_at=at + LINK_SECONDS, by=by, at=at)
    return token


def _free(people: Sequence[Staff]) -> str:
    """A name that nobody has: somebody of that name may be there, disabled or with another role."""
    taken = {each.name.casefold() for each in people}
    names = (NAME if number == 1 else f"{NAME} {number}" for number in count(1))
    return next(name for name in names if name.casefold() not in taken)
