"""What the walk tries at the web doors: every door of a site, every kind of proof, and what no client asks in good
faith.

One plan a host, the control first: once the canary's own device got in, what fails afterwards counts against nobody
else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gambeson.model.access import DoorKind, Rung
from gambeson.model.finding import Severity
from gambeson.model.web import Product, Site, WebSignIn

from .walk import Attempt, Kind, Place
from .walk_http import NAMELESS
from .walk_http_maker import NOTHING, PASSWORD, SESSION, Maker, WebWalk, basic, page, probe
from .walk_http_portal import portal_attempts
from .walk_http_requests import CLOSED, DEVICE_REQUESTS, PEOPLE_REQUESTS, TRICKS, WebShape
from .walk_plan import Canary
from .walk_sasl import forged_token
from .web.shield_source import Shield

_NTLM = "NTLM TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAKAGFKAAAADw=="
_NEGOTIATE = "Negotiate YA4GBisGAQUFAqAEMAKgAA=="

Plan = tuple[Place, tuple[Attempt, ...]]


def plans(walk: WebWalk) -> Iterator[Plan]:
    """Every public host: those of people, those of devices, the portal's."""
    for site in walk.sites:
        for host in site.hosts:
            yield walk.place(host), tuple(_Host(walk, site, host, devices_only=False).all())
        for host in site.device_hosts:
            yield walk.place(host), tuple(_Host(walk, site, host, devices_only=True).all())
    if walk.portal and walk.sites:
        yield walk.place(walk.portal), tuple(portal_attempts(walk))


class _Host(Maker):
    """One public host of a site."""

    def __init__(self, walk: WebWalk, site: Site, host: str, *, devices_only: bool) -> None:
        super().__init__(walk, site, host)
        self._devices_only = devices_only

    def all(self) -> Iterator[Attempt]:
        requests = DEVICE_REQUESTS.get(self.site.product, {})
        yield from self._control()
        for door, shapes in requests.items():
            yield from self._device_door(door, shapes)
        for door, shapes in PEOPLE_REQUESTS[self.site.product].items():
            if self._devices_only:
                yield from self._pages_at_device_host(door, shapes)
            else:
                yield from self._people_door(door, shapes)
        yield from self._closed()
        yield from self._tricks()
        yield from self._named_otherwise()
        if not self._devices_only:
            yield from self._shields()

    # -- programs

    def _control(self) -> Iterator[Attempt]:
        shapes = DEVICE_REQUESTS.get(self.site.product, {}).get(DoorKind.EAS)
        if not shapes or not self.canary.secret:
            return
        floor = self.walk.floor(DoorKind.EAS)
        yield self.made(
            Kind.WEB,
            "Basic",
            "its own device secret",
            "floor-not-held",
            self.ask(shapes[0], basic(self.canary.address, self.canary.secret)),
            door=DoorKind.EAS,
            rung=Rung.DEVICE_SECRET,
            control=floor <= Rung.DEVICE_SECRET,
            secret=self.canary.secret,
        )

    def _device_door(self, door: DoorKind, shapes: Sequence[WebShape]) -> Iterator[Attempt]:
        canary = self.canary
        for shape in shapes:
            yield self.made(Kind.WEB, "no sign-in", NOTHING, "no-login", self.ask(shape), door=door)
            for name in _names(canary) if canary.password else ():
                yield self.made(
                    Kind.WEB,
                    "Basic",
                    PASSWORD,
                    "password",
                    self.ask(shape, basic(name, canary.password)),
                    door=door,
                    rung=Rung.KNOWLEDGE,
                    secret=canary.password,
                )
        shape = shapes[0]
        for what, guess in (("a wrong password", f"not-it-{self.walk.nonce}"), ("an empty password", "")):
            ask = self.ask(shape, basic(canary.address, guess))
            yield self.made(Kind.WEB, "Basic", what, "any-password", ask, door=door, secret=guess)
        yield from self._tokens(door, shape)
        for held in self._held(door):
            for name in (held[3] or canary.address,):
                ask = self.ask(shape, basic(name, held[2]))
                yield self.made(Kind.WEB, "Basic", held[0], held[1], ask, door=door, secret=held[2])
        if self._devices_only:
            yield self.made(
                Kind.WEB,
                "TLS client certificate",
                "a certificate that nobody registered",
                "certificate-unknown",
                self.ask(shape, certificate=True),
                door=door,
            )
        for what, cookie in self.walk.forged(self.host)[:1]:
            ask = self.ask(shape, ("cookie", f"{SESSION}={cookie}"))
            yield self.made(Kind.SESSION, "session cookie", what, "session-forged", ask, door=door)
        for name, value in self._spoofed():
            ask = self.ask(shape, (name, value))
            yield self.made(Kind.HEADER, name, "a header", "spoofed-header", ask, door=door)

    def _tokens(self, door: DoorKind, shape: WebShape) -> Iterator[Attempt]:
        for what, text in (
            ("a made-up token", "gambeson-walk"),
            ("an unsigned token", forged_token(self.canary.address)),
        ):
            ask = self.ask(shape, ("authorization", f"Bearer {text}"))
            yield self.made(Kind.WEB, "Bearer", what, "token", ask, door=door)
        for text in (_NTLM, _NEGOTIATE):
            ask = self.ask(shape, ("authorization", text))
            yield self.made(Kind.WEB, text.partition(" ")[0], "a made-up ticket", "mechanism", ask, door=door)

    def _held(self, door: DoorKind) -> Iterator[tuple[str, str, str, str]]:
        for each in self.canary.held:
            yield each.credential, each.rule, each.secret, each.name
        other = next((secret for kind, secret in self.canary.elsewhere if kind is not door), "")
        if other:
            yield "a device secret for another door", "door-not-allowed", other, ""

    # -- people

    def _people_door(self, door: DoorKind, shapes: Sequence[WebShape]) -> Iterator[Attempt]:
        canary, made = self.canary, self.made
        for shape in shapes:
            yield made(Kind.SESSION, "no session", NOTHING, "no-session", self.ask(shape), door=door)
            for what, cookie in self.walk.forged(self.host):
                ask = self.ask(shape, ("cookie", f"{SESSION}={cookie}"))
                yield made(Kind.SESSION, "session cookie", what, "session-forged", ask, door=door)
        shape = shapes[0]
        if canary.password:
            ask = self.ask(shape, basic(canary.address, canary.password))
            yield made(
                Kind.WEB,
                "Basic",
                PASSWORD,
                "password",
                ask,
                door=door,
                rung=Rung.KNOWLEDGE,
                secret=canary.password,
            )
        if canary.secret:
            ask = self.ask(shape, basic(canary.address, canary.secret))
            yield made(
                Kind.WEB,
                "Basic",
                "its own device secret",
                "floor-not-held",
                ask,
                door=door,
                secret=canary.secret,
            )
        yield from self._tokens(door, shape)
        for name, value in self._spoofed():
            ask = self.ask(shape, (name, value))
            yield made(Kind.HEADER, name, "a header", "spoofed-header", ask, door=door)

    def _spoofed(self) -> Iterator[tuple[str, str]]:
        name = self.canary.address
        yield self.site.header, name
        yield self.site.header.replace("-", "_"), name
        for header in ("x-gambeson-user", "x-gambeson-source", "x-gambeson-session", "x-gambeson-signature"):
            yield header, name
        for header in (
            "x-forwarded-user",
            "x-remote-user",
            "remote-user",
            "x-webauth-user",
            "x-authenticated-user",
        ):
            if header != self.site.header:
                yield header, name
        for header, address in (
            ("x-forwarded-for", "127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1"),
            ("x-forwarded-client-cert", "Hash=" + "ab" * 32),
            ("x-ms-proxy", "walk"),
        ):
            yield header, address

    def _pages_at_device_host(self, door: DoorKind, shapes: Sequence[WebShape]) -> Iterator[Attempt]:
        for shape in shapes:
            for headers in ((), (("cookie", f"{SESSION}={self.walk.forged(self.host)[0][1]}"),)):
                ask = self.ask(shape, *headers)
                what = "a made-up session cookie" if headers else NOTHING
                yield self.made(Kind.PEOPLE, "no session", what, "device-host-pages", ask, door=door)

    # -- what nobody asks

    def _closed(self) -> Iterator[Attempt]:
        secret = self.canary.secret
        for method, target in CLOSED[self.site.product]:
            shape = WebShape(method, target)
            yield self.made(Kind.CLOSED, method, NOTHING, "closed-path", self.ask(shape))
            if secret and self.site.product is Product.EXCHANGE:
                ask = self.ask(shape, basic(self.canary.address, secret))
                yield self.made(
                    Kind.CLOSED, method, "its own device secret", "closed-path", ask, secret=secret
                )

    def _tricks(self) -> Iterator[Attempt]:
        for target in TRICKS[self.site.product]:
            ask = self.ask(WebShape("GET", target.replace("{host}", self.walk.named(self.host))))
            yield self.made(Kind.TRICK, "GET", NOTHING, "path-trick", ask)

    def _named_otherwise(self) -> Iterator[Attempt]:
        shapes = PEOPLE_REQUESTS[self.site.product]
        shape = next(iter(shapes.values()))[0]
        made, named = self.made, self.walk.named(self.host)
        for what, changes in (
            ("another name in the handshake", {"sni": "gambeson-walk.invalid"}),
            (NAMELESS, {"sni": ""}),
            ("another Host", {"host": "gambeson-walk.invalid"}),
            ("two Hosts", {"host": f"{named},gambeson-walk.invalid"}),
            ("no Host", {"host": ""}),
            ("a Host with a name before it", {"host": f"walk@{named}"}),
            ("no TLS", {"tls": False}),
        ):
            yield made(Kind.HOST, what, NOTHING, "host-trick", self.ask(shape, **changes))

    def _shields(self) -> Iterator[Attempt]:
        for shield in self.walk.shields:
            if shield.product is self.site.product:
                yield from self._answer(shield)
                yield self.made(
                    Kind.SHIELD,
                    shield.id,
                    NOTHING,
                    "shield-passed",
                    probe(shield, self.walk.named(self.host), self.host),
                )

    def _answer(self, shield: Shield) -> Iterator[Attempt]:
        """What the shield does to answers, seen with the canary's own session."""
        session, case = self.walk.sessions.get(self.host), shield.page
        if not session or case is None:
            return
        ask, expected = page(shield, case, self.walk.named(self.host), self.host)
        proofs = [("cookie", session)]
        if self.site.web_sign_in is WebSignIn.AS_IS and self.canary.password:
            proofs.append(basic(self.canary.address, self.canary.password))
        if expected:
            yield self.made(
                Kind.SHIELD_ANSWER,
                shield.id,
                "its own session",
                "shield-answer-missing",
                replace(ask, headers=(*ask.headers, *proofs)),
                rung=Rung.DEVICE_KEY,
                secret=self.canary.password,
                severity=Severity.HIGH,
                expects=expected,
            )


def _names(canary: Canary) -> Sequence[str]:
    """As programs write the canary's name."""
    local = canary.address.partition("@")[0]
    return canary.address, f"WALK\\{local}", local
