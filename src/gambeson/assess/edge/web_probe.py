"""Asks a web server for the pages of ``data/pages``: one connection after the other keeps being used while it may, no
redirect is followed, no form is sent, nobody signs in."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httptools

from gambeson.assess.core.doors import PORTS, NtlmFacts, Protocol
from gambeson.assess.core.pages import Ask
from gambeson.assess.core.tls_names import is_for
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.core.web import Page
from gambeson.wire.lines import human
from gambeson.wire.ntlm import NtlmError, negotiate, parse_challenge

from .authorities import Authorities
from .certificates import alternative_names, load
from .door_talk import any_tls
from .manners import Manners, OutOfTimeError
from .reference import all_asks
from .stream import Closed, Stream, TooMuchError, connected, reason
from .tls_exchange import chain_of

MOST_BODY = 128 * 1024
MOST_BODIES = 1024 * 1024  # of one visit; a page that comes again and again counts once
MOST_HEADERS = 100
PATIENCE = 6.0  # seconds for one answer
TOO_SLOW = 3  # answers that did not come; then the server is left alone
_AGENT = "Mozilla/5.0 (compatible; Gambeson-look; nothing is changed)"


async def probe_pages(
    host: str,
    address: str,
    port: int,
    protocol: Protocol,
    manners: Manners,
    authorities: Authorities,
    now: float,
    *,
    policy_only: bool = False,
) -> tuple[Page, ...]:
    """The pages of ``host`` at ``address``, in the order asked. Over plain HTTP only the root is asked for: whether it
    leads to HTTPS. ``policy_only``: only what such a host is there for. Raises nothing of what peers do."""
    wanted = [ask for ask in all_asks() if _for(ask, host, protocol, policy_only)]
    visit = _Visit(host, address, port, protocol, manners, authorities, now)
    return await visit.run(wanted)


def _for(ask: Ask, host: str, protocol: Protocol, policy_only: bool) -> bool:
    if ask.host:
        return protocol is Protocol.HTTPS and host.partition(".")[0] == ask.host
    if protocol is Protocol.HTTP:
        return ask.purpose == "root"
    return not policy_only


@dataclass(slots=True)
class _Visit:
    host: str
    address: str
    port: int
    protocol: Protocol
    manners: Manners
    authorities: Authorities
    now: float
    trusted: bool | None = None
    slow: int = 0
    bodies: dict[bytes, bytes] = field(default_factory=dict)
    kept: int = 0

    @property
    def authority(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.protocol] else f"{name}:{self.port}"

    async def run(self, wanted: Sequence[Ask]) -> tuple[Page, ...]:
        left = list(wanted)
        found: list[Page] = []
        try:
            await self._visit(left, found)
        except OutOfTimeError:
            self._give_up(left, found, Unknown(Cause.DEADLINE, "the look was over"))
        return tuple(found)

    async def _visit(self, left: list[Ask], found: list[Page]) -> None:
        """Moves each of ``left`` to ``found`` as a page."""
        challenged = False
        while left:
            async with connected(self.address, self.port, self.manners, patience=PATIENCE) as stream:
                problem = await self._begin(stream)
                if problem is not None:
                    return self._give_up(left, found, problem)
                assert isinstance(stream, Stream)
                fresh = True
                while left:
                    page, again = await self._ask(stream, left[0])
                    if (
                        not page.status
                        and not fresh
                        and page.unknown
                        and page.unknown.cause is Cause.RATE_LIMITED
                    ):
                        break  # it closed a connection that it had kept: that is its right, another one tells
                    left.pop(0)
                    if again and not challenged and "ntlm" in page.schemes:
                        challenged = True
                        page, again = await self._challenge(stream, page)
                    found.append(self._lean(page))
                    if self.kept > MOST_BODIES:
                        why = Unknown(Cause.TOO_LONG, "its pages are longer than one look reads")
                        return self._give_up(left, found, why)
                    fresh = False
                    if not page.status:
                        self.slow += 1
                    if self.slow >= TOO_SLOW:
                        why = Unknown(Cause.RATE_LIMITED, "it answered too seldom to be asked more")
                        return self._give_up(left, found, why)
                    if not again:
                        break
        return None

    def _lean(self, page: Page) -> Page:
        """``page``, with the body of an earlier one where it is the same: many servers have one page for everything."""
        body = self.bodies.setdefault(page.body, page.body)
        self.kept += len(body) if body is page.body else 0
        return replace(page, body=body)

    def _give_up(self, left: list[Ask], found: list[Page], why: Unknown) -> None:
        found += [self._unknown(ask, why) for ask in left]
        left.clear()

    async def _begin(self, stream: Stream | Unknown | Closed) -> Unknown | None:
        if isinstance(stream, Closed):
            return Unknown(Cause.RATE_LIMITED, "it no longer takes connections")
        if isinstance(stream, Unknown):
            return stream
        if self.protocol is Protocol.HTTP:
            return None
        try:
            await stream.start_tls(any_tls(), self.host)
        except TimeoutError:
            return Unknown(Cause.TIMEOUT, "no TLS handshake came about in time")
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else "the name cannot be asked for"
            return Unknown(Cause.TLS_FAILED, why)
        if self.trusted is None and stream.tls is not None:
            self.trusted = self._believed(stream.tls)
        return None

    def _believed(self, layer: ssl.SSLObject) -> bool:
        chain = chain_of(layer)
        trust, _ = self.authorities.judge(chain, self.now)
        loaded = load(chain[0]) if chain else None
        return (
            trust.value == "trusted" and loaded is not None and is_for(self.host, alternative_names(loaded))
        )

    async def _ask(self, stream: Stream, ask: Ask, more: str = "") -> tuple[Page, bool]:
        """The page, and whether the connection may be used again."""
        page = self._page(ask)
        head = (
            f"{ask.method} {ask.path} HTTP/1.1\r\nHost: {self.authority}\r\nUser-Agent: {_AGENT}\r\n"
            f"Accept: */*\r\nAccept-Encoding: identity\r\n{more}\r\n"
        )
        answer = _Answer(headless=ask.method == "HEAD")
        parser = answer.parser = httptools.HttpResponseParser(answer)
        try:
            await stream.write(head.encode("ascii"))
            await _read(stream, parser, answer)
        except TimeoutError:
            cause = Cause.TIMEOUT if self.manners.left() else Cause.DEADLINE
            return replace(page, unknown=Unknown(cause, f"no answer in {PATIENCE:.0f} s")), False
        except TooMuchError:
            return replace(page, unknown=Unknown(Cause.TOO_LONG, "the answer did not end")), False
        except (
            httptools.HttpParserError,
            httptools.HttpParserUpgrade,
        ):  # 101: nobody asked for another protocol
            return replace(page, unknown=Unknown(Cause.MALFORMED, "the answer is not HTTP")), False
        except OSError as error:
            return replace(
                page, unknown=Unknown(Cause.RATE_LIMITED, f"the connection broke: {reason(error)}")
            ), False
        if not answer.status:
            return replace(page, unknown=Unknown(Cause.RATE_LIMITED, "it closed the connection")), False
        page = replace(
            page,
            status=answer.status,
            headers=tuple(answer.headers),
            body=bytes(answer.body),
            cut=answer.cut,
            schemes=_schemes(answer.headers),
        )
        return page, answer.whole and not answer.cut and answer.keep_alive

    async def _challenge(self, stream: Stream, page: Page) -> tuple[Page, bool]:
        """``page`` with what an NTLM challenge says; the first message names nobody."""
        ask = Ask(page.purpose, "/" + page.url.partition("://")[2].partition("/")[2], page.method)
        token = base64.b64encode(negotiate()).decode()
        answer, again = await self._ask(stream, ask, f"Authorization: NTLM {token}\r\n")
        for name, value in answer.headers:
            if name == "www-authenticate" and value.lower().startswith("ntlm "):
                with suppress(NtlmError, binascii.Error, ValueError):
                    challenge = parse_challenge(base64.b64decode(value[5:].strip(), validate=True))
                    return replace(page, ntlm=NtlmFacts.of(challenge)), again
        return page, again

    def _page(self, ask: Ask) -> Page:
        url = f"{self.protocol.value}://{self.authority}{ask.path}"
        return Page(ask.purpose, url, self.address, ask.method, trusted=self.trusted)

    def _unknown(self, ask: Ask, unknown: Unknown) -> Page:
        return replace(self._page(ask), unknown=unknown)


@dataclass(slots=True)
class _Answer:
    """What httptools tells of one answer; bounded. Informational answers are passed over (RFC 9110 section 15.2)."""

    parser: Any = None  # an extension type without annotations
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    cut: bool = False
    whole: bool = False
    headless: bool = False
    keep_alive: bool = False
    begun: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) < MOST_HEADERS:
            self.headers.append((human(name).lower(), human(value, 2000)))

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        self.begun = status >= 200
        if self.begun:
            self.status, self.keep_alive = status, self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        room = MOST_BODY - len(self.body)
        self.body += body[:room]
        self.cut = self.cut or len(body) > room

    def on_message_complete(self) -> None:
        if self.begun:
            self.whole = True
        else:
            self.headers.clear()


async def _read(stream: Stream, parser: httptools.HttpResponseParser, answer: _Answer) -> None:
    async with asyncio.timeout(stream.patience):  # for the whole answer: octets may come one by one
        while not (answer.whole or answer.cut or (answer.headless and answer.begun)):
            octets = await stream.read()
            if not octets:
                break
            parser.feed_data(octets)


def _schemes(headers: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The authentication schemes that are offered (RFC 9110 section 11.6.1): the first word of each challenge."""
    found: dict[str, None] = {}
    for name, value in headers:
        if name == "www-authenticate":
            for part in value.split(","):
                word = part.strip().partition(" ")[0].lower()
                if word and "=" not in word:
                    found[word] = None
    return tuple(found)
