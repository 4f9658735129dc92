"""The emulator as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import Any
from uuid import uuid4

from .directories import SERVER, VERSION
from .exchange import Request, Response
from .front_end import FrontEnd
from .logs import ExchangeLogs

MAX_BODY = 64 * 1024 * 1024


def application(front: FrontEnd, logs: ExchangeLogs) -> Any:
    """The ASGI application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        began = time.time()
        body = await _body(receive)
        request = _request(scope, body or b"")
        request_id = str(uuid4())
        if body is None:
            answer = Response(413)
        else:
            request, answer = await asyncio.to_thread(front.answer, request)
        if answer.wait:
            await asyncio.sleep(answer.wait)
        await asyncio.to_thread(logs.write, request, answer, request_id, began, time.time() - began)
        fixed = (
            ("Server", "Microsoft-IIS/10.0"),
            ("X-Powered-By", "ASP.NET"),
            ("X-FEServer", SERVER),
            ("X-OWA-Version", VERSION),
            ("Date", formatdate(usegmt=True)),
            ("request-id", request_id),
            ("X-Gambeson-Emulator", "this is no Exchange server"),
            ("Content-Type", answer.kind),
            ("Content-Length", str(len(answer.body))),
        )
        headers = {name.lower(): (name, value) for name, value in fixed}
        more = [(n, v) for n, v in answer.headers if n.lower() not in headers]
        raw = [(n.encode(), v.encode("latin-1", "replace")) for n, v in (*headers.values(), *more)]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else answer.body})

    return app


async def _body(receive: Any) -> bytes | None:
    """The whole body; None where it is longer than the emulator takes."""
    octets = bytearray()
    while True:
        message = await receive()
        octets += message.get("body", b"")
        if len(octets) > MAX_BODY:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(octets)


def _request(scope: Any, body: bytes) -> Request:
    headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
    source = headers.get("x-forwarded-for", "").split(",")[0].strip() or "127.0.0.1"
    return Request(
        scope["method"],
        scope["raw_path"].decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        headers,
        body,
        source=source,
    )
