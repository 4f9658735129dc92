"""The peers run and do what the other tests rely on."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from peers import program
from peers.dovecot import Dovecot
from peers.people import ACCOUNTS, MASTER
from peers.pki import Pki
from peers.postfix import Postfix
from peers.postgresql import PostgreSql
from peers.process import wait_until
from peers.slapd import BASE, READER, Slapd

ANNA = "anna@example.org"


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


def test_dovecot_lets_anna_and_the_master_in(dovecot: Dovecot) -> None:
    imap = imaplib.IMAP4_SSL("localhost", dovecot.ports["imaps"], ssl_context=trusting(dovecot.ca))
    assert imap.login(ANNA, ACCOUNTS[ANNA])[0] == "OK"
    assert imap.select()[0] == "OK"
    imap.logout()
    imap = imaplib.IMAP4("127.0.0.1", dovecot.ports["imap"])
    user, password = MASTER
    assert imap.authenticate("PLAIN", lambda _: f"{ANNA}\0{user}\0{password}".encode())[0] == "OK"
    imap.logout()
    pop = poplib.POP3("127.0.0.1", dovecot.ports["pop3"])
    pop.stls(trusting(dovecot.ca))
    pop.user(ANNA)
    with pytest.raises(poplib.error_proto):
        pop.pass_("wrong")
    pop.close()


def test_postfix_takes_mail_from_anna_and_dovecot_delivers_it(
    postfix: Postfix, dovecot: Dovecot, pki: Pki
) -> None:
    with smtplib.SMTP("localhost", postfix.ports["submission"]) as smtp:
        assert "xclient" in (smtp.ehlo()[1].decode().lower())
        smtp.starttls(context=trusting(pki.ca))
        smtp.login(ANNA, ACCOUNTS[ANNA])
        smtp.sendmail(ANNA, ["bert@example.org"], f"From: {ANNA}\r\nSubject: a peer\r\n\r\nHello\r\n")
    with imaplib.IMAP4("127.0.0.1", dovecot.ports["imap"]) as imap:
        imap.login("bert@example.org", ACCOUNTS["bert@example.org"])
        imap.select()
        wait_until(
            lambda: imap.noop()[0] == "OK" and imap.search(None, 'SUBJECT "a peer"')[1] != [b""], "the mail"
        )


def test_postfix_relays_for_nobody(postfix: Postfix) -> None:
    with (
        smtplib.SMTP("127.0.0.1", postfix.ports["smtp"]) as smtp,
        pytest.raises(smtplib.SMTPRecipientsRefused),
    ):
        smtp.sendmail("x@example.net", ["y@example.net"], "Subject: no\r\n\r\n")


def test_slapd_finds_anna_for_the_reader_and_binds_her(slapd: Slapd) -> None:
    url = f"ldap://127.0.0.1:{slapd.ports['ldap']}"
    found = subprocess.run(
        [
            program("ldapsearch"),
            "-x",
            "-LLL",
            "-H",
            url,
            "-D",
            READER[0],
            "-w",
            READER[1],
            "-b",
            BASE,
            f"mail={ANNA}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    dn = f"uid=anna,ou=people,{BASE}"
    assert f"dn: {dn}" in found
    assert "userPassword" not in found
    for password, code in ((ACCOUNTS[ANNA], 0), ("wrong", 49)):
        done = subprocess.run(
            [program("ldapwhoami"), "-x", "-H", url, "-D", dn, "-w", password], capture_output=True
        )
        assert done.returncode == code


def test_postgresql_is_version_15(postgresql: PostgreSql) -> None:
    with create_engine(postgresql.url).connect() as connection:
        assert str(connection.scalar(text("show server_version"))).startswith("15")
