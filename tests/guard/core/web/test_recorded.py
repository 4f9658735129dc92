"""Sessions of real clients at real servers (``tests/data``, recorded through the door by the tests in ``interop``): no
request of theirs is stopped by grammar or shields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gambeson.guard.core.web.origin import allowed_origin
from gambeson.model.web import Lane, Product, WebRequest
from guard.core.web.asking import HOST, ask, hit, route

DATA = Path(__file__).resolve().parents[3] / "data"
SESSIONS = {
    "roundcube-session.json": (Lane.WEB, 100),
    "sogo-session.json": (Lane.WEB, 100),
    "sogo-phone-session.json": (Lane.DEVICE, 15),
}
each = pytest.mark.parametrize("name", SESSIONS)


def recorded(name: str) -> Iterator[tuple[Product, dict[str, Any], WebRequest]]:
    """The requests of one session, with the headers whose values were not kept given some."""
    document = json.loads((DATA / name).read_text())
    for shape in document["requests"]:
        headers = [*shape["headers"].items(), *((name, "1") for name in shape["named"])]
        if shape["method"] not in ("GET", "HEAD", "OPTIONS"):
            headers.append(("Origin", f"https://{HOST}"))
        request = ask(shape["method"], shape["target"], headers, body=shape.get("body", False))
        yield Product(document["product"]), shape, request


@each
def test_nothing_of_a_recorded_session_is_stopped(name: str) -> None:
    lane, least = SESSIONS[name]
    seen, stopped = 0, []
    for product, shape, request in recorded(name):
        found, where = hit(product, request), route(product, request)
        seen += 1
        if found is not None or where.lane is not lane or not allowed_origin(request):
            stopped.append((shape["method"], shape["target"], found.name if found else where.rule))
    assert stopped == []
    assert seen >= least


@each
def test_at_another_product_most_of_it_would_be(name: str) -> None:
    """The test above can fail."""
    asked = [request for _, _, request in recorded(name)]
    other = Product.SOGO if name.startswith("roundcube") else Product.ROUNDCUBE
    never = [route(other, request).lane is Lane.NEVER for request in asked]
    assert sum(never) > len(never) * 0.9


@each
def test_the_recording_holds_no_secret(name: str) -> None:
    text = (DATA / name).read_text()
    for word in ("cookie:", "password=", "Basic ", "gambeson-session", "localhost", "127.0.0.1"):
        assert word not in text, word
    assert HOST not in text
