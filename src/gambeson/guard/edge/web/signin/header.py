"""*header*: the account's name in a header that the application trusts, beside a signature that says who wrote it.

The bare header is worth nothing: whoever reaches the application past the door could write it. So the keeper signs a
short-lived JSON Web Token (ES256, RFC 7519) for this application's audience, whose ``sub`` is the same name, and the
application takes the header only with it (or only with our client certificate). A client's headers of these names are
never passed on, in any lane.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gambeson.model.web import Site, WebRequest
from gambeson.wire.dialogue import UpstreamCredential
from gambeson.wire.http_forward import folded

from . import Person, SignedIn
from .token import Tokens

SIGNATURE = "x-gambeson-signature"


class Header:
    """The trusted header and its signature."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def sign_in(
        self, site: Site, person: Person, request: WebRequest, now: float
    ) -> SignedIn | Awaitable[SignedIn]:
        """Plain where a fresh signature is known."""
        known = self._tokens.known(site, person, now)
        return _signed(site, known) if known is not None else self._ask(site, person, now)

    async def _ask(self, site: Site, person: Person, now: float) -> SignedIn:
        return _signed(site, await self._tokens.ask(site, person, now))


def _signed(site: Site, given: UpstreamCredential) -> SignedIn:
    return SignedIn(((site.header, given.authcid), (SIGNATURE, given.secret)))


def disguised(site: Site, request: WebRequest) -> bool:
    """Whether a header would become the trusted one in a server that writes ``_`` and ``-`` alike, or ``.`` too
    (RFC 3875 section 4.1.18). The name itself is simply left out."""
    plain = folded(site.header)
    return any(name != site.header and folded(name) == plain for name, _ in request.headers)
