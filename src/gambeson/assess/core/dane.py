"""DANE for mail: the keys that a domain promises in the domain name system, held against those that were shown
(RFC 6698, RFC 7671, RFC 7672)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .dns import Answers, DnsState, Question, Security
from .sender.ask import NEVER_SAID, every
from .tls import Certificate
from .tls_names import is_for
from .unknown import Unknown

MAX_RECORDS = 32
_LENGTHS = {1: 32, 2: 64}


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One record: which certificate (2: an authority's of the chain, 3: the server's own), what of it (0: all, 1: the
    key) and how it is written (0: whole, 1: SHA-256, 2: SHA-512)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def usable(self) -> bool:
        """Whether a mail server can use it (RFC 7672 section 3.1)."""
        if self.usage not in (2, 3) or self.selector not in (0, 1) or self.matching not in (0, 1, 2):
            return False
        return len(self.data) == _LENGTHS.get(self.matching, len(self.data)) and bool(self.data)

    def fits(self, certificate: Certificate) -> bool:
        """Whether ``certificate`` is the one (RFC 6698 section 2.1)."""
        octets = certificate.spki if self.selector else certificate.der
        if self.matching == 1:
            written = certificate.spki_sha256 if self.selector else certificate.sha256
            return bool(written) and self.data.hex() == written
        if not octets:
            return False
        return self.data == (octets if self.matching == 0 else hashlib.sha512(octets).digest())


@dataclass(frozen=True, slots=True)
class Promise:
    """What is published for one host. ``secure``: proven by DNSSEC, without which nobody looks at it."""

    host: str
    records: tuple[Tlsa, ...] = ()
    texts: tuple[str, ...] = ()
    secure: bool = False
    unknown: Unknown | None = None

    @property
    def usable(self) -> tuple[Tlsa, ...]:
        """The records that a mail server can use."""
        return tuple(record for record in self.records if record.usable)


def promise(host: str, answers: Answers, port: int = 25) -> Promise:
    """What ``host`` promises for ``port``. Raises WantedError."""
    (answer,) = every(answers, Question(f"_{port}._tcp.{host}", "TLSA"))
    if answer.state is DnsState.UNKNOWN:
        return Promise(host, unknown=answer.unknown or NEVER_SAID)
    texts = answer.records[:MAX_RECORDS] if answer.state is DnsState.RECORDS else ()
    records = tuple(record for text in texts if (record := parse(text)) is not None)
    return Promise(host, records, texts, answer.security is Security.SECURE)


def parse(text: str) -> Tlsa | None:
    """A TLSA record in presentation form; None where it is none."""
    words = text.split()
    if len(words) < 4 or not all(word.isascii() and word.isdecimal() and len(word) < 4 for word in words[:3]):
        return None
    try:
        data = bytes.fromhex("".join(words[3:]))
    except ValueError:
        return None
    return Tlsa(int(words[0]), int(words[1]), int(words[2]), data)


def kept(records: Sequence[Tlsa], chain: Sequence[Certificate], host: str) -> bool:
    """Whether one of ``records`` fits ``chain``, the server's own first. The server's own needs no name and no date
    (RFC 7671 section 5.1); below an authority the name counts (RFC 7672 section 3.2.2)."""
    for record in records:
        if record.usage == 3 and chain and record.fits(chain[0]):
            return True
        if record.usage == 2 and any(map(record.fits, _issuers(chain))) and is_for(host, chain[0].names):
            return True
    return False


def _issuers(chain: Sequence[Certificate]) -> Iterator[Certificate]:
    """The server's own certificate and those above it, each the issuer of the one before; what else a server sends has
    vouched for nothing (RFC 7671 section 5.2). By names: whether signatures hold is for whoever delivers the mail."""
    for at, certificate in enumerate(chain):
        if at and chain[at - 1].issuer != certificate.subject:
            return
        yield certificate
