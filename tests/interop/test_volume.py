"""Much at once: 50 MB messages to the octet, a thousand commands in one go, twenty clients, long silence."""

from __future__ import annotations

import concurrent.futures
import hashlib
import random
import socket
import time
from pathlib import Path

import pytest

from interop.sites import Debian, Site, before, open_folder
from peers.clients import Login, curl, fetched, found, imap, mailbox, message, smtp

MEGABYTE = 1024 * 1024


def big(size: int, seed: int) -> bytes:
    """A message of about ``size`` octets: every octet but NUL, CR and LF, lines of 998, some beginning with dots."""
    noise = random.Random(seed)
    head = b"From: a@example.org\r\nSubject: big-%d\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\n" % seed
    head += b"Message-ID: <big-%d@example.org>\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" % seed
    alphabet = bytes(set(range(1, 256)) - {10, 13})
    line = bytes(noise.choices(alphabet, k=MEGABYTE))
    lines = [b"." * (n % 3) + line[n * 7 % 9000 :][: 990 - n % 40] for n in range(1000)]
    block = b"\r\n".join(lines) + b"\r\n"
    return head + (block * (size // len(block) + 1))[: size - len(head) - 2].rstrip(b"\r\n") + b"\r\n"


def digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


@pytest.mark.slow
def test_50_megabytes_up_and_down_again_are_the_same_octets(site: Site) -> None:
    who = site.login()
    content = big(50 * MEGABYTE, 1)
    with mailbox(who) as client:
        client.sock.settimeout(120)
        code, answer = client.append("INBOX", None, None, content)
        assert code == "OK", answer
        client.noop()
        number = client.search(None, "SUBJECT", "big-1")[1][0].split()[-1].decode()
        assert digest(fetched(client, number, "BODY.PEEK[]")) == digest(content)
        assert fetched(client, number, "BODY.PEEK[]<30000000.1000>") == content[30000000:30001000]
        client.store(number, "+FLAGS", r"(\Deleted)")
        client.expunge()


@pytest.mark.slow
def test_curl_uploads_and_downloads_50_megabytes(site: Site, tmp_path: Path) -> None:
    who = site.login()
    content = big(50 * MEGABYTE, 2)
    (tmp_path / "up").write_bytes(content)
    up = curl(who, "imaps", "-T", str(tmp_path / "up"), path="INBOX")
    assert up.returncode == 0, up.stderr[-2000:]
    with mailbox(who) as client:
        number = client.search(None, "SUBJECT", "big-2")[1][0].split()[-1].decode()
        down = curl(who, "imaps", "-o", str(tmp_path / "down"), path=f"INBOX;MAILINDEX={number}")
        assert down.returncode == 0, down.stderr[-2000:]
        assert digest((tmp_path / "down").read_bytes()) == digest(content)
        client.store(number, "+FLAGS", r"(\Deleted)")
        client.expunge()


@pytest.mark.slow
def test_49_megabytes_sent_arrive_and_more_than_the_limit_does_not(site: Site) -> None:
    who, to = site.login(), site.login(1)
    content = big(49 * MEGABYTE, 3).replace(b"From: a@example.org", b"From: " + who.name.encode())
    with smtp(who) as client:
        client.sock.settimeout(120)
        client.login(who.name, who.secret)
        assert client.sendmail(who.name, [to.name], content, ["BODY=8BITMIME"]) == {}
    received = found(to, "big-3", 30)
    assert received.endswith(content)  # the servers put header fields before it, and Postfix none into it
    with mailbox(to) as client:
        client.store(
            client.search(None, "SUBJECT", "big-3")[1][0].split()[-1].decode(), "+FLAGS", r"(\Deleted)"
        )
        client.expunge()
    with smtp(who) as client:
        client.login(who.name, who.secret)
        client.ehlo()
        limit = int(client.esmtp_features["size"])
        assert client.mail(who.name, [f"SIZE={limit + 1}"])[0] == 552


def raw(who: Login, listener: str = "imaps") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", who.port(listener)), 60)
    return who.tls.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize("together", [True, False], ids=["with the login", "behind the login"])
def test_a_thousand_pipelined_imap_commands(site: Site, together: bool) -> None:
    """All at once behind LOGIN, in the same write too: each is answered, in order, once."""
    who = site.login()
    with raw(who) as connection, connection.makefile("rb") as reader:
        reader.readline()
        login = f'l LOGIN "{who.name}" "{who.secret}"\r\n'.encode()
        commands = b"".join(b"t%d NOOP\r\n" % n for n in range(999)) + b"t999 LOGOUT\r\n"
        connection.sendall(login + commands if together else login)
        if not together:
            assert reader.readline().startswith(b"l OK")
            connection.sendall(commands)
        tags = [line.split(b" ", 1)[0] for line in reader if not line.startswith(b"*")]
    expected = [b"t%d" % n for n in range(1000)]
    assert tags == ([b"l", *expected] if together else expected)


def test_a_thousand_pipelined_pop3_commands(site: Site) -> None:
    who = site.login()
    with raw(who, "pop3s") as connection, connection.makefile("rb") as reader:
        reader.readline()
        login = f"USER {who.name}\r\nPASS {who.secret}\r\n".encode()
        connection.sendall(login + b"NOOP\r\n" * 998 + b"QUIT\r\n")
        answers = reader.readlines()
    assert len(answers) == 1001
    assert all(each.startswith(b"+OK") for each in answers)


def test_pipelined_envelopes_and_messages(site: Site) -> None:
    """RFC 2920: MAIL, RCPT and DATA of many messages in few writes."""
    who = site.login()
    count = 50
    with smtp(who) as client:
        client.login(who.name, who.secret)
        client.ehlo()
        if not client.has_extn("pipelining"):
            pytest.skip("the mail server behind this has no PIPELINING")
        sock, reader = client.sock, client.file or client.sock.makefile("rb")
        _, subject = message("", "")
        for _ in range(count):
            sock.sendall(f"MAIL FROM:<{who.name}>\r\nRCPT TO:<{who.name}>\r\nDATA\r\n".encode())
            codes = [_reply(reader) for _ in range(3)]
            assert codes == [250, 250, 354]
            content = f"From: {who.name}\r\nSubject: {subject}\r\n\r\nx\r\n.\r\nRSET\r\nNOOP\r\n"
            sock.sendall(content.encode())
            assert [_reply(reader) for _ in range(3)] == [250, 250, 250]
        client.file = reader
    end = time.monotonic() + 20
    while True:
        with mailbox(who) as client:
            arrived = len(client.search(None, "SUBJECT", subject)[1][0].split())
        if arrived == count:
            break
        assert arrived < count
        assert time.monotonic() < end, arrived
        time.sleep(0.3)


def _reply(reader) -> int:  # type: ignore[no-untyped-def]
    while (line := reader.readline())[3:4] == b"-":
        pass
    return int(line[:3])


def test_twenty_clients_at_once(site: Site) -> None:
    """Mail programs open many connections: each reads its own, and none waits for the slowest."""
    people = [site.login(n) for n in range(3)]

    def one(n: int) -> bytes:
        who = people[n % 3]
        content, subject = message(who.name, who.name, f"number {n}")
        with smtp(who) as client:
            client.login(who.name, who.secret)
            client.sendmail(who.name, [who.name], content)
        return found(who, subject, 40)

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        for n, octets in enumerate(pool.map(one, range(20))):
            assert octets.endswith(f"number {n}\r\n".encode())


class Idle:
    """IMAP's IDLE (RFC 2177) by hand."""

    def __init__(self, who: Login) -> None:
        self.client = imap(who, timeout=200)
        self.client.login(who.name, who.secret)
        self.client.select()
        self.client.send(b"i IDLE\r\n")
        assert self.client.readline().startswith(b"+")

    def hears(self, word: bytes, seconds: float) -> bytes:
        end = time.monotonic() + seconds
        self.client.sock.settimeout(seconds)
        while True:
            line = self.client.readline()
            if word in line:
                return line
            assert line, "the connection ended"
            assert time.monotonic() < end


@pytest.mark.slow
def test_mail_is_heard_in_idle_after_a_minute_of_silence(playground: Site, before_debian: Site) -> None:
    people = [playground.login(2), before_debian.login(2)]
    sessions = [Idle(who) for who in people]
    time.sleep(65)
    for who, idle in zip(people, sessions, strict=True):
        content, _ = message(who.name, who.name)
        with smtp(who) as client:
            client.login(who.name, who.secret)
            client.sendmail(who.name, [who.name], content)
        idle.hears(b"EXISTS", 35)
        idle.client.send(b"DONE\r\n")
        idle.hears(b"i OK", 10)
        idle.client.logout()


@pytest.mark.slow
def test_who_does_not_sign_in_is_sent_away_when_the_settings_say(peers_of_debian: Debian) -> None:
    settings = "[doors]\nlogin_timeout_s = 10\n"
    settings += peers_of_debian.servers("implicit", name="debian", ca=peers_of_debian.ca)
    with open_folder("gii") as folder, before(peers_of_debian, folder, settings) as site:
        who = site.login()
        with mailbox(who) as signed_in:
            for listener, word in (("imap", b"* BYE"), ("pop3", b"-ERR"), ("submission", b"421 ")):
                with socket.create_connection(("127.0.0.1", who.port(listener)), 30) as waiting:
                    began = time.monotonic()
                    said = b"".join(iter(lambda: waiting.recv(4096), b""))
                assert 9 < time.monotonic() - began < 20
                assert word in said
            assert signed_in.noop()[0] == "OK"
