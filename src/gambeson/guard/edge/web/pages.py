"""What the door answers by itself, over HTTP: heads that no cache keeps, and short pages that repeat nothing of what
was asked."""

from __future__ import annotations

import time
from email.utils import formatdate

from gambeson.guard.core.web.verdict import Answer
from gambeson.model.web import WebRequest
from gambeson.wire.http_forward import HSTS

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

REASONS = {
    200: "OK",
    204: "No Content",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    421: "Misdirected Request",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    449: "Retry With",  # MS-ASHTTP section 2.2.2.1.1
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
_SENTENCES = {
    400: "This request can be read in more than one way, so it is not passed on.",
    403: "This is not open from outside.",
    404: "There is nothing here.",
    408: "The request took too long to arrive; please try again.",
    414: "The address is too long.",
    417: "This expectation can't be met.",
    421: "This name is not served on this connection; please connect to it anew.",
    431: "The request's headers are too long.",
    500: "Something went wrong at the door; please tell your administrator.",
    501: "This method is not passed on here.",
    502: "The mail server can't be reached; please try again in a moment.",
    503: "The door can't decide just now; please try again in a moment.",
    504: "The mail server did not answer in time; please try again.",
    505: "Only HTTP/1.1 is spoken here.",
}
_NO_STORE = "cache-control: no-store\r\n"
_FIXED = f"x-content-type-options: nosniff\r\nstrict-transport-security: {HSTS}\r\n"
_PAGE_POLICY = (
    "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n"
)
_WRITTEN_HERE = frozenset(
    (
        "connection",
        "content-length",
        "date",
        "strict-transport-security",
        "transfer-encoding",
        "x-content-type-options",
    )
)


def page(status: int, request: WebRequest | None = None) -> Answer:
    """A short page with the status's sentence: HTML for whoever asks for it, else text."""
    sentence = _SENTENCES.get(status, REASONS.get(status, ""))
    if request is not None and "text/html" in request.header("accept"):
        title = f"{status} {REASONS.get(status, '')}"
        body = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            '<meta name="viewport" content="width=device-width"><body style="font:1rem/1.5 system-ui;'
            f'max-width:36rem;margin:4rem auto;padding:0 1rem"><h1>{title}</h1><p>{sentence}</p></html>\n'
        )
        kind = "text/html; charset=utf-8"
    else:
        body, kind = sentence + "\n", "text/plain; charset=utf-8"
    return Answer(status, (("content-type", kind),), body.encode())


class Clock:
    """The Date header, written once a second."""

    __slots__ = ("_at", "_line")

    def __init__(self) -> None:
        self._at = 0
        self._line = ""

    def line(self) -> str:
        """``date: ...`` with its line's end (RFC 9110 section 6.6.1)."""
        now = int(time.time())
        if now != self._at:
            self._at = now
            self._line = f"date: {formatdate(now, usegmt=True)}\r\n"
        return self._line


_clock = Clock()


def octets(answer: Answer, *, head_only: bool, close: bool) -> bytes:
    """The whole answer. ``head_only``: it is for a HEAD request."""
    status = answer.status
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n", _clock.line(), _NO_STORE, _FIXED]
    guarded = False
    for name, value in answer.headers:
        lower = name.lower()
        if lower in _WRITTEN_HERE or not _writable(name, value):
            continue
        if lower == "cache-control":
            lines[2] = ""
        guarded = guarded or lower == "content-security-policy"
        lines.append(f"{name}: {value}\r\n")
    if not guarded:
        lines.append(_PAGE_POLICY)
    bodiless = status in (204, 304)
    if not bodiless:
        lines.append(f"content-length: {len(answer.body)}\r\n")
    lines.append("connection: close\r\n\r\n" if close else "\r\n")
    head = "".join(lines).encode("latin-1", "replace")
    return head if head_only or bodiless else head + answer.body


def _writable(name: str, value: str) -> bool:
    """A header that would end its line is never written, whoever asked for it."""
    return not any(one in text for text in (name, value) for one in "\r\n\0")
