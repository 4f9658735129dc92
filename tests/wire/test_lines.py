"""Lines out of chunks, and texts made fit to be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.lines import LineBuffer, LineTooLongError, ascii_human, human


@given(st.lists(st.binary(max_size=10)))
def test_lines_are_the_same_however_they_are_cut(chunks: list[bytes]) -> None:
    buffer, lines = LineBuffer(), []
    for chunk in chunks:
        buffer.feed(chunk)
        while (line := buffer.line(1000)) is not None:
            lines.append(line)
    *whole, rest = b"".join(chunks).split(b"\n")
    assert lines == [line.removesuffix(b"\r") for line in whole]
    assert buffer.take() == rest
    assert len(buffer) == 0


@pytest.mark.parametrize(
    ("data", "fits"), [(b"12345678\r\n", True), (b"123456789\r\n", False), (b"1" * 11, False)]
)
def test_the_limit_counts_the_end(data: bytes, fits: bool) -> None:
    for chunks in ([data], [bytes([octet]) for octet in data]):
        buffer, line = LineBuffer(), None
        try:
            for chunk in chunks:
                buffer.feed(chunk)
                line = buffer.line(10)
            assert (line is not None) is fits
        except LineTooLongError:
            assert not fits


def test_counted_octets() -> None:
    buffer = LineBuffer()
    buffer.feed(b"ab\r\n")
    assert buffer.octets(5) is None
    assert buffer.octets(3) == b"ab\r"
    assert buffer.line(10) == b""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ok", "ok"),
        ("a\r\nb\x00\x1b[31m", "a??b??[31m"),
        (b"caf\xc3\xa9 \xff", "caf\u00e9 ?"),
        ("\u202egnp.exe", "?gnp.exe"),  # no turning of the writing direction
        ("x" * 500, "x" * 400),
        ("  padded  ", "padded"),
    ],
)
def test_human(text: str | bytes, shown: str) -> None:
    assert human(text) == shown
    assert ascii_human(text) == shown.replace("\u00e9", "?")
