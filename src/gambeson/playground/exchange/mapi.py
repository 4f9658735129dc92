"""MAPI over HTTP (MS-OXCMAPIHTTP), its frame: request types, response codes, the session cookie. No ROPs."""

from __future__ import annotations

from .exchange import Request, Response

_TYPES = (
    "Connect",
    "Execute",
    "Disconnect",
    "NotificationWait",
    "PING",
    "Bind",
    "Unbind",
    "QueryRows",
    "ResolveNames",
)
KIND = "application/mapi-http"


def answer(request: Request) -> Response:
    """Section 2.2.3: POST with X-RequestType, answered with X-ResponseCode and a body after PROCESSING and DONE."""
    kind = request.headers.get("x-requesttype", "")
    if request.method == "GET":
        return Response(200, b"<html><body>Exchange MAPI/HTTP Connectivity Endpoint (emulator)</body></html>")
    if kind not in _TYPES:
        return Response(200, b"", KIND, (("X-ResponseCode", "5"),))  # section 2.2.3.3.3: invalid verb
    headers = [
        ("X-ResponseCode", "0"),
        ("X-RequestType", kind),
        ("X-RequestId", request.headers.get("x-requestid", "")[:200]),
        ("X-ServerApplication", "Exchange/15.02.1544.011"),
    ]
    if kind in ("Connect", "Bind"):
        headers.append(("Set-Cookie", "MapiContext=emulator; path=/mapi; secure; HttpOnly"))
    body = b"PROCESSING\r\nDONE\r\nX-ElapsedTime: 1\r\n\r\n" + bytes(8)
    return Response(200, body, KIND, tuple(headers), wait=1.0 if kind == "NotificationWait" else 0.0)
