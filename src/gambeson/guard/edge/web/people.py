"""The web lane: people at a browser, with a session of the portal.

One request: origin, session cookie, decision, the way to sign in at the application, cookies of this session only. A
verified token and its decision are kept for some seconds under the snapshot they were made with, so that a busy
browser costs a look-up a request. Nobody in particular is led to the portal where a person is looking, else told so;
where the policy only observes, they pass as they did before.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any

from gambeson.guard.core.decide import decide
from gambeson.guard.core.refusal import refusal
from gambeson.guard.core.session_token import Claims, TokenError
from gambeson.guard.core.web import cookie_binding
from gambeson.guard.core.web.device_lane import foreign
from gambeson.guard.core.web.origin import (
    allowed_origin,
    enter_url,
    navigation,
    public_name,
    state_of,
    target,
)
from gambeson.guard.core.web.verdict import Answer, Forward, ResponseAction, Verdict, WebClient
from gambeson.guard.core.web.web_lane import identity_of, nobody
from gambeson.guard.edge.door import Door
from gambeson.guard.edge.judgement import risk_of
from gambeson.guard.edge.networks import prefix
from gambeson.model.access import AccessRequest, DoorKind, Identity, Mechanism
from gambeson.model.decision import Decision
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Route, Site, WebRequest, WebSignIn

from .portal_link import PortalLink
from .record import WebRecord
from .replies import PORTAL_CHALLENGE, lead, not_now, say
from .sessions import Sessions
from .shelf import Shelf
from .signin import Person, SignedIn, Way, WayError
from .signin.as_is import AsIs, passes_on
from .signin.basic import KEY_COOKIE, Basic
from .signin.header import Header
from .signin.token import Token, Tokens

SESSION_COOKIE = "__Host-gambeson-session"
STATE_COOKIE = "__Host-gambeson-state"
WHOSE_COOKIE = "__Host-gambeson-whose"
OWN_COOKIES = (SESSION_COOKIE, KEY_COOKIE, STATE_COOKIE, WHOSE_COOKIE)
STATE_SECONDS = 600
WHOSE_SECONDS = 365 * 86400
STATE = re.compile(r"[0-9a-f]{64}\Z")
KEPT = 10.0  # seconds that a decision is kept under one snapshot
MAX_KEPT = 20_000
_FORWARD = "forwarded so"


def set_cookie(name: str, value: str, seconds: int = -1) -> str:
    """A cookie of ours: of this host alone, over TLS alone, out of scripts' reach. Without ``seconds`` it ends with the
    browser."""
    life = f"; Max-Age={seconds}" if seconds >= 0 else ""
    return f"{name}={value}; Path=/{life}; Secure; HttpOnly; SameSite=Lax"


class People:
    """``portal`` is the portal's origin (empty: there is none)."""

    def __init__(self, door: Door, record: WebRecord, link: PortalLink | None, portal: str) -> None:
        self.door, self.record, self.portal = door, record, portal
        self.sessions = Sessions(link, self._over)
        self.boxes = Basic()
        self._tokens = Tokens(door.keeper)
        self._ways: dict[WebSignIn, Way] = {
            WebSignIn.AS_IS: AsIs(lambda: door.index),
            WebSignIn.BASIC: self.boxes,
            WebSignIn.TOKEN: Token(self._tokens),
            WebSignIn.HEADER: Header(self._tokens),
        }
        self._admitted: Shelf[Person] = Shelf(MAX_KEPT)
        self._mark: object = None
        self._witness = b"", b""

    # -- one request

    def judge(
        self,
        request: WebRequest,
        client: WebClient,
        site: Site,
        route: Route,
        actions: tuple[ResponseAction, ...],
        idle: float,
    ) -> Verdict | Awaitable[Verdict]:
        """The verdict of the web lane."""
        index, kind = self.door.index, route.door
        if index is None or self.sessions.key is None or kind is None:
            return not_now(request, "not-ready")
        if index.memo is not self._mark:
            # A newer snapshot, not the same one known to be true until later: nothing is kept from before.
            self._mark = index.memo
            self._admitted.clear()
            self._tokens.clear()
        if not allowed_origin(request):
            self._turned_away(request, kind, "origin")
            return say(
                request,
                403,
                "origin",
                "This request came from another page and was not carried out.",
                close=request.body,
            )
        now = time.time()
        token: str | None = request.cookie_memo.get(SESSION_COOKIE)
        if token is None:
            token = request.cookie_memo[SESSION_COOKIE] = request.cookie(SESSION_COOKIE)
        kept = self._admitted.get((token, request.host, request.source, kind), now) if token else None
        found = kept if kept is not None else self._admit(request, site, kind, index, token, now)
        if not isinstance(found, Person):
            if isinstance(found, Answer):
                return found
            return self._without_session(request, site, route, index, actions, idle, now, found)
        self.sessions.renew(found.token, found.claims, request.host, request.source, now)
        newest, claims = self.sessions.newest(found.token, found.claims, request.host, now)
        cookies: tuple[str, ...] = ()
        if newest != found.token:
            found, cookies = (
                replace(found, token=newest, claims=claims),
                (set_cookie(SESSION_COOKIE, newest),),
            )
        return self._forward(request, site, route, found, actions, idle, cookies, now)

    def _forward(
        self,
        request: WebRequest,
        site: Site,
        route: Route,
        person: Person,
        actions: tuple[ResponseAction, ...],
        idle: float,
        cookies: tuple[str, ...],
        now: float,
    ) -> Verdict | Awaitable[Verdict]:
        try:
            signed = self._ways[site.web_sign_in].sign_in(site, person, request, now)
        except WayError as error:
            return self._no_way(request, person.access, site, error)
        key = self.witness_key()
        # With the same headers, the same cookies among them, most requests are forwarded in the same way.
        last: tuple[Any, ...] | None = request.memo.get(_FORWARD)
        if (
            last is not None
            and last[1] is person
            and last[2] is site
            and last[3] is route
            and last[4] is signed
            and last[5] is key
            and last[6] == (actions, cookies, idle)
        ):
            again: Forward = last[0]
            return again
        session = person.claims.session
        mine = cookie_binding.admitted_of(request, key, session, site.product)

        def verdict(signed: SignedIn | None) -> Verdict:
            if signed is None:
                return self.to_portal(request, site, "sign-in-again")
            beside = partial(cookie_binding.set_beside, key=key, session=session, host=request.host)
            made = Forward(
                site,
                person.access,
                (*signed.headers, ("cookie", mine)),
                signed.authorization,
                idle,
                actions,
                cookies,
                route.rule,
                beside,
                until=person.claims.ends,
            )
            request.memo[_FORWARD] = (made, person, site, route, signed, key, (actions, cookies, idle))
            return made

        async def later(signing: Awaitable[SignedIn | None]) -> Verdict:
            try:
                return verdict(await signing)
            except WayError as error:
                return self._no_way(request, person.access, site, error)

        return verdict(signed) if signed is None or isinstance(signed, SignedIn) else later(signed)

    def _no_way(self, request: WebRequest, access: AccessRequest, site: Site, error: WayError) -> Answer:
        self.record.turned_away(
            "door.login.failed",
            prefix(request.source),
            request.source,
            access.door.value,
            why=str(error)[:200],
            server=site.name,
        )
        return not_now(request, "sign-in-failed")

    # -- who it is

    def _admit(
        self, request: WebRequest, site: Site, kind: DoorKind, index: SnapshotIndex, token: str, now: float
    ) -> Person | Answer | str:
        """The person whose session it is; an answer where it may not come in; a word where there is none."""
        if not token:
            return "no-session"
        try:
            claims = self.sessions.open(token, request.host, now)
        except TokenError as error:
            if error.reason not in ("expired", "malformed", "ended"):
                self._turned_away(request, kind, f"token-{error.reason}")
            return f"session-{error.reason}"
        identity = identity_of(claims, index)
        access = self._access(request, identity, kind, index)
        decision = self._decide(access, index, now)
        account = index.account.get(claims.account)
        if decision.reason == "session-ended":
            return "session-ended"
        if foreign(site, claims.organisation):
            self._refused(request, access, decision, "another-organisation")
            return say(
                request,
                403,
                "another-organisation",
                "This application is another organisation's.",
                close=request.body,
            )
        if not decision.passes or account is None:
            self._refused(request, access, decision)
            said = refusal(decision, index.organisation.get(identity.organisation))
            return say(request, 403, decision.reason, said.sentence, close=request.body)
        key = ("session", claims.session, site.name, kind.value, request.source)
        if not self._admitted_once(request, key, access, decision, site):
            return not_now(request, "not-recorded")
        self.door.sightings.saw(account.id, "", access.country, self.door.counting())
        person = Person(token, claims, account, access)
        until = min(now + KEPT, claims.expires)
        self._admitted.put((token, request.host, request.source, kind), person, until, now)
        return person

    def here(self, request: WebRequest, now: float) -> bool:
        """Whether the browser has a session in force at this host."""
        try:
            claims = self.sessions.open(request.cookie(SESSION_COOKIE), request.host, now)
        except TokenError:
            return False
        index = self.door.index
        return index is not None and claims.session not in index.ended_sessions

    def _access(
        self, request: WebRequest, identity: Identity, kind: DoorKind, index: SnapshotIndex
    ) -> AccessRequest:
        door = self.door
        account = index.account.get(identity.account)
        countries = door.settings.countries
        country = countries.of(prefix(request.source)) if countries is not None else ""
        risk = risk_of(door, request.source, identity, account, country, door.counting())
        return AccessRequest(kind, identity, request.source, True, country, risk.score, "", request.host)

    def _decide(self, access: AccessRequest, index: SnapshotIndex, now: float) -> Decision:
        stale = self.door.snapshot_age() > self.door.settings.snapshot_max_age
        return decide(access, index, now, max_age=-1.0 if stale else math.inf)

    # -- nobody in particular

    def _without_session(
        self,
        request: WebRequest,
        site: Site,
        route: Route,
        index: SnapshotIndex,
        actions: tuple[ResponseAction, ...],
        idle: float,
        now: float,
        why: str,
    ) -> Verdict:
        assert route.door is not None
        access = self._access(request, nobody(site, index), route.door, index)
        decision = self._decide(access, index, now)
        if not decision.passes:
            return self.to_portal(request, site, why)
        key = ("nobody", site.name, route.door.value, prefix(request.source))
        if not self._admitted_once(request, key, access, decision, site):
            return not_now(request, "not-recorded")
        headers = (("cookie", cookie_binding.unbound_of(request)),)
        return Forward(
            site, access, headers, passes_on(request), idle, actions, self._cleared(request), route.rule
        )

    def _cleared(self, request: WebRequest) -> tuple[str, ...]:
        """Take a session cookie that opens nothing out of the browser."""
        return (set_cookie(SESSION_COOKIE, "", 0),) if request.cookie(SESSION_COOKIE) else ()

    def to_portal(self, request: WebRequest, site: Site, why: str) -> Answer:
        """Led to the portal where a person is looking, else told to sign in there."""
        if not self.portal:
            return not_now(request, "no-portal")
        if not navigation(request):
            sentence = f"Please sign in at {self.portal} first."
            return say(request, 401, why, sentence, (PORTAL_CHALLENGE,), close=request.body)
        # Several tabs that begin at once share one state, so that each of them arrives.
        state = request.cookie(STATE_COOKIE)
        if STATE.match(state) is None:
            state = secrets.token_hex(32)
        where = enter_url(self.portal, public_name(request), state_of(state), target(request))
        cookies = (set_cookie(STATE_COOKIE, state, STATE_SECONDS), *self._cleared(request))
        return lead(303, where, why, tuple(("set-cookie", each) for each in cookies))

    def _admitted_once(
        self,
        request: WebRequest,
        key: tuple[str, ...],
        access: AccessRequest,
        decision: Decision,
        site: Site,
    ) -> bool:
        return self.record.admitted(
            key,
            access,
            decision,
            mechanism=Mechanism.SESSION,
            program=request.header("user-agent"),
            server=site.name,
        )

    def _refused(
        self, request: WebRequest, access: AccessRequest, decision: Decision, failure: str = ""
    ) -> None:
        program = request.header("user-agent")
        self.record.refused(access, decision, mechanism=Mechanism.SESSION, program=program, failure=failure)

    def _turned_away(self, request: WebRequest, kind: DoorKind, why: str) -> None:
        self.record.turned_away(
            "door.request.refused",
            prefix(request.source),
            request.source,
            kind.value,
            why=why,
            host=request.host,
            path=request.path[:200],
        )

    # -- what is remembered

    def _over(self, claims: Claims, host: str) -> None:
        """A session ended here."""
        self._admitted.clear()
        self.boxes.forget(claims.session, host)

    def witness_key(self) -> bytes:
        """The key of cookies' witnesses: the same in all doors, and after a restart."""
        secret, made = self._witness
        if secret != self.door.device_key:
            secret = self.door.device_key
            made = blake2b(key=secret, digest_size=32, person=b"gambeson witness").digest()
            self._witness = secret, made
        return made

    def whose(self, account: str, host: str) -> str:
        """What a browser keeps so that the next person's sign-in is told from the same one's; says nothing else."""
        return cookie_binding.witness(self.witness_key(), "", host, WHOSE_COOKIE, account)

    def sweep(self, now: float) -> None:
        """Let go of secrets that have ended, whether or not anybody asks."""
        self.boxes.sweep(now)
        self._tokens.sweep(now)
        self._admitted.sweep(now)
        self.sessions.sweep(now)
