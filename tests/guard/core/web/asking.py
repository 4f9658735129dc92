"""Requests for the tests of grammar and shields, read by the door's own reader."""

from __future__ import annotations

from collections.abc import Iterable

from gambeson.guard.core.web.grammar import load_grammars
from gambeson.guard.core.web.shields import ShieldHit, load_shields
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint
from gambeson.model.web import Product, Route, Site, WebRequest
from gambeson.wire.http_head import read_request

HOST = "mail.example.org"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def site(product: Product) -> Site:
    endpoint = Endpoint(DoorKind.OWA, "backend.example.org", 443)
    return Site("site", product, (HOST,), endpoint, device_hosts=("devices.example.org",))


SITES = {product: site(product) for product in Product}


def ask(
    method: str, target: str, headers: Iterable[tuple[str, str]] = (), *, body: bool = False, host: str = HOST
) -> WebRequest:
    """The request as the gate gets it. Raises HeadError where the door takes no such head."""
    lines = [("Host", host), *headers]
    if body:
        lines.append(("Content-Length", "10"))
    return read_request(
        method.encode(),
        target.encode("utf-8"),
        "1.1",
        [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines],
        sni="",
        source="192.0.2.7",
        hosts=(HOST, "devices.example.org"),
    )


def route(product: Product, request: WebRequest) -> Route:
    return load_grammars()[product].classify(request, SITES[product])


def hit(product: Product, request: WebRequest, body: bytes = b"") -> ShieldHit | None:
    shields, where = load_shields(), SITES[product]
    found = shields.match(request, where)
    if found is None and body:
        limit = shields.wants_body(request, where)
        found = shields.match_body(request, where, body[:limit]) if limit else None
    return found
