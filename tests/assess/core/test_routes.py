"""The way that mail takes, and what addresses are."""

from __future__ import annotations

import pytest

from assess.core.dns_facts import Records, World
from gambeson.assess.core.addresses import addresses, network, public, reverse
from gambeson.assess.core.routes import MAX_EXCHANGERS, Way, route
from gambeson.assess.core.unknown import Cause

MX = "example.org MX"


@pytest.mark.parametrize(
    ("records", "way", "hosts"),
    [
        ({}, Way.NONE, []),
        ({MX: ["0 ."]}, Way.NULL, []),
        ({MX: ["20 b.example", "10 a.example", "5 a.example"]}, Way.MX, ["a.example", "b.example"]),
        ({"example.org AAAA": ["2606:4700::1"]}, Way.IMPLICIT, ["example.org"]),
        ({MX: Cause.TIMEOUT, "example.org A": ["1.1.1.1"]}, Way.UNKNOWN, []),
        ({"example.org A": Cause.TIMEOUT, "example.org TXT": ["x"]}, Way.UNKNOWN, []),
    ],
)
def test_ways(records: Records, way: Way, hosts: list[str]) -> None:
    found = route("example.org", World(records))
    assert (found.way, [exchanger.name for exchanger in found.exchangers]) == (way, hosts)
    assert (found.unknown is not None) == (way is Way.UNKNOWN)


def test_many_hosts_are_cut_and_said() -> None:
    found = route("example.org", World({MX: [f"{n} mx{n}.example" for n in range(100)]}))
    assert (len(found.exchangers), found.more) == (MAX_EXCHANGERS, True)


def test_what_does_not_exist_is_known_even_if_one_family_was_not_answered() -> None:
    world = World({"a.example AAAA": Cause.TIMEOUT, "a.example A": []})
    found = addresses(world, ["a.example", "b.example"])
    assert (found["a.example"].lost is not None, found["a.example"].missing) == (True, False)
    assert (found["b.example"].lost, found["b.example"].missing) == (None, True)


@pytest.mark.parametrize(
    ("text", "outside", "lab"),
    [
        ("1.1.1.1", True, True),
        ("2606:4700::1", True, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("10.0.0.1", False, False),
        ("100.64.0.1", False, False),
        ("169.254.1.1", False, False),
        ("224.0.0.1", False, False),
        ("0.0.0.0", False, False),
        ("fd00::1", False, False),
        ("::ffff:10.0.0.1", False, False),
    ],
)
def test_who_can_reach_an_address(text: str, outside: bool, lab: bool) -> None:
    assert (public(text), public(text, lab=True)) == (outside, lab)


@pytest.mark.parametrize(
    ("text", "outside"),
    [
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b:1::808:808", False),
        ("2002:a00:1::1", False),
        ("2002:808:808::1", True),
        ("::127.0.0.1", False),
        ("::8.8.8.8", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:0:7f00:1", False),
        ("fec0::1", False),
        ("ff0e::1", False),
        ("224.0.0.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
    ],
)
def test_what_stands_for_a_private_address_is_private(text: str, outside: bool) -> None:
    assert public(text) is outside


def test_networks_and_reverse_names() -> None:
    assert (network("1.2.3.4"), network("2001:db8:1:2::3")) == ("1.2.3.0/24", "2001:db8:1::/48")
    assert reverse("1.2.3.4") == "4.3.2.1.in-addr.arpa"
    assert reverse("2001:db8::1").endswith("8.b.d.0.1.0.0.2.ip6.arpa")
