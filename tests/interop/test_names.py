"""Names beyond ASCII: quoted UTF-8 and literals at sign-in, domains of every script, SMTPUTF8 addresses."""

from __future__ import annotations

import base64
import imaplib
import smtplib
from collections.abc import Iterator

import pytest

from interop.sites import Site, before, debian, logged, open_folder
from peers import missing_programs
from peers.clients import Login, curl, imap, mailbox, message, smtp
from peers.dovecot import missing

pytestmark = pytest.mark.peer("dovecot", "postfix")

UNICODE = "übung@bücher.example"
ASCII = "übung@xn--bcher-kva.example"
DECOMPOSED = "u\u0308bung@bu\u0308cher.example"
PLAIN = "kasse@bücher.example"  # a local part of ASCII at such a domain


@pytest.fixture(scope="module")
def books() -> Iterator[Site]:
    if why := missing() or missing_programs("postfix"):
        pytest.skip(why)
    users = {UNICODE: "x", ASCII: "x", PLAIN: "x", "kasse@xn--bcher-kva.example": "x"}
    with (
        open_folder("gin") as folder,
        debian(folder, users, domains="example.org, bücher.example, xn--bcher-kva.example") as peers,
        open_folder("gib") as data,
    ):
        settings = peers.servers("implicit", name="debian", ca=peers.ca, trusts_us=True)
        with before(peers, data, settings, {}) as site:
            site.gambeson.run("org", "domain", "add", "bücher.example", "--org", "example")
            for address in (UNICODE, PLAIN):
                site.gambeson.run("account", "add", address)
            yield Site(site.gambeson, data, (UNICODE, PLAIN), peers)


def as_literal(client: imaplib.IMAP4, name: str, secret: str, plus: str) -> bytes:
    """LOGIN with literals, the way programs send names that are not ASCII."""
    octets = name.encode()
    client.send(f"x LOGIN {{{len(octets)}{plus}}}\r\n".encode())
    if not plus:
        assert client.readline().startswith(b"+")
    client.send(octets + b" {%d%s}\r\n" % (len(secret), plus.encode()))
    if not plus:
        assert client.readline().startswith(b"+")
    client.send(secret.encode() + b"\r\n")
    while not (line := client.readline()).startswith(b"x "):
        pass
    return line


@pytest.mark.parametrize("name", [UNICODE, ASCII, DECOMPOSED], ids=["unicode", "a-label", "decomposed"])
@pytest.mark.parametrize("how", ["quoted", "literal", "literal+", "PLAIN", "LOGIN"])
def test_imap_signs_in_by_every_spelling(books: Site, name: str, how: str) -> None:
    who = books.login()
    client = imap(who)
    match how:
        case "quoted":
            client.send(f'x LOGIN "{name}" "{who.secret}"\r\n'.encode())
            assert client.readline().startswith(b"x OK")
        case "literal":
            assert as_literal(client, name, who.secret, "").startswith(b"x OK")
        case "literal+":
            assert as_literal(client, name, who.secret, "+").startswith(b"x OK")
        case "PLAIN":
            client.authenticate("PLAIN", lambda _: f"\0{name}\0{who.secret}".encode())
        case _:
            answers = [name.encode(), who.secret.encode()]
            client.authenticate("LOGIN", lambda _: answers.pop(0))
    client.send(b"y SELECT INBOX\r\nz LOGOUT\r\n")
    said = b"".join(iter(client.readline, b"")) if how else b""
    assert b"y OK" in said


def sign_in(client: smtplib.SMTP, name: str, secret: str) -> int:
    plain = base64.b64encode(f"\0{name}\0{secret}".encode()).decode()
    client.ehlo()
    return client.docmd("AUTH", f"PLAIN {plain}")[0]


@pytest.mark.parametrize("name", [UNICODE, ASCII, DECOMPOSED], ids=["unicode", "a-label", "decomposed"])
def test_submission_signs_in_by_every_spelling(books: Site, name: str) -> None:
    who = books.login()
    with smtp(who) as client:
        assert sign_in(client, name, who.secret) == 235


@pytest.mark.parametrize("sender", [UNICODE, ASCII], ids=["unicode", "a-label"])
def test_smtputf8_sends_from_and_to_such_an_address(books: Site, sender: str) -> None:
    who = books.login()
    content, _ = message(UNICODE, sender, "Grüße")
    with smtp(who) as client:
        assert sign_in(client, UNICODE, who.secret) == 235
        client.ehlo()
        assert client.has_extn("smtputf8")
        refused = client.sendmail(sender, [UNICODE], content.encode(), ["SMTPUTF8", "BODY=8BITMIME"])
        assert refused == {}
    logged(books, r"from=<übung@[^>]*>, size=", "postfix")


def test_without_smtputf8_such_a_sender_is_refused_and_ascii_goes(books: Site) -> None:
    who = books.login(1)
    with smtp(who) as client:
        assert sign_in(client, PLAIN, who.secret) == 235
        client.ehlo()
        content, _ = message("x@example.org", "kasse@xn--bcher-kva.example")
        assert client.sendmail("kasse@xn--bcher-kva.example", ["x@example.org"], content) == {}
        client.command_encoding = "utf-8"
        code, text = client.docmd("MAIL", f"FROM:<{UNICODE}>")
        assert code // 100 == 5, text


@pytest.mark.peer("curl")
def test_curl_with_such_a_name(books: Site) -> None:
    who = books.login()
    for listener in ("imaps", "pop3s"):
        done = curl(who, listener)
        assert done.returncode == 0, done.stderr


def test_another_script_that_only_looks_alike_is_another_account(books: Site) -> None:
    who = books.login()
    client = imap(who)
    with pytest.raises(imaplib.IMAP4.error):
        client.authenticate("PLAIN", lambda _: f"\0übung@büсher.example\0{who.secret}".encode())  # Cyrillic с
    client.logout()
    plain = Login(books.gambeson, "kasse@xn--bcher-kva.example", books.login(1).secret)
    with mailbox(plain) as session:
        assert session.state == "SELECTED"
