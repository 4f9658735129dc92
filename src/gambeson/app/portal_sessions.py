"""The portal's sessions for an administrator: listed and ended, whether Gambeson runs or not."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gambeson.store.errors import NotFound
from gambeson.store.tenant import OrganisationStore
from gambeson.store.web_sessions import WebSession

from .installation import Installation

PORTAL_IDS = "web-"  # how their ids begin


def portal_sessions(place: Installation, org: str | None, now: float) -> Sequence[tuple[WebSession, str]]:
    """The live ones with their account's address: of one organisation, or of all."""
    return [
        (session, organisation.accounts.get(session.account).address)
        for organisation in _organisations(place, org)
        for session in organisation.web_sessions.list(None, now)
    ]


def end_portal_sessions(place: Installation, id: str, address: str | None, org: str | None) -> int:
    """Ends one by its id, or all of an account; gives how many. Raises NotFound for an id that no live one has."""
    now, why = time.time(), "ended by an administrator"
    if address:
        organisation = place.organisation_of(address, org)
        account = organisation.accounts.find(address).id
        return len(organisation.web_sessions.end(account, reason=why, by=place.who, at=now))
    for organisation in _organisations(place, org):
        for session in organisation.web_sessions.list(None, now):
            if session.id == id:
                ended = organisation.web_sessions.end(
                    session.account, id=id, reason=why, by=place.who, at=now
                )
                return len(ended)
    raise NotFound(f"There is no session {id[:80]!a} at the portal: see gambeson session list --portal.")


def _organisations(place: Installation, org: str | None) -> Sequence[OrganisationStore]:
    if org:
        return [place.organisation(org)]
    return [place.store.organisation(each.id) for each in place.store.organisations()]
