"""The chain of trust: from the root's anchors down to the zone that signed an answer (RFC 4035 section 5).

What a zone is, is found out once and kept. A resolver that hands no signatures on leaves everything unchecked; that
is not the same as wrong, and not the same as not signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import dns.dnssec
import dns.name
import dns.rcode
import dns.rdatatype
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.NSEC import NSEC
from dns.rdtypes.ANY.NSEC3 import NSEC3
from dns.rdtypes.ANY.RRSIG import RRSIG

from gambeson.assess.core.unknown import Unknown

from .dns_message import Message, Rrset, shown
from .dnssec import (
    BogusError,
    Budget,
    NotSignedError,
    TooCostlyError,
    TrustAnchors,
    Zone,
    proven_zone,
    signatures,
    usable,
    verify,
)
from .dnssec_denial import Cut, Denial, Proof

MAX_DEPTH = 40  # labels of a name whose zones are looked for; reverse names of IPv6 have 34
MAX_PROOFS = 12  # records that may take part in one proof of denial

# A top-level domain that there will never be, to see whether the resolver hands proofs of denial on (RFC 6761).
_NOBODY = dns.name.from_text("gambeson-look.invalid.")

Name = dns.name.Name
Fetch = Callable[[Name, dns.rdatatype.RdataType], Awaitable[Message | Unknown]]


class Trust(Enum):
    """How a zone or a set of records is proven."""

    SECURE = "secure"
    INSECURE = "insecure"
    BOGUS = "bogus"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Standing:
    """The security of the zone that a name is in; ``zone`` where it is secure, ``why`` where bogus or unchecked."""

    trust: Trust
    zone: Zone | None = None
    why: str = ""


INSECURE = Standing(Trust.INSECURE)
TOO_COSTLY = Standing(Trust.UNCHECKED, why="its signatures cost more to check than one look gives to it")


class Chain:
    """Zones from the root down. ``fetch`` asks for DS and DNSKEY with signatures; ``now`` is seconds since 1970."""

    def __init__(self, fetch: Fetch, anchors: TrustAnchors, now: float) -> None:
        self._fetch, self._anchors, self._now = fetch, anchors, now
        self._standings: dict[Name, asyncio.Task[Standing]] = {}
        self._budget = Budget()

    async def close(self) -> None:
        """Ends what is under way."""
        for task in self._standings.values():
            task.cancel()
        await asyncio.gather(*self._standings.values(), return_exceptions=True)
        self._standings.clear()

    async def standing(self, name: Name) -> Standing:
        """The security of the zone that ``name`` is in, which is the child's where ``name`` is a zone's apex."""
        if len(name) > MAX_DEPTH:
            return Standing(Trust.UNCHECKED, why=f"{shown(name)} has too many labels")
        task = self._standings.get(name)
        if task is None:
            task = self._standings[name] = asyncio.create_task(self._find(name))
        return await asyncio.shield(task)  # others wait for it too, so who gives up does not end it

    async def judge(self, rrset: Rrset, message: Message) -> Standing:
        """How ``rrset`` of the answer section is proven."""
        try:
            return await self._judge(rrset, message)
        except TooCostlyError:
            return TOO_COSTLY

    async def _judge(self, rrset: Rrset, message: Message) -> Standing:
        signed = signatures(message.answer, rrset.name, rrset.rdtype)
        signers = self._signers(signed, rrset.name, rrset.rdtype)
        if not signers:
            return await self._unsigned(rrset.name, rrset.rdtype)
        found = INSECURE
        for signer in signers:
            found = await self._signed_zone(signer)
            if found.zone is None:
                if found.trust is Trust.BOGUS:
                    continue
                return found
            try:
                signature = verify(rrset, signed, found.zone, self._now, self._budget)
                return self._expanded(rrset, signature, found.zone, message)
            except BogusError as error:
                found = Standing(Trust.BOGUS, why=str(error))
        return found

    async def judge_denial(
        self, name: Name, kind: dns.rdatatype.RdataType, nothing: bool, message: Message
    ) -> Standing:
        """How it is proven that ``name`` does not exist (``nothing``), or has no records of ``kind``."""
        try:
            return await self._judge_denial(name, kind, nothing, message)
        except TooCostlyError:
            return TOO_COSTLY

    async def _judge_denial(
        self, name: Name, kind: dns.rdatatype.RdataType, nothing: bool, message: Message
    ) -> Standing:
        signed = [
            signature
            for rrset in message.authority
            if rrset.rdtype == dns.rdatatype.RRSIG
            for signature in rrset
            if isinstance(signature, RRSIG)
        ]
        signers = self._signers(signed, name, kind)
        if not signers:
            return await self._unsigned(name, kind)
        found = await self._signed_zone(signers[0])
        if found.zone is None:
            return found
        try:
            denial = self._denial(found.zone, message)
            proof = denial.no_name(name) if nothing else denial.no_type(name, kind)
        except NotSignedError:
            return INSECURE
        if proof is Proof.NONE:
            what = shown(name) if nothing else f"{shown(name)} {dns.rdatatype.to_text(kind)}"
            return Standing(Trust.BOGUS, why=f"that {what} does not exist is said, and not proven")
        return found if proof is Proof.WHOLE else INSECURE

    # Zones

    async def _find(self, name: Name) -> Standing:
        try:
            if name == dns.name.root:
                return await self._root()
            above = await self.standing(name.parent())
            return above if above.zone is None else await self._below(name, above, above.zone)
        except BogusError as error:
            return Standing(Trust.BOGUS, why=str(error))
        except NotSignedError:
            return INSECURE
        except TooCostlyError:
            return TOO_COSTLY

    async def _root(self) -> Standing:
        """The root, where everything begins. What fails already here (this machine's clock, a resolver that hands no
        signatures or proofs on, a network with a root of its own) says nothing about any domain: nothing is checked."""
        message, nobody = await asyncio.gather(
            self._fetch(dns.name.root, dns.rdatatype.DNSKEY), self._fetch(_NOBODY, dns.rdatatype.DS)
        )
        if isinstance(message, Unknown):
            return Standing(Trust.UNCHECKED, why=f"the keys of the root were not given: {message.detail}")
        if not signatures(message.answer, dns.name.root, dns.rdatatype.DNSKEY):
            return Standing(Trust.UNCHECKED, why="the resolver does not hand signatures on")
        try:
            zone = proven_zone(dns.name.root, message, self._anchors.digests, self._now, self._budget)
        except (BogusError, NotSignedError) as error:
            return Standing(Trust.UNCHECKED, why=str(error) or "no key of the root can be checked")
        if isinstance(nobody, Unknown) or self._denial(zone, nobody).cut(_NOBODY) is Cut.NOT_PROVEN:
            return Standing(Trust.UNCHECKED, why="the resolver does not hand proofs of denial on")
        return Standing(Trust.SECURE, zone)

    async def _below(self, name: Name, above: Standing, zone: Zone) -> Standing:
        message = await self._fetch(name, dns.rdatatype.DS)
        if isinstance(message, Unknown):
            return Standing(Trust.UNCHECKED, why=message.detail)
        digests = next((r for r in message.answer if r.rdtype == dns.rdatatype.DS and r.name == name), None)
        if digests is None:
            return self._undelegated(name, above, zone, message)
        verify(digests, signatures(message.answer, name, dns.rdatatype.DS), zone, self._now, self._budget)
        found = [ds for ds in digests if isinstance(ds, DS)]
        if not usable(found):
            return INSECURE
        keys = await self._fetch(name, dns.rdatatype.DNSKEY)
        if isinstance(keys, Unknown):
            return Standing(Trust.UNCHECKED, why=keys.detail)
        return Standing(Trust.SECURE, proven_zone(name, keys, found, self._now, self._budget))

    def _undelegated(self, name: Name, above: Standing, zone: Zone, message: Message) -> Standing:
        """``name`` has no DS: not signed from here on, or no zone of its own."""
        alias = next((r for r in message.answer if r.rdtype == dns.rdatatype.CNAME and r.name == name), None)
        if alias is not None:
            verify(
                alias, signatures(message.answer, name, dns.rdatatype.CNAME), zone, self._now, self._budget
            )
            return above
        cut = self._denial(zone, message).cut(name)
        if cut is Cut.NOT_PROVEN:
            raise BogusError(f"nothing proves that {shown(name)} is not signed")
        return INSECURE if cut is Cut.UNSIGNED else above

    async def _signed_zone(self, signer: Name) -> Standing:
        found = await self.standing(signer)
        if found.zone is not None and found.zone.name != signer:
            return Standing(Trust.BOGUS, why=f"{shown(signer)} signs and is no zone")
        return found

    async def _unsigned(self, name: Name, kind: dns.rdatatype.RdataType) -> Standing:
        """Without a signature everything depends on whether the zone is proven to be not signed."""
        at = name.parent() if kind == dns.rdatatype.DS and name != dns.name.root else name
        found = await self.standing(at)
        if found.zone is None:
            return found
        what = f"{shown(name)} {dns.rdatatype.to_text(kind)}"
        return Standing(
            Trust.BOGUS, why=f"{shown(found.zone.name)} is signed, and the answer for {what} is not"
        )

    @staticmethod
    def _signers(signed: Sequence[RRSIG], name: Name, kind: int) -> list[Name]:
        """Who may sign for ``name``: itself or above; for DS only above (RFC 4035 section 5.2)."""
        found = dict.fromkeys(signature.signer for signature in signed if name.is_subdomain(signature.signer))
        if kind == dns.rdatatype.DS:
            found.pop(name, None)
        return list(found)[:2]

    # Proofs

    def _expanded(self, rrset: Rrset, signature: RRSIG, zone: Zone, message: Message) -> Standing:
        """A set made from a wildcard needs the proof that nothing nearer exists (RFC 4035 section 5.3.4)."""
        secure = Standing(Trust.SECURE, zone)
        own = len(rrset.name) - 1 - (1 if rrset.name.is_wild() else 0)
        if signature.labels >= own:
            return secure
        try:
            proof = self._denial(zone, message).no_closer(rrset.name, signature.labels)
        except NotSignedError:
            return INSECURE
        if proof is Proof.NONE:
            raise BogusError(f"nothing proves that a wildcard stands for {shown(rrset.name)}")
        return secure if proof is Proof.WHOLE else INSECURE

    def _denial(self, zone: Zone, message: Message) -> Denial:
        nsec: list[tuple[Name, NSEC]] = []
        nsec3: list[tuple[Name, NSEC3]] = []
        sets = [r for r in message.authority if r.rdtype in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)]
        for rrset in sets[:MAX_PROOFS]:
            try:
                signature = verify(
                    rrset,
                    signatures(message.authority, rrset.name, rrset.rdtype),
                    zone,
                    self._now,
                    self._budget,
                )
            except BogusError:
                continue
            if signature.labels < len(rrset.name) - 1 - (1 if rrset.name.is_wild() else 0):
                continue  # a denial made from a wildcard would deny whatever its maker likes
            for record in rrset:
                if isinstance(record, NSEC):
                    nsec.append((rrset.name, record))
                elif isinstance(record, NSEC3):
                    nsec3.append((rrset.name, record))
        return Denial(zone.name, nsec, nsec3)
