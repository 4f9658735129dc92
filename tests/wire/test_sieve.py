"""The ManageSieve grammar: tokens out of chunks, errors, and what we write read back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.sieve import (
    MAX_TOKENS,
    Kind,
    Reader,
    SieveSyntaxError,
    Token,
    parse_result,
    result,
    string,
)


def reader(*, server: bool = False) -> Reader:
    return Reader(line=1000, literal=500, total=1500, server=server)


def read(data: bytes, *, server: bool = False) -> list[Token] | None:
    r = reader(server=server)
    r.input.feed(data)
    return r.next()


A = lambda value: Token(Kind.ATOM, value)  # noqa: E731
S = lambda value: Token(Kind.STRING, value)  # noqa: E731


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        (b"NOOP", [A(b"NOOP")]),
        (b"noop  \t ", [A(b"noop")]),
        (b"", []),
        (b'A "b" "c \\" \\\\ d"', [A(b"A"), S(b"b"), S(b'c " \\ d')]),
        (b'A "{3+}"', [A(b"A"), S(b"{3+}")]),
        (b"A {3+}\r\nb\r\n", [A(b"A"), S(b"b\r\n")]),
        (b'A {0+}\r\n {1+}\r\nx "y"', [A(b"A"), S(b""), S(b"x"), S(b"y")]),
        (b'OK (TAG "x") "y"', [A(b"OK"), Token(Kind.OPEN), A(b"TAG"), S(b"x"), Token(Kind.CLOSE), S(b"y")]),
        ('A "\u00e9"'.encode(), [A(b"A"), S("\u00e9".encode())]),
    ],
)
def test_tokens(line: bytes, tokens: list[Token]) -> None:
    assert read(line + b"\r\n") == tokens
    assert read(line) is None


@pytest.mark.parametrize(
    ("line", "fatal"),
    [
        (b'A "b', False),
        (b'A "b\\c"', False),
        (b'A"b"', False),
        (b'A "b"c', False),
        (b"A {3+} x", False),
        (b"A \xff", False),
        (b"A \x00", False),
        (b'A "b\rc"', False),
        (b"A " * (MAX_TOKENS + 1), False),
        (b"A {3}", True),
        (b"A \xff {3+}", True),  # else the literal would be read as commands
        (b'A "b {3+}', True),
        (b"A {501+}", True),
        (b"A {99999999999+}", True),
        (b"A " + b"x" * 1000, True),
    ],
)
def test_errors(line: bytes, fatal: bool) -> None:
    r = reader()
    r.input.feed(line + b"\r\nNOOP\r\n")
    with pytest.raises(SieveSyntaxError) as error:
        r.next()
    assert error.value.fatal is fatal
    if not fatal:
        assert r.next() == [A(b"NOOP")]


def test_a_command_is_bounded_with_all_its_literals() -> None:
    part = b" {400+}\r\n" + b"x" * 400
    with pytest.raises(SieveSyntaxError) as error:
        read(b"A" + part * 5 + b"\r\n")
    assert error.value.fatal


def test_a_servers_literal_has_no_plus() -> None:
    assert read(b'"SIEVE" {3}\r\nabc\r\n', server=True) == [S(b"SIEVE"), S(b"abc")]


def test_tokens_do_not_show_what_they_hold() -> None:
    assert "secret" not in repr(S(b"secret"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"OK", ("OK", "", "")),
        (b'no (trylater) "x"', ("NO", "TRYLATER", "x")),
        (b'BYE (REFERRAL "sieve://x") "moved"', ("BYE", "REFERRAL", "moved")),
        (b'NO (QUOTA/MAXSIZE) "a\tb"', ("NO", "QUOTA/MAXSIZE", "a?b")),
        (b"NO (", ("NO", "", "")),
        (b'NO () "x"', ("NO", "", "x")),
        (b'"SIEVE" "x"', None),
        (b"", None),
    ],
)
def test_results(line: bytes, expected: tuple[str, str, str] | None) -> None:
    tokens = read(line + b"\r\n", server=True)
    assert tokens is not None
    found = parse_result(tokens)
    assert (found and (found.status, found.code, found.text)) == expected


def test_result_lines_are_clean() -> None:
    assert result("NO", 'a "b"\r\nOK', "TRYLATER") == b'NO (TRYLATER) "a \\"b\\"??OK"\r\n'


@given(st.binary(max_size=400), st.booleans())
def test_strings_come_back(value: bytes, server: bool) -> None:
    assert read(b"A " + string(value, server=server) + b"\r\n", server=server) == [A(b"A"), S(value)]


PIECES = st.sampled_from(
    [b"A ", b'"x" ', b"{2+}\r\nab", b"{2}\r\nab", b"\r\n", b"\n", b"(", b")", b'"', b"\\", b"OK "]
)


@given(
    st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=20).map(b"".join),
    st.lists(st.integers(0, 80)),
)
def test_any_octets_in_any_chunks(stream: bytes, cuts: list[int]) -> None:
    def run(chunks: list[bytes]) -> list[object]:
        r, out = reader(), []
        for chunk in chunks:
            r.input.feed(chunk)
            while True:
                try:
                    tokens = r.next()
                except SieveSyntaxError as error:
                    out.append((str(error), error.fatal))
                    if error.fatal:
                        return out
                    continue
                if tokens is None:
                    break
                out.append(tokens)
        return out

    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert run([stream]) == run([stream[a:b] for a, b in itertools.pairwise(edges)])
