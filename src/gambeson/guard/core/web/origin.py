"""Where a browser's request comes from, where it may be sent, and how the door and the portal name each other.

Rules:

- An origin is compared as a whole text (RFC 6454 section 6.1): no prefix, no suffix, no upper case, no ``null``.
- What changes something must come from a page of the same origin, and so must a WebSocket (RFC 6455 section 10.2),
  which browsers let any page open.
- A path that a person is led back to is one of this host however a browser reads it, or it is not taken.
"""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import urlencode

from gambeson.model.web import WebRequest

OWN = "/.gambeson/"  # the door's own paths at an application's host
ENTER, LEAVE = OWN + "enter", OWN + "leave"
MAX_PATH = 2048
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))  # RFC 9110 section 9.2.1, without TRACE


def public_name(request: WebRequest) -> str:
    """The host as the browser names it: with the port where it is not 443."""
    host, mark, port = request.header("host").lower().partition(":")
    if host.rstrip(".") != request.host or not mark or port.lstrip("0") in ("", "443"):
        return request.host
    number = port.lstrip("0")
    return (
        f"{request.host}:{number}"
        if number.isascii() and number.isdigit() and len(number) <= 5
        else request.host
    )


def same_origin(request: WebRequest, strictly: bool = False) -> bool:
    """Whether a page of the same origin sent it: by Origin, and where none came by Sec-Fetch-Site (not for
    ``strictly``). A header that came twice is no witness."""
    origins = [value for name, value in request.headers if name == "origin"]
    if origins:
        return origins == [f"https://{public_name(request)}"]
    if strictly:
        return False
    return [value for name, value in request.headers if name == "sec-fetch-site"] == ["same-origin"]


def from_another_page(request: WebRequest) -> bool:
    """Whether a browser says that a page of another origin sent it. Programs say nothing of the kind."""
    found: bool | None = request.memo.get("from another page")
    if found is None:
        found = request.memo["from another page"] = _from_another_page(request)
    return found


def _from_another_page(request: WebRequest) -> bool:
    if any(name == "origin" for name, _ in request.headers):
        return not same_origin(request)
    sites = [value for name, value in request.headers if name == "sec-fetch-site"]
    return sites not in ([], ["none"], ["same-origin"])


def upgrade(request: WebRequest) -> bool:
    """Whether it wants to leave HTTP, for WebSocket."""
    return any(name == "upgrade" for name, _ in request.headers)


def allowed_origin(request: WebRequest) -> bool:
    """Whether its origin allows what it wants."""
    safe = request.method in SAFE_METHODS
    key = "origin of what is safe" if safe else "origin"
    found: bool | None = request.memo.get(key)
    if found is None:
        found = same_origin(request, strictly=True) if upgrade(request) else safe or same_origin(request)
        request.memo[key] = found
    return found


def navigation(request: WebRequest) -> bool:
    """Whether a person looks at what comes back, so that a redirect to the portal helps."""
    if request.method not in ("GET", "HEAD") or upgrade(request):
        return False
    mode = request.header("sec-fetch-mode")
    if mode:
        return mode == "navigate" and request.header("sec-fetch-dest") in ("", "document")
    return "text/html" in request.header("accept").lower()


def safe_path(text: str) -> str:
    """``text`` where it is a path of this host, with its query; else ``/``."""
    path = text.partition("?")[0]
    if (
        not text.startswith("/")
        or len(text) > MAX_PATH
        or "//" in path
        or "\\" in text
        or "#" in text
        or not all("!" <= char <= "~" for char in text)
        or path.lower().startswith(OWN)
    ):
        return "/"
    return text


def target(request: WebRequest) -> str:
    """What was asked for, as a path to come back to."""
    return safe_path(f"{request.path}?{request.query}" if request.query else request.path)


def state_of(cookie: str) -> str:
    """What the portal is told of the state cookie: its SHA-256 in hex."""
    return sha256(cookie.encode()).hexdigest()


def enter_url(portal: str, host: str, state: str, to: str) -> str:
    """The portal's address to send a browser to. ``portal`` is its origin, ``host`` ours with its port."""
    return f"{portal}/enter?{urlencode({'host': host, 'state': state, 'to': to})}"
