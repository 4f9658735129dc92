"""The embedded server, spoken to by Python's own clients over its Unix sockets, with and without a token."""

from __future__ import annotations

import asyncio
import base64
import imaplib
import os
import poplib
import smtplib
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gambeson.model.access import DoorKind
from gambeson.playground import sample, serve

ALMA = sample.PEOPLE[0].address
BRUNO = sample.PEOPLE[1].address


class Playground:
    def __init__(self, root: Path, uids: tuple[int, ...]) -> None:
        self.key = ECKey.generate_key("P-256")
        self.instance = uuid.uuid4().hex
        self.loop = asyncio.new_event_loop()
        boxes = serve.open_mailboxes(root, datetime(2026, 11, 24, 12, tzinfo=UTC))
        sockets = serve.listening_sockets(self.instance)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        start = serve.serve(sockets, boxes, self.key.as_pem(private=False), uids)
        asyncio.run_coroutine_threadsafe(start, self.loop).result(10)

    def close(self) -> None:
        async def end() -> None:
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def token(self, account: str = ALMA, **changes: object) -> str:
        now = int(time.time())
        claims = {"sub": account, "aud": sample.AUDIENCE, "iat": now, "exp": now + 60, "iss": "gambeson"}
        return jwt.encode({"alg": "ES256"}, {**claims, **changes}, self.key)

    def connect(self, door: DoorKind) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect("\0" + serve.socket_name(self.instance, door)[1:])
        return sock

    def imap(self) -> imaplib.IMAP4:
        sock = self.connect(DoorKind.IMAP)
        client = type("Client", (imaplib.IMAP4,), {"_create_socket": lambda *_: sock})
        return client()

    def pop3(self) -> poplib.POP3:
        sock = self.connect(DoorKind.POP3)
        client = type("Client", (poplib.POP3,), {"_create_socket": lambda *_: sock})
        return client("playground")

    def smtp(self) -> smtplib.SMTP:
        sock = self.connect(DoorKind.SUBMISSION)
        client = type("Client", (smtplib.SMTP,), {"_get_socket": lambda *_: sock})
        return client("playground")


@pytest.fixture
def playground(tmp_path: Path) -> Iterator[Playground]:
    place = Playground(tmp_path / "mail", (os.getuid(),))
    yield place
    place.close()


def bearer(account: str, token: str) -> bytes:
    return f"n,a={account},\x01auth=Bearer {token}\x01\x01".encode()


def test_a_token_opens_imap_and_the_sample_mail_is_there(playground: Playground) -> None:
    client = playground.imap()
    client.authenticate("OAUTHBEARER", lambda _: bearer(ALMA, playground.token()))
    assert client.select("INBOX")[1] == [b"3"]
    found = client.search(None, "SUBJECT", '"Welcome behind the doors"')[1][0]
    text = client.fetch(found.decode(), "(RFC822.SIZE BODY[])")[1][0]
    assert b"RFC822.SIZE %d " % len(text[1]) in text[0]
    assert text[1].count(b"\n") == text[1].count(b"\r\n") > 5


def test_append_survives_and_idle_capability_is_there(playground: Playground) -> None:
    client = playground.imap()
    client.authenticate(
        "XOAUTH2", lambda _: f"user={ALMA}\x01auth=Bearer {playground.token()}\x01\x01".encode()
    )
    body = b"Subject: =?utf-8?q?odd?=\r\n  folding \r\n\r\n" + b"x" * 78 + b"\r\n"
    assert client.append("INBOX", None, None, body)[0] == "OK"
    assert "IDLE" in client.capability()[1][0].decode()
    client.select("INBOX")
    assert client.fetch("4", "(BODY[])")[1][0][1] == body
    client.create("Kept")
    assert client.copy("4", "Kept")[0] == "OK"
    client.select("Kept")
    assert client.fetch("1", "(BODY[])")[1][0][1] == body


def attempts(playground: Playground) -> dict[str, bytes]:
    other = ECKey.generate_key("P-256")
    now = int(time.time())
    claims = {"sub": ALMA, "aud": sample.AUDIENCE, "iat": now, "exp": now + 60}
    return {
        "no token": b"",
        "a password": b"correct horse",
        "another key": jwt.encode({"alg": "ES256"}, claims, other).encode(),
        "expired": playground.token(iat=now - 120, exp=now - 60).encode(),
        "too long a life": playground.token(exp=now + 3600).encode(),
        "another audience": playground.token(aud="elsewhere").encode(),
        "another account": playground.token(BRUNO).encode(),
        "no account": playground.token("nobody@playground.example").encode(),
        "unsigned": (
            base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")
            + b"."
            + playground.token().split(".")[1].encode()
            + b"."
        ),
    }


def test_nothing_but_a_fresh_token_for_the_very_account_opens_any_server(playground: Playground) -> None:
    for name, secret in attempts(playground).items():
        text = secret.decode()
        imap = playground.imap()
        with pytest.raises(imaplib.IMAP4.error):
            imap.authenticate("PLAIN", lambda _, t=text: f"\0{ALMA}\0{t}".encode())
        with pytest.raises(imaplib.IMAP4.error):
            imap.login(ALMA, text or "x")
        pop = playground.pop3()
        plain = base64.b64encode(f"\0{ALMA}\0{text}".encode()).decode()
        with pytest.raises(poplib.error_proto):
            pop._shortcmd(f"AUTH PLAIN {plain}")
        with pytest.raises(poplib.error_proto):
            pop.user(ALMA)
        smtp = playground.smtp()
        smtp.ehlo()
        assert smtp.docmd("AUTH", f"PLAIN {plain}")[0] in (501, 535), name
        assert smtp.docmd("MAIL", f"FROM:<{ALMA}>")[0] == 530, name
        smtp.close()


def pop3_login(playground: Playground) -> poplib.POP3:
    pop = playground.pop3()
    pop._shortcmd("AUTH OAUTHBEARER " + base64.b64encode(bearer(ALMA, playground.token())).decode())
    return pop


def test_pop3_lists_reads_and_deletes_only_at_quit(playground: Playground) -> None:
    pop = pop3_login(playground)
    count, _size = pop.stat()
    assert count == 3
    assert any(line.startswith(b"Subject: Welcome") for line in pop.retr(1)[1])
    assert len(pop.top(1, 0)[1]) < len(pop.retr(1)[1])
    assert len({line.split()[1] for line in pop.uidl()[1]}) == 3
    pop.dele(1)
    with pytest.raises(poplib.error_proto):
        pop.retr(1)
    pop.close()  # no QUIT: nothing is removed (RFC 1939 section 6)
    for _ in range(50):
        try:
            pop = pop3_login(playground)
            break
        except poplib.error_proto:  # the lock goes when the server sees the closed connection
            time.sleep(0.05)
    assert pop.stat()[0] == 3
    pop.dele(2)
    pop.quit()
    assert pop3_login(playground).stat()[0] == 2


def test_a_second_pop3_session_is_told_in_use(playground: Playground) -> None:
    first = pop3_login(playground)
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        pop3_login(playground)
    first.quit()


def test_smtp_delivers_to_the_sample_people_only(playground: Playground) -> None:
    smtp = playground.smtp()
    smtp.ehlo()
    smtp.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0{ALMA}\0{playground.token()}".encode()).decode())
    message = f"From: {ALMA}\r\nTo: {BRUNO}\r\nSubject: dots\r\n\r\n.one\r\n..two\r\n"
    smtp.sendmail(ALMA, [BRUNO, "office+x@playground.example"], message)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        smtp.sendmail(ALMA, ["someone@elsewhere.example"], message)
    pop = playground.pop3()
    pop._shortcmd("AUTH OAUTHBEARER " + base64.b64encode(bearer(BRUNO, playground.token(BRUNO))).decode())
    last = pop.retr(pop.stat()[0])[1]
    texts = [pop.retr(n)[1] for n in range(1, pop.stat()[0] + 1)]
    assert any(b".one" in t and b"..two" in t for t in texts), last


def sieve(sock: socket.socket, line: bytes, until: tuple[bytes, ...] = (b"OK", b"NO")) -> bytes:
    if line:
        sock.sendall(line + b"\r\n")
    data = b""
    while not any(part.startswith(until) for part in data.split(b"\r\n")[:-1]):
        chunk = sock.recv(4096)
        assert chunk, data
        data += chunk
    return data


def test_sieve_keeps_several_scripts_and_refuses_names_that_leave_the_folder(playground: Playground) -> None:
    sock = playground.connect(DoorKind.SIEVE)
    sieve(sock, b"")
    token = base64.b64encode(bearer(ALMA, playground.token()))
    assert b"OK" in sieve(sock, b'AUTHENTICATE "OAUTHBEARER" {%d+}\r\n%s' % (len(token), token))
    assert b"OK" in sieve(sock, b'PUTSCRIPT "one" {5+}\r\nkeep;')
    assert b"OK" in sieve(sock, b'PUTSCRIPT "two" {8+}\r\ndiscard;')
    assert b"NO" in sieve(sock, b'PUTSCRIPT "../evil" {5+}\r\nkeep;')
    assert b"NO" in sieve(sock, b'PUTSCRIPT "bad" {9+}\r\nno sieve!')
    assert b"OK" in sieve(sock, b'SETACTIVE "one"')
    listing = sieve(sock, b"LISTSCRIPTS")
    assert b'"one" ACTIVE' in listing
    assert b'"two"' in listing
    assert b"NO" in sieve(sock, b'DELETESCRIPT "one"')
    assert b"discard" in sieve(sock, b'GETSCRIPT "two"')


def test_another_user_of_the_machine_is_turned_away(tmp_path: Path) -> None:
    place = Playground(tmp_path / "mail", (os.getuid() + 1,))
    for door in (DoorKind.IMAP, DoorKind.SUBMISSION, DoorKind.POP3, DoorKind.SIEVE):
        sock = place.connect(door)
        assert sock.recv(100) == b""
    place.close()
