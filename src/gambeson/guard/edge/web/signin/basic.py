"""*basic*: HTTP Basic with the password that the person gave at the portal.

The password lies sealed in this process's memory, by session and host; the key that opens it lies only in the
browser's cookie. Neither is worth anything without the other. The box is gone at sign-out, after twelve hours, and
with the process: the browser is then led through the portal again.
"""

from __future__ import annotations

from gambeson.guard.core.web.basic import basic
from gambeson.guard.core.web.password_box import read_key, unseal
from gambeson.guard.edge.web.shelf import Shelf
from gambeson.model.web import Site, WebRequest

from . import Person, SignedIn, login_of

KEY_COOKIE = "__Host-gambeson-key"
KEPT = 12 * 3600.0  # seconds
MAX_BOXES = 20_000


class Basic:
    """Holds the boxes."""

    def __init__(self) -> None:
        self._boxes: Shelf[bytes] = Shelf(MAX_BOXES)

    def keep(self, session: str, host: str, box: bytes, ends: float, now: float) -> None:
        """A box for a session at a host, instead of the one before."""
        self._boxes.put((session, host), box, min(now + KEPT, ends), now)

    def forget(self, session: str, host: str) -> None:
        """The session ended."""
        self._boxes.drop((session, host))

    def sweep(self, now: float) -> None:
        """Let go of what has ended."""
        self._boxes.sweep(now)

    def sign_in(self, site: Site, person: Person, request: WebRequest, now: float) -> SignedIn | None:
        """Name and password; None where the box or its key is not there."""
        claims = person.claims
        box = self._boxes.get((claims.session, request.host), now)
        key = read_key(request.cookie(KEY_COOKIE))
        password = unseal(box, key, claims.session, request.host) if box and key else None
        if password is None:
            return None
        return SignedIn((("authorization", basic(login_of(person.account), password)),))
