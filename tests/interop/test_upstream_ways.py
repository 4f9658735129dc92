"""Every way to sign in at Debian's Dovecot and Postfix, over every kind of connection, in one installation.

There is one server in the settings for each way and connection, and one account on each: that the right one
answers is also how routing by account is tested.
"""

from __future__ import annotations

import base64
import imaplib
import re
import smtplib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sievelib.managesieve import Client as Sieve

from interop.sites import Debian, Site, before, debian, logged, open_folder
from peers import missing_programs
from peers.clients import Login, found, imap, mailbox, message, pop3, smtp
from peers.dovecot import missing
from peers.people import MASTER

pytestmark = pytest.mark.peer("dovecot", "postfix")

BOTH = [
    *((way, "implicit") for way in ("token", "master", "sealed", "as-is")),
    *((way, "plain") for way in ("token", "sealed", "as-is")),
    *((way, "starttls") for way in ("token", "master", "as-is")),
    *((way, "unix") for way in ("token", "master")),
]
every = pytest.mark.parametrize(("way", "connection"), BOTH, ids=[f"{w}-{c}" for w, c in BOTH])


def address(way: str, connection: str) -> str:
    return f"{way}-{connection}@example.org"


def password(way: str, connection: str) -> str:
    """Upstream's; with what a password may hold."""
    return f'{way} {connection} pässwörd "\\'


@pytest.fixture(scope="module")
def ways() -> Iterator[Site]:
    if why := missing() or missing_programs("postfix"):
        pytest.skip(why)
    users = {address(*both): password(*both) for both in BOTH}
    with open_folder("giw") as folder, debian(folder, users) as peers, open_folder("gib") as data:
        (data / "master").write_text(MASTER[1])
        (data / "master").chmod(0o600)
        on = {address(*both): ("--server", "-".join(both)) for both in BOTH}
        with before(peers, data, settings(peers, data), on) as site:
            seal_passwords(site)
            yield site


def settings(peers: Debian, folder: Path) -> str:
    text = ""
    for way, connection in BOTH:
        more: dict[str, object] = {"name": f"{way}-{connection}", "sign_in": way}
        if way == "master":
            more |= {"master_login": MASTER[0], "master_password": f"file:{folder}/master"}
        if connection == "implicit":
            more |= {"ca": peers.ca, "trusts_us": True}
        elif connection == "starttls":
            more |= {"ca": peers.ca}
        text += peers.servers(connection, **more)
    return text


def seal_passwords(site: Site) -> None:
    for way, connection in BOTH:
        if way == "sealed":
            site.gambeson.run(
                "account", "seal-password", address(way, connection), "--password-file", "-",
                stdin=password(way, connection) + "\n",
            )  # fmt: skip


def login(site: Site, way: str, connection: str) -> Login:
    """A device of the account: a secret, or for as-is a certificate beside the password."""
    number = BOTH.index((way, connection))
    if way != "as-is":
        return site.login(number)
    return site.with_certificate(number).with_secret(password(way, connection))


def put(client: imaplib.IMAP4, to: str) -> str:
    content, subject = message(to, "sender@example.net")
    assert client.append("INBOX", None, None, content.encode())[0] == "OK"
    return subject


def bytes_login(client: imaplib.IMAP4, who: Login) -> None:
    """imaplib's LOGIN sends ASCII only; PLAIN takes UTF-8."""
    client.authenticate("PLAIN", lambda _: f"\0{who.name}\0{who.secret}".encode())


@every
def test_imap(ways: Site, way: str, connection: str) -> None:
    who = login(ways, way, connection)
    client = imap(who)
    bytes_login(client, who)
    client.select()
    subject = put(client, who.name)
    client.noop()
    assert client.search(None, "SUBJECT", subject)[1][0]
    client.logout()
    method = "OAUTHBEARER" if way == "token" else "PLAIN"
    tls = "TLS" if connection in ("implicit", "starttls") else "secured"
    logged(ways, rf"imap-login: Info: Login: user=<{who.name}>, method={method}, .*{tls}")
    if way == "master":
        logged(ways, f"Master user logging in as {who.name}")


@every
def test_pop3(ways: Site, way: str, connection: str) -> None:
    who = login(ways, way, connection)
    client = pop3(who)
    client.encoding = "utf-8"
    client.user(who.name)
    client.pass_(who.secret)
    client.stat()
    client.quit()
    logged(ways, rf"pop3-login: Info: Login: user=<{who.name}>")


@every
def test_submission(ways: Site, way: str, connection: str) -> None:
    who = login(ways, way, connection)
    content, _ = message(who.name, who.name)
    with smtp(who) as client:
        client.ehlo()
        plain = "\0".join(["", who.name, who.secret]).encode()
        assert client.docmd("AUTH", "PLAIN " + base64.b64encode(plain).decode())[0] == 235
        assert client.sendmail(who.name, [who.name], content) == {}
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("somebody@example.org", [who.name], content)
    logged(ways, rf"sasl_username={re.escape(who.name)}", "postfix")


@every
def test_sieve(ways: Site, way: str, connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    who = login(ways, way, connection)
    if who.certificate:
        pytest.skip("sievelib's own STARTTLS shows no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", who.gambeson.ca)
    client = Sieve("localhost", who.port("sieve"))
    assert client.connect(who.name, who.secret, starttls=True, authmech="PLAIN")
    assert client.putscript("mine", "keep;\r\n")
    assert client.listscripts()[1] == ["mine"]
    client.logout()


def test_no_secret_of_a_device_ever_reached_the_servers(ways: Site) -> None:
    """Dovecot is set to log passwords it refuses; and the accepted ones are not the device's."""
    assert ways.debian
    for who in ways._logins.values():
        if who.secret:
            assert who.secret not in ways.debian.dovecot.log() + ways.debian.postfix.logged()


def test_sealed_passwords_that_are_wrong_are_asked_anew(ways: Site) -> None:
    """The person is told to come later, not that their secret is wrong; a new seal helps at once."""
    who = login(ways, "sealed", "plain")
    seal = ("account", "seal-password", who.name, "--password-file", "-")
    ways.gambeson.run(*seal, stdin="changed meanwhile\n")
    client = imap(who)
    with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        client.login(who.name, who.secret)
    client.logout()
    ways.gambeson.run(*seal, stdin=password("sealed", "plain") + "\n")
    with mailbox(who):
        pass


def test_as_is_takes_no_device_secret_and_no_wrong_password(ways: Site) -> None:
    number = BOTH.index(("as-is", "plain"))
    who = ways.with_certificate(number)
    secret = ways.login(number).secret
    for wrong in ("not the password", secret):
        client = imap(who)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login(who.name, wrong)
        client.logout()
    with pytest.raises(imaplib.IMAP4.error):
        imap(ways.login(number)).login(who.name, secret)  # a secret alone has no password to pass on


def test_as_is_in_observe_mode_and_back(ways: Site) -> None:
    """While observed the password passes as before the doors; enforcement ends that, and open sessions too."""
    who = Login(ways.gambeson, address("as-is", "implicit"), password("as-is", "implicit"))
    with pytest.raises(imaplib.IMAP4.error):
        bytes_login(imap(who), who)
    ways.gambeson.run("guard", "mode", "imap", "observe", "--for", "1h", "--account", who.name)
    client = imap(who)
    bytes_login(client, who)
    assert client.select()[0] == "OK"
    bad = who.with_secret("wrong")
    with pytest.raises(imaplib.IMAP4.error):
        bytes_login(imap(bad), bad)
    nobody = Login(ways.gambeson, address("as-is", "plain"), password("as-is", "plain"))
    with pytest.raises(imaplib.IMAP4.error):
        bytes_login(imap(nobody), nobody)
    ways.gambeson.run("guard", "mode", "imap", "enforce", "--account", who.name)
    time.sleep(1)
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        client.check()
    with pytest.raises(imaplib.IMAP4.error):
        bytes_login(imap(who), who)


@pytest.mark.parametrize("way", ["token", "master", "sealed"])
def test_observe_passes_a_password_before_every_other_way_too(ways: Site, way: str) -> None:
    """Nothing is proven, so the keeper gives nothing: what the person sent goes up."""
    who = Login(ways.gambeson, address(way, "implicit"), password(way, "implicit"))
    ways.gambeson.run("guard", "mode", "imap", "observe", "--for", "1h", "--account", who.name)
    client = imap(who)
    bytes_login(client, who)
    client.logout()
    assert ways.debian
    logged(ways, rf"Login: user=<{who.name}>, method=PLAIN")
    ways.gambeson.run("guard", "mode", "imap", "enforce", "--account", who.name)


def test_the_clients_address_is_in_the_servers_logs(ways: Site) -> None:
    """``trusts_us``: Dovecot by ID and XCLIENT, Postfix by XCLIENT."""
    who = ways.login(BOTH.index(("token", "implicit")))
    here = ("127.0.0.77", 0)

    class Here(imaplib.IMAP4_SSL):
        def _create_socket(self, timeout):  # type: ignore[no-untyped-def]

            raw = socket.create_connection((self.host, self.port), 10, source_address=here)
            return self.ssl_context.wrap_socket(raw, server_hostname="localhost")

    client = Here("127.0.0.1", who.port("imaps"), ssl_context=who.tls)
    client.login(who.name, who.secret)
    client.logout()
    logged(ways, rf"imap-login: Info: Login: user=<{who.name}>, method=\w+, rip=127\.0\.0\.77")
    with smtplib.SMTP_SSL(
        "localhost", who.port("submissions"), context=who.tls, source_address=here, local_hostname="laptop"
    ) as sending:
        sending.login(who.name, who.secret)
        content, subject = message(who.name, who.name)
        sending.sendmail(who.name, [who.name], content)
    logged(ways, r"client=unknown\[127\.0\.0\.77\]", "postfix")
    received = found(who, subject).decode()
    assert "[127.0.0.77]" in received.partition("\r\n\r\n")[0]
