"""The resolver against Knot DNS: a root of its own, and zones signed in every way, rightly and wrongly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from assess.edge.dns_world import world
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, Security
from gambeson.assess.core.unknown import Cause
from gambeson.assess.edge.dnssec import IANA, AnchorError, TrustAnchors
from gambeson.assess.edge.resolver import Resolver
from peers import missing_programs
from peers.knot import Knot

SIGNED = ("good.test", "nsec.test", "rsa.test", "ed.test", "optout.test")
UNSIGNED = ("plain.test", "child.optout.test", "alien.test")


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    if why := missing_programs("knot"):
        pytest.skip(why)
    with Knot(tmp_path_factory.mktemp("knot"), world()) as found:
        yield found


def ask(knot: Knot, *questions: tuple[str, str], **options: object) -> list[DnsAnswer]:
    async def all_of_them() -> list[DnsAnswer]:
        resolver = Resolver([knot.server], **{"anchors": TrustAnchors.read(knot.anchors), **options})  # type: ignore[arg-type]
        try:
            return await asyncio.gather(*(resolver.ask(Question(*question)) for question in questions))
        finally:
            await resolver.close()

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("zone", SIGNED + UNSIGNED)
def test_answers_of_a_zone(knot: Knot, zone: str) -> None:
    names = ("@ MX", "@ TXT", "@ CAA", "nope A", "mx1 AAAA", "mx2 AAAA", "empty.inner A", "www A", "nowhere A",
             "a.b.wild TXT", "a.wild AAAA", "a.old A", "_25._tcp.mx1 TLSA", "c0 A", "big TXT", "MX1 A")  # fmt: skip
    questions = []
    for text in names:
        label, kind = text.split()
        questions.append((zone if label == "@" else f"{label}.{zone}", kind))
    found = dict(zip(names, ask(knot, *questions), strict=True))
    assert {name: answer.state.value for name, answer in found.items()} == {
        "@ MX": "records", "@ TXT": "records", "@ CAA": "nodata", "nope A": "nxdomain", "mx1 AAAA": "records",
        "mx2 AAAA": "nodata", "empty.inner A": "nodata", "www A": "records", "nowhere A": "nxdomain",
        "a.b.wild TXT": "records", "a.wild AAAA": "nodata", "a.old A": "records", "_25._tcp.mx1 TLSA": "records",
        "c0 A": "records", "big TXT": "records", "MX1 A": "records",
    }  # fmt: skip
    assert found["@ MX"].records == (f"10 mx1.{zone}", f"20 mx2.{zone}")
    assert found["@ TXT"].records == ("v=spf1 mx -all",)
    assert found["www A"].records == ("192.0.2.1",)
    assert found["www A"].aliases == (f"mx1.{zone}",)
    assert found["nowhere A"].aliases == (f"missing.{zone}",)
    assert found["_25._tcp.mx1 TLSA"].records == ("3 1 1 " + "ab" * 32,)
    assert len(found["c0 A"].aliases) == 8
    assert len(found["big TXT"].records) == 30  # it came over TCP
    assert (found["@ MX"].ttl, found["nope A"].ttl) == (300, 60)
    secure = {answer.security for name, answer in found.items() if answer.state is DnsState.RECORDS}
    if zone == "optout.test":
        # Opt-out: what came out of a wildcard might have been an unsigned delegation.
        assert found["@ MX"].security is Security.SECURE
        assert found["a.b.wild TXT"].security is Security.INSECURE
        assert found["nope A"].security is Security.INSECURE
        return
    wanted = Security.SECURE if zone in SIGNED else Security.INSECURE
    assert secure == {wanted}
    assert {answer.security for answer in found.values()} == {wanted}


def test_an_alias_into_a_zone_that_is_not_signed_is_not_secure(knot: Knot) -> None:
    (found,) = ask(knot, ("away.good.test", "A"))
    assert (found.records, found.security) == (("192.0.2.77",), Security.INSECURE)
    (found,) = ask(knot, ("gone.good.test", "A"))
    assert (found.state, found.security, found.aliases) == (
        DnsState.NO_NAME, Security.INSECURE, ("void.plain.test",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("wrongds.test", "MX", "none of the keys of wrongds.test is the one that its parent names"),
        ("wrongdigest.test", "MX", "none of the keys of wrongdigest.test is the one that its parent names"),
        ("wrongds.test", "CAA", "none of the keys of wrongds.test is the one that its parent names"),
        ("nope.wrongds.test", "A", "none of the keys of wrongds.test is the one that its parent names"),
        ("unsigned.test", "MX", "unsigned.test should have keys and has none"),
        ("nope.unsigned.test", "A", "unsigned.test should have keys and has none"),
        ("expired.test", "MX", "the signature of expired.test DNSKEY ended on "),
        ("nope.expired.test", "MX", "the signature of expired.test DNSKEY ended on "),
        ("early.test", "MX", "the signature of early.test DNSKEY begins only on "),
        (
            "mx.tampered.test",
            "A",
            "the signature of mx.tampered.test A does not fit any key of tampered.test",
        ),
        ("nodenial.test", "CAA", "that nodenial.test CAA does not exist is said, and not proven"),
        ("nope.nodenial.test", "A", "that nope.nodenial.test does not exist is said, and not proven"),
        ("stripped.test", "MX", "stripped.test is signed, and the answer for stripped.test MX is not"),
    ],
)
def test_a_wrong_signature_is_unknown_and_says_why(knot: Knot, name: str, kind: str, why: str) -> None:
    (found,) = ask(knot, (name, kind))
    assert (found.state, found.records) == (DnsState.UNKNOWN, ())
    assert found.unknown is not None
    assert found.unknown.cause is Cause.BOGUS
    assert found.unknown.detail.startswith(why)


def test_the_clean_twin_of_the_wrong_ones_is_secure(knot: Knot) -> None:
    for found in ask(
        knot, ("sound.test", "MX"), ("mx.sound.test", "A"), ("sound.test", "CAA"), ("x.sound.test", "A")
    ):
        assert (found.unknown, found.security) == (None, Security.SECURE)


def test_nsec3_that_costs_too_much_proves_nothing(knot: Knot) -> None:
    mx, caa = ask(knot, ("costly.test", "MX"), ("costly.test", "CAA"))
    assert (mx.security, caa.security) == (Security.SECURE, Security.INSECURE)
    assert caa.state is DnsState.NO_DATA


def test_the_time_is_the_callers(knot: Knot) -> None:
    """This zone was signed for ten days, the others for fourteen."""
    (found,) = ask(knot, ("sound.test", "MX"), now=time.time() + 11 * 86400)
    assert found.unknown is not None
    assert (found.unknown.cause, "ended on" in found.unknown.detail) == (Cause.BOGUS, True)


@pytest.mark.parametrize("days", [-400, 400])
def test_a_wrong_clock_is_no_fault_of_the_domain(knot: Knot, days: int) -> None:
    (found,) = ask(knot, ("good.test", "MX"), now=time.time() + days * 86400)
    assert (found.state, found.security) == (DnsState.RECORDS, Security.UNCHECKED)
    assert found.unchecked.startswith("the signature of . DNSKEY ")


def test_another_root_is_not_believed_and_no_fault_of_the_domain(knot: Knot) -> None:
    (found,) = ask(knot, ("good.test", "MX"), anchors=IANA)
    assert (found.state, found.security) == (DnsState.RECORDS, Security.UNCHECKED)
    assert found.unchecked == "none of the keys of the root is one that we trust"


def test_without_anchors_nothing_is_checked(knot: Knot) -> None:
    good, wrong = ask(knot, ("good.test", "MX"), ("wrongds.test", "MX"), anchors=None)
    assert (good.security, wrong.security) == (Security.UNCHECKED, Security.UNCHECKED)
    assert wrong.state is DnsState.RECORDS


def test_ds_belongs_to_the_parent(knot: Knot) -> None:
    found = ask(knot, ("good.test", "DS"), ("plain.test", "DS"), ("wrongds.test", "DS"), ("test", "DS"))
    assert [answer.state.value for answer in found] == ["records", "nodata", "records", "records"]
    assert {answer.security for answer in found} == {Security.SECURE}


def test_circles_and_long_chains_end(knot: Knot) -> None:
    loop, chain = ask(knot, ("loop1.good.test", "A"), ("d0.good.test", "A"))
    assert loop.unknown is not None
    assert chain.unknown is not None
    assert (loop.unknown.cause, chain.unknown.cause) == (Cause.MALFORMED, Cause.TOO_LONG)


def test_what_is_not_a_question_is_not_asked(knot: Knot) -> None:
    odd = [("a..b", "A"), ("x" * 64 + ".test", "A"), ("y." * 130 + "test", "A"), ("good.test", "NONSENSE"),
           ("good.test", "ANY"), ("good.test", "AXFR"), ("", "A" * 400), ("\udcff.test", "A")]  # fmt: skip
    for found in ask(knot, *odd):
        assert found.unknown is not None
        assert found.unknown.cause is Cause.MALFORMED


def test_a_name_server_is_asked_itself(knot: Knot) -> None:
    async def ask_itself(question: Question, **options: bool) -> DnsAnswer:
        resolver = Resolver([("127.0.0.9", 9)], server_port=knot.port, timeout=2, **options)  # type: ignore[arg-type]
        return await resolver.ask(question)

    soa = asyncio.run(ask_itself(Question("good.test", "SOA", "127.0.0.1"), private=True))
    assert (soa.state, soa.authoritative, soa.recursive) == (DnsState.RECORDS, True, False)
    assert soa.records[0].split()[0] == "ns.test"
    away = asyncio.run(ask_itself(Question("example.org", "SOA", "127.0.0.1"), private=True))
    assert away.state is not DnsState.RECORDS
    closed = asyncio.run(ask_itself(Question("good.test", "SOA", "127.0.0.1")))
    assert closed.unknown is not None
    assert closed.unknown.cause is Cause.PRIVATE


def test_many_questions_share_what_is_known_of_the_zones(knot: Knot) -> None:
    async def count() -> tuple[int, set[Security]]:
        resolver = Resolver([knot.server], anchors=TrustAnchors.read(knot.anchors))
        found = await asyncio.gather(
            *(resolver.ask(Question(f"n{n}.wild.good.test", "A")) for n in range(200))
        )
        await resolver.close()
        return resolver.sent, {answer.security for answer in found}

    sent, security = asyncio.run(count())
    assert security == {Security.SECURE}
    assert sent <= 207  # two for each of test and good.test and for the root


def test_who_gives_up_does_not_take_the_others_along(knot: Knot) -> None:
    async def one_gives_up() -> DnsAnswer:
        resolver = Resolver([knot.server], anchors=TrustAnchors.read(knot.anchors))
        first = asyncio.create_task(resolver.ask(Question("good.test", "MX")))
        second = asyncio.create_task(resolver.ask(Question("good.test", "TXT")))
        await asyncio.sleep(0.001)
        first.cancel()
        found = await second
        await resolver.close()
        return found

    assert asyncio.run(one_gives_up()).security is Security.SECURE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "; nothing\n",
        "example. IN DS 1 8 2 00\n",
        ". IN DS 1 8 2 zz\n",
        ". IN A 192.0.2.1\n",
        "DS\n",
        "\xff\n",
    ],
)
def test_anchors_that_are_none(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("anchors") / "file"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AnchorError):
        TrustAnchors.read(path)


def test_anchors_may_be_keys_or_digests(knot: Knot, tmp_path_factory: pytest.TempPathFactory) -> None:
    (keys,) = ask(knot, (".", "DNSKEY"))
    path = tmp_path_factory.mktemp("anchors") / "file"
    path.write_text("".join(f". 3600 IN DNSKEY {record} ; a key\n" for record in keys.records))
    (found,) = ask(knot, ("good.test", "MX"), anchors=TrustAnchors.read(path))
    assert found.security is Security.SECURE
