"""The door's own paths at an application's host: ``/.gambeson/enter`` and ``/.gambeson/leave``.

*enter* is where the portal sends a browser back to, with a single-use code; the code is worth something only with the
state cookie that this host gave the same browser. What an application's pages stored in the browser stays only for the
account that entered there last: a cookie of ours remembers which (as a keyed hash). *leave* ends the session
everywhere, and takes every cookie of this host out of the browser, the application's included (Clear-Site-Data: W3C
Clear Site Data section 3.1).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable

from gambeson.guard.core.session_token import Claims, TokenError
from gambeson.guard.core.web import cookie_binding
from gambeson.guard.core.web.device_lane import foreign
from gambeson.guard.core.web.origin import ENTER, LEAVE, public_name, safe_path, same_origin, state_of
from gambeson.guard.core.web.verdict import Answer, Verdict
from gambeson.guard.edge.networks import prefix
from gambeson.model.web import Site, WebRequest, WebSignIn
from gambeson.process.portal_messages import RedeemAsk, SessionGiven, SignOutAsk

from .people import (
    OWN_COOKIES,
    SESSION_COOKIE,
    STATE,
    STATE_COOKIE,
    WHOSE_COOKIE,
    WHOSE_SECONDS,
    People,
    set_cookie,
)
from .portal_link import PortalGone, PortalLink, PortalRefused
from .replies import lead, not_now, not_there, say
from .signin.basic import KEY_COOKIE

MAX_CODE = 200
MAX_AGENT = 300
_FORM = '<form method="post" action="/.gambeson/leave"><button type="submit">Sign out</button></form>\n'
_START = '<p><a href="/">Sign in again</a></p>\n'
_CLEAR = ("clear-site-data", '"cache", "cookies", "storage"')


class Doorstep:
    """Comings and goings at the applications' hosts."""

    def __init__(self, people: People) -> None:
        self._people = people

    def judge(self, request: WebRequest, site: Site) -> Verdict | Awaitable[Verdict]:
        """The verdict for a path of ours."""
        if request.canonical == ENTER and request.method == "GET":
            return self._enter(request, site)
        if request.canonical == LEAVE and request.method in ("GET", "HEAD"):
            return say(request, 200, "leave", "Do you want to sign out here?", title="Sign out", form=_FORM)
        if request.canonical == LEAVE and request.method == "POST":
            return self._leave(request)
        return not_there(request, "own-path")

    # -- enter

    def _enter(self, request: WebRequest, site: Site) -> Verdict | Awaitable[Verdict]:
        codes = [value for name, value in request.parameters if name == "code"]
        state, link = request.cookie(STATE_COOKIE), self._people.sessions.link
        if len(codes) != 1 or not 0 < len(codes[0]) <= MAX_CODE:
            return self._no_entry(request, "no-code")
        if STATE.match(state) is None:
            if self._people.here(request, time.time()):
                # Another tab was faster. The code is left to end by itself.
                return lead(303, safe_path(request.parameter("to")), "here-already")
            return self._no_entry(request, "no-state")
        if link is None or self._people.sessions.key is None or self._people.door.index is None:
            return not_now(request, "no-portal")
        ask = RedeemAsk(
            code=codes[0],
            host=public_name(request),
            state=state_of(state),
            source=request.source,
            agent=request.header("user-agent")[:MAX_AGENT],
        )
        return self._redeem(request, site, link, ask)

    async def _redeem(self, request: WebRequest, site: Site, link: PortalLink, ask: RedeemAsk) -> Verdict:
        people = self._people
        try:
            given = await link.redeem(ask)
            now = time.time()
            claims = people.sessions.open(given.token, request.host, now)
        except PortalRefused as refused:
            return self._no_entry(request, f"code-{refused.reason}"[:64])
        except TokenError as error:
            return self._no_entry(request, f"token-{error.reason}")
        except PortalGone:
            return not_now(request, "portal-gone")
        if foreign(site, claims.organisation):
            return self._no_entry(request, "another-organisation")
        if site.web_sign_in is WebSignIn.BASIC and not (given.box and given.key):
            # Without this the browser would be led to and fro for ever.
            return self._no_entry(request, "no-password")
        if given.box:
            people.boxes.keep(claims.session, request.host, given.box, min(given.ends, claims.ends), now)
        return self._welcome(request, given, claims)

    def _welcome(self, request: WebRequest, given: SessionGiven, claims: Claims) -> Answer:
        whose = self._people.whose(claims.account, request.host)
        cookies = [set_cookie(SESSION_COOKIE, given.token), set_cookie(STATE_COOKIE, "", 0)]
        cookies.append(set_cookie(WHOSE_COOKIE, whose, WHOSE_SECONDS))
        if given.key:
            cookies.append(set_cookie(KEY_COOKIE, given.key.hex()))
        headers = [("set-cookie", each) for each in cookies]
        if not hmac.compare_digest(request.cookie(WHOSE_COOKIE).encode("utf-8", "replace"), whose.encode()):
            # Another account was here last, or nobody knows who: nothing that its pages stored stays.
            headers.append(("clear-site-data", '"cache", "storage"'))
        return lead(303, safe_path(request.parameter("to")), "entered", tuple(headers))

    def _no_entry(self, request: WebRequest, why: str) -> Answer:
        self._people.record.turned_away(
            "door.enter.refused", prefix(request.source), request.source, why=why, host=request.host
        )
        sentence = "This way in was used already, or began in another browser; please sign in again."
        answer = say(request, 403, why, sentence, title="Please sign in again", form=_START)
        gone = ("set-cookie", set_cookie(STATE_COOKIE, "", 0))
        return Answer(answer.status, (gone, *answer.headers), answer.body, reason=why)

    # -- leave

    def _leave(self, request: WebRequest) -> Verdict | Awaitable[Verdict]:
        if not same_origin(request):
            return say(
                request,
                403,
                "origin",
                "This request came from another page and was not carried out.",
                close=True,
            )
        people, now = self._people, time.time()
        token = request.cookie(SESSION_COOKIE)
        try:
            claims = people.sessions.open(token, request.host, now)
        except TokenError:
            return self._left(request)
        people.sessions.end(claims, request.host, now)
        return self._sign_out(request, token)

    async def _sign_out(self, request: WebRequest, token: str) -> Verdict:
        people = self._people
        try:
            if people.sessions.link is not None:
                await people.sessions.link.sign_out(SignOutAsk(token=token))
        except (PortalRefused, PortalGone) as error:
            people.record.turned_away(
                "door.leave.failed",
                prefix(request.source),
                request.source,
                why=str(error)[:200],
                host=request.host,
            )
        return self._left(request)

    def _left(self, request: WebRequest) -> Answer:
        """Signed out: here in any case, whatever the portal said."""
        ours = tuple(set_cookie(name, "", 0) for name in OWN_COOKIES)
        others = cookie_binding.expired(pair for pair in request.cookies if pair[0] not in OWN_COOKIES)
        headers = tuple(("set-cookie", each) for each in (*ours, *others))
        sentence = "You are signed out here. What you opened in other windows closes with its next step."
        return say(
            request,
            200,
            "left",
            sentence,
            (*headers, _CLEAR),
            title="Signed out",
            form=_START,
            close=request.body,
        )
