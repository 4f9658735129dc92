"""Signatures of records, and the keys that are believed (RFC 4034, RFC 4035, RFC 6840). No waiting here: what is needed
is given, the time too.

How much work a stranger can cause is bounded (CVE-2023-50387): few keys of a zone, few signatures of a set.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.RRSIG import RRSIG

from .dns_message import Message, Rrset, shown

MAX_KEYS = 24  # of one zone
MAX_SAME_TAG = 3  # keys with one tag
MAX_SIGNATURES = 6  # of one set that are tried
MOST_SIGNATURES = 2500  # that one look computes; one that fails costs about a millisecond
ALGORITHMS = frozenset({5, 7, 8, 10, 13, 14, 15, 16})  # those that we can compute (RFC 8624 section 3.1)
DIGESTS = frozenset({1, 2, 4})
_REVOKED = 0x0080


class BogusError(Exception):
    """A proof that must be there is missing or does not hold. The text is part of a sentence."""


class NotSignedError(Exception):
    """Proven to be not signed, or not in a way that we can compute (RFC 4035 section 5.2)."""


class AnchorError(Exception):
    """The file of trust anchors cannot be used; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """The keys of the root that are believed, as DS records."""

    digests: tuple[DS, ...]

    @classmethod
    def read(cls, path: Path) -> TrustAnchors:
        """From a file of DS and DNSKEY records of the root in presentation form, ``;`` begins a comment. Raises
        AnchorError."""
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeError) as error:
            raise AnchorError(f"The trust anchors of {path} cannot be read: {error}.") from None
        found: list[DS] = []
        for number, line in enumerate(lines, 1):
            if words := line.split(";", 1)[0].split():
                found.append(_anchor(words, f"{path} line {number}"))
        if not found:
            raise AnchorError(f"{path} has no trust anchor.")
        return cls(tuple(found))


def _anchor(words: list[str], place: str) -> DS:
    for kind, at in (
        ("DS", words.index("DS") if "DS" in words else -1),
        ("DNSKEY", words.index("DNSKEY") if "DNSKEY" in words else -1),
    ):
        if at < 0:
            continue
        if words[0] != "." or at == 0:
            break
        try:
            rdata = dns.rdata.from_text("IN", kind, " ".join(words[at + 1 :]))
            if isinstance(rdata, DNSKEY):
                return dns.dnssec.make_ds(dns.name.root, rdata, "SHA256")
            if isinstance(rdata, DS):
                return rdata
        except (dns.exception.DNSException, ValueError) as error:
            raise AnchorError(f"{place}: {error}.") from None
    raise AnchorError(f"{place}: a DS or DNSKEY record of the root is wanted.")


def _ds(text: str) -> DS:
    found = dns.rdata.from_text("IN", "DS", text)
    assert isinstance(found, DS)
    return found


# KSK-2017 and KSK-2024, as IANA publishes them (root-anchors.xml).
IANA = TrustAnchors(
    (
        _ds("20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"),
        _ds("38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"),
    )
)


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone whose keys are proven."""

    name: dns.name.Name
    keys: dns.rdataset.Rdataset


def signatures(section: Iterable[Rrset], owner: dns.name.Name, kind: int) -> list[RRSIG]:
    """The signatures of the set ``owner`` ``kind`` among ``section``."""
    return [
        rdata
        for rrset in section
        if rrset.rdtype == dns.rdatatype.RRSIG and rrset.covers == kind and rrset.name == owner
        for rdata in rrset
        if isinstance(rdata, RRSIG)
    ][:MAX_SIGNATURES]


class TooCostlyError(Exception):
    """More signatures were to be computed than one look gives to it (CVE-2023-50387: strangers make us work)."""


class Budget:
    """How many signatures may still be computed."""

    def __init__(self, left: int = MOST_SIGNATURES) -> None:
        self.left = left

    def spend(self) -> None:
        """Takes one. Raises TooCostlyError where none is left."""
        if self.left <= 0:
            raise TooCostlyError
        self.left -= 1


def verify(rrset: Rrset, signed: Iterable[RRSIG], zone: Zone, now: float, budget: Budget) -> RRSIG:
    """The signature of ``zone`` that holds for ``rrset`` at ``now`` (RFC 4035 section 5.3). Raises BogusError, and
    TooCostlyError."""
    name = f"{shown(rrset.name)} {dns.rdatatype.to_text(rrset.rdtype)}"
    why = f"{name} has no signature of {shown(zone.name)}"
    if not rrset.name.is_subdomain(zone.name):
        raise BogusError(why)
    for signature in signed:
        if signature.signer != zone.name:
            continue
        if signature.expiration < now:
            why = f"the signature of {name} ended on {_day(signature.expiration)}"
        elif signature.inception > now:
            why = f"the signature of {name} begins only on {_day(signature.inception)}"
        else:
            budget.spend()
            try:
                dns.dnssec.validate_rrsig(rrset, signature, {zone.name: zone.keys}, now=now)
            except Exception:  # dnspython and cryptography have many ways to say no, all of them mean no
                why = f"the signature of {name} does not fit any key of {shown(zone.name)}"
            else:
                return signature
    raise BogusError(why)


def usable(digests: Iterable[DS]) -> list[DS]:
    """Those that we can compute; SHA-1 only where there is nothing better (RFC 4509 section 3)."""
    found = [ds for ds in digests if ds.algorithm in ALGORITHMS and ds.digest_type in DIGESTS]
    better = [ds for ds in found if ds.digest_type != 1]
    return better or found


def proven_zone(
    name: dns.name.Name, message: Message, digests: Iterable[DS], now: float, budget: Budget
) -> Zone:
    """The zone ``name``, whose DNSKEY set is in ``message`` and signed by a key that one of ``digests`` names (RFC 4035
    section 5.2). Raises NotSignedError where no digest is usable, else BogusError."""
    chosen = usable(digests)
    if not chosen:
        raise NotSignedError
    keys = next((r for r in message.answer if r.rdtype == dns.rdatatype.DNSKEY and r.name == name), None)
    if keys is None:
        raise BogusError(f"{shown(name)} should have keys and has none")
    _bounded(name, keys)
    entries = dns.rdataset.Rdataset(dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    for key in keys:
        if any(_names(ds, name, key) for ds in chosen):
            entries.add(key)
    if not entries:
        if name == dns.name.root:
            raise BogusError("none of the keys of the root is one that we trust")
        raise BogusError(f"none of the keys of {shown(name)} is the one that its parent names")
    verify(keys, signatures(message.answer, name, dns.rdatatype.DNSKEY), Zone(name, entries), now, budget)
    trusted = dns.rdataset.Rdataset(dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    for key in keys:
        if _signs(key):
            trusted.add(key)
    return Zone(name, trusted)


def _bounded(name: dns.name.Name, keys: Rrset) -> None:
    tags: dict[int, int] = {}
    for key in keys:
        tag = dns.dnssec.key_id(key)
        tags[tag] = tags.get(tag, 0) + 1
    if len(keys) > MAX_KEYS or max(tags.values(), default=0) > MAX_SAME_TAG:
        raise BogusError(f"{shown(name)} has more keys than anybody needs")


def _signs(key: dns.rdata.Rdata) -> bool:
    """Whether it is a zone's key that was not taken back (RFC 4034 section 2.1.1, RFC 5011 section 2.1)."""
    return (
        isinstance(key, DNSKEY)
        and bool(key.flags & 0x0100)
        and key.protocol == 3
        and not key.flags & _REVOKED
    )


def _names(ds: DS, name: dns.name.Name, key: dns.rdata.Rdata) -> bool:
    if not isinstance(key, DNSKEY) or not _signs(key) or key.algorithm != ds.algorithm:
        return False
    if dns.dnssec.key_id(key) != ds.key_tag:
        return False
    try:
        made = dns.dnssec.make_ds(name, key, ds.digest_type, validating=True)
    except (dns.exception.DNSException, ValueError):
        return False
    return bool(made.digest == ds.digest)


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
