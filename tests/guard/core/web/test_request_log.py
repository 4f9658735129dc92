"""Stored requests: what a line and an event say, and shields over them."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.web.replay import replay
from gambeson.guard.core.web.request_log import RequestLogError, of_event, read_line, shape
from gambeson.guard.core.web.shields import load_shields
from gambeson.model.event import Event
from gambeson.model.web import Product, WebRequest

ATTACK = {
    "time": "2021-02-21T10:00:00Z",
    "method": "POST",
    "host": "m",
    "path": "/ecp/y.js",
    "source": "192.0.2.1",
}


def line(**changes: object) -> bytes:
    return json.dumps(ATTACK | changes).encode()


def test_a_line_with_everything() -> None:
    found = read_line(
        line(query="a=b", cookies={"X-BEResource": "x"}, agent="a", admitted=True, product="exchange")
    )
    assert (found.time, found.method, found.path) == (1613901600.0, "POST", "/ecp/y.js")
    assert found.cookies == (("X-BEResource", "x"),)
    assert (found.admitted, found.product) == (True, Product.EXCHANGE)
    assert read_line(line(cookies=["a", ["b", "c"]])).cookies == (("a", ""), ("b", "c"))


@pytest.mark.parametrize(
    "bad",
    [b"", b"[]", b"null", b"{}", line(time=-1), line(time=True), line(time="noon"), line(path=5), line(cookies=3),
     line(product="mail"), line(path="/" * 20000), b"[" * 60000, b"\xff", b"x" * 70000],
)  # fmt: skip
def test_a_line_that_is_none(bad: bytes) -> None:
    with pytest.raises(RequestLogError):
        read_line(bad)


KEYS = st.sampled_from([*ATTACK, "cookies", "product"])
VALUES = st.recursive(
    st.none() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(st.binary(max_size=300) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_line_is_a_request_or_the_one_error(data: bytes) -> None:
    with suppress(RequestLogError):
        read_line(data)


def test_nine_days_before_it_was_known_and_it_did_not_come_through() -> None:
    records = [read_line(line()), read_line(line(time="2021-03-05T10:00:00Z"))]
    [hit] = [one for one in replay(load_shields(), records) if one.shield == "proxylogon"]
    assert (hit.days, hit.count, hit.reached, hit.source) == (9, 2, 0, "192.0.2.1")
    assert "9 days before disclosure, reached the mail server: no" in hit.sentence


def test_what_a_door_records_of_an_attack_is_found_again() -> None:
    request = WebRequest(
        "GET",
        "mail.example.org",
        "/owa/auth/x.js",
        "a=b",
        "/owa/auth/x.js",
        headers=(("user-agent", "scanner"),),
        cookies=(("X-AnonResource", "true"), ("sid", "a secret")),
    )
    told = shape(request, "never refused-cookie")
    assert "a secret" not in str(told)
    event = Event(
        "e",
        1.0,
        "door.web.refused",
        source="192.0.2.9",
        data={"path": request.canonical, "method": "GET", **told},
    )
    record = of_event(event)
    assert record is not None
    assert (record.agent, record.query, record.admitted) == ("scanner", "a=b", False)
    assert "proxylogon" in {one.shield for one in replay(load_shields(), [record])}


def test_a_legitimate_requests_query_is_not_kept() -> None:
    request = WebRequest("GET", "m", "/owa/", "itemid=secret", "/owa/")
    assert shape(request, "no-session") == {}
    assert shape(None, "never x") == {}
    assert of_event(Event("e", 1.0, "door.web.refused", data={"path": "", "method": "GET"})) is None
