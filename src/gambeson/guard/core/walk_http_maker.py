"""What all attempts at web doors are made of: who knocks, where, and the request with its proof."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, urlencode

from gambeson.model.access import DoorKind, Listener, Rung
from gambeson.model.finding import Severity
from gambeson.model.session_token import LIFETIME, Claims, octets, token
from gambeson.model.web import Site

from .walk import Ask, Attempt, Kind, Login, Path, Place, Role
from .walk_http import WEB_RULES
from .walk_http_requests import PEOPLE_DOORS, WebShape
from .walk_plan import RULES, Canary
from .web.shield_source import Case, Shield
from .web.verdict import Headers

SESSION = "__Host-gambeson-session"
AGENT = ("user-agent", "gambeson-walk")
HTML = (("accept", "text/html"), ("sec-fetch-mode", "navigate"))
FORM = ("content-type", "application/x-www-form-urlencoded")
PASSWORD = "the canary's password"  # noqa: S105 - the name of a kind
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class WebWalk:
    """All that a plan needs to know. ``address`` and ``port`` are the listener's, ``portal`` the portal's host (empty:
    none) and ``public_port`` the port in its URLs; ``account`` and ``organisation`` are the canary's ids, for sessions
    that nobody signed. ``floor`` gives the rung that a door asks for. ``sessions`` are the canary's own, by public
    host: the Cookie header of a browser that came in at the portal."""

    canary: Canary
    address: str
    port: int
    nonce: str
    now: float
    floor: Callable[[DoorKind], Rung]
    sites: tuple[Site, ...] = ()
    portal: str = ""
    ca: str = ""
    account: str = "a"
    organisation: str = "o"
    shields: tuple[Shield, ...] = field(default=(), repr=False)
    sessions: Mapping[str, str] = field(default_factory=dict, repr=False)

    def place(self, host: str, door: DoorKind | None = None) -> Place:
        """A host of the https listener, or one of its doors."""
        name = f"https {host} {door}" if door else f"https {host}"
        return Place(
            name,
            Listener.HTTPS,
            Role.DOOR,
            self.address,
            self.port,
            implicit=True,
            server_name=host,
            ca=self.ca,
        )

    def named(self, host: str) -> str:
        """The Host header."""
        return host if self.port == 443 else f"{host}:{self.port}"

    def forged(self, host: str) -> Sequence[tuple[str, str]]:
        """Session tokens for ``host`` that say the right things, and that no keeper signed."""
        claims = Claims(
            "gambeson-walk",
            self.organisation,
            self.account,
            self.canary.address,
            Rung.DEVICE_KEY,
            self.named(host),
            self.now - 1,
            self.now - 1 + LIFETIME,
            self.now + 3600,
        )
        past = replace(
            claims, issued=self.now - 2 * LIFETIME, expires=self.now - LIFETIME, ends=self.now - LIFETIME + 1
        )
        signature = blake2b(self.nonce.encode(), digest_size=64).digest()
        return (
            ("a session nobody signed", token(octets(claims), signature)),
            ("a session with an empty signature", token(octets(claims), bytes(64))),
            ("an expired session nobody signed", token(octets(past), signature)),
            ("a made-up session cookie", "gambeson-walk"),
        )


class Maker:
    """Makes attempts at one host."""

    def __init__(self, walk: WebWalk, site: Site, host: str) -> None:
        self.walk, self.site, self.host = walk, site, host
        self.canary = walk.canary

    def ask(self, shape: WebShape, *headers: tuple[str, str], **changes: Any) -> Ask:
        """The request of ``shape`` with ``headers`` that prove something, or pretend to."""
        target = shape.target.replace("{user}", quote(self.canary.address))
        named = self.walk.named(self.host)
        ask = Ask(
            shape.method,
            target,
            named,
            self.host,
            (AGENT, *shape.headers, *headers),
            shape.body_for(self.canary.address),
        )
        return replace(ask, **changes)

    def made(
        self,
        kind: Kind,
        mechanism: str,
        credential: str,
        rule: str,
        *asks: Ask,
        door: DoorKind | None = None,
        rung: Rung = Rung.NOTHING,
        control: bool = False,
        secret: str = "",
        place: Place | None = None,
        severity: Severity = Severity.CRITICAL,
        expects: Headers = (),
    ) -> Attempt:
        """One attempt; ``door`` None: the site's pages in general."""
        knocks = door or PEOPLE_DOORS[self.site.product]
        return Attempt(
            place=place or self.walk.place(self.host, door),
            path=Path.TLS if asks[-1].tls else Path.PLAIN,
            kind=kind,
            mechanism=mechanism,
            credential=credential,
            login=Login(self.canary.address, secret),
            rung=rung,
            floor=self.walk.floor(knocks),
            rule=f"guard.walk.{rule}",
            title=RULES.get(rule) or WEB_RULES[rule],
            control=control,
            nonce=self.walk.nonce,
            mailbox=self.canary.address,
            foreign=self.canary.foreign,
            asks=asks,
            kind_of_door=knocks,
            severity=severity,
            expects=expects,
        )


def probe(shield: Shield, named: str, sni: str) -> Ask:
    """A shield's harmless shape as a request."""
    case = shield.probe
    headers = (
        case.headers if any(name == "user-agent" for name, _ in case.headers) else (AGENT, *case.headers)
    )
    return Ask(case.method, case.target, named, sni, headers, case.body)


def page(shield: Shield, case: Case, named: str, sni: str) -> tuple[Ask, Headers]:
    """A page whose answer the shield changes, and the headers that the answer must have."""
    expected = [pair for one in shield.changes(case) for pair in (*one.action.set, *one.action.add)]
    return Ask(case.method, case.target, named, sni, (*case.headers, *HTML)), tuple(expected)


def basic(name: str, password: str) -> tuple[str, str]:
    """HTTP Basic (RFC 7617 section 2)."""
    return "authorization", "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def form(**fields: str) -> bytes:
    """A form's body."""
    return urlencode(fields).encode()
