"""The console's ASGI application: the health page, its JSON, and a closed API.

It changes nothing and takes no input but the path; every answer carries the security headers.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .health import STYLE, Health, as_json, as_page

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Measure = Callable[[], Awaitable[Health]]

_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000"),
]

Reply = tuple[int, bytes, str]


def application(measure: Measure) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The application; ``measure`` makes a fresh health report."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, kind, text = await _answer(scope["method"], scope["path"], measure)
        body = text.encode()
        headers = [*_HEADERS, (b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="gambeson"'))
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app


async def _answer(method: str, path: str, measure: Measure) -> Reply:
    if path == "/api" or path.startswith("/api/"):
        return _problem(401, "The API takes a token; none can be made yet in this version.")
    if method not in ("GET", "HEAD"):
        return _problem(405, "The console only shows things in this version.")
    if path == "/style.css":
        return 200, b"text/css; charset=utf-8", STYLE
    if path not in ("/", "/health"):
        return _problem(404, "There is no such page.")
    health = await measure()
    status = 503 if health.state == "failed" else 200
    if path == "/":
        return status, b"text/html; charset=utf-8", as_page(health)
    return status, b"application/json", json.dumps(as_json(health))


def _problem(status: int, detail: str) -> Reply:
    # RFC 9457: problem details
    document = {"type": "about:blank", "status": status, "detail": detail}
    return status, b"application/problem+json", json.dumps(document)
