"""The application: Litestar routes what the shell lets through to the pages, and turns their answers into HTTP.

Everything that a request will need, templates, static files and modules, is read when the application is made, which
is before the process gives up its rights.
"""

from __future__ import annotations

import codecs
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

from litestar import Litestar, Request, Response
from litestar import get as litestar_get
from litestar import post as litestar_post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from gambeson.console.web.shell import Receive, Scope, Send, Shell
from gambeson.console.web.visit import (
    MAX_BODY,
    MAX_QUERY,
    ProblemError,
    Reply,
    Visit,
    read_cookies,
    read_fields,
)
from gambeson.guard.core.throttle import ThrottleLimits
from gambeson.guard.core.web.clients import load_clients
from gambeson.process.messages import Message
from gambeson.process.portal_messages import DoorPortalAsk

from . import devices, enrol, enter, factors, second, sign_in, things
from .backend import Backend, BackendGoneError, DeniedError
from .box import Boxes
from .codes import Codes
from .links import Links
from .pages import Pages
from .profile import Signer
from .routing import PageRoute
from .services import ElsewhereError, Services
from .settings import PortalSettings
from .steps import Steps
from .texts import load_texts
from .throttling import Throttling

ROUTES = (
    *sign_in.ROUTES,
    *second.ROUTES,
    *enrol.ROUTES,
    *factors.ROUTES,
    *enter.ROUTES,
    *things.ROUTES,
    *devices.ROUTES,
)
FORM = "application/x-www-form-urlencoded"
STATIC_SECONDS = 86400
CODECS = (
    "ascii",
    "hex",
    "idna",
    "latin-1",
    "punycode",
    "utf-8",
)  # each is a module that is read on first use
_log = logging.getLogger("gambeson.portal")


class PortalApp:
    """The ASGI application; ``answer`` is for what doors ask over their channel."""

    def __init__(self, services: Services, pages: Pages, clock: Callable[[], float]) -> None:
        self.services, self._pages, self._clock = services, pages, clock
        handlers = [self._handler(route) for route in ROUTES]
        inner = Litestar(
            route_handlers=[*handlers, self._static()],
            openapi_config=None,
            exception_handlers={HTTPException: self._framework_error, Exception: self._error},
            request_max_body_size=MAX_BODY,
            logging_config=None,
        )
        self._shell = Shell(inner, services.settings.gate, self._error_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._shell(scope, receive, send)

    async def answer(self, message: DoorPortalAsk) -> Message:
        """What a door asked: SessionGiven, Done or Refused."""
        return await self.services.codes.answer(message)

    def _handler(self, route: PageRoute) -> HTTPRouteHandler:
        async def act(request: Request[Any, Any, Any]) -> ASGIResponse:
            return self._response(await self._reply(route, request))

        act.__name__ = f"{route.method.lower()}_{route.handler.__name__}"
        if route.method == "GET":
            return litestar_get(route.path)(act)
        return litestar_post(route.path, status_code=200)(act)

    def _static(self) -> HTTPRouteHandler:
        async def static(request: Request[Any, Any, Any]) -> ASGIResponse:
            found = self._pages.file(request.path_params["name"])
            if found is None:
                return self._response(self._problem(404))
            headers = {"cache-control": f"public, max-age={STATIC_SECONDS}"}
            return self._response(Reply(body=found[0], kind=found[1], headers=headers))

        return litestar_get("/static/{name:str}")(static)

    async def _reply(self, route: PageRoute, request: Request[Any, Any, Any]) -> Reply:
        try:
            return await route.handler(self.services, await self._visit(request))
        except ElsewhereError as elsewhere:
            return Reply(303, location=elsewhere.location)
        except ProblemError as problem:
            return self._problem(problem.status, problem.key)
        except BackendGoneError:
            return self._problem(503)
        except DeniedError as error:
            # The desk or the keeper refused what no page expected to be refused: nothing was done.
            _log.warning("the portal was refused: %s", error.reason)
            return self._problem(409)

    async def _visit(self, request: Request[Any, Any, Any]) -> Visit:
        headers = request.scope["headers"]
        found = {name: value.decode("latin-1") for name, value in headers}
        body = await request.body()
        kind = found.get(b"content-type", "").partition(";")[0].strip().lower()
        if body and kind != FORM:
            raise ProblemError(415)
        return Visit(
            method=str(request.scope.get("gambeson.method", request.method)),
            source=found.get(b"x-gambeson-source", "")[:64],
            at=self._clock(),
            agent=found.get(b"user-agent", "")[:512],
            path={name: str(value) for name, value in request.path_params.items()},
            query=read_fields(request.scope["query_string"], MAX_QUERY),
            form=read_fields(body, MAX_BODY),
            cookies=read_cookies([value for name, value in headers if name == b"cookie"]),
        )

    def _response(self, reply: Reply) -> ASGIResponse:
        headers = [("content-type", reply.kind), *reply.headers.items()]
        headers += [("set-cookie", value) for value in reply.cookies]
        if reply.location:
            headers.append(("location", reply.location))
        return ASGIResponse(body=self._body(reply), status_code=reply.status, headers=headers)

    def _body(self, reply: Reply) -> bytes:
        return self._pages.render(reply.page, self._values(reply)) if reply.page else reply.body

    def _values(self, reply: Reply) -> dict[str, object]:
        return {"session": None, **reply.values}

    def _problem(self, status: int, key: str = "") -> Reply:
        return Reply(status, "problem", {"status": status, "error": key or f"problem.{status}"})

    def _error_body(self, status: int) -> bytes:
        return self._pages.render("problem", self._values(self._problem(status)))

    def _framework_error(self, _request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
        status = error.status_code if f"problem.{error.status_code}" in self.services.texts else 400
        allow = (error.headers or {}).get("Allow", "GET, POST") if status == 405 else ""
        return self._error_response(status, {"allow": allow} if allow else {})

    def _error(self, _request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        _log.error("the portal failed: %s", type(error).__name__, exc_info=error)
        return self._error_response(500, {})

    def _error_response(self, status: int, headers: dict[str, str]) -> Response[bytes]:
        headers = {"content-type": "text/html; charset=utf-8", **headers}
        return Response(content=self._error_body(status), status_code=status, headers=headers)


def make_portal(
    backend: Backend,
    settings: PortalSettings,
    *,
    clock: Callable[[], float] = time.time,
    random: Callable[[int], bytes] = secrets.token_bytes,
    limits: ThrottleLimits | None = None,
) -> PortalApp:
    """The portal. Raises ValueError where the settings' certificate or key cannot be read."""
    texts = load_texts()
    for codec in CODECS:
        codecs.lookup(codec)
    Signer(settings.signing_certificate, settings.signing_key)
    load_clients()
    boxes = Boxes(settings.absolute)
    services = Services(
        backend=backend,
        settings=settings,
        texts=texts,
        random=random,
        steps=Steps(random),
        boxes=boxes,
        throttling=Throttling(settings, random, limits),
        codes=Codes(backend, settings, boxes, random, clock),
        links=Links(random),
    )
    return PortalApp(services, Pages(texts, settings.name), clock)
