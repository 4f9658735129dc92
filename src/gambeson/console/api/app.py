"""The API of the console, as one mount of the application: everything below ``/api``.

Order of what is asked of a request: the token; whether there is such a path and method; whether the client takes JSON;
whether the organisation may be known and the verb is there; the query and the body; the idempotency key. So who has no
token learns nothing but that, and who may not see an organisation gets one answer whatever they send.

A request is worked on by a thread, because the store waits. There is no redirect, no HTML and no cookie here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec
from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from gambeson.console.office import Office, World
from gambeson.console.web.shell import Receive, Scope, Send
from gambeson.console.web.visit import MAX_BODY, MAX_QUERY, ProblemError, read_fields
from gambeson.model.staff import EVERY

from . import document, problems
from .access import Asker, Doorkeeper
from .idempotency import digest_of, key_of, once
from .negotiation import JSON, check_accept, check_body
from .operation import BASE, Call, Given, Nothing, Operation, Router, operations
from .problems import ApiError, forbidden

DOCUMENT = f"{BASE}/openapi.json"
THREADS = 8
_DATE = re.compile(r"\d{4}-", re.ASCII)
_STRICT = re.compile(rb"^[\x20-\x7e]*$")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``path`` is the whole one, decoded."""

    method: str
    path: str
    query: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = field(default=b"", repr=False)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class Api:
    """All operations over a world."""

    def __init__(self, world: World, table: Sequence[Operation] | None = None) -> None:
        self.world = world
        self.operations = tuple(table) if table is not None else operations()
        self.doorkeeper = Doorkeeper(world)
        self._router = Router(self.operations)
        self._document = msgspec.json.encode(document.make(self.operations, world.facts.version))
        self._threads = ThreadPoolExecutor(THREADS, "api")
        self._decoders = {o.name: msgspec.json.Decoder(o.body or Nothing) for o in self.operations}

    def handler(self) -> ASGIRouteHandler:
        """The mount for the application."""

        @asgi("/api", is_mount=True, copy_scope=True)
        async def api(scope: Any, receive: Any, send: Any) -> None:
            await self.serve(scope, receive, send)

        return api

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI)."""
        body = b""
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
            if not event.get("more_body", False) or len(body) > MAX_BODY:
                break
        client = scope.get("client")
        asked = Asked(
            str(scope["method"]),
            str(scope["gambeson.path"]),  # of the shell: the framework cuts the mount off
            scope.get("query_string", b""),
            scope["headers"],
            body,
            str(client[0])[:64] if client else "",
        )
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, self.answer, asked)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def answer(self, asked: Asked) -> Answer:
        """One request, on a thread. Whatever goes wrong becomes a problem."""
        try:
            if asked.path == DOCUMENT and asked.method == "GET":
                headers = {"content-type": JSON, "cache-control": "public, max-age=3600"}
                return Answer(200, self._document, headers)
            return self._answer(asked)
        except Exception as error:
            found = problems.of(error)
            headers = {"content-type": problems.KIND, "cache-control": "no-store", **found.headers}
            return Answer(found.status, msgspec.json.encode(found.problem), headers)

    def _answer(self, asked: Asked) -> Answer:
        now = self.world.clock()
        asker = self.doorkeeper.admit(asked.headers, asked.source, now)
        if not asked.path.startswith(BASE + "/"):
            raise problems.not_found()
        methods, values = self._router.find(asked.path[len(BASE) :])
        operation = methods.get(asked.method)
        if operation is None:
            allow = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
            detail = f"Here only {allow} can be done."
            raise ApiError(405, "bad-method", detail, headers={"allow": allow})
        check_accept(asked.headers)
        if len(asked.body) > MAX_BODY:
            raise ApiError(413, "too-large", f"A body has at most {MAX_BODY} octets.")
        path = dict(zip(operation.parameters, values, strict=True))
        office = Office(self.world, asker.access, now)
        _allowed(operation, office, path)
        query = _query(operation, asked.query)
        call = Call(operation, office, path, query, self._body(operation, asked))
        return self._done(operation, asked, asker, call)

    def _body(self, operation: Operation, asked: Asked) -> Given | None:
        """Raises ApiError: 415, 422."""
        if asked.body:
            check_body(asked.headers)
        elif operation.body is None:
            return None
        else:
            raise ApiError(422, "bad-body", "A body is missing.")
        try:
            return self._decoders[operation.name].decode(asked.body)
        except msgspec.ValidationError as error:
            raise problems.invalid(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ApiError(422, "bad-body", "The body is no JSON.") from None

    def _done(self, operation: Operation, asked: Asked, asker: Asker, call: Call) -> Answer:
        def do() -> tuple[int, bytes]:
            given = operation.handler(call)
            return operation.status, b"" if given is None else msgspec.json.encode(given)

        headers = {"cache-control": "no-store"}
        key = key_of(asked.headers) if asked.method == "POST" else ""
        if key:
            digest = digest_of(asked.method, asked.path, asked.body)
            status, body, again = once(self.world, asker, key, digest, call.office.at, do)
            headers |= {"idempotency-replayed": "true"} if again else {}
        else:
            status, body = do()
        return Answer(status, body, headers | ({"content-type": JSON} if body else {}))


def _allowed(operation: Operation, office: Office, path: Mapping[str, str]) -> None:
    """Raises ApiError and RefusedError: 404 for an organisation that may not be known, 403 for a missing verb."""
    if operation.of_organisation:
        office.either(path["organisation"], *operation.verbs)
        return
    may = any(office.may(verb, EVERY) for verb in operation.verbs)
    if not may and operation.anywhere:
        may = any(office.organisations(verb) for verb in operation.verbs)
    if not may:
        where = "anywhere" if operation.anywhere else "for every organisation"
        raise forbidden(f"This takes a token with “{operation.verb}” {where}.")


@cache
def _times(kind: type[Given]) -> tuple[str, ...]:
    """The fields of a query that are times."""
    return tuple(
        name for name, type_ in get_type_hints(kind).items() if datetime in (type_, *get_args(type_))
    )


def _query(operation: Operation, text: bytes) -> Given | None:
    """Raises ApiError: 400, 422."""
    kind = operation.query or Nothing
    try:
        if not _STRICT.fullmatch(text):
            raise ProblemError(400)
        fields = read_fields(text, MAX_QUERY)
    except ProblemError:
        raise ApiError(400, "bad-query", "The query cannot be read, or has a name twice.") from None
    for name in _times(kind):
        if name in fields and not _DATE.match(fields[name]):  # else a number would be taken for one
            detail = "A time is written as 2026-09-21T12:00:00Z."
            raise ApiError(422, "bad-query", detail, parameter=name)
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise problems.invalid(error, query=True) from None
