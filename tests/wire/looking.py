"""Dialogues of a look, led by hand: the peer's words and what is said to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from gambeson.wire.dialogue import Close, Send, StartTls
from gambeson.wire.probe import MAX_CAPABILITIES, MAX_NOTES, MAX_PAIRS, MAX_WORD, Aim, Fault, Offered, Probe

TLS = "TLS"  # in a conversation: TLS begins, and has begun


def led(probe: Probe[Any], *turns: bytes | str) -> list[bytes]:
    """Feeds the turns (``TLS`` answers the wish to begin it); all that the probe says, TLS and the end included."""
    said: list[bytes] = []

    def carry(commands: Sequence[object]) -> None:
        for command in commands:
            match command:
                case Send(data):
                    said.append(data)
                case StartTls():
                    said.append(b"<TLS>")
                case Close():
                    said.append(b"<end>")

    carry(probe.start())
    for turn in turns:
        carry(probe.tls_started() if isinstance(turn, str) else probe.receive(turn))
    return said


# Any octets, and pieces of the four protocols, so that scripts come further than their greeting.
WORDS = (
    b"220 mx\r\n", b"250-mx\r\n", b"250-AUTH NTLM PLAIN\r\n", b"250 STARTTLS\r\n", b"334 \r\n", b"421 no\r\n",
    b"221 x\r\n", b"* OK hi\r\n", b"* CAPABILITY STARTTLS ID AUTH=NTLM\r\n", b"g1 OK\r\n", b"g2 OK\r\n", b"g3 OK\r\n",
    b'* ID ("name" {3}\r\nabc)\r\n', b"* ID NIL\r\n", b"+ \r\n", b"+ TlRMTVNTUAACAAAA\r\n", b"* BYE\r\n",
    b"g4 OK\r\n", b"* PREAUTH\r\n", b"+OK hi <1@x>\r\n", b"+OK\r\n", b"STLS\r\n", b"SASL NTLM PLAIN\r\n", b"USER\r\n",
    b".\r\n", b"-ERR no\r\n", b'"SASL" "PLAIN"\r\n', b'"STARTTLS"\r\n', b'"IMPLEMENTATION" {3}\r\nabc\r\n',
    b"OK\r\n", b'NO "x"\r\n', b"BYE\r\n",
)  # fmt: skip
any_words = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=40)), max_size=25).map(b"".join)
aims = st.sampled_from(Aim)


def octets(*conversation: bytes) -> st.SearchStrategy[bytes]:
    """Any octets, and a good conversation with pieces of it left out, doubled, spoiled or put among others, so that
    scripts come to their end too."""
    kept = st.sampled_from(("keep", "keep", "keep", "keep", "leave out", "double", "spoil", "put before"))
    edits = st.tuples(kept, st.binary(max_size=12), st.integers(0, 200), any_words)
    spoiled = st.lists(edits, min_size=len(conversation), max_size=len(conversation)).map(
        lambda edits: b"".join(_edited(piece, *edit) for piece, edit in zip(conversation, edits, strict=True))
    )
    return st.one_of(spoiled, spoiled, any_words)


def _edited(piece: bytes, how: str, octets: bytes, at: int, others: bytes) -> bytes:
    match how:
        case "leave out":
            return b""
        case "double":
            return piece * 2
        case "spoil":
            return piece[:at] + octets + piece[at + len(octets) :]
        case "put before":
            return others + piece
        case _:
            return piece


def any_octets(probe: Probe[Any], what: bytes, cuts: list[int], closes: bool) -> None:
    """Feeds ``what`` cut anywhere, TLS whenever it is wished for, and looks at what was kept."""
    at = 0
    commands = probe.start()
    for size in [*cuts, len(what)]:
        assert all(isinstance(command, Send | StartTls | Close) for command in commands)
        if any(isinstance(command, StartTls) for command in commands):
            assert probe.receive(b"dropped") == []
            commands = probe.tls_started()
            continue
        commands = probe.receive(what[at : at + size])
        at += size
    if closes:
        probe.closed()
        probe.closed()
    seen = probe.seen
    assert len(seen.banner) <= 400
    assert len(seen.notes) <= MAX_NOTES
    assert len(seen.identity) <= MAX_PAIRS
    assert all(text.isprintable() and len(text) <= 1000 for text in seen.notes)
    for offer in (seen.plain, seen.secured):
        _bounded(offer)
    if seen.trouble:
        assert probe.over
        assert isinstance(seen.trouble.fault, Fault)
        assert seen.trouble.text.isprintable()
        assert len(seen.trouble.text) < 600
    if probe.over:
        assert probe.receive(what) == []
        assert probe.tls_started() == []


def _bounded(offer: Offered | None) -> None:
    if offer is None:
        return
    assert len(offer.capabilities) <= MAX_CAPABILITIES
    assert len(offer.mechanisms) <= MAX_CAPABILITIES + 1  # APOP is none of CAPA's
    assert all(
        word.isprintable() and len(word) <= MAX_WORD for word in (*offer.capabilities, *offer.mechanisms)
    )
