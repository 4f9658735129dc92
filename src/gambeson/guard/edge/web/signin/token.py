"""*token*: HTTP Basic with a token of the keeper as the password, never more than a minute old.

The keeper gets the session token as the proof and gives a token for this one application's audience. The mail server
behind the application verifies it (Dovecot: ``process/signin/token.py``); the application needs to know nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gambeson.guard.core.web.basic import basic
from gambeson.guard.edge.ports import Keeper
from gambeson.guard.edge.web.shelf import Shelf
from gambeson.model.web import Site, WebRequest
from gambeson.process.keeper_client import CredentialAsk, KeeperGone, KeeperRefused
from gambeson.wire.dialogue import UpstreamCredential

from . import Person, SignedIn, WayError

REUSE = 20.0  # seconds; the keeper may have reused it for 30 before, and it lives 55
MAX_TOKENS = 20_000


class Tokens:
    """Fresh tokens by session and site: one question to the keeper for many requests."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._given: Shelf[UpstreamCredential] = Shelf(MAX_TOKENS)

    def clear(self) -> None:
        """A newer snapshot came: ask again."""
        self._given.clear()

    def sweep(self, now: float) -> None:
        """Let go of what has ended."""
        self._given.sweep(now)

    def known(self, site: Site, person: Person, now: float) -> UpstreamCredential | None:
        """The one that is fresh enough."""
        return self._given.get((person.claims.session, person.access.door, site.name), now)

    async def ask(self, site: Site, person: Person, now: float) -> UpstreamCredential:
        """A new one of the keeper's. Raises WayError."""
        ask = CredentialAsk(
            account=person.claims.account,
            server=site.name,
            door=person.access.door.value,
            source=person.access.source,
            session=person.token,
        )
        try:
            given = await self._keeper.credential(ask)
        except KeeperRefused as error:
            raise WayError(f"the keeper refused: {error.reason}") from None
        except KeeperGone:
            raise WayError("the keeper is gone") from None
        self._given.put((person.claims.session, person.access.door, site.name), given, now + REUSE, now)
        return given


class Token:
    """The token as the password."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def sign_in(
        self, site: Site, person: Person, request: WebRequest, now: float
    ) -> SignedIn | Awaitable[SignedIn]:
        """Plain where a fresh token is known."""
        known = self._tokens.known(site, person, now)
        return _signed(known) if known is not None else self._ask(site, person, now)

    async def _ask(self, site: Site, person: Person, now: float) -> SignedIn:
        return _signed(await self._tokens.ask(site, person, now))


def _signed(given: UpstreamCredential) -> SignedIn:
    return SignedIn((("authorization", basic(given.authcid, given.secret)),))
