"""Stored requests, to run shields over: one JSON object a line, an event that a door recorded, or a line of its
request log.

A line has ``time`` (seconds since 1970, or RFC 3339), ``method``, ``host``, ``path`` and, where known, ``query``,
``cookies`` (a list of names, or an object), ``agent``, ``source``, ``admitted`` and ``product``.

What a door writes has no secret: of cookies the names only, no other header than the program's name and the type of the
body, and of parameters whose name or text looks like a secret's the name only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gambeson.model.event import Event
from gambeson.model.web import Product, WebRequest

from .canonical import plain
from .replay import LogRecord
from .verdict import Forward

MAX_LINE = 65536
MAX_LINES = 10_000_000
MAX_TEXT = 16384
MAX_COOKIES = 200
MAX_KEPT = 1000  # characters of a query in a record
MAX_TARGET = 2000  # characters of path and query in the request log
HIDDEN = "***"
FORWARDED, SENT, ANSWERED, LEFT = "forwarded", "sent", "answered", "left"
_REACHED: Mapping[str, bool | None] = {FORWARDED: True, SENT: None, ANSWERED: False, LEFT: False}
# What secrets are called, wherever in a name; and short names that are one.
_SECRET = re.compile(
    "code|token|pass|pwd|secret|credential|auth|session|ticket|assertion|signature|canary|jwt|saml|nonce|api.?key"
    r"|^(?:[_x-]*)(?:sid|sig|otp|totp|pin|key|state|hash|hmac|mac)$"
)
_INSIDE = re.compile(
    "(?:code|token|pass|pwd|secret|credential|auth|session|ticket|sig|key|jwt|saml)[a-z_-]{0,20}[=:]"
)
_BETWEEN = re.compile("([&;])")


class RequestLogError(ValueError):
    """A line that is no request."""


def read_line(line: bytes) -> LogRecord:
    """The request of one line. Raises RequestLogError."""
    if len(line) > MAX_LINE:
        raise RequestLogError("too long")
    try:
        data = json.loads(line)
        if not isinstance(data, dict):
            raise RequestLogError("no object")
        product = data.get("product")
        return LogRecord(
            _time(data["time"]),
            _text(data, "method", "GET"),
            _text(data, "host"),
            _text(data, "path"),
            _text(data, "query"),
            _cookies(data.get("cookies", [])),
            _text(data, "agent"),
            data.get("admitted") is True,
            _text(data, "source"),
            Product(product) if product else None,
        )
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise RequestLogError(str(error)) from None


def shape(request: WebRequest | None, reason: str) -> dict[str, Any]:
    """What a record keeps besides the path of a request that no client makes (*never*, or a shield's): so that a shield
    written later can say whether its attack was tried. Of cookies the names only. A legitimate request's query is
    nobody's business."""
    if request is None or not reason.startswith(("never", "shield")):
        return {}
    return {
        "query": without_secrets(request.query)[:MAX_KEPT],
        "cookies": [name[:64] for name, _ in request.cookies[:20]],
        "agent": request.header("user-agent")[:200],
    }


def without_secrets(query: str) -> str:
    """The beginning of a query, with ``***`` for every value that is, or holds, what is named as secrets are. Names are
    read through their escapes."""
    query = query[:MAX_TARGET]
    if "=" not in query and "%" not in query:
        return query
    return "".join([_pair(piece) for piece in _BETWEEN.split(query)])


def _pair(text: str) -> str:
    name, mark, value = text.partition("=")
    if not mark:
        return HIDDEN if _INSIDE.search(plain(text)) else text
    if value and (_SECRET.search(plain(name)) or _INSIDE.search(plain(value))):
        return f"{name}={HIDDEN}"
    return text


def logged(
    request: WebRequest, verdict: str, status: int, rule: str, forward: Forward | None = None
) -> dict[str, Any]:
    """A line of the request log, but when, from where and whose. ``verdict`` is ``forwarded`` (``status`` is the mail
    server's), ``sent`` (it went there, no answer was seen), ``answered`` (by the door) or ``left`` (the client did,
    before anything went on)."""
    path = without_secrets(request.path)  # parameters of segments, where a head was refused unread
    target = f"{path}?{without_secrets(request.query)}" if request.query else path
    return {
        "method": request.method,
        "host": request.host,
        "path": without_secrets(request.canonical),
        "target": target[:MAX_TARGET],
        "cookies": [name[:64] for name, _ in request.cookies[:40]],
        "agent": request.header("user-agent")[:200],
        "type": request.header("content-type")[:100],
        "lane": _lane(rule, forward),
        "rule": rule[:120],
        "verdict": verdict,
        "status": status,
        "site": forward.site.name if forward is not None else "",
        "product": forward.site.product.value if forward is not None else "",
    }


def _lane(rule: str, forward: Forward | None) -> str:
    if forward is None:
        return "never" if rule.startswith(("never", "shield")) else ""
    if forward.access is None:
        return "public"
    return "web" if forward.access.identity.session else "device"


def of_line(at: float, account: str, source: str, data: Mapping[str, object]) -> LogRecord:
    """The request of a line of the request log, whatever a door wrote there."""
    path, _, query = _said(data, "target").partition("?")
    product = _PRODUCTS.get(_said(data, "product"))
    cookies = data.get("cookies")
    return LogRecord(
        at,
        _said(data, "method") or "GET",
        _said(data, "host"),
        path,
        query,
        tuple([(str(name), "") for name in cookies]) if isinstance(cookies, list) else (),
        _said(data, "agent"),
        _REACHED.get(_said(data, "verdict")),
        source,
        product,
        _said(data, "claimed") or account,
        _said(data, "rule"),
    )


_PRODUCTS = {product.value: product for product in Product}


def of_event(event: Event) -> LogRecord | None:
    """The request that a door refused, as its event tells; None where it does not say which."""
    path, method = event.data.get("path"), event.data.get("method")
    if not isinstance(path, str) or not path.startswith("/"):
        return None
    told: Mapping[str, object] = event.data
    return LogRecord(
        event.at,
        method if isinstance(method, str) and method else "GET",
        _said(told, "host"),
        path,
        _said(told, "query"),
        _cookies(told.get("cookies", [])),
        _said(told, "agent"),
        False,
        event.source,
        rule=_said(told, "reason"),
    )


def _said(data: Mapping[str, object], key: str) -> str:
    value = data.get(key, "")
    return value if isinstance(value, str) else ""


def _text(data: Mapping[str, object], key: str, default: str = "") -> str:
    value = data.get(key, default)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise RequestLogError(f"{key} is no text")
    return value


def _cookies(value: object) -> tuple[tuple[str, str], ...]:
    """Pairs, from an object, from names, or from pairs."""
    if isinstance(value, dict):
        return tuple((str(name), str(text)) for name, text in list(value.items())[:MAX_COOKIES])
    if isinstance(value, list):
        return tuple(
            (str(one[0]), str(one[1])) if isinstance(one, list) and len(one) == 2 else (str(one), "")
            for one in value[:MAX_COOKIES]
        )
    raise RequestLogError("cookies is neither a list nor an object")


def _time(value: object) -> float:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise RequestLogError("time is neither seconds since 1970 nor RFC 3339")
    return float(value)
