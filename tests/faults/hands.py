"""Hands for the fault tests: a client that speaks each door by hand, from any address of 127/8, and looks at processes.

``sign_in`` answers with one word: ``in``, ``later`` (a temporary refusal), ``no`` (a lasting one) or ``gone`` (no
connection, or it ended without an answer).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from peers.gambeson import Gambeson

ALMA = "alma@playground.example"
BRUNO = "bruno@playground.example"
DOORS = ("imaps", "imap", "pop3s", "pop3", "submissions", "submission", "sieve")
IMPLICIT = ("imaps", "pop3s", "submissions")
START = {"imap": b"s STARTTLS", "pop3": b"STLS", "submission": b"STARTTLS", "sieve": b"STARTTLS"}


class Line:
    """One connection: lines in, lines out."""

    def __init__(self, port: int, source: str = "127.0.0.1", patience: float = 15.0) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(patience)
        if source != "127.0.0.1":
            self.sock.bind((source, 0))
        self.sock.connect(("127.0.0.1", port))
        self.rest = b""

    def tls(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data + b"\r\n")

    def line(self) -> bytes:
        """The next line without its end. Raises ConnectionError at the end of the stream, TimeoutError."""
        while b"\n" not in self.rest:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError(f"closed after {self.rest!r}")
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return line.rstrip(b"\r")

    def until(self, pattern: bytes) -> bytes:
        """Read lines until one matches."""
        while True:
            line = self.line()
            if re.match(pattern, line):
                return line

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_door(g: Gambeson, listener: str, source: str = "127.0.0.1", patience: float = 15.0) -> Line:
    """A connection under TLS, greeted, before any sign-in."""
    line = Line(g.port(listener), source, patience)
    try:
        kind = listener.rstrip("s") if listener in IMPLICIT else listener
        if listener in IMPLICIT:
            line.tls(g.tls)
        _greeting(line, kind)
        if listener in START:
            if kind == "submission":
                line.send(b"EHLO test.example")
                line.until(rb"250 ")
            line.send(START[listener])
            line.until(rb"(s OK|\+OK|220 |OK)")
            assert not line.rest
            line.tls(g.tls)
            if kind == "sieve":
                line.until(rb"OK")
        if kind == "submission":
            line.send(b"EHLO test.example")
            line.until(rb"250 ")
    except BaseException:
        line.close()
        raise
    return line


def _greeting(line: Line, kind: str) -> None:
    line.until({"imap": rb"\* OK", "pop3": rb"\+OK", "submission": rb"220 ", "sieve": rb"OK"}[kind])


def answer(line: Line, listener: str, user: str, secret: str) -> tuple[str, bytes]:
    """Sign in on an open connection; the word and the line that said it."""
    kind = listener.rstrip("s") if listener in IMPLICIT else listener
    plain = base64.b64encode(f"\0{user}\0{secret}".encode())
    if kind == "imap":
        line.send(b"a AUTHENTICATE PLAIN " + plain)
        said = line.until(rb"(a |\* BYE)")
        return _word(said, rb"a OK", rb"a NO \[(UNAVAILABLE|INUSE|SERVERBUG|LIMIT)"), said
    if kind == "pop3":
        line.send(b"AUTH PLAIN " + plain)
        said = line.until(rb"[+-]")
        return _word(said, rb"\+OK", rb"-ERR \[SYS/TEMP|-ERR \[LOGIN-DELAY|-ERR \[IN-USE"), said
    if kind == "submission":
        line.send(b"AUTH PLAIN " + plain)
        said = line.until(rb"\d\d\d ")
        return _word(said, rb"235", rb"4"), said
    line.send(b'AUTHENTICATE "PLAIN" "' + plain + b'"')
    said = line.until(rb"(OK|NO|BYE)")
    return _word(said, rb"OK", rb"(NO|BYE) \(TRYLATER"), said


def _word(said: bytes, good: bytes, later: bytes) -> str:
    return "in" if re.match(good, said) else "later" if re.match(later, said) else "no"


def sign_in(
    g: Gambeson, listener: str, user: str, secret: str, source: str = "127.0.0.1", patience: float = 15.0
) -> str:
    """Connect, sign in, leave; one word."""
    try:
        with open_door(g, listener, source, patience) as line:
            return answer(line, listener, user, secret)[0]
    except (OSError, ssl.SSLError):
        return "gone"


def session(g: Gambeson, user: str, secret: str, listener: str = "imaps", source: str = "127.0.0.1") -> Line:
    """An open, signed-in session."""
    line = open_door(g, listener, source)
    word, said = answer(line, listener, user, secret)
    if word != "in":
        line.close()
        raise AssertionError(f"not let in: {said!r}")
    return line


def health(g: Gambeson) -> dict[str, Any]:
    """What the health page says (also where it says so with 503)."""
    try:
        with urllib.request.urlopen(g.ready["console"] + "/health", context=g.tls, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def eventually(check: Callable[[], object], seconds: float, every: float = 0.1) -> Any:
    """The first true answer within so many seconds. Raises AssertionError."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(every)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def status(pid: int) -> dict[str, str]:
    """``/proc/PID/status``."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def rss(pid: int) -> int:
    """Resident memory in KiB."""
    return int(status(pid)["VmRSS"].split()[0])


def open_files(pid: int) -> list[str]:
    """What a process holds open."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(fd))
    return found


def gone(pid: int) -> bool:
    """No such process any more (or only its shell)."""
    try:
        return status(pid)["State"].startswith("Z")
    except OSError:
        return True


def events(g: Gambeson, kind: str, device: str = "") -> list[str]:
    """Ids of the recorded events of a kind (and device), read from the store's own file."""
    import sqlite3

    query = "SELECT id FROM events WHERE kind = ? AND (? = '' OR device = ?)"
    with contextlib.closing(
        sqlite3.connect(f"file:{g.data}/store/events.db?mode=ro", uri=True, timeout=10)
    ) as db:
        return [row[0] for row in db.execute(query, (kind, device, device))]
