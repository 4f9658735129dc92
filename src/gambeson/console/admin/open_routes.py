"""Routes beside the pages: the health report, which is open to anybody, and the live stream of an organisation.

The stream says two things: ``state`` (what the page's icon and bell show) when it changes, and ``events`` when
something was recorded. It ends with the session, and there are few of them: each waits in the loop and looks
every two seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from litestar import Request, Response
from litestar import get as litestar_get
from litestar.handlers import HTTPRouteHandler
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from gambeson.console.health import STYLE, Health, as_json, as_page
from gambeson.console.office import RefusedError, World
from gambeson.console.web.visit import Visit, read_cookies
from gambeson.model.finding import Severity
from gambeson.store.errors import StoreError

from . import sessions
from .services import Services

MAX_STREAMS = 100
LOOK_SECONDS, LONGEST = 2.0, 3600.0


class Streams:
    """How many there are."""

    def __init__(self) -> None:
        self.open = 0


def open_routes(world: World, measure: Callable[[], Health]) -> list[Any]:
    """The health report."""

    @litestar_get(["/health", "/health.css"])
    async def health(request: Request[Any, Any, Any]) -> Response[bytes]:
        if request.url.path == "/health.css":
            return _response(200, "text/css; charset=utf-8", STYLE)
        found = await asyncio.to_thread(measure)
        status = 503 if found.state == "failed" else 200
        if "text/html" in request.headers.get("accept", ""):
            return _response(status, "text/html; charset=utf-8", as_page(found))
        return _response(status, "application/json", json.dumps(as_json(found)))

    return [health]


def live_route(services: Services) -> HTTPRouteHandler:
    """The live stream of one organisation."""
    streams = Streams()

    @litestar_get("/o/{org:str}/live")
    async def live(request: Request[Any, Any, Any]) -> Response[Any]:
        visit = Visit(
            "GET",
            "",
            services.world.clock(),
            cookies=read_cookies([v for n, v in request.scope["headers"] if n == b"cookie"]),
        )
        org = str(request.path_params["org"])[:64]
        first = await asyncio.to_thread(_look, services, visit, org)
        if first is None or streams.open >= MAX_STREAMS:
            return _response(403 if first is None else 503, "text/plain; charset=utf-8", "")
        return ServerSentEvent(_stream(services, visit, org, streams))

    return live


def _look(s: Services, visit: Visit, org: str) -> tuple[str, float] | None:
    """What the stream tells now: the state (JSON) and when the newest event happened. None: no more."""
    try:
        now = Visit("GET", visit.source, s.world.clock(), cookies=visit.cookies)
        found = sessions.current(s, now, touch=False)
        if found is None:
            return None
        store = found[1].organisation(org)
        counts = store.findings.counts()
        newest = store.events.newest()
    except (RefusedError, StoreError):
        return None
    grave = sum(n for severity, n in counts.items() if severity >= Severity.HIGH)
    alarm = "danger" if counts.get(Severity.CRITICAL) else "attention" if grave else "ok"
    return json.dumps({"alarm": alarm, "grave": grave}), newest


async def _stream(
    s: Services, visit: Visit, org: str, streams: Streams
) -> AsyncIterator[ServerSentEventMessage]:
    streams.open += 1
    try:
        before: tuple[str, float] = ("", 0.0)
        for turn in range(int(LONGEST / LOOK_SECONDS)):
            found = await asyncio.to_thread(_look, s, visit, org)
            if found is None:
                return
            if found[0] != before[0]:
                yield ServerSentEventMessage(data=found[0], event="state")
            if found[1] != before[1] and turn:
                yield ServerSentEventMessage(data=str(found[1]), event="events")
            elif turn % 10 == 9:
                yield ServerSentEventMessage(comment="still here")
            before = found
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        streams.open -= 1


def _response(status: int, kind: str, text: str) -> Response[bytes]:
    return Response(content=text.encode(), status_code=status, headers={"content-type": kind})
