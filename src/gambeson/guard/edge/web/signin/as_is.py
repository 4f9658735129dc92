"""*as-is*: the application asks for itself, behind our sign-in.

What the browser sends the application for that goes on as it came, except our own things: a device secret is no
password of an application's. Nor does a colleague's name with a colleague's password: the second factor that was shown
is this person's. What is typed into the application's own form is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable

from gambeson.guard.core.web.basic import BasicError, authorization, parse_basic
from gambeson.guard.core.web.device_lane import spelled
from gambeson.model import device_secret
from gambeson.model.address import canonical
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Site, WebRequest

from . import Person, SignedIn

_WITH, _WITHOUT = SignedIn(authorization=True), SignedIn()


class AsIs:
    """Nothing is added. ``index`` gives the present snapshot."""

    def __init__(self, index: Callable[[], SnapshotIndex | None]) -> None:
        self._index = index

    def sign_in(self, site: Site, person: Person, request: WebRequest, now: float) -> SignedIn:
        """The browser's own Authorization, where it may go on."""
        return _WITH if passes_on(request) and not self._another(site, person, request) else _WITHOUT

    def _another(self, site: Site, person: Person, request: WebRequest) -> bool:
        """Whether Basic names another account that we know."""
        index = self._index()
        try:
            raw = parse_basic(authorization(request))
        except BasicError:
            return False
        if index is None:
            return True
        try:
            named = index.account_by_address.get(canonical(spelled(raw, index, site).username))
        except ValueError:
            return False
        return named is not None and named.id != person.account.id


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
