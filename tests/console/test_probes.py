"""The prober: what answers mean (any octets), and what it remembers and records."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.lab import T0, facts
from gambeson.console.core.availability import Up, availability
from gambeson.console.office import Listening
from gambeson.console.probes import MAX_OCTETS, Heard, Network, Prober, greeting, status
from gambeson.model.event import Event
from gambeson.store.errors import StoreFull

GREETED = ("imap", "pop3", "submission", "sieve")
IMAPS = Listening("imaps", "imap", "127.0.0.1", 1, True)
HTTPS = Listening("https", "webmail", "127.0.0.1", 2, True)


@pytest.mark.parametrize(
    ("door", "data", "up"),
    [
        ("imap", b"* OK [CAPABILITY IMAP4rev2] ready\r\n", True),
        ("imap", b"* PREAUTH hello\r\n", True),
        ("imap", b"* BYE too many\r\n", False),
        ("imap", b"+OK ready\r\n", False),
        ("imap", b"* OK no end of the line", None),
        ("pop3", b"+OK ready <1@x>\r\n", True),
        ("pop3", b"-ERR [SYS/TEMP] later\r\n", False),
        ("pop3", b"220 ready\r\n", False),
        ("submission", b"220 mail.example ESMTP\r\n", True),
        ("submission", b"220-mail.example\r\n220 ESMTP\r\n", True),
        ("submission", b"421 mail.example later\r\n", False),
        ("submission", b"554 no\r\n", False),
        ("submission", b"250 what?\r\n", False),
        ("sieve", b'"IMPLEMENTATION" "x"\r\n"SIEVE" "fileinto"\r\nOK "ready"\r\n', True),
        ("sieve", b'"IMPLEMENTATION" "x"\r\n', None),
        ("sieve", b'BYE (TRYLATER) "later"\r\n', False),
        ("sieve", b"", None),
        ("https", b"HTTP/1.1 303 See Other\r\n", True),
        ("https", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", True),
        ("https", b"HTTP/1.1 503 Service Unavailable\r\n", False),
        ("https", b"HTTP/1.1 2", None),
        ("https", b"SSH-2.0-x\r\n", False),
        ("https", b"HTTP/1.1\r\n", False),
    ],
)
def test_what_an_answer_means(door: str, data: bytes, up: bool | None) -> None:
    heard = status(data) if door == "https" else greeting(door, data)
    assert (heard.up if heard is not None else None) is up


@given(st.sampled_from((*GREETED, "https")), st.binary(max_size=3 * MAX_OCTETS), st.integers(1, 5000))
def test_any_octets_in_any_pieces_are_judged_within_bounds(door: str, data: bytes, piece: int) -> None:
    """Fed piece by piece, until there is a judgement: never an error, never more than the limit and a piece."""
    fed = b""
    for start in range(0, len(data), piece):
        fed += data[start : start + piece]
        heard = status(fed) if door == "https" else greeting(door, fed)
        if heard is not None:
            assert isinstance(heard.up, bool)
            assert heard.sentence.isprintable()
            assert len(heard.sentence) < 200
            return
        assert len(fed) <= MAX_OCTETS


@given(st.sampled_from(GREETED), st.binary(max_size=200), st.integers(1, 50))
def test_pieces_say_what_the_whole_says(door: str, tail: bytes, piece: int) -> None:
    first = {"imap": b"* OK hi\r\n", "pop3": b"+OK\r\n", "submission": b"220 x\r\n", "sieve": b"OK\r\n"}[door]
    data = first + tail
    for end in range(piece, len(data) + piece, piece):
        heard = greeting(door, data[:end])
        if heard is not None:
            assert heard.up
            return
    pytest.fail("never judged")


class Script:
    """Answers by listener, one for each knock; the last stays."""

    def __init__(self, **said: list[bool | None]) -> None:
        self.said = {name: iter(answers) for name, answers in said.items()}
        self.last: dict[str, bool | None] = {}
        self.knocks = 0

    async def __call__(self, listening: Listening) -> Heard:
        self.knocks += 1
        answers: Iterator[bool | None] = self.said[listening.name]
        self.last[listening.name] = next(answers, self.last.get(listening.name))
        return Heard(self.last[listening.name], "It answers.", 3)


def prober(script: Script, written: list[Event], clock: list[float], *listeners: Listening) -> Prober:
    return Prober(listeners or (IMAPS,), written.extend, script, lambda: clock[0], "a")


def step(one: Prober) -> None:
    asyncio.run(one.step(again=0.0))


def test_a_change_is_recorded_at_once_and_the_same_every_ten_minutes() -> None:
    written: list[Event] = []
    clock = [T0]
    # Down is said only after a second look.
    one = prober(Script(imaps=[True] * 41 + [False, False, True]), written, clock)
    for _ in range(43):
        step(one)
        clock[0] += 30.0
    kinds = [(event.kind.rpartition(".")[2], event.at - T0) for event in written]
    assert kinds == [("up", 0.0), ("up", 600.0), ("up", 1200.0), ("down", 1230.0), ("up", 1260.0)]
    assert {event.door for event in written} == {"imap"}
    assert {event.organisation for event in written} == {""}
    assert len({event.id for event in written}) == len(written)
    assert written[0].data == {"listener": "imaps", "milliseconds": 3, "sentence": "It answers."}
    # And the core reads of it what was so.
    seen = availability(written, T0, T0 + 1290.0, ["imap"])
    assert seen.down == pytest.approx(30.0 / 1290.0)


def test_one_bad_look_is_not_an_outage() -> None:
    written: list[Event] = []
    script = Script(imaps=[True, False, True])
    one = prober(script, written, [T0])
    step(one)
    step(one)
    assert [event.kind for event in written] == ["door.probe.up"]
    assert script.knocks == 3


def test_silence_of_the_prober_is_blind() -> None:
    clock = [T0]
    one = prober(Script(imaps=[True]), [], clock)
    assert one.states(T0)[0].state is Up.BLIND
    step(one)
    assert (one.states(T0 + 119)[0].state, one.states(T0 + 119)[0].since) == (Up.UP, T0)
    late = one.states(T0 + 500)[0]
    assert (late.state, late.since) == (Up.BLIND, T0 + 120)
    # After a gap nobody knows since when it is up: since it was seen again.
    clock[0] = T0 + 500
    step(one)
    assert (one.states(clock[0])[0].state, one.states(clock[0])[0].since) == (Up.UP, T0 + 500)


def test_what_cannot_be_asked_is_blind_and_not_recorded() -> None:
    written: list[Event] = []
    one = prober(Script(imaps=[None], https=[True]), written, [T0], IMAPS, HTTPS)
    step(one)
    assert [probe.state for probe in one.states(T0)] == [Up.BLIND, Up.UP]
    assert [event.data["listener"] for event in written] == ["https"]


def test_what_could_not_be_recorded_is_recorded_next_time() -> None:
    written: list[Event] = []
    full = [True]

    def append(events: list[Event]) -> None:
        if full[0]:
            raise StoreFull("The disk is full.")
        written.extend(events)

    one = Prober((IMAPS,), append, Script(imaps=[True]), lambda: T0, "a")
    step(one)
    assert one.states(T0)[0].state is Up.UP
    full[0] = False
    step(one)
    assert [event.kind for event in written] == ["door.probe.up"]


@pytest.mark.parametrize(
    ("proxied", "said", "up"),
    [
        (False, b"+OK hi\r\n", True),
        (False, b"", False),
        (True, b"", None),
        (False, b"+O", False),
        (True, b"+OK\r\n", True),
    ],
)
def test_a_real_socket_is_asked(proxied: bool, said: bytes, up: bool | None) -> None:
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if proxied:
            got.append(await reader.readexactly(16))
        writer.write(said)
        writer.close()

    async def ask() -> Heard:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await Network(facts())(Listening("pop3", "pop3", "127.0.0.1", port, False, proxied))

    heard = asyncio.run(ask())
    assert heard.up is up, heard
    assert all(header.startswith(b"\r\n\r\n\0\r\nQUIT\n\x20") for header in got)


def test_nobody_there_is_down_in_one_sentence() -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    heard = asyncio.run(Network(facts())(Listening("imaps", "imap", "127.0.0.1", port, True)))
    assert heard.up is False
    assert heard.sentence.startswith("Nobody answers there")
