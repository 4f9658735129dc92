"""The life of sessions in one door process: tokens opened, renewed before they end, and sessions that are over.

A token is renewed beside the requests: while the portal is asked, the old one holds, and the new one goes out with the
next answer. What was signed out here is over here at once; the next snapshot says so to all doors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gambeson.guard.core.session_token import LIFETIME, RENEW_BELOW, Claims, TokenError, open_token
from gambeson.process.portal_messages import RenewAsk

from .portal_link import PortalGone, PortalLink, PortalRefused
from .shelf import Shelf

MAX_NEXT = 20_000
MAX_ENDED = 100_000
_OVER = ("gone", "session-ended", "account-disabled")  # what the portal says of a session that is no more


class Sessions:
    """``key`` verifies tokens (None: not yet). ``on_end(claims, host)`` is told of each session that ends here."""

    def __init__(self, link: PortalLink | None, on_end: Callable[[Claims, str], None]) -> None:
        self.key: Ed25519PublicKey | None = None
        self.link = link
        self._on_end = on_end
        self._ended: Shelf[bool] = Shelf(MAX_ENDED)
        self._next: Shelf[tuple[str, Claims]] = Shelf(MAX_NEXT)
        self._renewing: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, token: str, host: str, now: float) -> Claims:
        """The claims of a token for this host, of a session that did not end here. Raises TokenError."""
        if self.key is None:
            raise TokenError("not-ready")
        claims = open_token(token, self.key, host, now)
        if self._ended.get(claims.session, now):
            raise TokenError("ended")
        return claims

    def end(self, claims: Claims, host: str, now: float) -> None:
        """The session is over in this process from now on."""
        self._ended.put(claims.session, True, now + 2 * LIFETIME, now)
        self._next.drop((claims.session, host))
        self._on_end(claims, host)

    def newest(self, token: str, claims: Claims, host: str, now: float) -> tuple[str, Claims]:
        """The newest token of this session that is known here, and its claims."""
        if not len(self._next):
            return token, claims
        key = (claims.session, host)
        found = self._next.get(key, now)
        if found is None or found[1].expires < claims.expires:
            return token, claims
        if found[0] == token:
            self._next.drop(key)  # it has arrived
        return found

    def renew(self, token: str, claims: Claims, host: str, source: str, now: float) -> None:
        """Ask for the next token where this one is about to end, and nobody asks yet."""
        if now < claims.expires - RENEW_BELOW:
            return
        key = (claims.session, host)
        if self.link is None or key in self._renewing or self._next.get(key, now) is not None:
            return
        self._renewing.add(key)
        task = asyncio.get_running_loop().create_task(self._renewed(self.link, token, claims, host, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renewed(self, link: PortalLink, token: str, mine: Claims, host: str, source: str) -> None:
        key = (mine.session, host)
        try:
            given = await link.renew(RenewAsk(token=token, source=source))
            now = time.time()
            claims = self.open(given.token, host, now)
            theirs = (claims.session, claims.account, claims.organisation)
            if theirs == (mine.session, mine.account, mine.organisation):
                self._next.put(key, (given.token, claims), claims.expires, now)
        except PortalRefused as refused:
            if refused.reason in _OVER:
                self.end(mine, host, time.time())
        except (PortalGone, TokenError):
            pass  # the token there is holds until it ends; the next request asks again
        finally:
            self._renewing.discard(key)

    def sweep(self, now: float) -> None:
        """Let go of tokens that have ended."""
        self._next.sweep(now)

    def close(self) -> None:
        """No renewal goes on."""
        for task in self._tasks:
            task.cancel()
