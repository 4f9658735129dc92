"""Proofs that something does not exist: NSEC (RFC 4035 section 5.4) and NSEC3 (RFC 5155 section 8).

All records given here have signatures that hold. A proof may be whole, or leave a gap in which unsigned delegations can
be (opt-out, RFC 5155 section 6): then what was not found is proven to be not signed, no more.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from enum import Enum

import dns.dnssec
import dns.name
import dns.rdatatype
from dns.rdtypes.ANY.NSEC import NSEC
from dns.rdtypes.ANY.NSEC3 import NSEC3

from .dnssec import NotSignedError

MAX_ITERATIONS = 100  # of the NSEC3 hash; beyond it the zone counts as not signed (RFC 9276 section 3.2)
_OPT_OUT = 1
_SHA1 = 1
_HASH = 20  # octets

Name = dns.name.Name
Kind = dns.rdatatype.RdataType


class Proof(Enum):
    """What the records prove of a claim."""

    WHOLE = "whole"
    GAP = "gap"  # opt-out: at most unsigned delegations
    NONE = "none"


class Cut(Enum):
    """What the records prove of a name without DS."""

    UNSIGNED = "unsigned"  # a delegation to a zone that is not signed
    NO_CUT = "no-cut"  # the name belongs to the zone above it, or does not exist
    NOT_PROVEN = "not-proven"


def has(record: NSEC | NSEC3, kind: int) -> bool:
    """Whether the type map of ``record`` has ``kind`` (RFC 4034 section 4.1.2)."""
    for window, octets in record.windows:
        if window == kind >> 8:
            at = (kind & 0xFF) >> 3
            return at < len(octets) and bool(octets[at] & (0x80 >> (kind & 7)))
    return False


def _lacks(record: NSEC | NSEC3, kind: int, apex: bool) -> bool:
    """Whether a record *at* the name proves that ``kind`` is not there. A delegation's record speaks for DS alone, and
    that of a zone's apex never for DS, which is the parent's (RFC 6840 section 4.1, RFC 4035 section 5.2)."""
    if has(record, kind) or has(record, dns.rdatatype.CNAME):
        return False
    delegation = has(record, dns.rdatatype.NS) and not has(record, dns.rdatatype.SOA)
    if kind == dns.rdatatype.DS:
        return apex or not has(record, dns.rdatatype.SOA)
    return not delegation


def _blind_below(record: NSEC | NSEC3) -> bool:
    """Whether the record's owner hands the names below it to another zone or name (RFC 6840 section 4.1)."""
    return has(record, dns.rdatatype.DNAME) or (
        has(record, dns.rdatatype.NS) and not has(record, dns.rdatatype.SOA)
    )


@dataclass(slots=True)
class Denial:
    """The proven NSEC and NSEC3 records of one answer, of the zone ``apex``. Raises NotSignedError for NSEC3 that
    costs too much or has a hash that nobody knows."""

    apex: Name
    nsec: list[tuple[Name, NSEC]]
    nsec3: list[tuple[Name, NSEC3]]
    _hashes: dict[Name, bytes] = field(default_factory=dict)
    _hashed: list[tuple[bytes, NSEC3]] = field(default_factory=list)

    def __post_init__(self) -> None:
        known = [(owner, record) for owner, record in self.nsec3 if record.algorithm == _SHA1]
        if self.nsec3 and not known:
            raise NotSignedError
        for owner, record in known:
            first = known[0][1]
            if (record.iterations, record.salt) != (first.iterations, first.salt):
                continue  # all records of one proof share them (RFC 5155 section 8.2)
            if record.iterations > MAX_ITERATIONS:
                raise NotSignedError
            digest = _digest(owner.labels[0])
            if len(digest) == _HASH == len(record.next) and owner.parent() == self.apex:
                self._hashed.append((digest, record))

    def no_name(self, name: Name) -> Proof:
        """That ``name`` does not exist, nor a wildcard that would stand for it."""
        if self._hashed:
            encloser, proof = self._encloser(name)
            if encloser is None:
                return Proof.NONE
            if self._covering3(_wildcard(encloser)) is None:
                return Proof.NONE
            return proof
        found = self._absent(name)
        if found is None or self._absent(_wildcard(_common(name, found))) is None:
            return Proof.NONE
        return Proof.WHOLE

    def no_type(self, name: Name, kind: Kind) -> Proof:
        """That ``name``, or the wildcard that stands for it, has nothing of ``kind``."""
        apex = name == dns.name.root
        if self._hashed:
            if (at := self._at3(name)) is not None:
                return Proof.WHOLE if _lacks(at, kind, apex) else Proof.NONE
            encloser, proof = self._encloser(name)
            if encloser is None:
                return Proof.NONE
            wild = self._at3(_wildcard(encloser))
            if wild is not None:
                return proof if _lacks(wild, kind, apex) else Proof.NONE
            return Proof.GAP if proof is Proof.GAP else Proof.NONE
        if (exact := self._at(name)) is not None:
            return Proof.WHOLE if _lacks(exact, kind, apex) else Proof.NONE
        found = self._covering(name)
        if found is None:
            return Proof.NONE
        if found[1].next.is_subdomain(name):
            return Proof.WHOLE  # an empty name between two that exist
        wildcard = _wildcard(_common(name, found))
        if (wild_record := self._at(wildcard)) is not None:
            return Proof.WHOLE if _lacks(wild_record, kind, apex) else Proof.NONE
        around = self._covering(wildcard)
        return Proof.WHOLE if around is not None and around[1].next.is_subdomain(wildcard) else Proof.NONE

    def no_closer(self, name: Name, labels: int) -> Proof:
        """That nothing nearer to ``name`` exists than the wildcard it was made from, whose encloser has ``labels``
        labels (RFC 4035 section 5.3.4, RFC 5155 section 8.8)."""
        nearer = name.split(labels + 2)[1]  # one more than the encloser, and the root's own
        if self._hashed:
            covering = self._covering3(nearer)
            return Proof.NONE if covering is None else _strength(covering)
        return Proof.NONE if self._absent(nearer) is None else Proof.WHOLE

    def cut(self, name: Name) -> Cut:
        """What follows for the zone of ``name`` from its having no DS."""
        at: NSEC | NSEC3 | None = self._at3(name) if self._hashed else self._at(name)
        if at is not None:
            if not _lacks(at, dns.rdatatype.DS, name == dns.name.root) and not has(at, dns.rdatatype.CNAME):
                return Cut.NOT_PROVEN
            return Cut.UNSIGNED if has(at, dns.rdatatype.NS) else Cut.NO_CUT
        for proof in (self.no_type(name, dns.rdatatype.DS), self.no_name(name)):
            if proof is not Proof.NONE:
                return Cut.UNSIGNED if proof is Proof.GAP else Cut.NO_CUT
        return Cut.NOT_PROVEN

    # NSEC

    def _at(self, name: Name) -> NSEC | None:
        return next((record for owner, record in self.nsec if owner == name), None)

    def _covering(self, name: Name) -> tuple[Name, NSEC] | None:
        for owner, record in self.nsec:
            if not _between(owner, name, record.next, self.apex):
                continue
            if name.is_subdomain(owner) and _blind_below(record):
                continue
            return owner, record
        return None

    def _absent(self, name: Name) -> tuple[Name, NSEC] | None:
        """As ``_covering``, and the name is not an empty one, above the next that exists (RFC 4592 section 2.2.2)."""
        found = self._covering(name)
        return None if found is None or found[1].next.is_subdomain(name) else found

    # NSEC3

    def _hash(self, name: Name) -> bytes:
        found = self._hashes.get(name)
        if found is None:
            record = self._hashed[0][1]
            text = dns.dnssec.nsec3_hash(name, record.salt, record.iterations, record.algorithm)
            found = self._hashes[name] = _digest(text.encode("ascii"))
        return found

    def _at3(self, name: Name) -> NSEC3 | None:
        wanted = self._hash(name)
        return next((record for digest, record in self._hashed if digest == wanted), None)

    def _covering3(self, name: Name) -> NSEC3 | None:
        wanted = self._hash(name)
        for digest, record in self._hashed:
            last = digest >= record.next  # of the ring; one alone covers all but itself
            if (wanted > digest or wanted < record.next) if last else digest < wanted < record.next:
                return record
        return None

    def _encloser(self, name: Name) -> tuple[Name | None, Proof]:
        """The closest name above ``name`` that exists, with the proof that the next closer does not."""
        nearer = name
        while nearer != self.apex and len(nearer) > 1:
            encloser = nearer.parent()
            at = self._at3(encloser)
            if at is not None:
                covering = self._covering3(nearer)
                if covering is None or _blind_below(at):
                    return None, Proof.NONE
                return encloser, _strength(covering)
            nearer = encloser
        return None, Proof.NONE


def _strength(record: NSEC3) -> Proof:
    return Proof.GAP if record.flags & _OPT_OUT else Proof.WHOLE


def _digest(label: bytes) -> bytes:
    try:
        return base64.b32hexdecode(label.upper())
    except ValueError:
        return b""


def _wildcard(encloser: Name) -> Name:
    try:
        return dns.name.Name((b"*", *encloser.labels))
    except dns.name.NameTooLong:
        return (
            encloser  # no wildcard fits there, so none exists: the encloser's own record never covers itself
        )


def _between(owner: Name, name: Name, following: Name, apex: Name) -> bool:
    # The last of the zone leads back to its apex.
    return bool(owner < name and (name < following or (following <= owner and following == apex)))


def _common(name: Name, covering: tuple[Name, NSEC]) -> Name:
    """The closest name above ``name`` that exists, which the record that covers it tells."""
    owner, record = covering
    return max((_ancestor(name, owner), _ancestor(name, record.next)), key=len)


def _ancestor(one: Name, other: Name) -> Name:
    _, _, labels = one.fullcompare(other)
    return one.split(labels)[1]
