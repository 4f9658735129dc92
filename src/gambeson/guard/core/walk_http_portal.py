"""What the walk tries at the portal: a password alone, enrolment without a code, names, and other pages' forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gambeson.model.access import DoorKind, Rung
from gambeson.model.web import Product, Site

from .walk import Ask, Attempt, Kind
from .walk_http_maker import AGENT, FORM, HTML, SESSION, Maker, WebWalk, form

PORTAL_SESSION = "__Host-gambeson-portal"
_MADE_UP_CODE = "0000-0000-0000-0000"


def portal_attempts(walk: WebWalk) -> Iterator[Attempt]:
    """All of them. Without the canary's password only what needs none."""
    yield from _Portal(walk).all()


class _Portal(Maker):
    def __init__(self, walk: WebWalk) -> None:
        where = walk.sites[0] if walk.sites else None
        self._application = where.hosts[0] if where is not None else ""
        endpoint = walk.sites[0].endpoint if walk.sites else None
        assert endpoint is not None
        super().__init__(walk, Site("portal", Product.EXCHANGE, (walk.portal,), endpoint), walk.portal)
        self._origin = ("origin", f"https://{walk.named(walk.portal)}")

    def all(self) -> Iterator[Attempt]:
        canary = self.canary
        wrong = f"not-it-{self.walk.nonce}"
        yield self._one(
            "portal-tells-names",
            "a known and an unknown address",
            self._sign_in(canary.address, wrong),
            self._sign_in(f"gambeson-walk-{self.walk.nonce[:8]}@{canary.address.rpartition('@')[2]}", wrong),
        )
        yield self._one(
            "portal-enrolment",
            "a made-up binding code",
            self._post(
                "/enrol", form(address=canary.address, password=canary.password or wrong, code=_MADE_UP_CODE)
            ),
        )
        for name in (PORTAL_SESSION, SESSION):
            yield self._one(
                "portal-names-session",
                "a made-up session cookie",
                self._enter(("cookie", f"{name}={self.walk.forged(self.host)[0][1]}")),
            )
        given = canary.password or wrong
        for what, headers in (
            ("a form without Origin", ()),
            ("another page's form", (("origin", "https://gambeson-walk.invalid"),)),
            ("a form of origin null", (("origin", "null"),)),
        ):
            ask = replace(self._sign_in(canary.address, given), headers=(AGENT, FORM, *headers))
            yield self._one("portal-other-page", what, ask)
        if canary.password:
            yield self._one(
                "portal-password-alone",
                "the canary's password",
                self._sign_in(canary.address, canary.password),
                self._get("/"),
                self._enter(),
                rung=Rung.KNOWLEDGE,
            )

    def _one(self, rule: str, credential: str, *asks: Ask, rung: Rung = Rung.NOTHING) -> Attempt:
        secret = self.canary.password
        made = self.made(
            Kind.PORTAL, "form", credential, rule, *asks, door=DoorKind.PORTAL, rung=rung, secret=secret
        )
        return replace(made, place=self.walk.place(self.host))

    def _sign_in(self, address: str, password: str) -> Ask:
        return self._post("/sign-in", form(address=address, password=password))

    def _post(self, target: str, body: bytes) -> Ask:
        named = self.walk.named(self.host)
        return Ask("POST", target, named, self.host, (AGENT, FORM, self._origin, *HTML), body)

    def _get(self, target: str, *headers: tuple[str, str]) -> Ask:
        return Ask("GET", target, self.walk.named(self.host), self.host, (AGENT, *HTML, *headers))

    def _enter(self, *headers: tuple[str, str]) -> Ask:
        """The way to an application, as the door sends a browser there."""
        there = form(host=self.walk.named(self._application), state="0" * 64, to="/").decode()
        return self._get(f"/enter?{there}", *headers)
