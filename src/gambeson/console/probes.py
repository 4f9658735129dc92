"""The prober: do the doors answer? Asked from within, every half minute, each listener as a mail program would.

Rules: what is recorded is a change, and every ten minutes what is so. A listener that does not answer is asked once
more before it is called down. What could not be asked is *blind*, and so is everything where the prober itself did not
finish a round for two minutes: silence is never taken for up. No name and no password is ever sent.

What an answer means is told by pure functions, :func:`greeting` and :func:`status`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gambeson.console.core.availability import DOWN_KIND, EVERY, UP_KIND, Up
from gambeson.model.access import DoorKind
from gambeson.model.event import Event
from gambeson.store.errors import StoreError
from gambeson.wire.proxyproto import SIGNATURE

from .office import Facts, Listening

LOOK_SECONDS = 30.0
ANSWER_SECONDS = 5.0
AGAIN_SECONDS = 2.0
BLIND_SECONDS = 120.0
MAX_OCTETS = 4096  # of a greeting, of a status line
_LOCAL = SIGNATURE + b"\x20\x00\x00\x00"  # PROXY protocol, section 2.2: version 2, LOCAL, nothing behind it
_log = logging.getLogger("gambeson.console")


@dataclass(frozen=True, slots=True)
class Heard:
    """What one look told. ``up`` None: it could not be told. ``milliseconds`` until the answer was whole."""

    up: bool | None
    sentence: str
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """How a listener is. ``since`` and ``at`` (0: never looked) are seconds since 1970."""

    name: str
    door: str
    state: Up
    since: float = 0.0
    milliseconds: int = 0
    sentence: str = ""
    at: float = 0.0


Knock = Callable[[Listening], Awaitable[Heard]]


def greeting(door: str, data: bytes) -> Heard | None:
    """What the first octets of a mail server say; None: more of them are needed.

    RFC 9051 section 7.1 (OK, PREAUTH, BYE), RFC 1939 section 4 (+OK, -ERR), RFC 5321 section 3.1 (220, 554), RFC 5804
    section 1.8 (capabilities, then OK, NO or BYE). Any octets are answered; more than ``MAX_OCTETS`` are no greeting.
    """
    lines = data.split(b"\r\n")
    whole, rest = lines[:-1], lines[-1]
    word = next((found for line in whole if (found := _WORDS[door](line)) is not None), None)
    if word is True:
        return Heard(True, "It answers.")
    if word is False:
        last = next(line for line in whole if _WORDS[door](line) is False)
        return Heard(False, f"It turns everybody away: {_shown(last)}.")
    if len(data) > MAX_OCTETS or (whole and door != DoorKind.SIEVE and _WORDS[door](whole[-1]) is None):
        return Heard(False, f"It does not greet as this door does: {_shown(whole[0] if whole else rest)}.")
    return None


def status(data: bytes) -> Heard | None:
    """What the first line of an HTTP answer says (RFC 9112 section 4); None: more octets are needed. Every answer but
    a fault of the server (RFC 9110 section 15.6) is one."""
    line, end, _ = data.partition(b"\r\n")
    if not end:
        return Heard(False, "It does not answer as a web server.") if len(data) > MAX_OCTETS else None
    parts = line.split(b" ", 2)
    if (
        len(parts) < 2
        or not parts[0].startswith(b"HTTP/1.")
        or not (len(parts[1]) == 3 and parts[1].isdigit())
    ):
        return Heard(False, f"It does not answer as a web server: {_shown(line)}.")
    code = int(parts[1])
    return Heard(True, "It answers.") if code < 500 else Heard(False, f"It answers with a fault, {code}.")


def _imap(line: bytes) -> bool | None:
    head = line[:10].upper()
    return True if head.startswith((b"* OK", b"* PREAUTH")) else False if head.startswith(b"* BYE") else None


def _pop3(line: bytes) -> bool | None:
    return True if line.startswith(b"+OK") else False if line.startswith(b"-ERR") else None


def _smtp(line: bytes) -> bool | None:
    if len(line) < 3 or not line[:3].isdigit() or line[3:4] not in (b"", b" ", b"-"):
        return None
    return True if line[:3] == b"220" else False if line[:1] in (b"4", b"5") else None


def _sieve(line: bytes) -> bool | None:
    word = line.split(b" ", 1)[0].split(b"(", 1)[0].upper()
    return True if word == b"OK" else False if word in (b"NO", b"BYE") else None


_WORDS: dict[str, Callable[[bytes], bool | None]] = {
    DoorKind.IMAP: _imap,
    DoorKind.POP3: _pop3,
    DoorKind.SUBMISSION: _smtp,
    DoorKind.SIEVE: _sieve,
}


def _shown(line: bytes) -> str:
    """A line of a stranger in a sentence: printable ASCII, short."""
    text = "".join(chr(c) if 0x20 <= c < 0x7F else "?" for c in line[:80]).strip().rstrip(".")
    return f"“{text}”" if text else "an empty line"


class Network:
    """Asks a listener. Made before the process gives up its rights; certificates are not checked here (``doctor``
    does), so that a name too few does not look like an outage."""

    def __init__(self, facts: Facts) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        site = next((host for each in facts.sites for host in each.hosts), "")
        portal = facts.portal.removeprefix("https://").partition(":")[0]
        self._host, self._web = facts.hostname, portal or site or facts.hostname

    async def __call__(self, listening: Listening) -> Heard:
        """One look. Never raises for what the other side does."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                heard = await self._ask(listening)
        except TimeoutError:
            return Heard(False, f"It did not answer within {ANSWER_SECONDS:.0f} seconds.")
        except ssl.SSLError as error:
            return Heard(False, f"TLS did not come about: {_shown((error.reason or 'no reason').encode())}.")
        except OSError as error:
            return Heard(False, f"Nobody answers there: {error.strerror or 'the connection ended'}.")
        return Heard(heard.up, heard.sentence, round(1000 * (loop.time() - began)))

    async def _ask(self, listening: Listening) -> Heard:
        web = listening.door == DoorKind.WEBMAIL
        reader, writer = await asyncio.open_connection(listening.host, listening.port, limit=2 * MAX_OCTETS)
        try:
            if listening.proxied:
                writer.write(_LOCAL)
            if listening.implicit_tls:
                await writer.start_tls(self._tls, server_hostname=self._web if web else self._host)
            if web:
                lines = (
                    "HEAD / HTTP/1.1",
                    f"Host: {self._web}",
                    "User-Agent: Gambeson prober",
                    "Connection: close",
                )
                writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii", "replace"))
            data = b""
            while True:
                more = await reader.read(MAX_OCTETS)
                data += more
                heard = status(data) if web else greeting(listening.door, data)
                if heard is not None:
                    return heard
                if not more:
                    return _closed(listening, data)
        finally:
            writer.transport.abort()


def _closed(listening: Listening, data: bytes) -> Heard:
    if listening.proxied and not data:
        return Heard(None, "It takes connections from its proxy alone, so it cannot be asked from here.")
    return Heard(False, "It closed the connection before it said anything." if not data else "It broke off.")


class Prober:
    """Asks, remembers, records. ``append`` stores events (it blocks), ``knock`` asks one listener."""

    def __init__(
        self,
        listeners: Sequence[Listening],
        append: Callable[[list[Event]], object],
        knock: Knock,
        clock: Callable[[], float],
        start: str,
    ) -> None:
        self._listeners, self._append, self._knock, self._clock = tuple(listeners), append, knock, clock
        self._start, self._count = start, 0
        self._known = {each.name: Probe(each.name, each.door, Up.BLIND) for each in self._listeners}
        self._written: dict[str, tuple[float, Up]] = {}
        self._lock = threading.Lock()

    async def run(self) -> None:
        """For ever. A fault of ours is told to the log and blinds, and the next round comes."""
        while True:
            try:
                await self.step()
            except Exception as error:
                _log.error("the prober failed: %s", type(error).__name__, exc_info=error)
            await asyncio.sleep(LOOK_SECONDS)

    async def step(self, again: float = AGAIN_SECONDS) -> None:
        """One round: ask all of them at once, remember, record. ``again``: seconds before the second try."""
        heard = await asyncio.gather(*(self._ask(each, again) for each in self._listeners))
        events = self.hear(list(zip(self._listeners, heard, strict=True)), self._clock())
        if events:
            try:
                await asyncio.to_thread(self._append, events)
            except StoreError as error:
                _log.error("what the prober saw could not be recorded: %s", error)
                for event in events:
                    self._written.pop(str(event.data["listener"]), None)

    async def _ask(self, listening: Listening, again: float) -> Heard:
        first = await self._knock(listening)
        if first.up is not False:
            return first
        await asyncio.sleep(again)
        return await self._knock(listening)

    def hear(self, heard: Sequence[tuple[Listening, Heard]], now: float) -> list[Event]:
        """Remembers a round; gives what is to be recorded."""
        events = []
        for listening, one in heard:
            state = Up.BLIND if one.up is None else Up.UP if one.up else Up.DOWN
            before = self._known[listening.name]
            same = before.state is state and now - before.at < BLIND_SECONDS
            probe = Probe(
                listening.name,
                listening.door,
                state,
                before.since if same else now,
                one.milliseconds,
                one.sentence,
                now,
            )
            with self._lock:
                self._known[listening.name] = probe
            written, was = self._written.get(listening.name, (0.0, Up.BLIND))
            if state is not Up.BLIND and (was is not state or not 0 <= now - written < EVERY):
                self._written[listening.name] = (now, state)
                events.append(self._event(probe))
        return events

    def states(self, now: float) -> tuple[Probe, ...]:
        """Every listener as it is known at ``now``, in the order of the settings."""
        with self._lock:
            found = tuple(self._known[each.name] for each in self._listeners)
        return tuple(each if now - each.at < BLIND_SECONDS else _silent(each) for each in found)

    def _event(self, probe: Probe) -> Event:
        self._count += 1
        return Event(
            id=f"prober/{self._start}/{self._count:x}",
            at=probe.at,
            kind=UP_KIND if probe.state is Up.UP else DOWN_KIND,
            door=probe.door,
            data={"listener": probe.name, "milliseconds": probe.milliseconds, "sentence": probe.sentence},
        )


def _silent(last: Probe) -> Probe:
    """What is known of a listener that nobody asked for two minutes."""
    since = last.at + BLIND_SECONDS if last.at else 0.0
    sentence = "The prober has not answered for two minutes." if last.at else "The prober has not looked yet."
    return Probe(last.name, last.door, Up.BLIND, since, 0, sentence, last.at)
