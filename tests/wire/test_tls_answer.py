"""A server's answer in clear, from servers of every temper. Octets are written as the RFCs draw them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gambeson.wire.tls_answer import MAX_OCTETS, Alert, HelloReader, NotTls, Result, ServerHello, Ssl2Reader

RETRY = hashlib.sha256(b"HelloRetryRequest").digest()


def record(kind: int, payload: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(payload).to_bytes(2, "big") + payload


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def hello(
    version: bytes = b"\3\3", suite: int = 0xC02F, random: bytes = bytes(32), extensions: bytes = b""
) -> bytes:
    tail = len(extensions).to_bytes(2, "big") + extensions if extensions else b""
    return message(2, version + random + b"\0" + suite.to_bytes(2, "big") + b"\0" + tail)


def certificates(*ders: bytes) -> bytes:
    inner = b"".join(len(der).to_bytes(3, "big") + der for der in ders)
    return message(11, len(inner).to_bytes(3, "big") + inner)


def group(bits: int) -> bytes:
    prime = ((1 << bits) - 1).to_bytes((bits + 7) // 8, "big")
    return message(12, len(prime).to_bytes(2, "big") + prime + b"\0\1\2" + b"\0\1\3" + b"signature")


DONE = message(14, b"")
TLS13 = b"\0\x2b\0\2\3\4"


def read(octets: bytes, size: int = 65536) -> Result | None:
    reader = HelloReader()
    for at in range(0, len(octets), size):
        reader.feed(octets[at : at + size])
    return reader.result if reader.result is not None else reader.end()


FLIGHT = hello(suite=0x0033) + certificates(b"leaf", b"above") + group(1024) + DONE


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 65536])
@pytest.mark.parametrize("cut", [1, 5, 16384])
def test_a_whole_flight_in_any_records_and_chunks(size: int, cut: int) -> None:
    records = b"".join(record(22, FLIGHT[at : at + cut]) for at in range(0, len(FLIGHT), cut))
    assert read(records, size) == ServerHello(
        0x0303, 0x0033, certificates=(b"leaf", b"above"), dh_bits=1024, complete=True
    )


def test_only_dhe_has_a_group() -> None:
    found = read(record(22, hello(suite=0xC02F) + certificates(b"leaf") + group(1024) + DONE))
    assert isinstance(found, ServerHello)
    assert found.dh_bits == 0


def test_tls13_ends_with_the_hello() -> None:
    assert read(record(22, hello(suite=0x1301, extensions=TLS13))) == ServerHello(
        0x0304, 0x1301, complete=True
    )


def test_a_retry_is_an_answer_too() -> None:
    found = read(record(22, hello(suite=0x1301, random=RETRY, extensions=TLS13)))
    assert found == ServerHello(0x0304, 0x1301, retry=True, complete=True)


def test_messages_between_do_not_matter() -> None:
    octets = message(0, b"") + hello() + message(22, b"status") + message(13, b"please") + DONE
    assert read(record(22, octets)) == ServerHello(0x0303, 0xC02F, complete=True)


def test_an_alert_says_no() -> None:
    assert read(record(21, b"\2\x28")) == Alert(2, 40)
    assert Alert(2, 40).words == "handshake failure"
    assert Alert(2, 200).words == "alert 200"


def test_an_alert_in_halves() -> None:
    assert read(record(21, b"\2") + record(21, b"\x46")) == Alert(2, 70)


def test_a_warning_does_not_end_it() -> None:
    octets = record(21, b"\1\x70") + record(22, hello() + DONE)
    assert read(octets) == ServerHello(0x0303, 0xC02F, complete=True)


def test_a_close_notify_does() -> None:
    assert read(record(21, b"\1\0") + record(22, hello() + DONE)) == Alert(1, 0)


def test_an_alert_behind_the_hello_takes_it_back() -> None:
    assert read(record(22, hello()) + record(21, b"\2\x50")) == Alert(2, 80)


def test_a_broken_off_flight_still_chose() -> None:
    found = read(record(22, FLIGHT[:-8]))
    assert isinstance(found, ServerHello)
    assert (found.complete, found.certificates) == (False, (b"leaf", b"above"))


@pytest.mark.parametrize(
    "tail",
    [b"nonsense", record(22, hello()), record(23, b"data"), record(22, message(11, b"\0\0\x09123"))],
)
def test_nonsense_behind_the_hello_does_not_take_it_back(tail: bytes) -> None:
    assert read(record(22, hello()) + tail) == ServerHello(0x0303, 0xC02F)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"220 mail.example.org ESMTP\r\n", "it says “220 mail.example.org ESMTP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it says “HTTP/1.1 400 Bad Request"),
        (b"\x16\x02\x00", "it says “"),
        (b"\x00" * 100, "it says “???"),
        (b"\x1b[2J\x16", "it says “?[2J?”"),
        (record(23, b"data"), "encrypted data comes before the handshake"),
        (record(22, DONE), "the handshake begins with something else than a hello"),
        (record(22, message(2, b"\3\3")), "the server's hello is malformed"),
        (record(22, message(2, b"\3\3" + bytes(32) + b"\xff\0")), "the server's hello is malformed"),
        (b"\x16\3\3\xff\xff", "a record is longer than records are"),
        (b"\x16\3\3\0\x09\2", "the answer breaks off"),
        (record(22, b""), "the answer breaks off"),
        (record(22, b"") * 100, "the answer does not come forward"),
        (record(21, b"\1\x70") * 100, "the answer does not come forward"),
        (record(22, message(0, b"")) * 100, "the answer does not come forward"),
        (record(20, b"\1") * 100, "the answer does not come forward"),
    ],
)
def test_what_is_not_tls(octets: bytes, reason: str) -> None:
    found = read(octets)
    assert isinstance(found, NotTls)
    assert found.reason.startswith(reason)
    assert found.reason.isprintable()


def test_a_huge_list_of_certificates_is_not_waited_for() -> None:
    claim = b"\x0b\xff\xff\xff"
    assert read(record(22, hello() + claim)) == ServerHello(0x0303, 0xC02F, too_long=True)
    assert read(record(22, b"\2\xff\xff\xff")) == NotTls("the answer does not end")


def test_no_more_than_its_limit_is_held() -> None:
    reader = HelloReader()
    reader.feed(record(22, hello()))
    part = record(22, b"\x16\x00\x00\x01." * 3000)
    fed = 0
    while reader.result is None:
        assert fed <= MAX_OCTETS + len(part)
        reader.feed(part)
        fed += len(part)
    assert isinstance(reader.result, ServerHello)


def test_a_flight_without_end_in_one_message() -> None:
    reader = HelloReader()
    reader.feed(record(22, hello() + b"\x0b\x0f\xff\xff"))
    for _ in range(MAX_OCTETS // 16384 + 2):
        reader.feed(record(22, bytes(16384)))
    assert reader.result == ServerHello(0x0303, 0xC02F, too_long=True)


def test_after_the_result_nothing_is_taken() -> None:
    reader = HelloReader()
    reader.feed(record(21, b"\2\x28"))
    reader.feed(record(22, hello() + DONE))
    assert reader.result == Alert(2, 40)
    assert reader.end() == Alert(2, 40)


def test_silence_is_no_result() -> None:
    reader = HelloReader()
    assert reader.end() is None
    assert not reader.started


PIECES = st.one_of(
    st.binary(max_size=64),
    st.builds(record, st.integers(0, 255), st.binary(max_size=64)),
    st.builds(lambda k, b: record(22, message(k, b)), st.integers(0, 24), st.binary(max_size=64)),
    st.builds(lambda s: record(22, hello(suite=s)), st.integers(0, 0xFFFF)),
    st.just(record(22, FLIGHT)),
)


@given(st.lists(PIECES, max_size=8).map(b"".join), st.lists(st.integers(1, 40), max_size=30))
@example(record(22, FLIGHT), [1])
def test_any_octets_in_any_chunks_give_one_result(octets: bytes, sizes: list[int]) -> None:
    """Nothing is raised, and how the octets were cut changes nothing."""
    reader = HelloReader()
    at = 0
    for size in sizes:
        reader.feed(octets[at : at + size])
        at += size
    reader.feed(octets[at:])
    found, whole = reader.end(), read(octets)
    if isinstance(found, NotTls):  # how much of the nonsense is shown depends on what was there
        assert isinstance(whole, NotTls)
    else:
        assert found == whole
    assert reader.end() is None or isinstance(reader.end(), ServerHello | Alert | NotTls)


SSL2 = b"\x80\x30\4\0\1\0\2\0\x10\0\3\0\x10" + b"c" * 16 + b"\1\0\x80" + b"i" * 16


@pytest.mark.parametrize(
    ("octets", "taken"),
    [
        (SSL2, True),
        (SSL2[:9] + b"\0\0" + SSL2[11:], False),  # no ciphers in common
        (b"\x80\x03\0\0\1", None),
        (record(21, b"\2\x28"), False),
        (b"220 mail", False),
        (b"\x80", None),
        (b"\xff" * 100, False),
    ],
)
def test_ssl2(octets: bytes, taken: bool | None) -> None:
    for size in (1, 100):
        reader = Ssl2Reader()
        for at in range(0, len(octets), size):
            reader.feed(octets[at : at + size])
        assert reader.taken is taken


@given(st.binary(max_size=100), st.integers(0, 100))
def test_ssl2_of_any_octets(octets: bytes, cut: int) -> None:
    whole, parts = Ssl2Reader(), Ssl2Reader()
    whole.feed(octets)
    parts.feed(octets[:cut])
    parts.feed(octets[cut:])
    assert whole.taken is parts.taken
