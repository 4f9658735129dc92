"""*as-is*: the application asks for itself, behind our sign-in.

What the browser sends the application for that goes on as it came, except our own things: a device secret is no
password of an application's.
"""

from __future__ import annotations

from gambeson.guard.core.web.basic import BasicError, authorization, parse_basic
from gambeson.model import device_secret
from gambeson.model.web import Site, WebRequest

from . import Person, SignedIn


class AsIs:
    """Nothing is added."""

    def sign_in(self, site: Site, person: Person, request: WebRequest, now: float) -> SignedIn:
        """The browser's own Authorization, where it may go on."""
        return SignedIn(authorization=passes_on(request))


def passes_on(request: WebRequest) -> bool:
    """Whether the Authorization header may go on as it came. Two of them are no header at all."""
    found: bool | None = request.memo.get("passes on")
    if found is None:
        found = request.memo["passes on"] = _passes_on(request)
    return found


def _passes_on(request: WebRequest) -> bool:
    try:
        value = authorization(request)
    except BasicError:
        return False
    try:
        return bool(value) and not device_secret.resembles(parse_basic(value).password)
    except BasicError as error:
        return error.reason == "single-sign-on-not-offered"  # the application's own scheme, none of ours
