"""The walk's words in POP3 (RFC 1939): one talk for each kind of attempt."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from re import search

from .walk import (
    HEAR,
    SECURE,
    Attempt,
    Kind,
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
from .walk_imap import MAX_LINES, MAX_TURNS, decoded
from .walk_sasl import answers

# RFC 3206 section 4 and RFC 2449 section 8.1: "not now".
_LATER = (b"[SYS/TEMP]", b"[IN-USE]", b"[LOGIN-DELAY]")


def pop3(attempt: Attempt) -> Talk:
    """The whole conversation."""
    greeting = yield HEAR
    if not greeting:
        return silent()
    if not greeting.startswith(b"+OK"):
        return cannot_say("it greeted with an error")
    if attempt.path is Path.STARTTLS:
        behind = b"CAPA\r\n" if attempt.kind is Kind.INJECTION else b""
        yield Say(b"STLS\r\n" + behind)
        line = yield HEAR
        if not line.startswith(b"+OK"):
            return not_offered(line)
        if not (yield SECURE):
            return no_tls(attempt)
    match attempt.kind:
        case Kind.INJECTION:
            return (yield from _injection())
        case Kind.NO_LOGIN:
            yield Say(b"STAT\r\n")
            line = yield HEAR
            return entered(line) if line.startswith(b"+OK") else refused(line)
        case _:
            return (yield from _sign_in(attempt, greeting))


def _injection() -> Talk:
    """QUIT is answered with one line; anything more answers what was sent before TLS."""
    yield Say(b"QUIT\r\n")
    lines: list[bytes] = []
    while len(lines) < MAX_LINES and (line := (yield HEAR)):
        lines.append(line)
    if len(lines) > 1:
        return entered(lines[0])
    return refused(lines[0] if lines else b"")


def _sign_in(attempt: Attempt, greeting: bytes) -> Talk:
    login = attempt.login
    if attempt.mechanism == "USER command":
        yield Say(f"USER {login.name}\r\n".encode())
        line = yield HEAR
        if not line.startswith(b"+OK"):
            return _verdict(line)
        yield Say(f"PASS {login.secret}\r\n".encode())
        return _verdict((yield HEAR))
    if attempt.mechanism == "APOP command":
        stamp = search(rb"<[^<>\s]+@[^<>\s]+>", greeting)
        if stamp is None:
            return not_offered(greeting)
        digest = md5(stamp[0] + login.secret.encode(), usedforsecurity=False).hexdigest()
        yield Say(f"APOP {login.name} {digest}\r\n".encode())
        return _verdict((yield HEAR))
    answer = answers(attempt.mechanism, login, "pop", attempt.nonce)
    yield Say(f"AUTH {attempt.mechanism}\r\n".encode())
    for turn in range(MAX_TURNS):
        line = yield HEAR
        if not line.startswith(b"+ ") and line.strip() != b"+":
            if not turn and line.startswith(b"-ERR") and not any(code in line.upper() for code in _LATER):
                return not_offered(line)
            return _verdict(line)
        yield Say(b64encode(answer(turn, decoded(line[1:]))) + b"\r\n")
    return cannot_say("the exchange did not end")


def _verdict(line: bytes) -> Reply:
    if line.startswith(b"+OK"):
        return entered(line)
    if any(code in line.upper() for code in _LATER):
        return cannot_say(f"it said: later ({shown(line)})")
    return refused(line)
