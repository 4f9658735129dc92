"""The ways a person's session is signed in at a web application. One file each.

A way gives the headers that the application gets with every request, or None: then the browser must come through the
portal again. It may have to ask the keeper; what it raises (:class:`WayError`) is no fault of the person.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol

from gambeson.guard.core.session_token import Claims
from gambeson.guard.core.web.verdict import Headers
from gambeson.model.access import AccessRequest
from gambeson.model.asset import Account
from gambeson.model.web import Site, WebRequest


class WayError(Exception):
    """The way cannot be gone now. ``str`` is for the record."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a session was admitted for. ``token`` is the newest of its session for this host."""

    token: str = field(repr=False)
    claims: Claims
    account: Account
    access: AccessRequest


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Headers for the application; ``authorization``: the browser's own goes on too."""

    headers: Headers = field(default=(), repr=False)
    authorization: bool = False


class Way(Protocol):
    """One way to sign in."""

    def sign_in(
        self, site: Site, person: Person, request: WebRequest, now: float
    ) -> SignedIn | Awaitable[SignedIn | None] | None:
        """What the application gets. Raises WayError, also where it is awaited."""
        ...


def login_of(account: Account) -> str:
    """The account's name at what lies behind the doors."""
    return account.upstream_login or account.address
