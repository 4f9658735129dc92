"""Which hosts belong to a domain's mail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assess.core.dns_facts import Records, World, answered
from gambeson.assess.core.discovery import MAX_ADDRESSES, MAX_HOSTS, NOBODY, hosts
from gambeson.assess.core.unknown import Cause

MX: Records = {"example.org MX": ["20 mx2.example.org", "10 mx1.example.net"], "mx1.example.net A": ["198.51.100.1"],
               "mx2.example.org A": ["192.0.2.2"], "mx2.example.org AAAA": ["2001:db8::2"]}  # fmt: skip


def found(
    records: Records, given: tuple[str, ...] = ()
) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    world = World(records)
    return {host.name: (host.roles, host.addresses) for host in hosts("example.org", given, world)}


def test_mx_hosts_come_first_and_best_first() -> None:
    assert list(found(MX).items()) == [
        ("mx1.example.net", (("mx",), ("198.51.100.1",))),
        ("mx2.example.org", (("mx",), ("192.0.2.2", "2001:db8::2"))),
    ]


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ({}, {}),
        ({"example.org MX": ["0 ."], "example.org A": ["192.0.2.9"]}, {}),
        ({"example.org A": ["192.0.2.9"]}, {"example.org": (("mx",), ("192.0.2.9",))}),
        ({"example.org MX": Cause.TIMEOUT, "example.org A": ["192.0.2.9"]}, {}),
        (
            {"_imaps._tcp.example.org SRV": ["0 1 993 imap.example.net"], "imap.example.net A": ["192.0.2.3"]},
            {"imap.example.net": (("srv",), ("192.0.2.3",))},
        ),
        ({"_pop3._tcp.example.org SRV": ["0 0 0 ."]}, {}),
        (
            {"_autodiscover._tcp.example.org SRV": ["0 0 443 x.example.org"], "x.example.org A": ["192.0.2.4"]},
            {"x.example.org": (("autodiscover",), ("192.0.2.4",))},
        ),
        (
            {"autodiscover.example.org CNAME": ["mail.example.org"], "mail.example.org A": ["192.0.2.5"]},
            {"autodiscover.example.org": (("autodiscover",), ("192.0.2.5",)),
             "mail.example.org": (("guess",), ("192.0.2.5",))},
        ),
        (
            {"mta-sts.example.org A": ["192.0.2.6"], "owa.example.org AAAA": ["2001:DB8:0::6"]},
            {"mta-sts.example.org": (("mta-sts",), ("192.0.2.6",)), "owa.example.org": (("guess",), ("2001:db8::6",))},
        ),
    ],
)  # fmt: skip
def test_names(records: Records, wanted: object) -> None:
    assert found(records) == wanted


def test_a_wildcard_invents_no_hosts() -> None:
    wild: Records = {
        f"{label}.example.org A": ["192.0.2.80"] for label in ("mail", "owa", "autodiscover", NOBODY)
    }
    assert found(wild) == {}
    assert list(found({**wild, "imap.example.org A": ["192.0.2.81"]})) == ["imap.example.org"]
    assert list(found({**wild, **MX, "mx2.example.org A": ["192.0.2.80"]})) == [
        "mx1.example.net",
        "mx2.example.org",
    ]


def test_where_the_wildcard_is_not_known_a_guess_is_left_out_and_says_why() -> None:
    world = World({"mail.example.org A": ["192.0.2.1"], f"{NOBODY}.example.org A": Cause.TIMEOUT})
    (host,) = hosts("example.org", (), world)
    assert (host.name, host.addresses) == ("mail.example.org", ())
    assert host.unknown is not None
    assert host.unknown.cause is Cause.TIMEOUT


def test_what_is_given_is_always_there() -> None:
    records: Records = {"a.example.net A": ["192.0.2.1"], "mail.example.org A": Cause.SERVFAIL}
    given_ = (
        "A.example.net.",
        "203.0.113.7",
        "2001:DB8::0:1",
        "gone.example.net",
        "not a name",
        "",
        "mail.example.org",
    )
    assert found(records, given_) == {
        "a.example.net": (("given",), ("192.0.2.1",)),
        "203.0.113.7": (("given",), ("203.0.113.7",)),
        "2001:db8::1": (("given",), ("2001:db8::1",)),
        "gone.example.net": (("given",), ()),
        "mail.example.org": (("given", "guess"), ()),
    }


def test_a_time_out_is_no_missing_host() -> None:
    world = World({"example.org MX": ["10 mx.example.org"], "mx.example.org A": Cause.TIMEOUT})
    (host,) = hosts("example.org", (), world)
    assert host.unknown is not None
    assert (host.addresses, host.unknown.cause) == ((), Cause.TIMEOUT)


def test_one_family_that_is_not_known_is_said() -> None:
    world = World({"example.org MX": ["10 mx.example.org"], "mx.example.org A": ["192.0.2.1"],
                   "mx.example.org AAAA": Cause.SERVFAIL})  # fmt: skip
    (host,) = hosts("example.org", (), world)
    assert host.addresses == ("192.0.2.1",)
    assert [(text, why.cause) for text, why in host.left_out] == [("AAAA of mx.example.org", Cause.SERVFAIL)]


def test_there_are_limits() -> None:
    many: Records = {"example.org MX": [f"{n} mx{n}.example.org" for n in range(100)]}
    many |= {
        f"mx{n}.example.org A": [f"192.0.2.{n}", *(f"198.51.100.{m}" for m in range(20))] for n in range(100)
    }
    made = hosts("example.org", [f"g{n}.example.org" for n in range(100)], World(many))
    assert len([host for host in made if host.addresses]) <= MAX_HOSTS
    assert all(host.left_out or host.unknown for host in made[MAX_HOSTS:])  # one too many, and said so
    assert {len(host.addresses) for host in made if host.roles == ("mx",)} == {MAX_ADDRESSES}
    assert all(why.cause is Cause.NOT_ASKED for host in made for _, why in host.left_out)


def test_it_wants_few_rounds() -> None:
    """Waiting costs more than asking, so questions come together."""
    rounds = 0

    def judge(answers: object) -> None:
        nonlocal rounds
        rounds += 1
        hosts("example.org", ("a.example.net",), answers)  # type: ignore[arg-type]

    answered(judge, World(MX))
    assert rounds <= 4


@given(st.lists(st.text(max_size=40), max_size=6), st.lists(st.text(max_size=40), max_size=6))
def test_any_records_give_hosts(mx: list[str], srv: list[str]) -> None:
    records: Records = {
        "example.org MX": list(mx),
        "_imaps._tcp.example.org SRV": list(srv),
        "mail.example.org A": list(mx),
    }
    for host in hosts("example.org", tuple(srv), World(records)):
        assert host.name
