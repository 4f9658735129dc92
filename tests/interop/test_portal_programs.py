"""What the portal's pages promise of a program comes true: host, port, user and secret sign in through the doors."""

from __future__ import annotations

import html
import imaplib
import plistlib
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from peers.browser import Browser, Codes, Page
from peers.gambeson import Gambeson

ALMA = "alma@playground.example"
LETTER = "From: alma@playground.example\r\nTo: bruno@playground.example\r\nSubject: Promised\r\n\r\nHi.\r\n"


@dataclass(frozen=True)
class Service:
    """One line of the table."""

    host: str
    port: int
    implicit_tls: bool


@pytest.fixture(autouse=True)
def names_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names below localhost are this machine for browsers (RFC 6761 section 6.3), but not for every C library."""
    known = socket.getaddrinfo

    def here(host: Any, *more: Any, **how: Any) -> Any:
        return known("127.0.0.1" if str(host).endswith(".localhost") else host, *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", here)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("promise") / "data") as gambeson:
        yield gambeson


@pytest.fixture(scope="module")
def alma(running: Gambeson) -> Browser:
    """Her browser, signed in at the portal."""
    browser, origin = Browser(running.port("https"), running.ca), running.ready["portal"]
    known = next(each for each in running.ready["playground"]["accounts"] if each["address"] == ALMA)
    form, filled = browser.get(f"{origin}/sign-in").fields("/sign-in")
    page = browser.post(form, {**filled, "address": ALMA, "password": known["password"]})
    form, filled = page.fields("/second/code")
    browser.post(form, {**filled, "kind": "totp", "code": Codes(known["totp"]).next()})
    return browser


def add(alma: Browser, running: Gambeson, name: str, program: str) -> tuple[Page, str]:
    """The page that says the device is ready, and its link."""
    page = alma.post(f"{running.ready['portal']}/devices/new", {"name": name, "program": program})
    found = re.search(r'<p class="link"><a href="([^"]+)">', page.text)
    assert page.status == 200, page.text
    assert found
    return page, html.unescape(found[1])


def read_table(page: Page) -> tuple[dict[str, Service], str, str]:
    """Services by their label, user and secret, as a person reads them."""
    rows = re.findall(
        r'<th scope="row">([^<]+)</th><td[^>]*>([^<]+)</td><td[^>]*>(\d+)</td>\s*<td[^>]*>([^<]+)</td>',
        page.text,
    )
    services = {label: Service(host, int(port), tls == "SSL/TLS") for label, host, port, tls in rows}
    user = re.search(r"<dd><code>([^<]+)</code>", page.text)
    secret = re.search(r'<code class="secret">([^<]+)</code>', page.text)
    assert user
    assert secret
    return services, user[1], secret[1]


def reads(running: Gambeson, service: Service, user: str, secret: str) -> None:
    """INBOX opens."""
    assert service.implicit_tls
    with imaplib.IMAP4_SSL(service.host, service.port, ssl_context=running.tls, timeout=30) as client:
        client.login(user, secret)
        assert client.select("INBOX", readonly=True)[0] == "OK"


def sends(running: Gambeson, service: Service, user: str, secret: str) -> None:
    """A letter goes out."""
    if service.implicit_tls:
        client = smtplib.SMTP_SSL(service.host, service.port, context=running.tls, timeout=30)
    else:
        client = smtplib.SMTP(service.host, service.port, timeout=30)
        client.starttls(context=running.tls)
    with client:
        client.login(user, secret)
        assert client.sendmail(ALMA, ["bruno@playground.example"], LETTER) == {}


@pytest.mark.parametrize("program", ["ios-mail-imap", "thunderbird", "samsung-email", "other"])
def test_the_table_of_a_program_signs_in_to_read_and_to_send(
    running: Gambeson, alma: Browser, program: str
) -> None:
    _, link = add(alma, running, f"Table of {program}", program)
    stranger = Browser(running.port("https"), running.ca)  # the device itself has no session
    form, filled = stranger.get(link).fields("/show")
    services, user, secret = read_table(stranger.post(form, filled))
    reads(running, services["IMAP (reading)"], user, secret)
    sends(running, services["SMTP (sending)"], user, secret)


def test_the_profile_of_ios_mail_signs_in_to_read_and_to_send(running: Gambeson, alma: Browser) -> None:
    _, link = add(alma, running, "Profile", "ios-mail-imap")
    signed = Browser(running.port("https"), running.ca).get(f"{link}/profile").body
    start, end = signed.index(b"<?xml"), signed.index(b"</plist>") + len(b"</plist>")
    [mail] = plistlib.loads(signed[start:end])["PayloadContent"]
    coming = Service(mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"], True)
    going = Service(
        mail["OutgoingMailServerHostName"],
        mail["OutgoingMailServerPortNumber"],
        mail["OutgoingMailServerPortNumber"] == running.port("submissions"),
    )
    reads(running, coming, mail["IncomingMailServerUsername"], mail["IncomingPassword"])
    sends(running, going, mail["OutgoingMailServerUsername"], mail["IncomingPassword"])


def test_a_program_opens_its_own_doors_and_no_other(running: Gambeson, alma: Browser) -> None:
    page, _ = add(alma, running, "Outlook", "outlook-classic")
    services, user, secret = read_table(page)
    assert set(services) == {"Outlook (MAPI)", "Exchange Web Services"}
    with (
        imaplib.IMAP4_SSL("localhost", running.port("imaps"), ssl_context=running.tls, timeout=30) as client,
        pytest.raises(imaplib.IMAP4.error),
    ):
        client.login(user, secret)


def test_thunderbirds_autoconfig_names_the_doors_that_are_there(running: Gambeson, alma: Browser) -> None:
    page, _ = add(alma, running, "Bird", "thunderbird")
    found = re.search(r"<code>(https://[^<]*config-v1\.1\.xml[^<]*)</code>", page.text)
    assert found
    answer = Browser(running.port("https"), running.ca).get(html.unescape(found[1]))
    assert answer.status == 200
    assert f"<port>{running.port('imaps')}</port>" in answer.text


def test_the_certificates_of_these_doors_are_checked(running: Gambeson) -> None:
    """So that the tests above would not take just any server for ours."""
    with pytest.raises(ssl.SSLCertVerificationError):
        imaplib.IMAP4_SSL(
            "localhost", running.port("imaps"), ssl_context=ssl.create_default_context(), timeout=30
        )
