"""Somebody in the middle changes what Knot DNS says: no lie is ever taken for proven."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assess.edge.dns_world import world
from assess.edge.hostile_dns import framed, hostile
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, Security
from gambeson.assess.core.unknown import Cause
from gambeson.assess.edge.dnssec import TrustAnchors
from gambeson.assess.edge.resolver import Resolver
from peers import missing_programs
from peers.knot import Knot

Message = dns.message.Message
Lie = Callable[[Message, Callable[[str, str], Message]], Message | None]
SIGNED = ("good.test", "nsec.test", "optout.test")


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    if why := missing_programs("knot"):
        pytest.skip(why)
    with Knot(tmp_path_factory.mktemp("knot"), world()) as found:
        yield found


def truth(knot: Knot, query: Message) -> Message:
    return dns.query.udp_with_fallback(query, knot.address, port=knot.port, timeout=5)[0]


def ask(knot: Knot, name: str, kind: str, lie: Lie, damage: Callable[[bytes], bytes] = bytes) -> DnsAnswer:
    def behave(query: Message, tcp: bool) -> list[bytes]:
        def other(text: str, type_: str) -> Message:
            return truth(knot, dns.message.make_query(text, type_, use_edns=0, want_dnssec=True))

        said = lie(query, other) or truth(knot, query)
        said.id = query.id
        said.question = query.question
        octets = said.to_wire(max_size=65535)
        octets = octets[:2] + damage(octets[2:])
        return [framed(octets) if tcp else octets]

    async def talk() -> DnsAnswer:
        async with hostile(behave) as (_, place):
            # What is damaged so much that it answers nothing is waited for in vain.
            timeout = 5 if damage is bytes else 0.2
            resolver = Resolver([place], anchors=TrustAnchors.read(knot.anchors), timeout=timeout, tries=1)
            found = await resolver.ask(Question(name, kind))
            await resolver.close()
            return found

    return asyncio.run(talk())


def about(query: Message, name: str, kind: str) -> bool:
    return query.question[0].name == dns.name.from_text(name) and query.question[
        0
    ].rdtype == dns.rdatatype.from_text(kind)


def bogus(found: DnsAnswer) -> bool:
    return (
        found.state is DnsState.UNKNOWN and found.unknown is not None and found.unknown.cause is Cause.BOGUS
    )


def without(message: Message, *kinds: str) -> Message:
    numbers = {dns.rdatatype.from_text(kind) for kind in kinds}
    message.answer = [r for r in message.answer if r.rdtype not in numbers]
    message.authority = [r for r in message.authority if r.rdtype not in numbers]
    return message


def record(name: str, kind: str, data: str) -> dns.rrset.RRset:
    rdata = dns.rdata.from_text("IN", kind, data, origin=dns.name.root, relativize=False)
    return dns.rrset.from_rdata(dns.name.from_text(name), 300, rdata)


@pytest.mark.parametrize("zone", SIGNED)
def test_without_a_lie_it_is_proven(knot: Knot, zone: str) -> None:
    assert ask(knot, f"mx1.{zone}", "A", lambda *_: None).security is Security.SECURE


@pytest.mark.parametrize("zone", SIGNED)
@pytest.mark.parametrize(
    ("name", "kind"),
    [("mx1.", "A"), ("", "MX"), ("www.", "A"), ("nope.", "A"), ("", "CAA"), ("a.wild.", "TXT")],
)
def test_signatures_taken_away(knot: Knot, zone: str, name: str, kind: str) -> None:
    def lie(query: Message, other: Callable[[str, str], Message]) -> Message | None:
        return without(truth(knot, query), "RRSIG") if about(query, name + zone, kind) else None

    found = ask(knot, name + zone, kind, lie)
    if zone == "optout.test" and name in ("nope.", "a.wild."):
        # Where no name is proven to exist, opt-out leaves room for an unsigned zone (RFC 5155 section 12.2).
        assert found.security is Security.INSECURE
    else:
        assert bogus(found)


@pytest.mark.parametrize("zone", SIGNED)
def test_another_address(knot: Knot, zone: str) -> None:
    def lie(query: Message, other: Callable[[str, str], Message]) -> Message | None:
        if not about(query, f"mx1.{zone}", "A"):
            return None
        said = truth(knot, query)
        said.answer = [record(f"mx1.{zone}", "A", "203.0.113.66")] + [r for r in said.answer if r.rdtype != 1]
        return said

    assert bogus(ask(knot, f"mx1.{zone}", "A", lie))


@pytest.mark.parametrize("zone", SIGNED)
@pytest.mark.parametrize(
    ("instead", "type_"), [("nope", "A"), ("mx2", "AAAA"), ("zzz", "MX"), ("empty.inner", "A")]
)
def test_a_denial_of_something_else(knot: Knot, zone: str, instead: str, type_: str) -> None:
    for name, kind in ((f"mx1.{zone}", "A"), (zone, "MX"), (f"inner.{zone}", "A")):

        def lie(
            query: Message, other: Callable[[str, str], Message], name: str = name, kind: str = kind
        ) -> Message | None:
            return other(f"{instead}.{zone}", type_) if about(query, name, kind) else None

        found = ask(knot, name, kind, lie)
        assert found.state is not DnsState.RECORDS
        if name.startswith("inner"):  # it exists, without records: some of these prove just that
            assert bogus(found) or found.state is DnsState.NO_DATA
        else:
            assert bogus(found)


@pytest.mark.parametrize("zone", ["good.test", "nsec.test"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("plain.test", "DS"),
        ("nope.test", "DS"),
        ("nope.test", "A"),
        ("{zone}", "CAA"),
        ("nope.{zone}", "DS"),
    ],
)
def test_a_signed_zone_said_to_be_unsigned(knot: Knot, zone: str, name: str, kind: str) -> None:
    """The DS of the zone is denied with whatever else is signed, and the answer comes without signature."""

    def lie(query: Message, other: Callable[[str, str], Message]) -> Message | None:
        if about(query, zone, "DS"):
            return other(name.format(zone=zone), kind)
        if about(query, f"mx1.{zone}", "A"):
            said = dns.message.make_response(query)
            said.answer = [record(f"mx1.{zone}", "A", "203.0.113.66")]
            return said
        return None

    assert bogus(ask(knot, f"mx1.{zone}", "A", lie))


def test_an_alias_put_in(knot: Knot) -> None:
    def lie(query: Message, other: Callable[[str, str], Message]) -> Message | None:
        if not about(query, "mx1.good.test", "A"):
            return None
        said = dns.message.make_response(query)
        said.answer = [
            record("mx1.good.test", "CNAME", "host.plain.test."),
            record("host.plain.test", "A", "203.0.113.66"),
        ]
        return said

    assert bogus(ask(knot, "mx1.good.test", "A", lie))


def test_a_dname_that_does_not_make_the_alias(knot: Knot) -> None:
    def lie(query: Message, other: Callable[[str, str], Message]) -> Message | None:
        if not about(query, "a.old.good.test", "A"):
            return None
        said = truth(knot, query)
        kept = [r for r in said.answer if r.rdtype == dns.rdatatype.DNAME or r.covers == dns.rdatatype.DNAME]
        said.answer = [
            *kept,
            record("a.old.good.test", "CNAME", "host.plain.test."),
            record("host.plain.test", "A", "203.0.113.66"),
        ]
        return said

    assert bogus(ask(knot, "a.old.good.test", "A", lie))


def test_all_signatures_taken_away_is_unchecked_and_not_proven(knot: Knot) -> None:
    found = ask(knot, "mx1.good.test", "A", lambda query, _: without(truth(knot, query), "RRSIG"))
    assert (found.state, found.security) == (DnsState.RECORDS, Security.UNCHECKED)


def test_proofs_of_denial_taken_away_is_unchecked(knot: Knot) -> None:
    """Some home routers hand signatures on, and no NSEC: then every unsigned domain would look wrongly signed."""
    found = ask(knot, "plain.test", "MX", lambda query, _: without(truth(knot, query), "NSEC", "NSEC3"))
    assert (found.state, found.security) == (DnsState.RECORDS, Security.UNCHECKED)
    assert found.unchecked == "the resolver does not hand proofs of denial on"


QUESTIONS = [
    ("mx1.good.test", "A"),
    ("good.test", "MX"),
    ("www.nsec.test", "A"),
    ("nope.good.test", "A"),
    ("nope.nsec.test", "A"),
    ("a.wild.good.test", "TXT"),
    ("mx2.nsec.test", "AAAA"),
    ("a.old.nsec.test", "A"),
    ("plain.test", "DS"),
]
CHANGES = st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 255)), min_size=1, max_size=3)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(QUESTIONS), CHANGES)
def test_damaged_octets_never_make_a_proven_lie(
    knot: Knot, question: tuple[str, str], changes: list[tuple[int, int]]
) -> None:
    def damage(octets: bytes) -> bytes:
        changed = bytearray(octets)
        for place, difference in changes:
            changed[place % len(changed)] ^= difference
        return bytes(changed)

    right = ask(knot, *question, lambda *_: None)
    found = ask(knot, *question, lambda *_: None, damage)
    if found.security is Security.SECURE:
        assert (found.state, found.records) == (right.state, right.records)
    if found.state is DnsState.UNKNOWN:
        assert found.unknown is not None
