"""The grammar: lines, replies, paths, parameters, xtext, content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.smtp import BareNewlineError, LineReader, LineTooLongError, Reply, SmtpError, reply, xtext
from gambeson.wire.smtp_data import ChunkReader, DataReader, Stuffer, clean
from gambeson.wire.smtp_header import addresses_of
from gambeson.wire.smtp_path import mail, mailbox, rcpt

PATHS = [
    (b"FROM:<>", None),
    (b"from: <a@b.example>", "a@b.example"),
    (b'FROM:<"a b"@b.example>', '"a b"@b.example'),
    (b'FROM:<"a>b\\""@b.example>', '"a>b\\""@b.example'),
    (b'FROM:<"a.b"@B.example>', "a.b@b.example"),
    (b"FROM:<@x.example:a@b.example>", "a@b.example"),
    (b"FROM:<a@[127.0.0.1]>", "a@[127.0.0.1]"),
    (b"FROM:<a+b=c@b.example>", "a+b=c@b.example"),
    ("FROM:<Ü@BÜCHER.example> SMTPUTF8".encode(), "ü@xn--bcher-kva.example"),
]


@pytest.mark.parametrize(("argument", "canonical"), PATHS)
def test_paths(argument, canonical):
    box, _ = mail(argument)
    assert (box.canonical if box else None) == canonical


NO_PATHS = [
    b"",
    b"FROM",
    b"FROM:",
    b"FROM:a@b",
    b"FROM:<a>",
    b"FROM:<@b>",
    b"FROM:<a@>",
    b"FROM:<a@b",
    b"FROM:<a b@c>",
    b"FROM:<a..b@c>",
    b"FROM:<.a@c>",
    b"FROM:<a@c.>",
    b"FROM:<a@-c>",
    b"FROM:<a@c@d>",
    b'FROM:<"a@c>',
    b"FROM:<<a@c>>",
    b"FROM:<@x:>",
    b"FROM:<@x>",
    b"FROM:<a@c>,<b@d>",
    b"FROM:<a\\>@c>",
    b"FROM:<" + b"a" * 65 + b"@c>",
    b"FROM:<a@" + b"c" * 256 + b">",
    b"FROM:<a@c> =",
    b"FROM:<a@c> SIZE",
    b"FROM:<a@c> SIZE=",
    b"FROM:<a@c> -X=1",
    b"FROM:<a@c> ENVID=a+4",
    b"FROM:<a@c> ENVID=" + b"a" * 101,
    b"FROM:<a@c> RET=ALL",
    b"FROM:<a@c> AUTH=+",
    b"TO:<a@c>",
    "FROM:<a@c\u2028d> SMTPUTF8".encode(),
    "FROM:<a\u0085@c> SMTPUTF8".encode(),
    b"FROM:<a@[x>]>",
]


@pytest.mark.parametrize("argument", NO_PATHS)
def test_no_paths(argument):
    with pytest.raises(SmtpError):
        mail(argument)


@pytest.mark.parametrize(
    "parameters",
    [
        b"NOTIFY=NEVER,DELAY",
        b"NOTIFY=",
        b"NOTIFY=X",
        b"NOTIFY=DELAY,DELAY",
        b"ORCPT=x",
        b"ORCPT=rfc822;",
        b"ORCPT=rfc822;a b",
        b"ORCPT=rfc822;a+",
        b"SIZE=1",
    ],
)
def test_no_parameters_of_rcpt(parameters):
    with pytest.raises(SmtpError):
        rcpt(b"TO:<a@b.example> " + parameters)


@given(st.binary(max_size=80))
def test_any_octets_are_a_path_or_a_declared_error(octets):
    for argument in (octets, b"FROM:<" + octets, b"FROM:<a@b> " + octets):
        try:
            box, _ = mail(argument)
        except SmtpError:
            continue
        assert box is None or mailbox(str(box)) == box


@given(st.text(max_size=80))
def test_any_text_is_an_address_list_or_a_declared_error(text):
    try:
        boxes = addresses_of(text.encode("utf-8", "replace"))
    except ValueError:
        return
    assert all("@" in str(box) for box in boxes)


@given(st.text('<>(),;:@."\\ [] ab=?', max_size=60))
def test_texts_of_specials_too(text):
    try:
        addresses_of(text.encode())
    except ValueError:
        return


def test_xtext_is_that_of_the_rfc():
    assert xtext("a+b=c d\u00e9") == "a+2Bb+3Dc+20d+C3+A9"


def test_replies_have_the_code_on_each_line():
    assert reply(250, "2.0.0", "ok") == b"250 2.0.0 ok\r\n"
    assert reply(550, "5.1.1", "b\u00e4d\r\nline") == b"550 5.1.1 b?d??line\r\n"
    assert Reply(550, (b"5.1.1 a", b"b")).octets() == b"550-5.1.1 a\r\n550 5.0.0 b\r\n"
    assert Reply(354, (b"go",)).octets() == b"354 go\r\n"
    assert all(len(line) <= 510 for line in reply(550, "5.7.1", "x" * 2000).split(b"\r\n"))


def lines_of(chunks: list[bytes]) -> list[object]:
    r = LineReader()
    out: list[object] = []
    for chunk in chunks:
        r.feed(chunk)
        while True:
            try:
                line = r.line(10)
            except LineTooLongError:
                out.append("long")
                continue
            except BareNewlineError:
                return [*out, "bare"]
            if line is None:
                break
            out.append(line)
        assert len(r) <= 12
    return out


@given(st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b"bcdefgh", b"x" * 40])))
def test_lines_are_the_same_in_any_chunks(pieces):
    octets = b"".join(pieces)
    assert (
        lines_of([octets[n : n + 1] for n in range(len(octets))])
        == lines_of(pieces)
        == _lines_of_whole(octets)
    )


def _lines_of_whole(octets: bytes) -> list[object]:
    """By splitting: what the reader must give."""
    out: list[object] = []
    *whole, rest = octets.split(b"\r\n")
    for line in whole:
        if b"\r" in line or b"\n" in line:
            return [*out, "bare"]
        out.append("long" if len(line) + 2 > 10 else line)
    return [*out, "bare"] if b"\r" in rest[:-1] or b"\n" in rest else out


SMALL = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"x", b"\r\n.\r\n"]), max_size=30)


@given(SMALL)
def test_data_ends_where_the_rfc_says_in_any_chunks(pieces):
    whole = b"\r\n" + b"".join(pieces)
    end = whole.find(b"\r\n.\r\n")
    reader, content, rest, ended = DataReader(), b"", b"", False
    for piece in pieces:
        if ended:
            rest += piece
            continue
        got, ended, rest = reader.feed(piece)
        content += got
    assert ended is (end >= 0)
    if ended:
        assert content == whole[2 : end + 2]
        assert rest == whole[end + 5 :]
    else:
        assert whole[2:].startswith(content)


@given(SMALL)
def test_bare_newlines_are_found_in_any_chunks(pieces):
    whole = b"".join(pieces)
    good = whole.replace(b"\r\n", b"").count(b"\r") == whole.replace(b"\r\n", b"").count(b"\n") == 0
    reader = ChunkReader()
    assert (all(clean(reader.feed(piece)) for piece in pieces) and clean(reader.finish())) is good


@given(st.lists(st.sampled_from([b"\r\n", b".", b"x", b"\r\n.\r\n", b"..", b"\r", b"\n"]), max_size=30))
def test_stuffing_and_its_undoing(pieces):
    whole = b"".join(pieces)
    if not clean(whole):
        return
    chunks, stuffer = ChunkReader(), Stuffer()
    sent = b"".join([*(stuffer.feed(chunks.feed(p)) for p in pieces), stuffer.finish(), b".\r\n"])
    content, ended, rest = DataReader().feed(sent)
    assert (ended, rest) == (True, b"")
    undone = b"".join(line.removeprefix(b".") for line in content.splitlines(keepends=True))
    assert undone == (whole if not whole or whole.endswith(b"\r\n") else whole + b"\r\n")
