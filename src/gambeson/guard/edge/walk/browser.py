"""The canary as a person: signs in at the portal with password and passkey, and enters each application from there.

So the walk sees what only a session shows: what a shield does to the answers of an application. The way is a
browser's, step by step, through the public door; nothing is issued past it. Why it ended early is one sentence, for
whoever reads that something was not measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gambeson.guard.core.walk import Ask, Attempt, Kind, Login, Path
from gambeson.guard.core.walk_http import Heard
from gambeson.guard.core.walk_http_maker import AGENT, FORM, HTML, SESSION, WebWalk, form
from gambeson.guard.core.walk_http_portal import PORTAL_SESSION
from gambeson.guard.core.walk_http_requests import PEOPLE_DOORS, PEOPLE_REQUESTS
from gambeson.model.access import Rung
from gambeson.model.web import Site

from .connection import TALK_SECONDS
from .http import NoTlsError, UnreachableError, one_answer
from .passkey import Passkey, PasskeyUnaskedError

MAX_STEPS = 6  # redirects from an application's page to the portal and back


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``sessions`` are Cookie headers by public host; ``why`` says of each host that has none, or of all (under an
    empty name), what was in the way."""

    sessions: Mapping[str, str] = field(default_factory=dict, repr=False)
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """In one sentence; empty where nothing was in the way."""
        return "; ".join(f"{host}: {why}" if host else why for host, why in self.why.items())


class _NotInError(Exception):
    """Why there is no session: one sentence."""


async def sign_in(walk: WebWalk, passkey: Passkey, sites: Sequence[Site], source: str = "") -> SignedIn:
    """Sign in and enter ``sites``. ``source`` is the local address to come from. Raises nothing that a peer can
    cause."""
    browser = _Browser(walk, source)
    try:
        await browser.at_portal(passkey)
    except _NotInError as error:
        return SignedIn({}, {"": str(error)})
    sessions: dict[str, str] = {}
    why: dict[str, str] = {}
    for site in sites:
        for host in site.hosts:
            try:
                sessions[host] = await browser.enter(host, site)
            except _NotInError as error:
                why[host] = str(error)
    return SignedIn(sessions, why)


class _Browser:
    def __init__(self, walk: WebWalk, source: str) -> None:
        self._walk, self._source = walk, source
        self._jars: dict[str, dict[str, str]] = {}
        self._origin = f"https://{walk.named(walk.portal)}"

    async def at_portal(self, passkey: Passkey) -> None:
        """A session at the portal. Raises _NotInError."""
        canary, portal = self._walk.canary, self._walk.portal
        if not portal:
            raise _NotInError("there is no portal to sign in at")
        if not canary.password:
            raise _NotInError("the canary's password is not known (--password-file)")
        first = await self._post(portal, "/sign-in", form(address=canary.address, password=canary.password))
        if first.status == 429:
            raise _NotInError("the canary's guesses of the day are used up")
        if first.status != 303 or urlsplit(first.header("location")).path != "/second":
            raise _NotInError(f"the portal does not take the canary's password ({first.said})")
        options = await self._post(portal, "/passkey/options?for=get", b"")
        if options.status != 200:
            raise _NotInError(f"the portal asks for no passkey ({options.said})")
        try:
            answer = passkey.answer(options.body, self._origin)
        except PasskeyUnaskedError as error:
            raise _NotInError(str(error)) from None
        second = await self._post(portal, "/second/passkey", form(credential=answer))
        if second.status != 303 or not self._jars[portal].get(PORTAL_SESSION):
            raise _NotInError(f"the portal does not take the canary's passkey ({second.said})")

    async def enter(self, host: str, site: Site) -> str:
        """A session at an application's host; its cookies. Raises _NotInError."""
        walk, at = self._walk, host
        hosts = {walk.named(name): name for name in (host, walk.portal)}
        target = PEOPLE_REQUESTS[site.product][PEOPLE_DOORS[site.product]][0].target
        for _ in range(MAX_STEPS):
            heard = await self._get(at, target)
            if self._jars[host].get(SESSION):
                return "; ".join(f"{name}={value}" for name, value in self._jars[host].items() if value)
            where = urlsplit(heard.header("location"))
            at = hosts.get(where.netloc, "") if where.netloc else at
            if heard.status not in (302, 303) or not at:
                raise _NotInError(f"the canary's sign-in does not lead there ({heard.said})")
            target = where.path + (f"?{where.query}" if where.query else "")
        raise _NotInError("the canary's sign-in is led to and fro")

    async def _post(self, host: str, target: str, body: bytes) -> Heard:
        headers = (AGENT, FORM, ("origin", self._origin), *HTML)
        return await self._one(Ask("POST", target, self._walk.named(host), host, headers, body))

    async def _get(self, host: str, target: str) -> Heard:
        return await self._one(Ask("GET", target, self._walk.named(host), host, (AGENT, *HTML)))

    async def _one(self, ask: Ask) -> Heard:
        jar = self._jars.setdefault(ask.sni, {})
        try:
            async with asyncio.timeout(TALK_SECONDS):
                heard, _ = await one_answer(self._attempt(ask), ask, jar, self._source)
        except (UnreachableError, NoTlsError) as error:
            raise _NotInError(f"{ask.sni} cannot be reached: {error}") from None
        except TimeoutError:
            raise _NotInError(f"{ask.sni} did not answer in time") from None
        if not heard.status:
            raise _NotInError(f"{ask.sni}: {heard.said}")
        return heard

    def _attempt(self, ask: Ask) -> Attempt:
        """The place that the request goes to, as for every other request of the walk."""
        walk = self._walk
        return Attempt(
            place=walk.place(ask.sni),
            path=Path.TLS,
            kind=Kind.PORTAL,
            mechanism="form",
            credential="its own passkey",
            login=Login(walk.canary.address, walk.canary.password),
            rung=Rung.DEVICE_KEY,
            floor=Rung.DEVICE_KEY,
            rule="",
            title="",
            asks=(ask,),
        )
