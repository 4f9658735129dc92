"""The sweep over one TLS port: versions, weak suites, certificates; few connections, and nothing guessed.

A good server costs seven connections: one whole handshake (the newest version, the suite, the chain), one hello for
each older version, one with all weak suites, and one more where it takes DHE. Only what is taken is narrowed further.

A server says no in two ways: with an alert, or by closing. Closing may also mean that we ask too much, so at the end a
hello that was taken before is made again; if it is not taken any more, the closings count as not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gambeson.assess.core.tls import Certificate, TlsFacts, TlsVersion, Trust, Weakness
from gambeson.assess.core.tls_names import is_for
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.wire.tls_probe import SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3, Alert, NotTls, ServerHello
from gambeson.wire.tls_suites import OLDER, TLS13, families, name, with_unseen

from .authorities import Authorities
from .certificates import read
from .manners import Manners
from .tls_exchange import Answer, Ended, Handshake, Opener, ask, ask_ssl2, shake

__all__ = ["Opener", "probe_tls"]

ENOUGH_DH = 2048  # bits; RFC 9325 section 4.5
_NUMBERS: Mapping[TlsVersion, int] = {
    TlsVersion.SSL3: SSL3,
    TlsVersion.TLS1_0: TLS1_0,
    TlsVersion.TLS1_1: TLS1_1,
    TlsVersion.TLS1_2: TLS1_2,
    TlsVersion.TLS1_3: TLS1_3,
}
_WORDS = {"TLSv1": TlsVersion.TLS1_0, "TLSv1.1": TlsVersion.TLS1_1, "TLSv1.2": TlsVersion.TLS1_2}
_WORDS["TLSv1.3"] = TlsVersion.TLS1_3
_OLDER = (TlsVersion.SSL3, TlsVersion.TLS1_0, TlsVersion.TLS1_1, TlsVersion.TLS1_2)
_MOST_NARROWING = 9  # hellos with weak suites in one version: one more than there are families
_BUSY = Unknown(
    Cause.RATE_LIMITED, "it closes connections, in the end also on a hello that it had taken before"
)


async def probe_tls(
    opener: Opener, host: str, manners: Manners, now: float, authorities: Authorities
) -> TlsFacts:
    """What TLS is behind ``opener`` for clients that come to ``host`` (empty: none is named). ``now`` is the time that
    certificates are judged for. Raises nothing of what peers do; who calls must hold no connection to the same address,
    or the sweep waits for it."""
    return await _Sweep(opener, host, manners, now, authorities).run()


@dataclass(slots=True)
class _Sweep:
    opener: Opener
    host: str
    manners: Manners
    now: float
    authorities: Authorities
    answers: dict[TlsVersion, bool | Answer] = field(default_factory=dict)
    weak: set[str] = field(default_factory=set)
    untried: Unknown | None = None
    chain: tuple[bytes, ...] = ()
    cut: bool = False  # the chain was too long to be read
    closed: bool = False  # a hello was answered by closing
    chosen: int = 0

    async def run(self) -> TlsFacts:
        whole = await shake(self.opener, self.host)
        if isinstance(whole, Unknown):
            return TlsFacts(unknown=whole)
        if whole is not None:
            self._shaken(whole)
        elif (failure := await self._first_word()) is not None:
            return TlsFacts(unknown=failure)
        await self._versions()
        await self._weak()
        return await self._facts()

    def _shaken(self, whole: Handshake) -> None:
        self.chain, self.chosen = whole.chain, whole.suite
        newest = _WORDS.get(whole.version, TlsVersion.TLS1_2)
        # 1.3 was offered: who chose less has it not (RFC 8446 section 4.2.1).
        self.answers[TlsVersion.TLS1_3] = newest is TlsVersion.TLS1_3
        self.answers[newest] = True

    async def _first_word(self) -> Unknown | None:
        """The library had no success. Whether TLS is spoken at all; if not, why."""
        answer = await self._ask(TlsVersion.TLS1_2)
        self.answers[TlsVersion.TLS1_2] = answer
        match answer:
            case Unknown():
                return answer
            case NotTls():
                return Unknown(Cause.MALFORMED, answer.reason)
        return None

    async def _ask(self, version: TlsVersion) -> Answer:
        return await self._hello(_NUMBERS[version], TLS13 if version is TlsVersion.TLS1_3 else OLDER)

    async def _hello(self, version: int, suites: Sequence[int]) -> Answer:
        answer = await ask(self.opener, (version,), suites, self.host)
        late = isinstance(answer, Unknown) and answer.cause is Cause.TIMEOUT and not self.manners.left()
        return Unknown(Cause.DEADLINE) if late else answer  # we stopped waiting, not it answering

    async def _versions(self) -> None:
        missing = [v for v in _NUMBERS if v not in self.answers]
        found = await asyncio.gather(*(self._ask(version) for version in missing))
        self.answers |= dict(zip(missing, found, strict=True))
        for version in reversed(_OLDER):
            answer = self.answers[version]
            if isinstance(answer, ServerHello):
                self.cut |= answer.too_long
                self.chain = self.chain or answer.certificates
        if self._taken(TlsVersion.TLS1_0) or self._taken(TlsVersion.SSL3):
            self.answers[TlsVersion.SSL2] = await ask_ssl2(self.opener)

    def _taken(self, version: TlsVersion) -> bool:
        answer = self.answers.get(version)
        return answer is True or (isinstance(answer, ServerHello) and answer.version == _NUMBERS.get(version))

    async def _weak(self) -> None:
        """Weak suites, in the newest and in the oldest of the old versions: servers keep some for old versions only."""
        taken = [version for version in _OLDER if self._taken(version)]
        if not taken:
            old = (self.answers[version] for version in _OLDER)
            self.untried = next((answer for answer in old if isinstance(answer, Unknown)), None)
            return
        for version in dict.fromkeys((taken[-1], taken[0])):
            await self._narrow(_NUMBERS[version])

    async def _narrow(self, version: int) -> None:
        seen: set[str] = set()
        for _ in range(_MOST_NARROWING):
            suites = with_unseen(seen)
            if not suites:
                return
            answer = await self._hello(version, suites)
            match answer:
                case ServerHello():
                    found = families(answer.suite)
                    if found <= seen:  # it chose what was not offered
                        return
                    seen |= found
                    self.weak |= found
                    if 0 < answer.dh_bits < ENOUGH_DH:
                        self.weak.add(Weakness.SMALL_DH)
                case Alert():
                    return
                case Ended():
                    self.closed = True
                    return
                case NotTls():
                    self.untried = Unknown(Cause.MALFORMED, answer.reason)
                    return
                case Unknown():
                    self.untried = answer
                    return

    async def _still_there(self) -> bool:
        """Whether a hello that was taken before is taken still."""
        for version in reversed(TlsVersion):
            if version in _NUMBERS and self._taken(version):
                return isinstance(await self._ask(version), ServerHello)
        return False

    async def _facts(self) -> TlsFacts:
        taken = any(self._taken(version) for version in TlsVersion)
        self.closed |= any(isinstance(answer, Ended) for answer in self.answers.values())
        trusting = taken and (not self.closed or await self._still_there())
        if taken and not trusting:
            self.untried = _BUSY
        versions = tuple(
            (version, _verdict(self.answers[version], version, trusting))
            for version in TlsVersion
            if version in self.answers
        )
        if not taken:
            return TlsFacts(versions=versions, unknown=self._none_taken())
        return self._judged(versions)

    def _none_taken(self) -> Unknown:
        said = {answer.words for answer in self.answers.values() if isinstance(answer, Alert)}
        detail = f"it refuses every hello ({', '.join(sorted(said))})" if said else "it closes on every hello"
        return Unknown(Cause.TLS_FAILED, detail)

    def _judged(self, versions: tuple[tuple[TlsVersion, bool | Unknown], ...]) -> TlsFacts:
        chain = tuple(read(der) for der in self.chain)
        trust, detail = self.authorities.judge(self.chain, self.now)
        if self.cut and not chain:
            detail = "the list of certificates is longer than anybody needs"
        return TlsFacts(
            versions=versions,
            weak=tuple(weakness for weakness in Weakness if weakness in self.weak),
            untried=self._untried(),
            chosen=name(self.chosen) if self.chosen else "",
            chain=chain,
            trust=trust if chain else Trust.UNKNOWN,
            trust_detail=detail,
            name_matches=_for_host(chain, self.host),
        )

    def _untried(self) -> tuple[tuple[Weakness, Unknown], ...]:
        if self.untried is None:
            return ()
        return tuple((weakness, self.untried) for weakness in Weakness if weakness not in self.weak)


def _verdict(answer: bool | Answer, version: TlsVersion, trusting: bool) -> bool | Unknown:
    match answer:
        case bool() | Unknown():
            return answer
        case ServerHello():
            return answer.version == _NUMBERS[version]
        case Alert():
            return False
        case Ended():
            return False if trusting else _BUSY
        case NotTls():
            return Unknown(Cause.MALFORMED, answer.reason)


def _for_host(chain: tuple[Certificate, ...], host: str) -> bool | None:
    if not chain or not host:
        return None
    # A common name is not a name of the host any more (RFC 9525 section 2).
    return not chain[0].from_common_name and is_for(host, chain[0].names)
