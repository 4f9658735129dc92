"""What is knocked at: all of one's own, a stranger's host only where the domain points."""

from __future__ import annotations

import pytest

from gambeson.assess.core.doors import PORTS, Protocol
from gambeson.assess.core.facts import Host
from gambeson.assess.core.plan import MAX_DOORS, MAX_NAMES, Knock, knocks, left_out, own, protocols

A, B = "192.0.2.1", "2001:db8::1"
WEB = {Protocol.HTTP, Protocol.HTTPS}


def host(name: str, *roles: str, addresses: tuple[str, ...] = (A,)) -> Host:
    return Host(name, roles, addresses)


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("example.org", True),
        ("mail.example.org", True),
        ("a.b.example.org", True),
        ("evil-example.org", False),
        ("example.org.evil.net", False),
        ("org", False),
    ],
)
def test_own_is_the_domain_and_what_is_below_it(name: str, whose: bool) -> None:
    assert own(name, "example.org") is whose


@pytest.mark.parametrize(
    ("found", "spoken"),
    [
        (host("mail.example.org", "mx"), set(Protocol)),
        (host("mail.example.org", "guess"), set(Protocol)),
        (host("mx.provider.net", "mx"), {Protocol.SMTP}),
        (host("auto.provider.net", "autodiscover"), WEB),
        (host("mx.provider.net", "mx", "autodiscover"), {Protocol.SMTP} | WEB),
        (host("imap.provider.net", "srv"), set(Protocol) - {Protocol.SMTP, Protocol.HTTP}),
        (host("mx.provider.net", "mx", "given"), set(Protocol)),  # the person says that it is theirs
        (host("mta-sts.example.org", "mta-sts"), {Protocol.HTTPS}),
        (host("mta-sts.provider.net", "mta-sts"), {Protocol.HTTPS}),
        (host("somebody.net", "guess"), set()),
        (host("192.0.2.9", "given"), set(Protocol)),
    ],
)
def test_a_strangers_host_is_asked_what_it_does_for_the_domain(found: Host, spoken: set[Protocol]) -> None:
    assert set(protocols(found, "example.org")) == spoken


def test_mail_ports_once_an_address_and_web_ports_once_a_name() -> None:
    found = knocks([host("mail.example.org", "mx"), host("owa.example.org", "guess")], "example.org")
    assert len([k for k in found if k.protocol is Protocol.IMAP]) == 1
    assert {k.host for k in found if k.protocol is Protocol.HTTPS} == {"mail.example.org", "owa.example.org"}
    assert all(k.port == PORTS[k.protocol] for k in found)


def test_every_address_is_knocked_at() -> None:
    found = knocks([host("mail.example.org", "mx", addresses=(A, B))], "example.org")
    assert {k.address for k in found} == {A, B}
    assert len(found) == 2 * len(Protocol)


def test_ports_can_be_elsewhere() -> None:
    found = knocks([host("mx.provider.net", "mx")], "example.org", {Protocol.SMTP: 2525})
    assert found == (Knock("mx.provider.net", A, 2525, Protocol.SMTP),)


def test_a_host_without_addresses_is_not_knocked_at() -> None:
    assert knocks([host("mail.example.org", "mx", addresses=())], "example.org") == ()


def test_however_many_hosts_there_are_it_ends() -> None:
    many = [host(f"h{n}.example.org", "mx", addresses=(f"192.0.2.{n}",)) for n in range(100)]
    found = knocks(many, "example.org")
    assert len(found) == MAX_DOORS
    assert found[0].host == "h0.example.org"  # the surest first
    beyond, why = left_out(many, "example.org")
    assert len(beyond) == 100 * len(Protocol) - MAX_DOORS
    assert not set(beyond) & set(found)
    assert str(MAX_DOORS) in why


def test_a_stranger_is_not_asked_under_any_number_of_names() -> None:
    many = [host(f"h{n}.example.org", "guess") for n in range(32)]
    found = knocks(many, "example.org")
    assert len([knock for knock in found if knock.protocol is Protocol.HTTPS]) == MAX_NAMES
    beyond, _ = left_out(many, "example.org")
    assert {knock.host for knock in beyond} == {f"h{n}.example.org" for n in range(MAX_NAMES, 32)}
