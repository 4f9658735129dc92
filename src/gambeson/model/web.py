"""The web doors' values: a request after the parser, the site it is for, and what is answered.

A :class:`WebRequest` is what every later step sees, and exactly what is forwarded: nobody decides on one reading of a
request while the mail server gets another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .access import DoorKind
from .server import Endpoint, MailServer, SignIn


class Product(StrEnum):
    """What stands behind a site: the name of its request grammar in ``guard/data/grammar``."""

    EXCHANGE = "exchange"
    ROUNDCUBE = "roundcube"
    SOGO = "sogo"
    PORTAL = "portal"

    __hash__ = str.__hash__  # Enum's own is slow, and is no equal text's


class WebSignIn(StrEnum):
    """How a browser's session is signed in at the web application. One file each in ``guard/edge/web/signin``."""

    AS_IS = "as-is"  # the application asks for itself, behind our sign-in
    BASIC = "basic"  # HTTP Basic with the password that was sealed to the session
    TOKEN = "token"  # noqa: S105 - HTTP Basic with a fresh token of the keeper as the password
    HEADER = "header"  # a trusted header beside a short-lived signature


class Lane(StrEnum):
    """How a request must be proven."""

    WEB = "web"  # a person at a browser: a session of the portal
    DEVICE = "device"  # a program: a device secret as Basic password, or a client certificate
    PUBLIC = "public"  # no proof: what a sign-in page itself needs
    LOCAL = "local"  # answered by the door, nothing is forwarded
    NEVER = "never"  # no legitimate client asks this from outside


@dataclass(frozen=True, slots=True)
class Site:
    """One web application behind the door.

    ``hosts`` are lower-case public names (browsers), ``device_hosts`` names where client certificates are asked for
    (devices only; the lanes of people are *never* there). ``endpoint`` is where it is, ``web_sign_in`` and
    ``device_sign_in`` how the door signs in there for a person and for a device; ``audience`` belongs to tokens,
    ``header`` is the name of the trusted header (way *header*). ``organisation`` empty: every organisation.
    ``operations`` are the EWS operations allowed beyond the programs' own lists.
    """

    name: str
    product: Product
    hosts: tuple[str, ...]
    endpoint: Endpoint
    organisation: str = ""
    device_hosts: tuple[str, ...] = ()
    web_sign_in: WebSignIn = WebSignIn.AS_IS
    device_sign_in: SignIn = SignIn.SEALED
    audience: str = "gambeson"
    header: str = "x-remote-user"
    operations: tuple[str, ...] = ()

    @property
    def server(self) -> MailServer:
        """The site as a server to sign in at: what the keeper is asked about."""
        way = SignIn.TOKEN if self.web_sign_in is WebSignIn.TOKEN else self.device_sign_in
        return MailServer(
            self.name, self.organisation, (self.endpoint,), way, priority=1000, audience=self.audience
        )


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One HTTP request, parsed and canonical.

    ``method`` is upper case, ``host`` lower case without port. ``path`` and ``query`` are what is forwarded, as it came
    (``query`` without the question mark). ``canonical`` is the path decoded once and in lower case, as
    IIS compares it; ``parameters`` are the decoded pairs of the query, names in lower case. ``headers`` have
    lower-case names and values as text (latin-1), in the order they came; ``cookies`` are the pairs of all Cookie
    headers. ``source`` is the client's address. ``body`` says whether one comes.

    Most requests of one connection carry the same headers. ``memo`` has what was worked out from headers and cookies
    alone, ``cookie_memo`` what was from cookies alone, and such requests share them. What hangs on more is put
    in only together with everything that it hangs on, which is compared before it is used.
    """

    method: str
    host: str
    path: str
    query: str = ""
    canonical: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cookies: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    source: str = ""
    body: bool = False
    memo: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    cookie_memo: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def header(self, name: str) -> str:
        """The first value of a header (lower-case name); empty for none."""
        for key, value in self.headers:
            if key == name:
                return value
        return ""

    def cookie(self, name: str) -> str:
        """The value of a cookie that came exactly once; empty for none or several."""
        found = [value for key, value in self.cookies if key == name]
        return found[0] if len(found) == 1 else ""

    def parameter(self, name: str) -> str:
        """The first value of a query parameter (lower-case name); empty for none."""
        return next((value for key, value in self.parameters if key == name), "")


@dataclass(frozen=True, slots=True)
class Route:
    """Where the grammar puts a request: the lane, the door kind (None for *never*, *public* and *local*), and the
    name of the grammar's line. ``local`` names what the door answers by itself (``autodiscover-v2``, ...)."""

    lane: Lane
    door: DoorKind | None = None
    rule: str = ""
    local: str = ""
