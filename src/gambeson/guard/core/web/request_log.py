"""Stored requests, to run shields over: one JSON object a line, or an event that a door recorded.

A line has ``time`` (seconds since 1970, or RFC 3339), ``method``, ``host``, ``path`` and, where known, ``query``,
``cookies`` (a list of names, or an object), ``agent``, ``source``, ``admitted`` and ``product``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gambeson.model.event import Event
from gambeson.model.web import Product, WebRequest

from .shields import LogRecord

MAX_LINE = 65536
MAX_LINES = 10_000_000
MAX_TEXT = 16384
MAX_COOKIES = 200
MAX_KEPT = 1000  # characters of a query in a record


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
        "query": request.query[:MAX_KEPT],
        "cookies": [name[:64] for name, _ in request.cookies[:20]],
        "agent": request.header("user-agent")[:200],
    }


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
