"""The walk's words in ManageSieve (RFC 5804): one talk for each kind of attempt."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Generator
from re import match as fits

from .walk import (
    HEAR,
    SECURE,
    Attempt,
    Kind,
    Lines,
    Path,
    Reply,
    Say,
    Step,
    Talk,
    cannot_say,
    entered,
    no_tls,
    not_offered,
    refused,
    shown,
    silent,
)
from .walk_imap import MAX_LINES, MAX_TURNS
from .walk_sasl import answers

_END = (b"OK", b"NO", b"BYE")


def sieve(attempt: Attempt) -> Talk:
    """The whole conversation."""
    greeting = (yield from _response())[-1]
    if not greeting:
        return silent()
    if not greeting.upper().startswith(b"OK"):
        return cannot_say("it greeted with an error")
    if attempt.path is Path.STARTTLS:
        behind = b"CAPABILITY\r\n" if attempt.kind is Kind.INJECTION else b""
        yield Say(b"STARTTLS\r\n" + behind)
        line = (yield from _response())[-1]
        if not line.upper().startswith(b"OK"):
            return not_offered(line)
        if not (yield SECURE):
            return no_tls(attempt)
        if attempt.kind is Kind.INJECTION:
            return (yield from _injection())
        yield from _response()
    if attempt.kind is Kind.NO_LOGIN:
        yield Say(b"LISTSCRIPTS\r\n")
        line = (yield from _response())[-1]
        return entered(line) if line.upper().startswith(b"OK") else refused(line)
    return (yield from _sign_in(attempt))


def _injection() -> Talk:
    """Two answers are due after TLS, the capabilities' and LOGOUT's; a third belongs to what was sent before."""
    yield Say(b"LOGOUT\r\n")
    lines: list[bytes] = []
    while len(lines) < MAX_LINES and (line := (yield HEAR)):
        lines.append(line)
    good = [line for line in lines if line.upper().startswith(b"OK")]
    return entered(good[1]) if len(good) > 2 else refused(good[-1] if good else b"")


def _sign_in(attempt: Attempt) -> Talk:
    answer = answers(attempt.mechanism, attempt.login, "sieve", attempt.nonce)
    yield Say(f'AUTHENTICATE "{attempt.mechanism}"\r\n'.encode())
    for turn in range(MAX_TURNS):
        line = yield HEAR
        upper = line.upper()
        if not line or upper.startswith(_END):
            if not turn and upper.startswith(b"NO") and b"TRYLATER" not in upper:
                return not_offered(line)
            return _verdict(line)
        challenge = yield from _string(line)
        yield Say(b'"%s"\r\n' % b64encode(answer(turn, challenge)))
    return cannot_say("the exchange did not end")


def _string(line: bytes) -> Generator[Step, bytes, bytes]:
    """The challenge in a quoted string or a literal that begins with this line."""
    text = line.strip().strip(b'"')
    if fits(rb"\{\d{1,5}\+?\}\Z", text):
        text = (yield HEAR).strip()
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""


def _response() -> Lines:
    """Lines up to OK, NO or BYE; the last one is empty where the connection ended."""
    lines: list[bytes] = []
    while len(lines) < MAX_LINES:
        line = yield HEAR
        lines.append(line)
        if not line or line.upper().startswith(_END):
            break
    return lines


def _verdict(line: bytes) -> Reply:
    upper = line.upper()
    if upper.startswith(b"OK"):
        return entered(line)
    if b"TRYLATER" in upper:  # RFC 5804 section 1.3
        return cannot_say(f"it said: later ({shown(line)})")
    return refused(line)
