"""What the walk asks of a site's own endpoint, past the doors, and of its host's other ports. No secret of ours goes
there: only the canary's password, and what anybody can make up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gambeson.model.access import DoorKind, Rung
from gambeson.model.finding import Severity
from gambeson.model.web import Product, Site, WebSignIn

from .walk import Ask, Attempt, Kind, Place
from .walk_http_maker import NOTHING, PASSWORD, Maker, WebWalk, basic, page, probe
from .walk_http_requests import CLOSED, DEVICE_REQUESTS, PEOPLE_REQUESTS, WebShape
from .walk_sasl import forged_token
from .web.shield_source import Shield


class PastTheDoors(Maker):
    """The site's own endpoint (``place``). ``severity``: the most that a yes to a password can mean there; the doors'
    own machine must reach a server that they sign in at with a password."""

    def __init__(
        self, walk: WebWalk, site: Site, place: Place, severity: Severity = Severity.CRITICAL
    ) -> None:
        super().__init__(walk, site, site.hosts[0])
        self._place, self._severity = place, severity

    def all(self) -> Iterator[Attempt]:
        """Everything to try there."""
        canary, site = self.canary, self.site
        for door, shapes in DEVICE_REQUESTS.get(site.product, {}).items():
            for shape in shapes:
                bare = self._here(shape)
                yield self._one(Kind.WEB, "no sign-in", NOTHING, "no-login", bare, door=door)
                if canary.password:
                    signed = self._here(shape, basic(canary.address, canary.password))
                    yield self._one(Kind.WEB, "Basic", PASSWORD, "past-the-doors", bare, signed, door=door)
            wrong = self._here(shapes[0], basic(canary.address, f"not-it-{self.walk.nonce}"))
            bare = self._here(shapes[0])
            yield self._one(Kind.WEB, "Basic", "a wrong password", "any-password", bare, wrong, door=door)
        for door, shapes in PEOPLE_REQUESTS[site.product].items():
            bare = self._here(shapes[0])
            if canary.password:
                signed = self._here(shapes[0], basic(canary.address, canary.password))
                yield self._one(Kind.WEB, "Basic", PASSWORD, "past-the-doors", bare, signed, door=door)
            unsigned = self._here(shapes[0], basic(canary.address, forged_token(canary.address)))
            yield self._one(Kind.WEB, "Basic", "an unsigned token", "token", bare, unsigned, door=door)
            yield from self._headers(door, shapes[0], bare)
        closed = CLOSED[site.product][:4] if site.product is Product.EXCHANGE else ()
        for method, target in closed:
            ask = self._here(WebShape(method, target))
            yield self._one(Kind.CLOSED, method, NOTHING, "no-login", ask)
        for shield in self.walk.shields:
            if shield.product is site.product:
                yield from self._answer(shield)
                ask = replace(probe(shield, site.hosts[0], site.hosts[0]), tls=self._place.implicit)
                yield self._one(Kind.SHIELD, shield.id, NOTHING, "shield-past-the-doors", ask)

    def _answer(self, shield: Shield) -> Iterator[Attempt]:
        """The page that the shield changes, asked for past it: whoever gets it so, has no shield."""
        case = shield.page
        if case is None or not self.canary.password:
            return
        ask, expected = page(shield, case, self.host, self.host)
        signed = basic(self.canary.address, self.canary.password)
        ask = replace(ask, headers=(*ask.headers, signed), tls=self._place.implicit)
        one = self._one(Kind.SHIELD_ANSWER, shield.id, PASSWORD, "past-the-doors", ask)
        if expected:
            yield replace(one, expects=expected)

    def _headers(self, door: DoorKind, shape: WebShape, bare: Ask) -> Iterator[Attempt]:
        """The trusted header as anybody can write it: alone, and beside a signature that nobody made."""
        name, address = self.site.header, self.canary.address
        forged = ("x-gambeson-signature", forged_token(address))
        for what, headers in (("the bare header", ()), ("the header with an unsigned token", (forged,))):
            ask = self._here(shape, (name, address), *headers)
            attempt = self._one(Kind.HEADER, name, what, "bare-header", bare, ask, door=door)
            if self.site.web_sign_in is WebSignIn.HEADER:
                attempt = replace(attempt, severity=Severity.CRITICAL)
            yield attempt

    def _here(self, shape: WebShape, *headers: tuple[str, str]) -> Ask:
        return replace(self.ask(shape, *headers), host=self.host, tls=self._place.implicit)

    def _one(
        self, kind: Kind, mechanism: str, credential: str, rule: str, *asks: Ask, door: DoorKind | None = None
    ) -> Attempt:
        rung = Rung.KNOWLEDGE if credential == PASSWORD else Rung.NOTHING
        secret = self.canary.password if credential == PASSWORD else ""
        return self.made(
            kind,
            mechanism,
            credential,
            rule,
            *asks,
            door=door,
            rung=rung,
            secret=secret,
            place=self._place,
            severity=self._severity,
        )


def back_end_attempts(walk: WebWalk, site: Site, place: Place) -> Iterator[Attempt]:
    """A port of the site's host that was only looked for: does an Exchange answer there?"""
    maker = Maker(walk, site, site.hosts[0])
    for shape in (WebShape("GET", "/owa/"), WebShape("GET", "/ews/exchange.asmx")):
        ask = replace(maker.ask(shape), tls=place.implicit)
        yield maker.made(
            Kind.BACK_END, "GET", NOTHING, "back-end-port", ask, place=place, severity=Severity.HIGH
        )
