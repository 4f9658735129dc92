"""What holds for every request, whatever page it is for: one place, before any page runs, and closed.

Rules:

- The Host header is the portal's, with or without its port (the door knows that one). Methods are GET, HEAD and POST.
- A POST comes from a page of ours: Origin is exactly the portal's, or, where a browser sent none, Sec-Fetch-Site says
  same-origin. Anything else is 403 (W3C Fetch Metadata; RFC 6454). A form has at most ``MAX_BODY`` octets, and
  comes within ``body_seconds``: who sends it by drops takes nobody else's place.
- Every answer carries the security headers, an error too. Nothing is cached but the static files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .settings import PortalSettings
from .visit import MAX_BODY, MAX_QUERY

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
ErrorPage = Callable[[int], bytes]

METHODS = ("GET", "HEAD", "POST")


def security_headers(settings: PortalSettings) -> list[tuple[bytes, bytes]]:
    """The headers of every answer. ``form-action`` names the applications, because browsers follow it through the
    redirect after a form."""
    forms = " ".join(["'self'", *(f"https://{a.host}" for a in settings.applications)])
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
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

    def __init__(self, inner: Application, settings: PortalSettings, error_page: ErrorPage) -> None:
        self._inner, self._settings, self._error_page = inner, settings, error_page
        self._headers = security_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            return
        status = self._judge(scope)
        if status:
            await self._refuse(status, scope, send)
            return
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                body = await _body(receive)
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
        inner["gambeson.method"] = scope["method"]
        given = False

        async def receive_again() -> Event:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
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
        if scope["method"] not in METHODS:
            return 405
        host = _only(headers, b"host")
        if host is None or host.decode("latin-1") not in (self._settings.host, self._settings.rp_id):
            return 421
        if len(scope.get("query_string", b"")) > MAX_QUERY:
            return 414
        if scope["method"] == "POST":
            if not self._from_ourselves(headers):
                return 403
            length = _only(headers, b"content-length")
            if length is not None and (not length.isdigit() or int(length[:20]) > MAX_BODY):
                return 413
        return 0

    def _from_ourselves(self, headers: list[tuple[bytes, bytes]]) -> bool:
        if any(name == b"origin" for name, _ in headers):
            return _only(headers, b"origin") == self._settings.origin.encode()
        return _only(headers, b"sec-fetch-site") == b"same-origin"

    async def _refuse(self, status: int, scope: Scope, send: Send) -> None:
        body = self._error_page(status)
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
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


async def _body(receive: Receive) -> bytes | None:
    parts, size = [], 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        part = event.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise _TooMuchError
        parts.append(part)
        if not event.get("more_body", False):
            return b"".join(parts)


def _only(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of a header that came exactly once."""
    found = [value for key, value in headers if key == name]
    return found[0] if len(found) == 1 else None
