"""Where a body ends, to the octet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.http_body import LAST_CHUNK, BodyError, Chunked, Counted, UntilClose, chunk


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def test_counted() -> None:
    reader = Counted(5)
    assert reader.take(b"he") == (b"he", b"")
    assert not reader.done
    assert reader.take(b"lloGET /") == (b"llo", b"GET /")
    assert reader.done
    assert Counted(0).done
    until = UntilClose()
    assert (until.take(b"x"), until.done) == ((b"x", b""), False)


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=6),
    st.lists(st.integers(0, 12), max_size=30),
    st.binary(),
)
def test_chunks_in_any_cut_give_the_body_and_what_is_behind_it(
    bodies: list[bytes], sizes: list[int], behind: bytes
) -> None:
    reader, body, rest = Chunked(), b"", b""
    for piece in cut(b"".join(map(chunk, bodies)) + LAST_CHUNK + behind, sizes):
        if reader.done:
            rest += piece
        elif piece:
            got, left = reader.take(piece)
            body += got
            rest += left
    assert reader.done
    assert (body, rest) == (b"".join(bodies), behind)


@pytest.mark.parametrize(
    ("data", "body", "rest"),
    [
        (b"5;ext=1\r\nhello\r\n0\r\n\r\nGET", b"hello", b"GET"),
        (b"005\r\nhello\r\n000\r\n\r\n", b"hello", b""),
        (b"A\r\n0123456789\r\n0\r\nX-Trailer: y\r\nZ: \r\n\r\nrest", b"0123456789", b"rest"),
    ],
)
def test_extensions_and_trailers_are_read_over(data: bytes, body: bytes, rest: bytes) -> None:
    assert Chunked().take(data) == (body, rest)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\nhello",
        b"g\r\n",
        b"-5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"5;\0\r\nhello\r\n",
        b"5_0\r\n",
        b"1234567890123456\r\n",
        b"5" * 300,
        b"5;" + b"a" * 300 + b"\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\nX: \0\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 4000,
        b"0\r\n\n",
        b"0\r\nX: " + b"y" * 9000,
    ],
)
def test_other_framings_are_refused(data: bytes) -> None:
    with pytest.raises(BodyError):
        Chunked().take(data)


@given(st.binary(), st.lists(st.integers(1, 9), max_size=20))
def test_any_octets_are_a_body_or_a_body_error(data: bytes, sizes: list[int]) -> None:
    for prefix in (b"", b"5\r\n", b"0\r\n"):
        reader = Chunked()
        try:
            for piece in cut(prefix + data, sizes):
                if reader.done:
                    break
                if piece:
                    reader.take(piece)
                assert len(reader._kept) <= 8192
        except BodyError:
            pass
