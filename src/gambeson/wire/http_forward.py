"""Heads written anew from their parsed form: the request to the mail server, the answer to the client.

No octet of a head is passed through. What a client could use to pose as somebody (forwarding headers, ours) is left
out and written by the door; what a server could use to reach beyond its host is taken out of its answers.
RFC 9110 sections 5.5, 7.6.1 and 15, RFC 9112 sections 3, 4 and 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import httptools

from gambeson.model.web import WebRequest

from .cookies import for_upstream, set_by_upstream, without_ours
from .http_target import HeadError, words

MAX_ANSWER_HEAD = 131072
_MAX_LENGTH_DIGITS = 15
HSTS = "max-age=31536000"
_OCTETS = bytes(range(32, 127)) + bytes(range(128, 256)) + b"\t\r\n"

_HOP = words(
    "connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding"
    " upgrade http2-settings"
)
# What the door alone may say, and what it writes itself.
_OURS_TO_SAY = words(
    "forwarded via x-real-ip x-originating-ip x-client-ip x-cluster-client-ip true-client-ip cf-connecting-ip"
    " x-client-cert x-ssl-client-cert x-client-verify ssl-client-cert x-remote-user remote-user x-original-url"
    " x-rewrite-url x-http-method-override x-http-method x-method-override x-original-host x-host x-original-uri"
    " client-ip x-azure-clientip x-azure-socketip fastly-client-ip wl-proxy-client-ip x-proxyuser-ip x-ms-edge-ip"
    " x-fe-clientip x-original-forwarded-for x-envoy-external-address front-end-https x-url-scheme x-scheme proxy"
    " x-arr-ssl x-arr-clientcert x-webauth-user x-authenticated-user"
)
_PREFIXES = ("x-forwarded", "x-gambeson", "x-ms-forwarded", "x-ssl-", "x-client-cert")
_TOLD = _HOP | {"content-length"}  # of an answer: what concerns its connection and framing
_NOTHING: set[str] = set()
_ANSWER_NAMES: dict[bytes, str] = {}  # header names seen before, in lower case; bounded
_WRITTEN = frozenset(("host", "content-length", "expect", "cookie", "authorization"))
_DROP: dict[str, bool] = {}  # header name: whether a client's is dropped; bounded


class ActionLike(Protocol):
    """What is done to an answer: see ``guard/core/web/verdict.ResponseAction``."""

    @property
    def set(self) -> tuple[tuple[str, str], ...]:
        """Headers that replace, names in lower case."""

    @property
    def drop(self) -> tuple[str, ...]:
        """Names of headers to drop."""

    @property
    def content_type(self) -> str:
        """Only for answers whose Content-Type begins with it, or that have none; empty for all."""

    @property
    def add(self) -> tuple[tuple[str, str], ...]:
        """Headers that come beside those of the same name, names in lower case."""


def folded(name: str) -> str:
    """A header's name as the widest reader has it: some write every sign that is no letter and no digit as ``_``
    (RFC 3875 section 4.1.18 asks for ``-`` alone). Here they are all ``-``."""
    return name if name.replace("-", "").isalnum() else "".join([c if c.isalnum() else "-" for c in name])


def _dropped(name: str) -> bool:
    known = _DROP.get(name)
    if known is None:
        plain = folded(name)
        known = plain in _HOP or plain in _OURS_TO_SAY or plain in _WRITTEN or plain.startswith(_PREFIXES)
        if len(_DROP) >= 1024:
            _DROP.clear()
        _DROP[name] = known
    return known


def _answer_name(raw: bytes) -> str:
    name = raw.decode("ascii").lower()
    if len(_ANSWER_NAMES) >= 1024:
        _ANSWER_NAMES.clear()
    if len(raw) <= 64:
        _ANSWER_NAMES[raw] = name
    return name


def request_head(
    request: WebRequest,
    forward_headers: Sequence[tuple[str, str]] = (),
    *,
    named: str = "",
    authorization: bool = False,
    length: int = 0,
    chunked: bool = False,
    websocket: bool = False,
    never: str = "",
    ours: bool = False,
) -> bytes:
    """The head for the mail server. ``forward_headers`` replace the client's of the same name (a ``cookie`` among them
    replaces the request's cookies; ours are left out in any case); ``named`` is the Host with its port;
    ``authorization`` says whether the client's goes on; ``never`` is the name of a header by which the server trusts
    us: a client's is left out; ``ours`` is for the portal alone, which gets our cookies. Raises ValueError for a header
    that can't be written."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    line = f"{request.method} {target} HTTP/1.1\r\n".encode("latin-1")
    said = length or request.method in ("POST", "PUT", "PATCH")
    # All that the rest depends on besides the request's own headers; on one connection it seldom changes.
    given = (
        forward_headers, named or request.host, request.source, authorization, said and length, bool(said),
        chunked, websocket, never, ours,
    )  # fmt: skip
    kept: tuple[object, bytes] | None = request.memo.get(_MEMO)
    if kept is not None and kept[0] == given:
        return line + kept[1]
    rest = "\r\n".join(
        _rest(
            request,
            forward_headers,
            named,
            authorization,
            bool(said),
            length,
            chunked,
            websocket,
            never,
            ours,
        )
    ).encode("latin-1")
    request.memo[_MEMO] = (given, rest)
    return line + rest


_MEMO = "written for the mail server"


def _rest(
    request: WebRequest,
    forward_headers: Sequence[tuple[str, str]],
    named: str,
    authorization: bool,
    said: bool,
    length: int,
    chunked: bool,
    websocket: bool,
    never: str,
    ours: bool,
) -> list[str]:
    """The lines of the head behind the first."""
    added = {name.lower() for name, _ in forward_headers}
    never = folded(never.lower())
    lines = [f"host: {named or request.host}"]
    for name, value in request.headers:
        if not _dropped(name):
            if name not in added and (not never or folded(name) != never):
                lines.append(f"{name}: {value}")
        elif name == "authorization" and authorization and name not in added:
            lines.append(f"authorization: {value}")
    if ours and request.cookies:
        lines.append("cookie: " + "; ".join([f"{name}={value}" for name, value in request.cookies if name]))
    elif request.cookies and "cookie" not in added and (cookies := for_upstream(request.cookies)):
        lines.append(f"cookie: {cookies}")
    for name, value in forward_headers:
        if not _clean(name) or not _clean(value):
            raise ValueError("a header of the verdict has control characters")
        if name.lower() == "cookie":
            value = without_ours(value)
            if not value:
                continue
        lines.append(f"{name}: {value}")
    if chunked:
        lines.append("transfer-encoding: chunked")
    elif said:
        lines.append(f"content-length: {length}")
    if websocket:
        lines.append("connection: upgrade\r\nupgrade: websocket")
    lines.append(
        f"x-forwarded-for: {request.source}\r\nx-forwarded-proto: https"
        f"\r\nx-forwarded-host: {named or request.host}\r\n\r\n"
    )
    return lines


def _clean(text: str) -> bool:
    return (text.isascii() and text.isprintable()) or not any(c in "\r\n\0" or ord(c) > 255 for c in text)


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The head of a mail server's answer. ``length`` is that of the body, -1 where none is given; ``chunked``;
    ``keep_alive``: its connection stays. ``headers`` have lower-case names."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    length: int = -1
    chunked: bool = False
    keep_alive: bool = True


class AnswerReader:
    """Reads one whole head of an answer after the other."""

    __slots__ = ("_ended", "_headers", "_reason", "last")

    def __init__(self) -> None:
        self.last: tuple[bytes, AnswerHead | None] = (b"", None)  # the last head's octets, and what was read
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._ended = False

    def on_message_begin(self) -> None:
        """llhttp's."""

    def on_status(self, reason: bytes) -> None:
        """llhttp's."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp's."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """llhttp's."""
        self._ended = True

    def rest(self) -> None:
        """Forget the last head."""
        self._headers, self._reason, self.last = [], b"", (b"", None)

    def read(self, head: bytes) -> AnswerHead:
        """Read one head, blank line included. Raises HeadError(502)."""
        # Answers from one server within a second are often the same, octet for octet.
        last, read = self.last
        if read is not None and last == head:
            return read
        self._headers, self._reason, self._ended = [], b"", False
        parser = httptools.HttpResponseParser(self)
        if len(head) > MAX_ANSWER_HEAD or head.translate(None, _OCTETS):
            raise HeadError(502, "answer-octets")
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            raise HeadError(502, "answer-parse") from error
        if not self._ended or head.count(b"\n") != len(self._headers) + 2:
            raise HeadError(502, "answer-lines")
        found = self._judge(parser.get_status_code(), parser.get_http_version())
        self._headers = []
        self.last = (head, found)
        return found

    def _judge(self, status: int, version: str) -> AnswerHead:
        length, chunked, close, keep = -1, False, False, False
        headers: list[tuple[str, str]] = []
        nominated: set[str] = _NOTHING
        known = _ANSWER_NAMES
        for raw, octets in self._headers:
            name = known.get(raw)
            if name is None:
                name = _answer_name(raw)
            value = octets.decode("latin-1").strip(" \t")
            if name not in _TOLD:
                headers.append((name, value))
            elif name == "content-length":
                if (
                    length >= 0
                    or not value.isascii()
                    or not value.isdigit()
                    or len(value) > _MAX_LENGTH_DIGITS
                ):
                    raise HeadError(502, "answer-length")
                length = int(value)
            elif name == "transfer-encoding":
                if chunked or value.lower() != "chunked":
                    raise HeadError(502, "answer-transfer-encoding")
                chunked = True
            elif name == "connection":
                options = {option.strip(" \t").lower() for option in value.split(",")}
                close, keep = close or "close" in options, keep or "keep-alive" in options
                nominated = nominated | options
        if chunked and length >= 0:
            raise HeadError(502, "answer-length")
        if status < 100 or status > 599 or version not in ("1.1", "1.0"):
            raise HeadError(502, "answer-status")
        if nominated and nominated - {"close", "keep-alive", "upgrade"}:
            headers = [pair for pair in headers if pair[0] not in nominated]
        keep_alive = not close and (version == "1.1" or keep)
        return AnswerHead(status, self._reason.decode("latin-1"), tuple(headers), length, chunked, keep_alive)


def with_cookies(answer: AnswerHead, bind: Callable[[str], tuple[str, ...]] | None) -> AnswerHead:
    """The answer with its cookies as ``bind`` wants each set; the answer itself where it sets none."""
    if bind is None or not any(name == "set-cookie" for name, _ in answer.headers):
        return answer
    headers: list[tuple[str, str]] = []
    for name, value in answer.headers:
        headers.extend([(name, each) for each in bind(value)] if name == "set-cookie" else [(name, value)])
    return replace(answer, headers=tuple(headers))


def response_head(
    answer: AnswerHead,
    actions: Sequence[ActionLike] = (),
    cookies: Sequence[str] = (),
    *,
    length: int = -1,
    chunked: bool = False,
    close: bool = False,
    ours: bool = False,
) -> bytes:
    """The head for the client. ``actions`` are the verdict's, ``cookies`` the door's own Set-Cookie values;
    ``length`` (-1: none is said) and ``chunked`` say how the body will come, ``close`` that the connection ends.
    ``ours``: it is the portal's answer, which sets our cookies."""
    headers = answer.headers
    lines = [f"HTTP/1.1 {answer.status} {answer.reason or _REASONS.get(answer.status, '')}"]
    for action in actions:
        headers = _act(action, headers)
    for name, value in headers:
        if name == "set-cookie" and not ours:
            value = set_by_upstream(value)
            if not value:
                continue
        elif name in _NOT_OUT:
            continue
        lines.append(f"{name}: {value}")
    lines.extend([f"set-cookie: {cookie}" for cookie in cookies])
    lines.append(_HSTS_LINE)
    if chunked:
        lines.append("transfer-encoding: chunked")
    elif length >= 0:
        lines.append(f"content-length: {length}")
    lines.append("connection: close\r\n\r\n" if close else "\r\n")
    return "\r\n".join(lines).encode("latin-1")


_HSTS_LINE = f"strict-transport-security: {HSTS}"
_NOT_OUT = frozenset(
    ("service-worker-allowed", "strict-transport-security", "alt-svc", "public-key-pins", "proxy-status")
)
_REASONS = {200: "OK", 204: "No Content", 304: "Not Modified"}


def _act(action: ActionLike, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    if action.content_type:
        kind = next((value for name, value in headers if name == "content-type"), "")
        if kind and not kind.lower().startswith(action.content_type):
            return headers
    gone = {*action.drop, *(name for name, _ in action.set)}
    return (*(pair for pair in headers if pair[0] not in gone), *action.set, *action.add)
