"""What holds for every request, whatever page it is for: one place, before any page runs, and closed.

Rules:

- The Host header is the application's, with or without its port (a door knows that one). Methods are GET, HEAD and
  POST.
- A POST comes from a page of ours: Origin is exactly the application's, or, where a browser sent none,
  Sec-Fetch-Site says same-origin. Anything else is 403 (W3C Fetch Metadata; RFC 6454). A form has at most ``MAX_BODY``
  octets, and comes within ``body_seconds``: who sends it by drops takes nobody else's place.
- Every answer carries the security headers, an error too. Nothing is cached but the static files.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from .visit import MAX_BODY, MAX_QUERY

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
ErrorPage = Callable[[int], bytes]

METHODS = ("GET", "HEAD", "POST")


@dataclass(frozen=True, slots=True)
class Gate:
    """What the shell must know of its application. ``origin`` as browsers send it; ``forms`` are the hosts besides
    itself that a form may lead to; ``images`` further sources of pictures; ``free`` the beginning of the paths that
    prove who asks in each request (a token, no cookie): there any method may come, from anywhere; ``long`` the
    beginnings of paths whose forms may have ``long_body`` octets."""

    origin: str
    body_seconds: float = 10.0
    forms: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    free: str = ""
    long: tuple[str, ...] = ()
    long_body: int = MAX_BODY

    @property
    def host(self) -> str:
        """The Host header that belongs to the origin."""
        return self.origin.removeprefix("https://")

    @property
    def name(self) -> str:
        """The host name without its port."""
        return self.host.partition(":")[0]

    def body(self, path: str) -> int:
        """The most octets that a request for this path may bring."""
        return self.long_body if self.long and path.startswith(self.long) else MAX_BODY

    def is_free(self, path: str) -> bool:
        """Whether this path proves in each request who asks."""
        return bool(self.free) and (path.startswith(self.free) or path == self.free.rstrip("/"))


def security_headers(gate: Gate) -> list[tuple[bytes, bytes]]:
    """The headers of every answer. ``form-action`` names the applications, because browsers follow it through the
    redirect after a form."""
    forms = " ".join(["'self'", *(f"https://{host}" for host in gate.forms)])
    images = " ".join(["'self'", *gate.images])
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; "
        f"form-action {forms}; base-uri 'none'; frame-ancestors 'none'"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        # With no-referrer browsers would send "Origin: null" with our own forms (Fetch standard, Origin header).
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (
            b"permissions-policy",
            b"publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), "
            b"geolocation=()",
        ),
        (b"strict-transport-security", b"max-age=31536000"),
    ]


class Shell:
    """The outermost application."""

    def __init__(self, inner: Application, gate: Gate, error_page: ErrorPage) -> None:
        self._inner, self._gate, self._error_page = inner, gate, error_page
        self._headers = security_headers(gate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            return
        status = self._judge(scope)
        if status:
            await self._refuse(status, scope, send)
            return
        try:
            async with asyncio.timeout(self._gate.body_seconds):
                body = await _body(receive, self._gate.body(scope["path"]))
        except _TooMuchError:
            await self._refuse(413, scope, send)
            return
        except TimeoutError:
            await self._refuse(408, scope, send)
            return
        if body is None:
            return  # the browser left
        head = scope["method"] == "HEAD"
        inner = dict(scope, method="GET" if head else scope["method"])
        inner["gambeson.method"], inner["gambeson.path"] = scope["method"], scope["path"]
        given = False

        async def receive_again() -> Event:
            nonlocal given
            if given:
                return await receive()  # that the browser left, which an answer without an end must hear
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send_with_headers(event: Event) -> None:
            if event["type"] == "http.response.start":
                event = dict(event, headers=self._with_ours(event.get("headers", [])))
            elif head:
                event = dict(event, body=b"")
            await send(event)

        await self._inner(inner, receive_again, send_with_headers)

    def _with_ours(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in headers}
        cache = [] if b"cache-control" in names else [(b"cache-control", b"no-store")]
        return [*headers, *cache, *self._headers]

    def _judge(self, scope: Scope) -> int:
        """0 where a page may answer, else the status of the refusal."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        free = self._gate.is_free(scope["path"])
        if scope["method"] not in METHODS and not free:
            return 405
        host = _only(headers, b"host")
        if host is None or host.decode("latin-1") not in (self._gate.host, self._gate.name):
            return 421
        if len(scope.get("query_string", b"")) > MAX_QUERY:
            return 414
        if scope["method"] == "POST" and not free and not self._from_ourselves(headers):
            return 403
        length = _only(headers, b"content-length")
        most = self._gate.body(scope["path"])
        if length is not None and (not length.isdigit() or int(length[:20]) > most):
            return 413
        return 0

    def _from_ourselves(self, headers: list[tuple[bytes, bytes]]) -> bool:
        if any(name == b"origin" for name, _ in headers):
            return _only(headers, b"origin") == self._gate.origin.encode()
        return _only(headers, b"sec-fetch-site") == b"same-origin"

    async def _refuse(self, status: int, scope: Scope, send: Send) -> None:
        kind, body = b"text/html; charset=utf-8", b""
        if self._gate.is_free(scope["path"]):  # a program asks: RFC 9457
            phrase = HTTPStatus(status).phrase
            reason = phrase.lower().replace(" ", "-")
            problem = {"type": "about:blank", "title": phrase, "status": status, "reason": reason}
            kind, body = b"application/problem+json", json.dumps(problem).encode()
        else:
            body = self._error_page(status)
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
        ]
        if status == 408:
            headers.append((b"connection", b"close"))
        if status == 405:
            headers.append((b"allow", ", ".join(METHODS).encode()))
        await send({"type": "http.response.start", "status": status, "headers": [*self._with_ours(headers)]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class _TooMuchError(Exception):
    pass


async def _body(receive: Receive, most: int) -> bytes | None:
    parts, size = [], 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        part = event.get("body", b"")
        size += len(part)
        if size > most:
            raise _TooMuchError
        parts.append(part)
        if not event.get("more_body", False):
            return b"".join(parts)


def _only(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of a header that came exactly once."""
    found = [value for key, value in headers if key == name]
    return found[0] if len(found) == 1 else None
