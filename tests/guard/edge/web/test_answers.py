"""Answers of a mail server are the same however their octets come, one after the other on one connection."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.edge.web.relay import Relay
from gambeson.guard.edge.web.upstream import Upstream
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint
from gambeson.wire.http_forward import AnswerHead


class Told:
    """In a relay's place: what it was told of each answer, and whether the connection is lost."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, bool]] = []
        self.lost = ""

    def heard(self, octets: int) -> None:
        assert octets

    def answer_head(self, _: Upstream, head: AnswerHead, piece: bytes, done: bool, until_close: bool) -> None:
        assert not until_close
        self.answers.append((head.status, piece, done))

    def answer_body(self, _: Upstream, piece: bytes, done: bool) -> None:
        status, before, _done = self.answers[-1]
        self.answers[-1] = (status, before + piece, done)

    def interim(self, head: AnswerHead) -> None:
        assert head.status < 200

    def upstream_lost(self, _: Upstream, why: str) -> None:
        self.lost = why


KINDS: tuple[tuple[bytes, bool, tuple[int, bytes]], ...] = (
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, (200, b"hello")),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc\r\n", False, (200, b"abc\r\n")),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", True, (200, b"")),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", False, (304, b"")),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False, (200, b"")),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", False, (200, b"abc")),
    (b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", False, (404, b"no")),
)


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.lists(st.integers(1, 80), max_size=3)), max_size=6),
    st.booleans(),
)
def test_answers_in_any_pieces(
    asked: list[tuple[tuple[bytes, bool, tuple[int, bytes]], list[int]]], more: bool
) -> None:
    told = Told()
    closed: list[bool] = []
    side = Upstream(cast(Relay, told), Endpoint(DoorKind.OWA, "10.0.0.1", 443), None)
    side.transport = cast(
        Any, SimpleNamespace(is_closing=lambda: bool(closed), abort=lambda: closed.append(True))
    )
    for (octets, head_only, _), cuts in asked:
        side.expect(head_only)
        edges = [0, *sorted({cut for cut in cuts if cut < len(octets)}), len(octets)]
        for begin, end in itertools.pairwise(edges):
            side.data_received(octets[begin:end])
        assert not side.waiting
        assert side.usable
    assert told.answers == [(status, body, True) for (_, _, (status, body)), _ in asked]
    assert not told.lost
    if more and asked:
        (octets, head_only, (status, body)), _cuts = asked[-1]
        side.expect(head_only)
        side.data_received(octets + b"hello")  # nobody asked for that
        assert not side.usable
        assert told.answers[len(asked) :] == [(status, body, True)]
