"""The resolver against servers that misbehave: whatever they do, it ends, and says why nothing is known."""

from __future__ import annotations

import asyncio
import socket

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assess.edge.hostile_dns import Behaviour, answer, framed, hostile
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, Security
from gambeson.assess.core.unknown import Cause
from gambeson.assess.edge.dns_message import MAX_RECORDS, Ask, Reply, kind_of, name_of, query, reply
from gambeson.assess.edge.resolver import SILENCE, Resolver

A = "example.org 60 IN A 192.0.2.1"
SOA = "example.org 300 IN SOA ns.example.org hostmaster.example.org 1 2 3 4 60"
ASKED = Question("example.org", "A")


def ask(behave: Behaviour, question: Question = ASKED, **options: object) -> DnsAnswer:
    return conversation(behave, question, **options)[0]


def conversation(
    behave: Behaviour, question: Question = ASKED, **options: object
) -> tuple[DnsAnswer, list[tuple[dns.message.Message, bool]]]:
    async def talk() -> tuple[DnsAnswer, list[tuple[dns.message.Message, bool]]]:
        async with hostile(behave) as (server, place):
            resolver = Resolver([place], **{"timeout": 0.2, "anchors": None, **options})  # type: ignore[arg-type]
            found = await resolver.ask(question)
            await resolver.close()
            return found, server.seen

    return asyncio.run(talk())


def cause(found: DnsAnswer) -> Cause | None:
    assert found.state is DnsState.UNKNOWN
    assert found.records == ()
    assert found.unknown is not None
    assert found.unknown.detail
    return found.unknown.cause


def with_code(code: int) -> Behaviour:
    return lambda question, _: [answer(question, rcode=code).to_wire()]


def test_silence_is_a_time_out_and_not_nothing() -> None:
    found, seen = conversation(lambda *_: [])
    assert cause(found) is Cause.TIMEOUT
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        (dns.rcode.SERVFAIL, Cause.SERVFAIL),
        (dns.rcode.REFUSED, Cause.REFUSED),
        (dns.rcode.NOTAUTH, Cause.REFUSED),
        (dns.rcode.FORMERR, Cause.SERVFAIL),
        (dns.rcode.NOTIMP, Cause.SERVFAIL),
        (dns.rcode.YXDOMAIN, Cause.SERVFAIL),
        (14, Cause.SERVFAIL),
    ],
)
def test_a_code_of_failure_is_never_nothing(code: int, wanted: Cause) -> None:
    assert cause(ask(with_code(code))) is wanted


def test_the_reason_that_a_server_adds_is_said() -> None:
    def behave(question: dns.message.Message, _: bool) -> list[bytes]:
        made = dns.message.make_response(question)
        made.set_rcode(dns.rcode.SERVFAIL)
        made.use_edns(0, options=[dns.edns.EDEOption(22, "anything at all"), dns.edns.EDEOption(60000)])
        return [made.to_wire()]

    found = ask(behave)
    assert found.unknown is not None
    assert found.unknown.detail.endswith(" answers SERVFAIL: no reachable authority")


def test_a_name_server_that_names_an_alias_instead_of_its_zone() -> None:
    async def talk() -> DnsAnswer:
        async with hostile(
            lambda question, _: [answer(question, "example.org 60 IN CNAME x.example").to_wire()]
        ) as (
            _,
            place,
        ):
            resolver = Resolver([place], anchors=None, timeout=0.5, private=True)
            return await resolver.ask(Question("example.org", "SOA", "127.0.0.1"))

    assert cause(asyncio.run(talk())) is Cause.REFUSED


def test_a_header_alone_is_taken_for_a_failure() -> None:
    def behave(question: dns.message.Message, _: bool) -> list[bytes]:
        return [question.id.to_bytes(2, "big") + b"\x81\x85" + bytes(8)]

    assert cause(ask(behave)) is Cause.REFUSED


def test_servfail_that_ends_when_told_not_to_check_is_bogus() -> None:
    def behave(question: dns.message.Message, _: bool) -> list[bytes]:
        if question.flags & dns.flags.CD:
            return [answer(question, A).to_wire()]
        return [answer(question, rcode=dns.rcode.SERVFAIL).to_wire()]

    found = ask(behave)
    assert cause(found) is Cause.BOGUS
    assert found.unknown is not None
    assert "unless told not to check signatures" in found.unknown.detail


def test_a_server_without_edns_is_asked_without() -> None:
    def behave(question: dns.message.Message, _: bool) -> list[bytes]:
        return [answer(question, A, rcode=dns.rcode.FORMERR if question.edns >= 0 else 0).to_wire()]

    found, seen = conversation(behave)
    assert (found.state, found.records) == (DnsState.RECORDS, ("192.0.2.1",))
    assert [question.edns for question, _ in seen] == [0, -1]


def test_a_referral_is_no_answer() -> None:
    found = ask(lambda question, _: [answer(question, "/", "org 60 IN NS ns.example.net").to_wire()])
    assert cause(found) is Cause.REFUSED


def test_nothing_is_only_what_was_said_to_be_nothing() -> None:
    assert ask(lambda question, _: [answer(question, "/", SOA).to_wire()]).state is DnsState.NO_DATA
    gone = ask(lambda question, _: [answer(question, "/", SOA, rcode=dns.rcode.NXDOMAIN).to_wire()])
    assert (gone.state, gone.ttl, gone.security) == (DnsState.NO_NAME, 60, Security.UNCHECKED)


def wrong_number(question: dns.message.Message) -> bytes:
    made = answer(question, "example.org 60 IN A 203.0.113.66")
    made.id = question.id ^ 1
    return made.to_wire()


def wrong_question(question: dns.message.Message) -> bytes:
    made = dns.message.make_response(dns.message.make_query("other.example", "A", id=question.id))
    return made.to_wire()


def no_question(question: dns.message.Message) -> bytes:
    made = answer(question, "example.org 60 IN A 203.0.113.66")
    made.question = []
    return made.to_wire()


def other_class(question: dns.message.Message) -> bytes:
    return answer(question).to_wire().replace(b"\x00\x01\x00\x01", b"\x00\x01\x00\x03", 1)


FOREIGN = [
    wrong_number,
    wrong_question,
    no_question,
    lambda question: question.to_wire(),
    lambda _: b"x",
]


@pytest.mark.parametrize("make", FOREIGN)
def test_an_answer_to_something_else_is_passed_over(make: object) -> None:
    found = ask(lambda question, _: [make(question), answer(question, A).to_wire()])  # type: ignore[operator]
    assert found.records == ("192.0.2.1",)
    assert cause(ask(lambda question, _: [make(question)])) is Cause.MALFORMED  # type: ignore[operator]


def test_a_flood_of_wrong_answers_ends() -> None:
    found = ask(lambda question, _: [wrong_number(question)] * 100, timeout=5, tries=1)
    assert cause(found) is Cause.MALFORMED


@pytest.mark.parametrize(
    "tail", [b"\x81\x80" + b"\xff" * 40, b"\x81\x80\x00\x01" + b"\xc0\x0c" * 30, b"\x80\x00\xff\xff" * 9]
)
def test_garbage_with_our_number_is_malformed(tail: bytes) -> None:
    assert cause(ask(lambda question, _: [question.id.to_bytes(2, "big") + tail])) is Cause.MALFORMED


def truncated(question: dns.message.Message) -> bytes:
    return answer(question, flags=dns.flags.TC).to_wire()


def test_what_is_truncated_comes_over_tcp() -> None:
    records = [f"example.org 60 IN TXT {number:03}{'x' * 200}" for number in range(200)]

    def behave(question: dns.message.Message, tcp: bool) -> list[bytes]:
        return [framed(answer(question, *records).to_wire(max_size=65535))] if tcp else [truncated(question)]

    found, seen = conversation(behave, Question("example.org", "TXT"))
    assert len(found.records) == 200
    assert [tcp for _, tcp in seen] == [False, True]


def test_a_datagram_cut_within_a_record_counts_as_truncated() -> None:
    def behave(question: dns.message.Message, tcp: bool) -> list[bytes]:
        whole = answer(question, A, flags=0 if tcp else dns.flags.TC).to_wire()
        return [framed(whole)] if tcp else [whole[:40]]

    assert ask(behave).records == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("over_tcp", "wanted"),
    [
        (lambda _: [], Cause.MALFORMED),
        (lambda _: [b"\x00"], Cause.MALFORMED),
        (lambda _: [b"\xff\xff" + b"x" * 100], Cause.MALFORMED),
        (lambda _: [b"\x00\x00"], Cause.MALFORMED),
        (lambda question: [framed(wrong_number(question))], Cause.MALFORMED),
        (
            lambda question: [framed(question.id.to_bytes(2, "big") + b"\x81\x80" + b"\xff" * 60)],
            Cause.MALFORMED,
        ),
        (lambda _: [b"HTTP/1.1 400 Bad Request\r\n\r\n"], Cause.MALFORMED),
    ],
)
def test_what_tcp_may_bring_instead(over_tcp: object, wanted: Cause) -> None:
    def behave(question: dns.message.Message, tcp: bool) -> list[bytes]:
        return over_tcp(question) if tcp else [truncated(question)]  # type: ignore[operator, no-any-return]

    assert cause(ask(behave)) is wanted


def test_tcp_that_never_ends_its_answer_ends() -> None:
    async def talk() -> DnsAnswer:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"\xff\xff")
            try:
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.01)
            except OSError:
                writer.close()

        async with hostile(lambda question, _: [truncated(question)]) as (server, place):
            slow = await asyncio.start_server(drip, "127.0.0.2", place[1])
            loop = asyncio.get_running_loop()
            udp, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.2", place[1]))
            found = await Resolver([("127.0.0.2", place[1])], anchors=None, timeout=0.2).ask(ASKED)
            udp.close()
            slow.close()
            return found

    assert cause(asyncio.run(talk())) is Cause.TIMEOUT


def test_a_circle_of_aliases_ends() -> None:
    def behave(question: dns.message.Message, _: bool) -> list[bytes]:
        name = question.question[0].name.to_text(True)
        other = "b.example" if name == "a.example" else "a.example"
        return [answer(question, f"{name} 60 IN CNAME {other}").to_wire()]

    found = ask(behave, Question("a.example", "A"))
    assert cause(found) is Cause.MALFORMED
    assert "circle" in (found.unknown.detail if found.unknown else "")


def test_aliases_without_end_end() -> None:
    def behave(question: dns.message.Message, _: bool) -> list[bytes]:
        name = question.question[0].name.to_text(True)
        return [answer(question, f"{name} 60 IN CNAME x{name}").to_wire()]

    found, seen = conversation(behave, Question("a.example", "A"))
    assert cause(found) is Cause.TOO_LONG
    assert len(seen) == 9


def test_records_of_others_are_not_taken() -> None:
    found = ask(
        lambda question, _: [answer(question, "evil.example 60 IN A 203.0.113.1", "/", SOA).to_wire()]
    )
    assert (found.state, found.records) == (DnsState.NO_DATA, ())


def test_far_too_many_records() -> None:
    def behave(question: dns.message.Message, tcp: bool) -> list[bytes]:
        if not tcp:
            return [truncated(question)]
        made = answer(question)
        addresses = [f"10.0.{number // 250}.{number % 250}" for number in range(MAX_RECORDS + 1)]
        made.answer.append(dns.rrset.from_text("example.org.", 60, "IN", "A", *addresses))
        return [framed(made.to_wire(max_size=65535))]

    assert cause(ask(behave)) is Cause.TOO_LONG


def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    found = asyncio.run(Resolver([("127.0.0.1", port)], timeout=0.5).ask(ASKED))
    assert cause(found) in (Cause.UNREACHABLE, Cause.TIMEOUT)
    assert cause(asyncio.run(Resolver([]).ask(ASKED))) is Cause.UNREACHABLE


def test_the_next_server_answers_and_is_asked_first_from_then_on() -> None:
    async def talk() -> tuple[list[DnsAnswer], int]:
        async with (
            hostile(with_code(dns.rcode.REFUSED)) as (first, one),
            hostile(lambda question, _: [answer(question, A).to_wire()]) as (_, two),
        ):
            resolver = Resolver([one, two], anchors=None, timeout=0.3)
            return [await resolver.ask(ASKED) for _ in range(5)], len(first.seen)

    found, asked = asyncio.run(talk())
    assert {answer.records for answer in found} == {("192.0.2.1",)}
    assert asked == 1


def test_the_most_telling_failure_is_kept() -> None:
    async def talk() -> DnsAnswer:
        async with hostile(with_code(dns.rcode.REFUSED)) as (_, one), hostile(lambda *_: []) as (_, two):
            return await Resolver([one, two], anchors=None, timeout=0.1).ask(ASKED)

    assert cause(asyncio.run(talk())) is Cause.REFUSED


def test_a_dead_resolver_does_not_cost_the_whole_look() -> None:
    async def talk() -> tuple[list[DnsAnswer], int]:
        async with hostile(lambda *_: []) as (server, place):
            resolver = Resolver([place], anchors=None, timeout=0.02, in_flight=8)
            found = await asyncio.gather(*(resolver.ask(Question(f"n{n}.example", "A")) for n in range(300)))
            return found, len(server.seen)

    found, asked = asyncio.run(talk())
    assert {cause(answer) for answer in found} == {Cause.TIMEOUT}
    assert asked < SILENCE + 320


def test_only_so_many_at_once() -> None:
    async def talk() -> int:
        waiting, most = 0, 0

        async with hostile(lambda *_: []) as (server, place):
            resolver = Resolver([place], anchors=None, timeout=0.2, tries=1, in_flight=5)
            tasks = [asyncio.create_task(resolver.ask(Question(f"n{n}.example", "A"))) for n in range(20)]
            await asyncio.sleep(0.1)
            waiting, most = len(tasks), len(server.seen)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert waiting == 20
            return most

    assert asyncio.run(talk()) == 5


def test_a_resolver_that_hands_no_signatures_on_leaves_it_unchecked() -> None:
    def behave(question: dns.message.Message, _: bool) -> list[bytes]:
        if question.question[0].rdtype == dns.rdatatype.A:
            return [answer(question, A).to_wire()]
        return [answer(question, "/", "org 60 IN SOA a b 1 2 3 4 5").to_wire()]

    from gambeson.assess.edge.dnssec import IANA

    found = ask(behave, anchors=IANA)
    assert (found.records, found.security) == (("192.0.2.1",), Security.UNCHECKED)


NUMBER = 4711
NAME = name_of("example.org")
KIND = kind_of("A")


@given(st.binary(max_size=200))
def test_any_octets_are_an_answer_or_none(octets: bytes) -> None:
    assert NAME is not None
    assert KIND is not None
    asked = Ask(NAME, KIND)
    for text in (octets, NUMBER.to_bytes(2, "big") + octets):
        found = reply(text, asked, NUMBER)
        assert isinstance(found, Reply | dns.message.Message)


@given(st.data())
def test_any_damage_to_an_answer_is_an_answer_or_none(data: st.DataObject) -> None:
    assert NAME is not None
    assert KIND is not None
    asked = Ask(NAME, KIND)
    question = dns.message.from_wire(query(asked, NUMBER))
    whole = bytearray(
        answer(question, A, "example.org 60 IN TXT x", "example.org 60 IN MX 10 .", "/", SOA).to_wire()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = reply(bytes(whole[: data.draw(st.integers(0, len(whole)))]), asked, NUMBER)
    assert isinstance(found, Reply | dns.message.Message)


@given(st.text(max_size=300), st.text(max_size=12))
def test_any_text_is_asked_or_said_to_be_no_question(name: str, kind: str) -> None:
    found = asyncio.run(Resolver([], anchors=None).ask(Question(name, kind)))
    assert cause(found) in (Cause.MALFORMED, Cause.UNREACHABLE)


def test_an_answer_that_is_cut_off_over_tcp_too_is_no_answer() -> None:
    def cut(question: dns.message.Message, tcp: bool) -> list[bytes]:
        reply = answer(question)
        reply.flags |= dns.flags.TC
        return [framed(reply) if tcp else reply.to_wire()]

    assert cause(ask(cut)) is Cause.MALFORMED


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "64:ff9b::7f00:1", "2002:a9fe:a9fe::", "::7f00:1", "224.0.0.1"]
)
def test_name_servers_at_addresses_of_private_use_are_not_asked(address: str) -> None:
    found, seen = conversation(lambda *_: [], Question("example.org", "SOA", address))
    assert cause(found) is Cause.PRIVATE
    assert seen == []


def test_nobody_says_that_a_name_is_not_there_without_naming_it() -> None:
    def nameless(question: dns.message.Message, tcp: bool) -> list[bytes]:
        reply = answer(question, rcode=dns.rcode.NXDOMAIN)
        reply.question.clear()
        return [framed(reply) if tcp else reply.to_wire()]

    assert cause(ask(nameless)) is Cause.MALFORMED
