"""What a gate says of one HTTP request, and what the door carries out.

A gate sees a :class:`~gambeson.model.web.WebRequest` and the client, and gives one verdict: forward it, answer it,
or show me the beginning of the body first. Whatever it forwards is what it saw.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from gambeson.model.access import AccessRequest
from gambeson.model.web import Site, WebRequest

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class WebClient:
    """Who is at the other end of one connection. ``certificate`` is the verified client certificate (DER),
    ``fingerprint`` its lower-case hex SHA-256; both empty for none."""

    source: str
    port: int = 0
    sni: str = ""
    certificate: bytes = field(default=b"", repr=False)
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class ResponseAction:
    """What the door does to the answers of one request: headers to set (replacing), to drop, and to ``add`` beside
    those that the server sends. Names are lower case. ``content_type`` not empty: only where the answer's begins with
    it, or none is said and the browser has to guess."""

    set: Headers = ()
    drop: tuple[str, ...] = ()
    content_type: str = ""
    add: Headers = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the request on to ``site``. ``access`` is what admitted it (None: nobody needed to be), for the list of
    sessions and for judging again. ``headers`` are added, replacing the client's of the same name; the client's
    Authorization goes on only where ``authorization`` says so. ``idle`` is how many seconds the
    mail server may keep silent. ``rule`` is for the record. ``cookies``: the door's own, set on the answer.
    ``set_cookie`` gets each Set-Cookie value of the server and gives those that are sent instead (the door still drops
    what no server may set); ``answered`` is told the status of the server's final answer. ``rewrite`` gets status,
    headers (lower-case names) and the whole body of the server's answer, at most ``rewrite_limit`` octets, and gives
    the body that is sent instead; where it gives None, or the answer is longer, 502 is sent. ``until`` is the time
    (seconds since 1970) at which what admitted it ends, and with it whatever still streams; 0.0: none of its own.
    """

    site: Site
    access: AccessRequest | None = None
    headers: Headers = field(default=(), repr=False)
    authorization: bool = False
    idle: float = 300.0
    actions: tuple[ResponseAction, ...] = ()
    cookies: tuple[str, ...] = field(default=(), repr=False)
    rule: str = ""
    set_cookie: Callable[[str], tuple[str, ...]] | None = field(default=None, repr=False)
    answered: Callable[[int], None] | None = field(default=None, repr=False)
    rewrite: Callable[[int, Headers, bytes], bytes | None] | None = field(default=None, repr=False)
    rewrite_limit: int = 262144
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer it here. ``close``: the connection ends with it (always so where a body that nobody wants comes).
    ``reason`` is a stable word for the record; ``wait`` seconds pass from the request's arrival before it is sent."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    close: bool = False
    reason: str = ""
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Peek:
    """Read up to ``limit`` octets of the body, then ask ``judge``, which gets them and whether that was all. The
    octets still go to the mail server when the answer is Forward. ``judge`` must not give Peek again."""

    limit: int
    judge: Callable[[bytes, bool], Verdict | Awaitable[Verdict]]


Verdict = Forward | Answer | Peek


class Gate(Protocol):
    """Decides of every request. Plain where it can (the hot path), awaitable where it must ask somebody."""

    def judge(self, request: WebRequest, client: WebClient) -> Verdict | Awaitable[Verdict]:
        """The verdict. Raises nothing."""
