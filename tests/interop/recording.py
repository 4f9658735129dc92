"""What a browser asks of a web application while a person uses it, kept as shapes, without secrets.

A shape is method, target, names of headers, media types, Sec-Fetch values and whether a body came. Random values
(session, form and message tokens) are replaced by others of their kind before anything is kept.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, Response

DATA = Path(__file__).resolve().parents[1] / "data"
KEPT = ("accept", "content-type", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "x-requested-with")
LEFT = ("cookie", "host", "user-agent", "referer", "origin", "content-length", "connection")
RANDOM = [
    (
        re.compile(r"(_uploadid=upload|_unlock=loading|[?&]_=|browserTime=|newDraft)[0-9]+"),
        r"\g<1>1700000000",
    ),
    (re.compile(r"((?:^|[?&])_?token=)[A-Za-z0-9]+"), r"\1AbCdEfGhIjKlMnOpQrStUvWxYz012345"),
    (re.compile(r"((?:^|[?&])(?:_id|_search)=)[0-9a-f]{16,}"), r"\g<1>0123456789abcdef01234567"),
    (re.compile(r"multipart/form-data; boundary=.*"), "multipart/form-data; boundary=----boundary"),
]


class Recording:
    """Everything the page's browser profile asks of ``host``; ``stopped`` are requests that the door answered itself
    with 400, 403 or 404."""

    def __init__(self, page: Page, host: str) -> None:
        self.host = host
        self._requests: list[Request] = []
        self.stopped: list[tuple[int, str, str]] = []
        page.context.on("request", self._asked)
        page.context.on("response", self._answered)

    def _mine(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.hostname == self.host and not parts.path.startswith("/.gambeson/")

    def _asked(self, request: Request) -> None:
        if self._mine(request.url):
            self._requests.append(request)

    def shapes(self) -> list[dict[str, Any]]:
        """What was asked, each shape once, in the order it came first."""
        found: dict[str, dict[str, Any]] = {}
        for request in self._requests:
            shape = self._shape(request)
            # What differs by a number alone (a clock, a counter) is one shape.
            found.setdefault(re.sub(r"[0-9]+", "0", json.dumps(shape)), shape)
        return list(found.values())

    def _shape(self, request: Request) -> dict[str, Any]:
        parts, everything = urlsplit(request.url), request.all_headers()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {name: value for name, value in everything.items() if name in KEPT}
        names = sorted(name for name in everything if name not in (*KEPT, *LEFT) and name[0] != ":")
        shape: dict[str, Any] = {"method": request.method, "target": _plain(target)}
        shape |= {"headers": {name: _plain(value) for name, value in headers.items()}, "named": names}
        if everything.get("content-type"):
            shape["body"] = True
        return shape

    def _answered(self, response: Response) -> None:
        if self._mine(response.url) and response.status in (400, 403, 404):
            self.stopped.append((response.status, response.request.method, _plain(response.url)))


def write(name: str, about: dict[str, str], shapes: list[dict[str, Any]]) -> None:
    """Keeps shapes for the tests of grammar and shields."""
    DATA.mkdir(exist_ok=True)
    lines = ",\n".join(f"    {json.dumps(shape)}" for shape in shapes)
    head = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in about.items())
    (DATA / name).write_text(f'{{\n{head},\n  "requests": [\n{lines}\n  ]\n}}\n')


def _plain(text: str) -> str:
    for pattern, instead in RANDOM:
        text = pattern.sub(instead, text)
    return text
