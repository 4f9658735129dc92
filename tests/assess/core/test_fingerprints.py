"""What software says of itself, and how much that shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.assess.core.doors import DoorFacts, NtlmFacts, Offer, PortState, Protocol
from gambeson.assess.core.fingerprints import observe
from gambeson.assess.core.software import Observation
from gambeson.assess.core.web import Page
from gambeson.assess.edge.reference import reference

PRINTS = reference().fingerprints


def door(protocol: Protocol, banner: str = "", **more: object) -> DoorFacts:
    return DoorFacts("mail.example.org", "192.0.2.1", 1, protocol, PortState.OPEN, banner=banner, **more)  # type: ignore[arg-type]


def page(body: bytes = b"", *headers: tuple[str, str]) -> Page:
    return Page("owa", "https://mail.example.org/owa/", "192.0.2.1", status=200, headers=headers, body=body)


def seen(found: tuple[Observation, ...]) -> set[tuple[str, str, str]]:
    return {(o.component, o.low, o.high) for o in found}


@pytest.mark.parametrize(
    ("protocol", "banner", "expected"),
    [
        (Protocol.SMTP, "mx.example.org ESMTP Postfix", {("postfix", "", "")}),
        (Protocol.SMTP, "mx.example.org ESMTP Postfix (Debian/GNU)", {("postfix", "", "")}),
        (Protocol.SMTP, "m ESMTP Postfix (3.5.25)", {("postfix", "3.5.25", "3.5.25"), ("postfix", "", "")}),
        (Protocol.SMTP, "m ESMTP Exim 4.94.2 Ubuntu Tue", {("exim", "4.94.2", "4.94.2"), ("exim", "", "")}),
        (Protocol.SMTP, "mx Microsoft ESMTP MAIL Service ready at Tue", {("exchange", "", "")}),
        (Protocol.IMAP, "The Microsoft Exchange IMAP4 service is ready.", {("exchange", "", "")}),
        (Protocol.IMAPS, "[CAPABILITY IMAP4rev1] Dovecot (Debian) ready.", {("dovecot", "", "")}),
        (Protocol.IMAP, "mail Cyrus IMAP 3.6.1-Debian-3.6.1-4+deb12u3 server ready", {("cyrus", "3.6.1", "3.6.1")}),
        (Protocol.IMAP, "mail.example.org ESMTP Postfix", set()),  # another protocol's words
        (Protocol.SMTP, "mx.example.org ESMTP ready", set()),
    ],
)  # fmt: skip
def test_a_greeting(protocol: Protocol, banner: str, expected: set[tuple[str, str, str]]) -> None:
    assert seen(observe([door(protocol, banner)], [], PRINTS)) == expected


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (page(b"", ("x-owa-version", "15.1.2507.37")), {("exchange", "15.1.2507.37", "15.1.2507.37")}),
        (page(b'href="/owa/auth/15.1.2507/themes/x.png"'), {("exchange", "15.1.2507", "15.1.2508")}),
        (page(b'href="/owa/auth/15.0.1497.2/themes/x.png"'), {("exchange", "15.0.1497.2", "15.0.1497.2")}),
        (page(b'rcmail.set_env({"rcversion":10611})'), {("roundcube", "1.6.11", "1.6.11"), ("roundcube", "", "")}),
        (page(b"", ("set-cookie", "ZM_TEST=true;Secure")), {("zimbra", "", "")}),
        (page(b"<title>SOGo</title>"), {("sogo", "", "")}),
        (page(b"<script src=/snappymail/v/2.38.2/static/js/app.js>"), {("snappymail", "2.38.2", "2.38.2")}),
        (page(b"<h1>It works!</h1>", ("server", "nginx/1.22.1")), set()),
    ],
)  # fmt: skip
def test_a_page(what: Page, expected: set[tuple[str, str, str]]) -> None:
    assert seen(observe([], [what], PRINTS)) == expected


def test_windows_shows_in_a_challenge() -> None:
    found = observe([door(Protocol.SMTP, ntlm=NtlmFacts(windows="10.0.17763"))], [], PRINTS)
    assert seen(found) == {("windows", "10.0.17763", "10.0.17764")}


def test_a_closed_door_says_nothing() -> None:
    closed = DoorFacts("m", "192.0.2.1", 25, Protocol.SMTP, PortState.CLOSED, banner="ESMTP Postfix")
    assert observe([closed], [], PRINTS) == ()


def test_the_distribution_shows_where_it_is_named() -> None:
    (found,) = observe([door(Protocol.SMTP, "mx ESMTP Postfix (Ubuntu)")], [], PRINTS)
    assert found.distribution == "Ubuntu"
    (cyrus,) = observe([door(Protocol.IMAP, "m Cyrus IMAP 3.6.1-Debian-3.6.1-4+deb12u3 ready")], [], PRINTS)
    assert cyrus.distribution == "Debian 12"


@given(st.text(max_size=3000), st.binary(max_size=3000))
def test_nothing_that_a_peer_sends_breaks_it(text: str, octets: bytes) -> None:
    both = door(Protocol.SMTP, text, plain=Offer(capabilities=(text,)), identity=((text, text),))
    for found in observe([both], [page(octets, ("x-owa-version", text), ("set-cookie", text))], PRINTS):
        assert len(found.evidence) <= 160


@pytest.mark.parametrize(
    "text", ["a" * 20_000, "/owa/auth/1" * 1800, "SOGo " * 4000, "SmarterMail " * 1600, '"' * 20_000]
)
def test_no_pattern_takes_long(text: str) -> None:
    """Quadratic patterns would take minutes here; the time-out of the suite is the judge."""
    for protocol in Protocol:
        observe([door(protocol, text)], [page(text.encode())], PRINTS)
