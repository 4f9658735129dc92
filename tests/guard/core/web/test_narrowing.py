"""Narrowing decides nothing: with it, shields know exactly the requests that they know when all of them are asked."""

from __future__ import annotations

import re
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.web.canonical import plain, unescaped
from gambeson.guard.core.web.narrowing import narrowed
from gambeson.guard.core.web.replay import LogRecord, Screen
from gambeson.guard.core.web.shields import ShieldSet, load_shields
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint
from gambeson.model.web import Product, Site, WebRequest

SHIELDS = load_shields()
SITE = Site("s", Product.EXCHANGE, ("mail.example.org",), Endpoint(DoorKind.OWA, "10.0.0.1", 443))
CASES = [
    case.request()
    for one in SHIELDS.shields
    if one.product is SITE.product
    for case in (*one.positive, *one.negative)
]
TEXTS = sorted(
    {text for one in SHIELDS.shields for condition in one.conditions for text in condition.contains}
)
ESCAPES = [
    "%",
    "%25",
    "%2f",
    "%5c",
    "%40",
    "%u0041",
    "%%41",
    "%zz",
    "%C3%A9",
    "%c0%af",
    "%00",
    "\\",
    "//",
    "?",
    " ",
]


@st.composite
def targets(draw: st.DrawFn) -> str:
    """Pieces of attacks, of words that shields look for, and of anything, some of them escaped."""
    pieces = draw(
        st.lists(
            st.one_of(
                st.sampled_from(TEXTS),
                st.sampled_from(ESCAPES),
                st.sampled_from(CASES).map(lambda one: one.path),
                st.sampled_from(CASES).map(lambda one: one.query),
                st.text(st.characters(max_codepoint=255), max_size=6),
            ),
            max_size=6,
        )
    )
    how = draw(st.sampled_from([str, str.upper, partial(escaped, 1), partial(escaped, 2)]))
    return how("".join(pieces))


def escaped(times: int, text: str) -> str:
    for _ in range(times):
        text = "".join(f"%{ord(sign):02x}" if sign in "aeo./%" else sign for sign in text)
    return text


@given(st.sampled_from(CASES), st.sampled_from([None, *CASES]), targets(), targets(), st.booleans())
def test_the_door_and_the_replay_know_what_all_shields_know(
    base: WebRequest, other: WebRequest | None, path: str, query: str, own: bool
) -> None:
    path = base.path if own else "/" + path
    head = other or base
    request = WebRequest(
        base.method,
        "mail.example.org",
        path,
        query,
        path.lower(),
        (),
        head.headers,
        head.cookies,
        "192.0.2.1",
    )
    for shields in (SHIELDS, ShieldSet(SHIELDS.shields)):  # one that has seen others, and one that has not
        known = shields.matches(request, SITE.product)
        hit = shields.match(request, SITE)
        assert (hit.name if hit is not None else None) == (known[0].id if known else None)
        assert shields.match(request, SITE) == hit  # again, from memory
    agent = request.header("user-agent")
    record = LogRecord(
        1.0, request.method, request.host, path, query, head.cookies, agent, product=SITE.product
    )
    screen = Screen(SHIELDS, SITE.product)
    assert screen.matches(record) == SHIELDS.matches(record.request(), SITE.product)
    assert screen.matches(record) == SHIELDS.matches(record.request(), SITE.product)


@given(
    st.lists(st.text("ab?/", max_size=3), min_size=1, max_size=6),
    st.lists(st.text("ab/", max_size=4), min_size=1, max_size=2),
    st.text("ab?/", min_size=1, max_size=6),
    st.data(),
)
def test_what_is_left_out_has_no_word_in_the_url(
    words: list[str], paths: list[str], query: str, data: st.DataObject
) -> None:
    numbers = st.frozensets(st.integers(0, len(words) - 1))
    left, alive = data.draw(numbers), data.draw(numbers)
    kept = narrowed(left, alive, words, tuple(paths)).of_query(query)
    holding = {n for n in left & alive if any(words[n] in f"{path}?{query}" for path in paths)}
    assert holding <= set(kept) <= left & alive
    assert list(kept) == sorted(kept)


ESCAPE = re.compile(r"%[uU]([0-9a-fA-F]{4})|%([0-9a-fA-F]{2})")


@given(st.one_of(st.text(), targets()))
def test_escapes_are_read_as_one_pattern_reads_them(text: str) -> None:
    assert unescaped(text) == ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


@given(targets())
def test_what_is_plain_stays_plain(text: str) -> None:
    once = plain(text)
    if "%" not in once and once.isascii():
        assert plain(once) == once
