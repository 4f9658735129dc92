"""The gate of the web doors: what becomes of one request.

The order, for each request:

1. the portal's own host: to the portal, which looks after itself;
2. ``/.gambeson/...`` at an application's host: coming and going, answered here;
3. the grammar (*never*: 404) and the shields (a known exploit: 403), before any sign-in, and never with a redirect;
4. the lane: *local* is answered here, *public* needs no proof and gives nothing, *web* and *device* decide.

Hooks for what a product needs of its own: ``answer_local`` has an answer for each name that a grammar line may give in
``local``; ``device_rules`` has a rule for a door kind, which sees each request of a proven device (:class:`DeviceCall`)
with the verdict that would be given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gambeson.guard.core.web.clients import Clients
from gambeson.guard.core.web.grammar import Grammar
from gambeson.guard.core.web.origin import OWN
from gambeson.guard.core.web.shields import ShieldHit, ShieldSet
from gambeson.guard.core.web.verdict import (
    Answer,
    Forward,
    Peek,
    ResponseAction,
    Verdict,
    WebClient,
)
from gambeson.guard.edge.door import Door
from gambeson.guard.edge.networks import prefix
from gambeson.model.access import DoorKind
from gambeson.model.web import Lane, Product, Route, Site, WebRequest

from .devices import DeviceCall, DeviceRule, Devices
from .doorstep import Doorstep
from .memory import HEAP
from .people import People
from .portal import Portal
from .portal_link import PortalLink
from .record import WebRecord
from .replies import not_now, not_there, say
from .signin.header import disguised

__all__ = ["DeviceCall", "DeviceRule", "LocalAnswer", "WebGate", "WebRules"]

MOST_PEEKED = 262144  # octets of a body that rules and shields together may look at
_VERDICTS = (Forward, Answer, Peek)
_PASSED = "passed grammar and shields"
_CLEAN = "no header that hides another"  # beside the name of the site's trusted header
_BARE = ResponseAction(drop=("set-cookie",))  # nobody has a session there
# An enumeration's member costs ten times as much to look up as a name here.
_LOCAL, _DEVICE, _PUBLIC, _NEVER = Lane.LOCAL, Lane.DEVICE, Lane.PUBLIC, Lane.NEVER
_SWEEP_SECONDS = 20.0  # so that no secret is kept for more than a minute


@dataclass(frozen=True, slots=True)
class WebRules:
    """The data that requests are held against; read while files may still be opened."""

    grammars: Mapping[Product, Grammar]
    shields: ShieldSet
    clients: Clients | None = None


class LocalAnswer(Protocol):
    """Answers one kind of request by itself."""

    def __call__(
        self, request: WebRequest, client: WebClient, site: Site, route: Route
    ) -> Verdict | Awaitable[Verdict]:
        """The verdict. Whoever asks has proven nothing."""
        ...


class WebGate:
    """Implements :class:`~gambeson.guard.core.web.verdict.Gate`. To be made inside the running loop."""

    def __init__(
        self,
        door: Door,
        rules: WebRules,
        *,
        portal: Portal | None = None,
        link: PortalLink | None = None,
        session_key: Ed25519PublicKey | None = None,
    ) -> None:
        self._door, self._rules, self._portal = door, rules, portal
        self._portal_site = portal.site if portal is not None else None
        self._portal_host = portal.site.hosts[0] if portal is not None else ""
        self.record = WebRecord(door)
        self.people = People(door, self.record, link, portal.origin if portal is not None else "")
        self.people.sessions.key = session_key
        self.devices = Devices(door, self.record)
        self.device_rules: dict[DoorKind, DeviceRule] = self.devices.rules
        self.answer_local: dict[str, LocalAnswer] = {}
        self._doorstep = Doorstep(self.people)
        self._sweeping = door.loop.call_later(_SWEEP_SECONDS, self._sweep)

    def use_session_key(self, pem: str) -> None:
        """Session tokens are verified with this key from now on. Raises ValueError where it is no Ed25519 key."""
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("the session key is of another kind than this version uses")
        self.people.sessions.key = key

    def close(self) -> None:
        """No work goes on behind."""
        self._sweeping.cancel()
        self.people.sessions.close()

    def judge(self, request: WebRequest, client: WebClient) -> Verdict | Awaitable[Verdict]:
        """The verdict. Raises nothing, also where it is awaited."""
        try:
            verdict = self._judge(request, client)
        except Exception as error:
            return self._fault(request, error)
        if type(verdict) is Forward or isinstance(verdict, _VERDICTS):
            return verdict
        return self._guarded(request, verdict)

    # -- the order

    def _judge(self, request: WebRequest, client: WebClient) -> Verdict | Awaitable[Verdict]:
        if self._portal_site is not None and request.host == self._portal_host:
            return Forward(self._portal_site, headers=(("x-gambeson-source", request.source),), rule="portal")
        index = self._door.index
        if index is None:
            return not_now(request, "not-ready")
        site = index.site_by_host.get(request.host)
        if site is None:
            return say(request, 421, "host-unknown", "There is no such host here.", close=True)
        if request.canonical.startswith(OWN) or request.canonical == OWN[:-1]:
            if request.host in site.device_hosts:
                return not_there(request, "own-path")
            return self._doorstep.judge(request, site)
        # What headers, method and target alone decide is decided once for each on a connection.
        asked = (site, request.method, request.path, request.query, request.body)
        passed: tuple[object, Route, float] | None = request.memo.get(_PASSED)
        if passed is not None and passed[0] == asked:
            return self._lane(request, client, site, passed[1], passed[2])
        grammar = self._rules.grammars.get(site.product)
        route = (
            grammar.classify(request, site) if grammar is not None else Route(Lane.NEVER, rule="no-grammar")
        )
        hit = self._rules.shields.match(request, site)
        if hit is not None:
            return self._shielded(request, hit)
        if route.lane is _NEVER or grammar is None:
            return self._never(request, route)
        if request.memo.get(_CLEAN) != site.header:
            if disguised(site, request):
                return self._never(request, Route(Lane.NEVER, rule="disguised-header"))
            if request.header("service-worker"):
                # A worker would outlive the hole in the application through which it came. None of the products has
                # one; browsers say so by themselves (Service Workers, W3C, section 4.4).
                return self._never(request, Route(Lane.NEVER, rule="service-worker"))
            request.memo[_CLEAN] = site.header
        idle = grammar.idle(route)
        limit = self._rules.shields.wants_body(request, site) if request.body else 0
        if not limit:
            request.memo[_PASSED] = (asked, route, idle)
            return self._lane(request, client, site, route, idle)
        if route.door in self.device_rules:
            limit = MOST_PEEKED

        def looked(octets: bytes, whole: bool) -> Verdict | Awaitable[Verdict]:
            hit = self._rules.shields.match_body(request, site, octets, whole)
            if hit is not None:
                return self._shielded(request, hit)
            verdict = self._lane(request, client, site, route, idle)
            return self._seen(verdict, octets, whole)

        return Peek(min(limit, MOST_PEEKED), looked)

    def _seen(
        self, verdict: Verdict | Awaitable[Verdict], octets: bytes, whole: bool
    ) -> Verdict | Awaitable[Verdict]:
        """A verdict after the body's beginning was read: another wish to see it is granted at once."""
        if not isinstance(verdict, _VERDICTS):
            return self._seen_later(verdict, octets, whole)
        return verdict.judge(octets, whole) if isinstance(verdict, Peek) else verdict

    async def _seen_later(self, waiting: Awaitable[Verdict], octets: bytes, whole: bool) -> Verdict:
        verdict = await waiting
        if isinstance(verdict, Peek):
            last = verdict.judge(octets, whole)
            return await last if isawaitable(last) else last
        return verdict

    def _lane(
        self, request: WebRequest, client: WebClient, site: Site, route: Route, idle: float
    ) -> Verdict | Awaitable[Verdict]:
        lane = route.lane
        if lane is _LOCAL:
            local = self.answer_local.get(route.local)
            return (
                local(request, client, site, route) if local is not None else not_there(request, "no-answer")
            )
        actions = self._rules.shields.actions(request, site, route.door)
        if lane is _DEVICE:
            return self.devices.judge(request, client, site, route, actions, idle)
        if request.host in site.device_hosts:
            return self._never(request, Route(Lane.NEVER, rule="device-host"))
        if lane is _PUBLIC:
            return Forward(site, None, (("cookie", ""),), False, idle, (*actions, _BARE), (), route.rule)
        return self.people.judge(request, client, site, route, actions, idle)

    # -- what nobody asks in good faith

    def _never(self, request: WebRequest, route: Route) -> Answer:
        # The connection records the refusal with this reason.
        return not_there(request, f"never {route.rule}")

    def _shielded(self, request: WebRequest, hit: ShieldHit) -> Answer:
        site = self._door.index.site_by_host[request.host] if self._door.index is not None else None
        self._turned_away(
            "door.request.shielded", request, site, why=hit.name, cve=hit.cve, sentence=hit.sentence[:300]
        )
        return say(request, 403, f"shield {hit.name}", "This request is not allowed.", close=True)

    def _turned_away(self, kind: str, request: WebRequest, site: Site | None, **data: Any) -> None:
        self.record.turned_away(
            kind,
            prefix(request.source),
            request.source,
            method=request.method,
            host=request.host,
            path=request.path[:200],
            server=site.name if site is not None else "",
            organisation=site.organisation if site is not None else "",
            **data,
        )

    # -- faults of ours

    async def _guarded(self, request: WebRequest, waiting: Awaitable[Verdict]) -> Verdict:
        try:
            return await waiting
        except Exception as error:
            return self._fault(request, error)

    def _fault(self, request: WebRequest, error: Exception) -> Answer:
        """The log gets the trace; nobody is let in, and nobody left hanging."""
        context = {"message": "judging a request failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
        return not_now(request, "fault")

    def _sweep(self) -> None:
        now = time.time()
        self.people.sweep(now)
        self.devices.sweep(now)
        HEAP.give_back()
        self._sweeping = self._door.loop.call_later(_SWEEP_SECONDS, self._sweep)
