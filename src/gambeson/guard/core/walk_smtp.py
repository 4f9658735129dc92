"""The walk's words in SMTP (RFC 5321) and its submission (RFC 6409): signing in, relaying, other people's names.

A message is never finished but in :data:`Kind.FORGED_HEADER`, from the canary to the canary.
"""

from __future__ import annotations

from base64 import b64encode

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
from .walk_imap import MAX_LINES, MAX_TURNS, decoded
from .walk_sasl import answers

_EHLO = b"EHLO walk.invalid\r\n"


def smtp(attempt: Attempt) -> Talk:
    """The whole conversation."""
    greeting = (yield from _reply())[-1]
    if not greeting:
        return silent()
    if not greeting.startswith(b"220"):
        return cannot_say(f"it greeted with {shown(greeting)}")
    yield Say(_EHLO)
    yield from _reply()
    if attempt.path is Path.STARTTLS:
        behind = b"NOOP\r\n" if attempt.kind is Kind.INJECTION else b""
        yield Say(b"STARTTLS\r\n" + behind)
        line = (yield from _reply())[-1]
        if not line.startswith(b"220"):
            return not_offered(line)
        if not (yield SECURE):
            return no_tls(attempt)
        if attempt.kind is Kind.INJECTION:
            return (yield from _injection())
        yield Say(_EHLO)
        yield from _reply()
    match attempt.kind:
        case Kind.RELAY | Kind.NO_LOGIN:
            return (yield from _mail(attempt.login.name, attempt.foreign))
        case Kind.FORGED_ENVELOPE | Kind.FORGED_HEADER:
            reply = yield from _sign_in(attempt)
            if reply.outcome.value != "entered":
                return cannot_say(f"the canary could not sign in: {reply.said}")
            if attempt.kind is Kind.FORGED_ENVELOPE:
                return (yield from _mail(attempt.foreign, attempt.mailbox))
            return (yield from _mail(attempt.mailbox, attempt.mailbox, attempt.foreign))
        case _:
            return (yield from _sign_in(attempt))


def _injection() -> Talk:
    """QUIT is answered with 221 alone; another answer first belongs to what was sent before TLS."""
    yield Say(b"QUIT\r\n")
    line = (yield from _reply())[-1]
    return refused(line) if not line or line.startswith((b"221", b"421", b"554")) else entered(line)


def _sign_in(attempt: Attempt) -> Talk:
    answer = answers(attempt.mechanism, attempt.login, "smtp", attempt.nonce)
    yield Say(f"AUTH {attempt.mechanism}\r\n".encode())
    for turn in range(MAX_TURNS):
        line = (yield from _reply())[-1]
        if not line.startswith(b"334"):
            if not turn and line.startswith(b"5"):
                return not_offered(line)
            return _verdict(line, b"235")
        yield Say(b64encode(answer(turn, decoded(line[4:]))) + b"\r\n")
    return cannot_say("the exchange did not end")


def _mail(sender: str, recipient: str, header: str = "") -> Talk:
    """Begin a message. With ``header`` it is finished, with that From: line; else it is left before its end."""
    for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
        yield Say(command.encode() + b"\r\n")
        line = (yield from _reply())[-1]
        if not line.startswith(b"25"):
            return _verdict(line, b"25")
    yield Say(b"DATA\r\n")
    line = (yield from _reply())[-1]
    if not line.startswith(b"354") or not header:
        return _verdict(line, b"354")
    yield Say(
        f"From: <{header}>\r\nTo: <{recipient}>\r\nSubject: gambeson guard walk\r\n"
        "Auto-Submitted: auto-generated\r\n\r\nA test by guard walk; it may be deleted.\r\n.\r\n".encode()
    )
    return _verdict((yield from _reply())[-1], b"250")


def _reply() -> Lines:
    """One reply with all its lines; the last one is empty where the connection ended."""
    lines: list[bytes] = []
    while len(lines) < MAX_LINES:
        line = yield HEAR
        lines.append(line)
        if not line or line[3:4] != b"-":
            break
    return lines


def _verdict(line: bytes, good: bytes) -> Reply:
    if line.startswith(good):
        return entered(line)
    if line.startswith(b"4"):
        return cannot_say(f"it said: later ({shown(line)})")
    return refused(line)
