"""The walk's words in IMAP (RFC 9051): one talk for each kind of attempt."""

from __future__ import annotations

from base64 import b64decode, b64encode

from .walk import (
    HEAR,
    SECURE,
    Attempt,
    Kind,
    Lines,
    Path,
    Reply,
    Say,
    Talk,
    cannot_say,
    entered,
    no_tls,
    not_offered,
    refused,
    shown,
    silent,
)
from .walk_sasl import answers

MAX_LINES, MAX_TURNS = 200, 8
# RFC 5530 section 3: "not now" is neither yes nor no.
_LATER = (b"[UNAVAILABLE]", b"[INUSE]", b"[LIMIT]", b"[SERVERBUG]", b"[CONTACTADMIN]")


def imap(attempt: Attempt) -> Talk:
    """The whole conversation."""
    greeting = yield HEAR
    if not greeting:
        return silent()
    word = greeting.split()[1:2]
    if word == [b"PREAUTH"]:
        return entered(greeting, "guard.walk.preauth", "The server greets everybody as signed in (PREAUTH)")
    if word == [b"BYE"]:
        return cannot_say("it said BYE at once")
    if attempt.path is Path.STARTTLS:
        behind = b"x NOOP\r\n" if attempt.kind is Kind.INJECTION else b""
        yield Say(b"t STARTTLS\r\n" + behind)
        line = (yield from _tagged(b"t"))[-1]
        if not line.upper().startswith(b"T OK"):
            return not_offered(line)
        if not (yield SECURE):
            return no_tls(attempt)
    match attempt.kind:
        case Kind.INJECTION:
            return (yield from _injection())
        case Kind.NO_LOGIN:
            yield Say(b"a SELECT INBOX\r\n")
            line = (yield from _tagged(b"a"))[-1]
            return entered(line) if line.upper().startswith(b"A OK") else refused(line)
        case _:
            return (yield from _sign_in(attempt))


def _injection() -> Talk:
    yield Say(b"y NOOP\r\n")
    lines = yield from _tagged(b"y")
    early = [line for line in lines if line.startswith(b"x ")]
    return entered(early[0]) if early else refused(lines[-1])


def _sign_in(attempt: Attempt) -> Talk:
    login = attempt.login
    if attempt.mechanism == "LOGIN command":
        yield Say(b"a LOGIN %s %s\r\n" % (quoted(login.name), quoted(login.secret)))
        return _verdict((yield from _tagged(b"a"))[-1])
    answer = answers(attempt.mechanism, login, "imap", attempt.nonce)
    yield Say(f"a AUTHENTICATE {attempt.mechanism}\r\n".encode())
    for turn in range(MAX_TURNS):
        line = (yield from _tagged(b"a"))[-1]
        if not line.startswith(b"+"):
            if not turn and line.upper().startswith((b"A NO", b"A BAD")) and not _later(line):
                return not_offered(line)
            return _verdict(line)
        yield Say(b64encode(answer(turn, decoded(line[1:]))) + b"\r\n")
    return cannot_say("the exchange did not end")


def _tagged(tag: bytes) -> Lines:
    """Lines up to the tagged one, a ``+`` or the end (then the last is empty or BYE)."""
    lines: list[bytes] = []
    while len(lines) < MAX_LINES:
        line = yield HEAR
        lines.append(line)
        if not line or line.startswith((tag + b" ", b"+", b"* BYE")):
            break
    return lines


def _later(line: bytes) -> bool:
    return any(code in line.upper() for code in _LATER)


def _verdict(line: bytes) -> Reply:
    if line.upper().startswith(b"A OK"):
        return entered(line)
    return cannot_say(f"it said: later ({shown(line)})") if _later(line) else refused(line)


def quoted(text: str) -> bytes:
    """As a quoted string (IMAP's and ManageSieve's)."""
    return b'"' + text.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def decoded(text: bytes) -> bytes:
    """A base64 challenge; empty where it is none."""
    try:
        return b64decode(text.strip(), validate=True)
    except ValueError:
        return b""
