"""The grammar: commands cut from a stream, their arguments, a mail server's answers."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.imap import (
    Answer,
    Cursor,
    Framer,
    GrammarError,
    LimitError,
    LiteralAsked,
    bye,
    human,
    may_hold_literal,
    parse_answer,
    parse_head,
    quoted,
)


def framer(ask: bool = True) -> Framer:
    return Framer(line=100, literal=50, total=200, ask=ask)


def everything(f: Framer) -> list[object]:
    got: list[object] = []
    while (one := f.next()) is not None:
        got.append(one)
        if isinstance(one, LiteralAsked):
            f.grant() if one.size >= 0 else f.abandon()
    return got


CUT = [
    (b"a NOOP\r\n", [[b"a NOOP"]]),
    (b"a NOOP\nb NOOP\r\n", [[b"a NOOP"], [b"b NOOP"]]),
    (b"\r\n", [[b""]]),
    (
        b"a LOGIN {3}\r\nbob {2}\r\npw\r\n",
        [LiteralAsked(b"a LOGIN ", 3), LiteralAsked(b"a LOGIN ", 2), [b"a LOGIN ", b"bob", b" ", b"pw", b""]],
    ),
    (b"a LOGIN {3+}\r\nb\r\n {0+}\r\n\r\n", [[b"a LOGIN ", b"b\r\n", b" ", b"", b""]]),
    (b"a LOGIN b pw{5}\r\n", [[b"a LOGIN b pw{5}"]]),  # an unquoted password, no literal
    (b"a LOGIN b {x}\r\n", [[b"a LOGIN b {x}"]]),
    (b"a LOGIN b {}\r\n", [[b"a LOGIN b {}"]]),
    (b"a LOGIN b }\r\n", [[b"a LOGIN b }"]]),
    (b"a LOGIN {51}\r\nb NOOP\r\n", [LiteralAsked(b"a LOGIN ", -1), [b"b NOOP"]]),
    (b"a LOGIN {%s}\r\nb NOOP\r\n" % (b"9" * 80), [LiteralAsked(b"a LOGIN ", -1), [b"b NOOP"]]),
]


@pytest.mark.parametrize(("stream", "expected"), CUT)
def test_cut(stream: bytes, expected: list[object]) -> None:
    whole = framer()
    whole.feed(stream)
    assert everything(whole) == expected
    assert whole.held == 0
    single, got = framer(), []
    for i in range(len(stream)):
        single.feed(stream[i : i + 1])
        got += everything(single)
    assert got == expected


TOO_MUCH = [
    b"a" * 101,
    b"a" * 101 + b"\r\n",
    b"a {51+}\r\n",
    b"a {999999999999999999999+}\r\n",
    b"x {50+}\r\n"
    + b"y" * 50
    + b" {50+}\r\n"
    + b"y" * 50
    + b" {50+}\r\n"
    + b"y" * 50
    + b" {50+}\r\n"
    + b"y" * 50,
    b"a ID (" + b"{0+}\r\n" * 60,
]


@pytest.mark.parametrize("stream", TOO_MUCH)
def test_too_much_ends_the_stream(stream: bytes) -> None:
    f = framer()
    f.feed(stream)
    with pytest.raises(LimitError):
        everything(f)


def test_a_line_at_its_limit_is_taken_however_it_is_cut() -> None:
    f = framer()
    for i in range(99):
        f.feed(b"a")
        assert f.next() is None, i
    f.feed(b"\r")
    assert f.next() is None
    f.feed(b"\n")
    assert f.next() == [b"a" * 99]


def test_a_line_beyond_its_limit_is_refused_whole_or_cut() -> None:
    for chunks in ([b"a" * 100 + b"\r\n"], [b"a" * 100 + b"\r", b"\n"], [b"a" * 101 + b"\n"]):
        f = framer()
        with pytest.raises(LimitError):
            [(f.feed(chunk), f.next()) for chunk in chunks]


HEADS = [
    (b"a NOOP", (b"a", b"NOOP", 6)),
    (b"A.1] login x", (b"A.1]", b"LOGIN", 10)),
    (b"a X-THING", (b"a", b"X-THING", 9)),
    (b"a", (b"a", b"", 1)),
    (b"a ", (b"a", b"", 2)),
    (b"", (b"*", b"", 0)),
    (b" a NOOP", (b"*", b"", 7)),
    (b"a+b NOOP", (b"*", b"", 8)),
    (b"+ NOOP", (b"*", b"", 6)),
    (b"a\0 NOOP", (b"*", b"", 7)),
    (b"a\r NOOP", (b"*", b"", 7)),
    (b"\xff NOOP", (b"*", b"", 6)),
    (b"a NOOP\tx", (b"a", b"", 8)),
    (b"* NOOP", (b"*", b"", 6)),
]


@pytest.mark.parametrize(("line", "head"), HEADS)
def test_head(line: bytes, head: tuple[bytes, bytes, int]) -> None:
    assert parse_head(line) == head


ASTRINGS = [
    ([b"bob"], b"bob"),
    ([b"a]b"], b"a]b"),
    ([b'""'], b""),
    ([b'"a b"'], b"a b"),
    ([b'"a\\"b\\\\c"'], b'a"b\\c'),
    (['"ren\u00e9"'.encode()], "ren\u00e9".encode()),
    ([b"", b"lit\0\r\n\xff", b""], b"lit\0\r\n\xff"),
    ([b"", b"", b""], b""),
    ([b'"a\\b"'], None),
    ([b'"a'], None),
    ([b'"a\\"'], None),
    ([b'"a\rb"'], None),
    ([b'"a\0b"'], None),
    ([b"a*"], None),
    ([b"a\xff"], None),
    ([b"{3}"], None),
    ([b""], None),
    ([b"("], None),
    ([b"x", b"lit", b""], None),
]


@pytest.mark.parametrize(("pieces", "value"), ASTRINGS)
def test_astring(pieces: list[bytes], value: bytes | None) -> None:
    cursor = Cursor(pieces)
    if value is None:
        with pytest.raises(GrammarError):
            (cursor.astring(), cursor.end())
    else:
        assert cursor.astring() == value
        cursor.end()


def test_a_quoted_string_that_never_ends_costs_one_pass() -> None:
    with pytest.raises(GrammarError):
        Cursor([b'"' + b'\\"' * 4000]).astring()
    with pytest.raises(GrammarError):
        Cursor([b'"' + b"\\" * 8001]).astring()


ANSWERS = [
    (
        b"* OK [CAPABILITY IMAP4rev1 IDLE] hello",
        Answer(b"*", b"OK", b"CAPABILITY", b"IMAP4rev1 IDLE", b"hello"),
    ),
    (b"a no [AUTHENTICATIONFAILED] wrong", Answer(b"a", b"NO", b"AUTHENTICATIONFAILED", b"", b"wrong")),
    (b"a NO wrong", Answer(b"a", b"NO", text=b"wrong")),
    (b"a OK [oops", Answer(b"a", b"OK", text=b"[oops")),
    (b"+ Zm9v", Answer(b"+", text=b"Zm9v")),
    (b"+", Answer(b"+")),
    (b"* CAPABILITY IMAP4rev1", Answer(b"*", b"CAPABILITY", text=b"IMAP4rev1")),
    (b"* [x] y", Answer(b"*", b"[X]", text=b"y")),
    (b"", Answer(b"")),
]


@pytest.mark.parametrize(("line", "answer"), ANSWERS)
def test_answer(line: bytes, answer: Answer) -> None:
    assert parse_answer(line) == answer


def test_only_data_holds_literals() -> None:
    assert may_hold_literal(b'* ID ("name" {5}')
    assert not may_hold_literal(b"* OK use {5}")
    assert not may_hold_literal(b"* bye {5}")
    assert not may_hold_literal(b"a1 NO use {5}")


@given(st.text())
def test_what_we_say_stays_in_its_line(text: str) -> None:
    for said in (human(text), quoted(text), bye(text)[:-2]):
        assert said.isascii()
        assert said
        assert not set(said) & set(range(32))
    assert not human(text).startswith(b"[")
    assert bye(text).endswith(b"\r\n")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=100))
def test_quoted_reads_back(text: str) -> None:
    cursor = Cursor([quoted(text.strip())])
    assert cursor.astring().decode() == text.strip()
    cursor.end()


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=7).filter(lambda pieces: len(pieces) % 2))
def test_any_pieces_parse_or_raise_grammar_error(pieces: list[bytes]) -> None:
    for read in (Cursor.astring, Cursor.string, Cursor.nstring, Cursor.atom, Cursor.base64, Cursor.end):
        with suppress(GrammarError):
            read(Cursor(pieces))
    tag, name, at = parse_head(pieces[0])
    assert tag
    assert at <= len(pieces[0])
    assert name == name.upper()
    parse_answer(pieces[0])
