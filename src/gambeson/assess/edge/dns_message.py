"""DNS messages: what is asked, whether what came is the answer to it, and records as text.

A datagram is only an answer if it comes from the server that was asked (the socket sees to that), with our number and
our question (RFC 5452 section 9.1). Anything else is not looked at further.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

PAYLOAD = 1232  # octets of an answer that pass everywhere in one piece (RFC 9715 section 3)
MAX_RECORDS = 1000  # of one answer; nobody needs so many

Rrset = dns.rrset.RRset
Message = dns.message.Message


class Reply(Enum):
    """What a message is that is no answer."""

    FOREIGN = "foreign"  # not for us: another number or another question
    GARBAGE = "garbage"  # for us, and not a DNS message


@dataclass(frozen=True, slots=True)
class Ask:
    """One question as it goes out. ``name`` and ``kind`` are dnspython's."""

    name: dns.name.Name
    kind: dns.rdatatype.RdataType
    recursion: bool = True
    checking_disabled: bool = False
    edns: bool = True


def query(ask: Ask, number: int) -> bytes:
    """The message that asks it, with ``number`` as its ID. With EDNS (RFC 6891) signatures are wanted (DO)."""
    flags = 0
    if ask.recursion:
        flags |= dns.flags.RD
    if ask.checking_disabled:
        flags |= dns.flags.CD
    message = dns.message.make_query(
        ask.name,
        ask.kind,
        use_edns=0 if ask.edns else False,
        want_dnssec=ask.edns,
        payload=PAYLOAD if ask.edns else None,
        id=number,
        flags=flags,
    )
    return message.to_wire()


def reply(octets: bytes, ask: Ask, number: int) -> Message | Reply:
    """The message, if it answers ``ask``."""
    if len(octets) < 12 or int.from_bytes(octets[:2], "big") != number:
        return Reply.FOREIGN
    try:
        message = dns.message.from_wire(octets, ignore_trailing=True)
    except Exception:
        # A truncated message may end within a record; its header says so, and TCP will bring the rest.
        if octets[2] & 0x02 and octets[2] & 0x80:
            return _truncated(ask, number)
        return Reply.GARBAGE
    if not message.flags & dns.flags.QR or message.opcode() != dns.opcode.QUERY:
        return Reply.FOREIGN
    if not message.question and message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return message  # a server that did not even read the question; who says that a name is not there has read it
    if len(message.question) != 1:
        return Reply.FOREIGN
    question = message.question[0]
    if (question.name, question.rdtype, question.rdclass) != (ask.name, ask.kind, dns.rdataclass.IN):
        return Reply.FOREIGN
    return message


def _truncated(ask: Ask, number: int) -> Message:
    message = dns.message.make_query(ask.name, ask.kind, id=number)
    message.flags |= dns.flags.QR | dns.flags.TC
    return message


def name_of(text: str) -> dns.name.Name | None:
    """A name as dnspython has it; None where it is none (empty labels, too long)."""
    try:
        return dns.name.from_text(text, origin=dns.name.root).canonicalize()
    except (dns.exception.DNSException, UnicodeError, ValueError):
        return None


def kind_of(text: str) -> dns.rdatatype.RdataType | None:
    """A record type; None where there is no such type or it is no type of a record (``ANY``, ``AXFR``)."""
    try:
        kind = dns.rdatatype.from_text(text)
    except (dns.exception.DNSException, ValueError):
        return None
    return None if dns.rdatatype.is_metatype(kind) else kind


def shown(name: dns.name.Name) -> str:
    """A name as in ``DnsAnswer``: lower case, no final dot; the root is ``.``."""
    return name.canonicalize().to_text(omit_final_dot=True) if len(name) > 1 else "."


def record(rdata: Any) -> str:
    """A record (dnspython's, of any type) as in ``DnsAnswer``."""
    if rdata.rdtype in (dns.rdatatype.TXT, dns.rdatatype.SPF):
        return b"".join(rdata.strings).decode("latin-1")
    if rdata.rdtype in (dns.rdatatype.TLSA, dns.rdatatype.SMIMEA):
        return f"{rdata.usage} {rdata.selector} {rdata.mtype} {rdata.cert.hex()}"
    if rdata.rdtype == dns.rdatatype.DS:
        return f"{rdata.key_tag} {int(rdata.algorithm)} {int(rdata.digest_type)} {rdata.digest.hex()}"
    if rdata.rdtype == dns.rdatatype.MX:
        return f"{rdata.preference} {shown(rdata.exchange)}"
    if rdata.rdtype == dns.rdatatype.SRV:
        return f"{rdata.priority} {rdata.weight} {rdata.port} {shown(rdata.target)}"
    if rdata.rdtype in (dns.rdatatype.NS, dns.rdatatype.PTR, dns.rdatatype.CNAME, dns.rdatatype.DNAME):
        return shown(rdata.target)
    if rdata.rdtype == dns.rdatatype.SOA:
        numbers = f"{rdata.serial} {rdata.refresh} {rdata.retry} {rdata.expire} {rdata.minimum}"
        return f"{shown(rdata.mname)} {shown(rdata.rname)} {numbers}"
    return str(rdata.to_text())
