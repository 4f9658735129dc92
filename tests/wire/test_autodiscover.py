"""Autodiscover: what is asked, what is the same for everybody, and answers that name nothing of the inside."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from uuid import NAMESPACE_URL, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.playground.exchange import autodiscover as emulator
from gambeson.wire import autodiscover as wire
from gambeson.wire.strict_xml import XmlError, read

PUBLIC = "mail.example.org"
REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"


def pox(schema: str, address: str = "alma@example.org", more: str = "") -> bytes:
    who = f"<EMailAddress>{address}</EMailAddress>" if address else ""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{REQUEST}"><Request>{who}'
        f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema>{more}</Request></Autodiscover>"
    ).encode()


def test_the_two_schemas() -> None:
    assert wire.read_pox(pox(wire.OUTLOOK)) == wire.PoxAsked("outlook", "alma@example.org")
    assert wire.read_pox(pox(wire.MOBILESYNC)).schema == "mobilesync"
    assert wire.read_pox(pox(wire.OUTLOOK, "", "<LegacyDN>/o=x/cn=a</LegacyDN>")).address == ""


@pytest.mark.parametrize(
    ("reason", "octets"),
    [
        ("schema-unknown", pox("urn:other")),
        ("schema-unknown", pox("")),
        ("element-twice", pox(wire.OUTLOOK, more="<EMailAddress>eve@example.org</EMailAddress>")),
        ("address-malformed", pox(wire.OUTLOOK, "autodiscover/autodiscover.json")),
        ("address-malformed", pox(wire.OUTLOOK, "a@b@c")),
        ("address-missing", pox(wire.MOBILESYNC, "")),
        ("no-request", b"<Autodiscover/>"),
        ("no-request", b"<Request/>"),
        ("doctype", b"<!DOCTYPE x>" + pox(wire.OUTLOOK).partition(b"?>")[2]),
        ("too-long", pox(wire.OUTLOOK) + b" " * 70000),
    ],
)
def test_requests_that_are_refused(reason: str, octets: bytes) -> None:
    with pytest.raises(XmlError) as error:
        wire.read_pox(octets)
    assert error.value.reason == reason


def test_version_2_depends_on_the_protocol_alone() -> None:
    status, body = wire.version_2("activesync", PUBLIC)
    assert (status, json.loads(body)) == (
        200,
        {"Protocol": "ActiveSync", "Url": "https://mail.example.org/Microsoft-Server-ActiveSync"},
    )
    assert json.loads(wire.version_2("EWS", "h:8443")[1])["Url"] == "https://h:8443/EWS/Exchange.asmx"
    for protocol in ("Rest", "", "powershell"):
        assert wire.version_2(protocol, PUBLIC)[0] == 400


def test_the_answer_for_phones_differs_by_the_address_it_echoes_alone() -> None:
    there = wire.mobilesync("alma@example.org", PUBLIC)
    nobody = wire.mobilesync("nobody@example.net", PUBLIC)
    assert there.replace(b"alma@example.org", b"nobody@example.net") == nobody
    assert b"https://mail.example.org/Microsoft-Server-ActiveSync" in there
    read(there, limit=10_000)


def test_autoconfig_names_the_doors() -> None:
    servers = (
        wire.MailServerName("imap", "imap.example.org", 993),
        wire.MailServerName("smtp", "imap.example.org", 587, "STARTTLS"),
    )
    tree = read(wire.autoconfig("example.org", "Mail & more", servers), limit=10_000)
    provider = tree.child("emailProvider")
    assert provider is not None
    assert provider.attributes["id"] == "example.org"
    incoming = provider.child("incomingServer")
    assert incoming is not None
    assert [child.text for child in incoming.children] == [
        "imap.example.org",
        "993",
        "SSL",
        "password-cleartext",
        "%EMAILADDRESS%",
    ]
    outgoing = provider.child("outgoingServer")
    assert outgoing is not None
    assert outgoing.attributes["type"] == "smtp"


# -- the server's answers

INSIDE = ("emulator01.playground.example",)


@pytest.mark.parametrize("answer", [emulator._outlook, emulator._soap, emulator._mobile])
def test_the_emulators_answers_become_public(answer) -> None:
    before = answer("alma@playground.example").encode()
    assert b"emulator01" in before
    after = wire.rewritten(before, PUBLIC, INSIDE)
    assert b"emulator01" not in after.lower()
    assert b"https://mail.example.org/" in after
    assert wire.rewritten(after, PUBLIC, INSIDE) == after


def test_outlooks_answer_keeps_what_is_no_host() -> None:
    after = wire.rewritten(emulator._outlook("alma@playground.example").encode(), PUBLIC, INSIDE).decode()
    mailbox = uuid5(NAMESPACE_URL, "alma@playground.example")
    for kept in (
        "/o=Playground/ou=Exchange/cn=Recipients/cn=alma@playground.example",
        "<Type>EXCH</Type>",
        f"https://mail.example.org/mapi/emsmdb/?MailboxId={mailbox}@playground.example",
        f'xmlns="{wire.OUTLOOK}"',
    ):
        assert kept in after


VALUES = [
    (
        "<EwsUrl>https://ex01.corp.local/EWS/Exchange.asmx</EwsUrl>",
        "<EwsUrl>https://mail.example.org/EWS/Exchange.asmx</EwsUrl>",
    ),
    (
        "<EwsUrl>http://10.0.0.5:81/EWS/?a=b&amp;c=d</EwsUrl>",
        "<EwsUrl>https://mail.example.org/EWS/?a=b&amp;c=d</EwsUrl>",
    ),
    ("<Url>HTTPS://user:pw@EX01/x</Url>", "<Url>https://mail.example.org/x</Url>"),
    ("<Server>ex01.corp.local</Server>", "<Server>mail.example.org</Server>"),
    ("<Server>EX01</Server>", "<Server>mail.example.org</Server>"),
    ("<Server>0b1c@example.org</Server>", "<Server>0b1c@example.org</Server>"),
    ("<AD>dc01.corp.local</AD>", "<AD>mail.example.org</AD>"),
    (
        "<PublicFolderServer>pf.corp.local</PublicFolderServer>",
        "<PublicFolderServer>mail.example.org</PublicFolderServer>",
    ),
    (
        "<CertPrincipalName>msstd:ex01.corp.local</CertPrincipalName>",
        "<CertPrincipalName>msstd:mail.example.org</CertPrincipalName>",
    ),
    ("<ServerVersion>15.2.1544.11</ServerVersion>", "<ServerVersion>15.2.1544.11</ServerVersion>"),
    ("<Address>192.168.1.10</Address>", "<Address>mail.example.org</Address>"),
    ("<Server>²</Server>", "<Server>mail.example.org</Server>"),
    ("<Server>1.2.3.400</Server>", "<Server>1.2.3.400</Server>"),
    ("<AuthPackage>Anonymous</AuthPackage>", "<AuthPackage>Anonymous</AuthPackage>"),
    ("<Value>see ex01.corp.local, there</Value>", "<Value>see mail.example.org, there</Value>"),
    ('<X url="https://ex01.corp.local/a"/>', '<X url="https://mail.example.org/a"/>'),
    (
        "<S><Name>ActiveDirectoryServer</Name><Value>DC01</Value></S>",
        "<S><Name>ActiveDirectoryServer</Name><Value>mail.example.org</Value></S>",
    ),
    (
        "<a:Action>http://schemas.microsoft.com/exchange/2010/x</a:Action>",
        "<a:Action>http://schemas.microsoft.com/exchange/2010/x</a:Action>",
    ),
    ("<Own>https://mail.example.org/ecp/</Own>", "<Own>https://mail.example.org/ecp/</Own>"),
]


@pytest.mark.parametrize(("before", "after"), VALUES)
def test_values_one_by_one(before: str, after: str) -> None:
    found = wire.rewritten(f"<A>{before}</A>".encode(), PUBLIC, ("ex01.corp.local",))
    assert found.decode().partition("?>")[2] == f"<A>{after}</A>"


def test_a_public_port_goes_into_urls_and_not_into_host_names() -> None:
    found = wire.rewritten(b"<A><Url>https://x.local/a</Url><Server>x.local</Server></A>", "h.example:8443")
    assert b"<Url>https://h.example:8443/a</Url><Server>h.example</Server>" in found


@pytest.mark.parametrize(
    ("reason", "octets"),
    [
        ("doctype", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
        ("too-long", b"<a>" + b"x" * 300_000 + b"</a>"),
        ("url-malformed", b"<a>https://[x/</a>"),
        ("internal-name", b"<ex01.corp.local/>"),
        ("internal-name", b"<a>see https://ex01/ews</a>"),
        ("too-many-hosts", b"<a>" + b"".join(b"<b>https://h%d/</b>" % n for n in range(300)) + b"</a>"),
        ("not-well-formed", b"<a>"),
    ],
)
def test_answers_that_cannot_be_made_public(reason: str, octets: bytes) -> None:
    with pytest.raises(XmlError) as error:
        wire.rewritten(octets, PUBLIC, ("ex01.corp.local",))
    assert error.value.reason == reason


@given(st.binary(max_size=200))
def test_any_octets_give_an_answer_or_the_one_error(octets: bytes) -> None:
    for data in (octets, b"<a><Url>" + octets + b"</Url></a>"):
        with suppress(XmlError):
            assert wire.rewritten(data, PUBLIC, ("inside.local",))


@given(st.text(st.sampled_from("abc.-@:/?&;<> inside.local"), max_size=60))
def test_the_inside_never_leaves_in_a_text(text: str) -> None:
    try:
        found = wire.rewritten(f"<a><Url>{text}</Url></a>".encode(), PUBLIC, ("inside.local",))
    except XmlError:
        return
    shown = read(found, limit=10_000).child("Url")
    assert shown is not None
    assert not re.search(r"(?<![a-z0-9@._-])inside\.local(?![a-z0-9_-])(?!\.[a-z0-9])", shown.text)


def test_a_host_within_a_sentence_is_found_too() -> None:
    found = wire.rewritten(b"<a>look at https://secret.corp.local:444/x or secret.corp.local.</a>", PUBLIC)
    assert b"corp.local" not in found
