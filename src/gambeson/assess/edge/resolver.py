"""Asks the domain name system and says what came, or why nothing is known. It never guesses.

Rules: no answer, SERVFAIL and REFUSED are never "does not exist". Signatures are checked here, down from the root's
keys, whatever the server that we ask says of them. ``ask`` raises nothing of what servers do.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Sequence
from dataclasses import replace

import dns.edns
import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype

from gambeson.assess.core.addresses import public
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, Security
from gambeson.assess.core.unknown import Cause, Unknown

from .dns_answer import Following, Step
from .dns_message import Ask, Message, kind_of, name_of
from .dns_transport import Server, exchange
from .dnssec import IANA, TrustAnchors
from .dnssec_chain import Chain, Standing, Trust

IN_FLIGHT = 32  # questions on their way at once
SILENCE = 40  # questions without any answer ever, after which a server counts as not there
MAX_SERVERS = 4

_SECURITY = {
    Trust.SECURE: Security.SECURE,
    Trust.INSECURE: Security.INSECURE,
    Trust.UNCHECKED: Security.UNCHECKED,
}
# Codes of a server that can do nothing with EDNS (RFC 6891 section 7).
_NO_EDNS = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS})
# What a server may add to its failure (RFC 8914), in words.
_REASONS = {int(code): code.name.replace("_", " ").lower() for code in dns.edns.EDECode}
# How much a failure tells; the most telling of several is kept.
_TELLING = (Cause.UNREACHABLE, Cause.TIMEOUT, Cause.MALFORMED, Cause.REFUSED, Cause.SERVFAIL)


class Resolver:
    """Asks ``servers`` (recursive resolvers, address and port), for one look and in one event loop. ``timeout`` is for
    one try in seconds; every server is tried ``tries`` times. Without ``anchors`` no signature is checked. ``now`` is
    the time that signatures are held against, in seconds since 1970; None: the time of the first question.
    ``server_port`` and ``private`` are for name servers that are asked themselves (``Question.server``): their port,
    and whether those at private addresses are asked at all (a laboratory)."""

    def __init__(
        self,
        servers: Sequence[tuple[str, int]],
        *,
        anchors: TrustAnchors | None = IANA,
        timeout: float = 3.0,
        tries: int = 2,
        now: float | None = None,
        in_flight: int = IN_FLIGHT,
        server_port: int | None = None,
        private: bool = False,
    ) -> None:
        self._servers = [Server(address, port) for address, port in servers[:MAX_SERVERS]]
        self._timeout, self._tries = timeout, tries
        self._room = asyncio.Semaphore(in_flight)
        self._first = 0  # the server that is asked first: the one that answered last
        self._plain: set[Server] = set()  # those that know no EDNS
        self._heard: set[Server] = set()
        self._silent: dict[Server, int] = {}
        self._private = private
        lab = private and self._servers  # where all name servers listen at one port, which need not be 53
        self._server_port = server_port or (self._servers[0].port if lab else 53)
        self._anchors, self._now = anchors, now
        self._chain: Chain | None = None
        self.sent = 0  # questions that went out, all tries counted

    def __str__(self) -> str:
        return " and ".join(map(str, self._servers)) or "no resolver"

    async def close(self) -> None:
        """Ends what is still under way."""
        if self._chain is not None:
            await self._chain.close()

    async def ask(self, question: Question) -> DnsAnswer:
        """The answer to ``question``; its state is ``UNKNOWN`` with the cause where there is none. Raises nothing."""
        name, kind = name_of(question.name), kind_of(question.type)
        if name is None or kind is None:
            return _unknown(
                question, Unknown(Cause.MALFORMED, "that is no name or type of the domain name system")
            )
        try:
            if question.server:
                return await self._ask_server(question, name, kind)
            return await self._ask(question, name, kind)
        except Exception as error:  # a defect of ours is no fact about the domain either
            return _unknown(question, Unknown(Cause.DEFECT, f"{type(error).__name__}: {error}"))

    async def _ask(self, question: Question, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> DnsAnswer:
        following = Following(question, name, kind)
        while True:
            message, doubt = await self._resolve(Ask(following.name, kind))
            if isinstance(message, Unknown):
                return _unknown(question, message, following.aliases)
            for step in following.read(message):
                standing = await self._standing(step, following.name, kind, message)
                if standing.trust is Trust.BOGUS:
                    return _unknown(question, Unknown(Cause.BOGUS, standing.why), following.aliases)
                if doubt is not None and standing.trust is Trust.UNCHECKED:
                    return _unknown(question, doubt, following.aliases)
                following.proven(_SECURITY[standing.trust], standing.why)
            if following.unknown is not None:
                return _unknown(question, following.unknown, following.aliases)
            if following.done:
                return following.answer()

    async def _standing(
        self, step: Step, name: dns.name.Name, kind: dns.rdatatype.RdataType, message: Message
    ) -> Standing:
        if self._anchors is None:
            return _UNCHECKED
        chain = self._trust(self._anchors)
        if step.rrset is not None:
            found = await chain.judge(step.rrset, message)
        else:
            found = await chain.judge_denial(name, kind, step.nothing, message)
        if found.trust is Trust.BOGUS and message.edns < 0:
            return _UNCHECKED  # without EDNS no signature was asked for
        return found

    def _trust(self, anchors: TrustAnchors) -> Chain:
        if self._chain is None:
            self._chain = Chain(self._proof, anchors, time.time() if self._now is None else self._now)
        return self._chain

    async def _proof(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Message | Unknown:
        # We check it ourselves, so the server must not keep from us what it finds wrong.
        message, _ = await self._resolve(Ask(name, kind, checking_disabled=True))
        return message

    async def _resolve(self, ask: Ask) -> tuple[Message | Unknown, Unknown | None]:
        """The message that answers, or why there is none; beside it a doubt, where the servers only answer when told
        not to check signatures."""
        worst = Unknown(Cause.UNREACHABLE, "no name server is known to this machine")
        asked_unchecked = ask.checking_disabled
        for _ in range(self._tries):
            for server in self._order():
                found = await self._once(server, ask)
                if isinstance(found, Unknown):
                    worst = max(found, worst, key=_telling)  # of two alike, what was heard last
                    continue
                self._first = self._servers.index(server)
                return found, None
            if worst.cause is Cause.SERVFAIL and not asked_unchecked:
                asked_unchecked = True
                message, _ = await self._resolve(replace(ask, checking_disabled=True))
                if not isinstance(message, Unknown):
                    detail = f"{worst.detail} unless told not to check signatures"
                    return message, Unknown(Cause.BOGUS, detail)
        return worst, None

    def _order(self) -> list[Server]:
        return self._servers[self._first :] + self._servers[: self._first]

    async def _once(self, server: Server, ask: Ask) -> Message | Unknown:
        if server not in self._heard and self._silent.get(server, 0) >= SILENCE:
            return Unknown(Cause.TIMEOUT, f"{server} has not answered any of {SILENCE} questions")
        ask = replace(ask, edns=server not in self._plain)
        found = await self._exchange(server, ask)
        if ask.edns and not isinstance(found, Unknown) and found.rcode() in _NO_EDNS:
            found = await self._exchange(server, replace(ask, edns=False))
            if not isinstance(found, Unknown) and found.rcode() not in _NO_EDNS:
                self._plain.add(server)
        if isinstance(found, Unknown):
            if found.cause in (Cause.TIMEOUT, Cause.UNREACHABLE):
                self._silent[server] = self._silent.get(server, 0) + 1
            else:
                self._heard.add(server)
            return found
        self._heard.add(server)
        return _refusal(server, found) or found

    async def _exchange(self, server: Server, ask: Ask) -> Message | Unknown:
        async with self._room:
            self.sent += 1
            return await exchange(server, ask, self._timeout)

    async def _ask_server(
        self, question: Question, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> DnsAnswer:
        """What one name server says itself. Nothing is followed and no signature is checked: the question is what this
        server does."""
        try:
            address = ipaddress.ip_address(question.server)
        except ValueError:
            return _unknown(question, Unknown(Cause.MALFORMED, "that is no address"))
        if not self._private and not public(str(address)):
            return _unknown(question, Unknown(Cause.PRIVATE, question.server))
        server = Server(question.server, self._server_port)
        found: Message | Unknown = Unknown(Cause.TIMEOUT)
        for _ in range(self._tries):
            found = await self._exchange(server, Ask(name, kind, recursion=False))
            if not isinstance(found, Unknown) and found.rcode() in _NO_EDNS:
                found = await self._exchange(server, Ask(name, kind, recursion=False, edns=False))
            if not isinstance(found, Unknown):
                break
        if isinstance(found, Unknown):
            return _unknown(question, found)
        if (why := _failure(server, found)) is not None:
            return _unknown(question, why)
        following = Following(question, name, kind)
        following.read(found)
        following.proven(Security.UNCHECKED)
        if not following.done:
            return _unknown(question, following.unknown or Unknown(Cause.REFUSED, f"{server} names an alias"))
        return replace(
            following.answer(),
            authoritative=bool(found.flags & dns.flags.AA),
            recursive=bool(found.flags & dns.flags.RA),
        )


_UNCHECKED = Standing(Trust.UNCHECKED)


def _telling(unknown: Unknown) -> int:
    return _TELLING.index(unknown.cause) if unknown.cause in _TELLING else len(_TELLING)


def _failure(server: Server, message: Message) -> Unknown | None:
    """What a message says that holds no answer."""
    code = message.rcode()
    if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    cause = Cause.REFUSED if code in (dns.rcode.REFUSED, dns.rcode.NOTAUTH) else Cause.SERVFAIL
    why = [_REASONS[error.code] for error in message.extended_errors()[:3] if error.code in _REASONS]
    return Unknown(
        cause, f"{server} answers {dns.rcode.to_text(code)}" + (f": {', '.join(why)}" if why else "")
    )


def _refusal(server: Server, message: Message) -> Unknown | None:
    """As ``_failure``, and a referral, which is what a server gives that does not resolve for us."""
    if (failed := _failure(server, message)) is not None:
        return failed
    kinds = {rrset.rdtype for rrset in message.authority}
    if (
        not message.answer
        and message.rcode() == dns.rcode.NOERROR
        and not message.flags & dns.flags.AA
        and dns.rdatatype.NS in kinds
        and dns.rdatatype.SOA not in kinds
    ):
        return Unknown(Cause.REFUSED, f"{server} does not resolve names for us")
    return None


def _unknown(question: Question, why: Unknown, aliases: tuple[str, ...] = ()) -> DnsAnswer:
    return DnsAnswer(question, DnsState.UNKNOWN, aliases=aliases, unknown=why)
