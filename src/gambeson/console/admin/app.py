"""The application: Litestar routes what the shell lets through to the pages and the API, and turns their answers into
HTTP. A page runs on a thread, because the store waits; the live stream waits in the loop.

Everything that a request will need, templates, static files and modules, is read when the application is made, which
is before the process gives up its rights.
"""

from __future__ import annotations

import asyncio
import codecs
import importlib
import logging
import pkgutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from litestar import Litestar, Request, Response
from litestar import get as litestar_get
from litestar import post as litestar_post
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse

from gambeson.console.api.app import Api
from gambeson.console.office import Office, RefusedError, StepUpError, World
from gambeson.console.web.shell import Gate, Receive, Scope, Send, Shell
from gambeson.console.web.visit import (
    MAX_BODY,
    MAX_QUERY,
    ProblemError,
    Reply,
    Visit,
    go,
    read_cookies,
    read_fields,
)
from gambeson.model.staff import Verb
from gambeson.store.errors import BadValue, Conflict, NotFound, StoreError
from gambeson.store.staff_sessions import StaffSession

from . import frame, pages, sessions
from .desk import Desk
from .open_routes import live_route
from .routing import Nav, PageRoute, Who
from .services import Challenges, Services
from .templating import load_catalogues, load_pages

FORM = "application/x-www-form-urlencoded"
STATIC_SECONDS = 86400
MAX_FORM_FIELDS = 128  # a page of a list, each with a box to tick
LONG_BODY = 6 * 1024 * 1024
CODECS = ("ascii", "hex", "idna", "latin-1", "punycode", "utf-8", "utf-8-sig", "utf-16")
_log = logging.getLogger("gambeson.console")


def page_modules() -> list[Any]:
    """Every page, by the name of its file."""
    names = sorted(module.name for module in pkgutil.iter_modules(pages.__path__))
    return [importlib.import_module(f"{pages.__name__}.{name}") for name in names]


class ConsoleApp:
    """The ASGI application."""

    def __init__(self, services: Services, handlers: Sequence[HTTPRouteHandler] = ()) -> None:
        self.services, self.api = services, Api(services.world)
        modules = page_modules()
        self.routes: list[PageRoute] = [route for module in modules for route in module.ROUTES]
        navs: list[Nav] = [module.NAV for module in modules if hasattr(module, "NAV")]
        self.navs = sorted(navs, key=lambda nav: nav.order)
        long = tuple(sorted({route.path.partition("{")[0] for route in self.routes if route.long}))
        inner = Litestar(
            route_handlers=[
                *(self._handler(r) for r in self.routes),
                self._static(),
                live_route(services),
                self.api.handler(),
                *handlers,
            ],
            openapi_config=None,
            exception_handlers={HTTPException: self._framework_error, Exception: self._error},
            request_max_body_size=LONG_BODY if long else MAX_BODY,
            logging_config=None,
        )
        gate = Gate(
            services.world.facts.origin, images=("data:",), free="/api/", long=long, long_body=LONG_BODY
        )
        self._shell = Shell(inner, gate, self._error_body)
        self._threads = ThreadPoolExecutor(8, "page")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._shell(scope, receive, send)

    def _handler(self, route: PageRoute) -> HTTPRouteHandler:
        async def act(request: Request[Any, Any, Any]) -> ASGIResponse:
            try:
                visit = await read_visit(request, self.services.world.clock(), route.long)
            except ProblemError as problem:
                return self._response(self.problem(None, problem.status, problem.key))
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._answer, route, visit, request.url.path)

        act.__name__ = (
            f"{route.method.lower()}_{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}"
        )
        if route.method == "GET":
            return litestar_get(route.path)(act)
        return litestar_post(route.path, status_code=200)(act)

    def _static(self) -> HTTPRouteHandler:
        async def static(request: Request[Any, Any, Any]) -> ASGIResponse:
            found = self.services.pages.file(request.path_params["name"])
            if found is None:
                return self._response(self.problem(None, 404))
            headers = {"cache-control": f"public, max-age={STATIC_SECONDS}"}
            return self._response(Reply(body=found[0], kind=found[1], headers=headers))

        return litestar_get("/static/{name:str}")(static)

    def _answer(self, route: PageRoute, visit: Visit, path: str) -> ASGIResponse:
        """One page, on a thread."""
        if route.method != "GET":
            return self._page(route, visit, path)
        with self.services.world.steady():
            return self._page(route, visit, path)

    def _page(self, route: PageRoute, visit: Visit, path: str) -> ASGIResponse:
        """Whatever goes wrong becomes a page that says what to do."""
        desk = self.desk(visit, None, path)
        try:
            found = sessions.current(self.services, visit)
            desk = self.desk(visit, found, path)
            if found is None and route.who is not Who.ANYBODY:
                back = f"?back={frame.quoted(path)}" if route.method == "GET" and path != "/" else ""
                return self._response(go(f"/sign-in{back}"))
            desk = self._allowed(route, visit, desk)
            return self._response(route.handler(desk, visit), desk)
        except StepUpError:
            back = path if route.method == "GET" else visit.given("back", 512) or frame.parent(path)
            return self._response(go(f"/step-up?back={frame.quoted(frame.local(back))}"))
        except RefusedError as error:
            return self._response(self.problem(desk, error.status, sentence=error.sentence), desk)
        except ProblemError as problem:
            return self._response(self.problem(desk, problem.status, problem.key), desk)
        except NotFound as error:
            return self._response(self.problem(desk, 404, sentence=str(error)), desk)
        except (BadValue, Conflict) as error:
            return self._response(self.problem(desk, 409, sentence=str(error)), desk)
        except StoreError as error:
            _log.error("the store: %s", error)
            return self._response(self.problem(desk, 503), desk)
        except Exception as error:
            _log.error("the console failed: %s", type(error).__name__, exc_info=error)
            return self._response(self.problem(desk, 500), desk)

    def _allowed(self, route: PageRoute, visit: Visit, desk: Desk) -> Desk:
        """With the organisation of the path. Raises RefusedError, StepUpError."""
        if route.who is Who.ANYBODY:
            return desk
        office = desk.office
        if route.of_organisation:
            id = visit.path["org"]
            store = office.organisation(id, route.verb or Verb.READ)
            desk = frame.at_organisation(desk, office.known(id), store)
        elif route.verb is not None and route.verb is not Verb.READ:
            office.installation(route.verb)
        if route.fresh:
            office.fresh()
        return desk

    def desk(self, visit: Visit, found: tuple[StaffSession, Office] | None, path: str) -> Desk:
        """The desk of a request, without an organisation yet."""
        person = found[1].access.staff if found is not None else None
        tag = frame.language(person.language if person else "", visit.languages)
        try:
            zone = ZoneInfo(person.zone) if person and person.zone else ZoneInfo("UTC")
        except (ZoneInfoNotFoundError, ValueError):
            zone = ZoneInfo("UTC")
        session, office = found if found is not None else (None, None)
        said = visit.query.get("said", "")[:64]
        texts = self.services.catalogues[tag]
        said = said if f"said.{said}" in texts else ""
        return Desk(self.services, texts, zone, visit.at, session, office, None, path, said)

    def problem(self, desk: Desk | None, status: int, key: str = "", sentence: str = "") -> Reply:
        """The page of an error: what it is, and what to do."""
        texts = desk.texts if desk is not None else self.services.catalogues["en"]
        key = key if key in texts else f"problem.{status}" if f"problem.{status}" in texts else "problem.400"
        return Reply(status, "problem", {"desk": desk, "status": status, "sentence": sentence or texts(key)})

    def _response(self, reply: Reply, desk: Desk | None = None) -> ASGIResponse:
        headers = [("content-type", reply.kind), *reply.headers.items()]
        headers += [("set-cookie", value) for value in reply.cookies]
        if reply.location:
            headers.append(("location", reply.location))
        if reply.stream is not None:
            return ASGIStreamingResponse(
                iterator=reply.stream, status_code=reply.status, headers=dict(headers), media_type=reply.kind
            )
        return ASGIResponse(body=self._body(reply, desk), status_code=reply.status, headers=headers)

    def _body(self, reply: Reply, desk: Desk | None) -> bytes:
        if not reply.page:
            return reply.body
        given = reply.values.get("desk")
        desk = given if isinstance(given, Desk) else desk or self.desk(Visit("GET", "", 0.0), None, "/")
        values = {**reply.values, "desk": desk}
        return self.services.pages.render(reply.page, frame.values(desk, self.navs) | values)

    def _error_body(self, status: int) -> bytes:
        return self._body(self.problem(None, status), None)

    def _framework_error(self, _request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
        status = error.status_code if error.status_code in (404, 405, 413, 415) else 400
        allow = (error.headers or {}).get("Allow", "GET, POST") if status == 405 else ""
        return self._error_response(status, {"allow": allow} if allow else {})

    def _error(self, _request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        _log.error("the console failed: %s", type(error).__name__, exc_info=error)
        return self._error_response(500, {})

    def _error_response(self, status: int, headers: dict[str, str]) -> Response[bytes]:
        headers = {"content-type": "text/html; charset=utf-8", **headers}
        return Response(content=self._error_body(status), status_code=status, headers=headers)


async def read_visit(request: Request[Any, Any, Any], at: float, long: bool = False) -> Visit:
    """The request as pages see it. Raises ProblemError."""
    headers = request.scope["headers"]
    found = {name: value.decode("latin-1") for name, value in headers}
    body = await request.body()
    kind = found.get(b"content-type", "").partition(";")[0].strip().lower()
    form: dict[str, str] = {}
    files: dict[str, bytes] = {}
    if long and kind == RequestEncodingType.MULTI_PART:
        try:
            fields = (await request.form()).multi_items()
        except (UnicodeDecodeError, LookupError):  # a field that is not in the charset that it names
            raise ProblemError(400) from None
        for name, value in fields:
            if hasattr(value, "read"):
                files[name] = await value.read()
            else:
                form[name] = str(value)  # pages ask with a limit of their own; all together have LONG_BODY
    elif body and kind != FORM:
        raise ProblemError(415)
    else:
        form = read_fields(body, MAX_BODY, MAX_FORM_FIELDS)
    client = request.scope.get("client")
    return Visit(
        method=str(request.scope.get("gambeson.method", request.method)),
        source=str(client[0])[:64] if client else "",
        at=at,
        agent=found.get(b"user-agent", "")[:512],
        path={name: str(value) for name, value in request.path_params.items()},
        query=read_fields(request.scope["query_string"], MAX_QUERY),
        form=form,
        cookies=read_cookies([value for name, value in headers if name == b"cookie"]),
        languages=found.get(b"accept-language", "")[:200],
        partial=found.get(b"hx-request", "") == "true",
        files=files,
    )


def make_console(world: World, handlers: Sequence[HTTPRouteHandler] = ()) -> ConsoleApp:
    """The console over a world. ``handlers`` are further routes, such as health."""
    for codec in CODECS:
        codecs.lookup(codec)
    ZoneInfo("Europe/Berlin")
    services = Services(world, load_catalogues(), load_pages(world.facts.name), Challenges(world.random(32)))
    return ConsoleApp(services, handlers)
