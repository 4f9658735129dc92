"""The relay before Debian's Postfix, set to be as lenient as it goes: it must never queue more than we decided.

A private instance with configuration, queue and mailbox of its own, on loopback. The first test shows that this
Postfix can be smuggled to without us, so that the others can fail.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gambeson.wire.dialogue import (
    AskQuota,
    Close,
    Failed,
    MessageDone,
    Origin,
    Ready,
    Send,
    ToClient,
    ToServer,
    UpstreamCredential,
)
from gambeson.wire.smtp_client import SmtpClient
from gambeson.wire.smtp_relay import SenderPolicy, SmtpRelay

sys.path.insert(0, str(Path(__file__).parent.parent / "wire"))
from smuggling import CRUDE, HONEST

POSTFIX = shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = [
    pytest.mark.skipif(POSTFIX is None, reason="postfix is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix's master needs root"),
]

ME = "alice@example.org"
HEAD = b"From: Alice <alice@example.org>\r\nSubject: x\r\n"

MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = /dev/stdout
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = upstream.example.net
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.net, example.org
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_recipient_restrictions = permit_auth_destination, reject
smtpd_forbid_bare_newline = no
smtpd_forbid_unauth_pipelining = no
smtpd_client_connection_rate_limit = 0
message_size_limit = 100000000
virtual_mailbox_limit = 0
smtpd_hard_error_limit = 1000
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A running instance."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / "log"
        postfix_uid, gid = _ids("postfix")
        folder.chmod(0o755)
        for name in ("etc", "queue", "data", "mail"):
            (folder / name).mkdir()
        os.chown(folder / "data", postfix_uid, gid)
        os.chown(folder / "mail", postfix_uid, gid)
        daemons = (
            "/usr/lib/postfix/sbin" if Path("/usr/lib/postfix/sbin").is_dir() else "/usr/libexec/postfix"
        )
        main = MAIN.format(dir=folder, daemons=daemons, uid=postfix_uid, gid=gid)
        (folder / "etc/main.cf").write_text(main)
        (folder / "etc/master.cf").write_text(MASTER.format(port=self.port))
        assert POSTFIX is not None
        self.command = [POSTFIX, "-c", str(folder / "etc")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*self.command, "start-fg"], stdout=log, stderr=log)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        pytest.fail(f"Postfix did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        subprocess.run([*self.command, "stop"], capture_output=True, timeout=30)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def queued(self) -> list[str]:
        """The envelope sender of each message that was queued, once all that came is through."""
        with self.connect() as direct:
            stamp = f"stamp{time.monotonic_ns()}@example.org"
            talk = f"EHLO t\r\nMAIL FROM:<{stamp}>\r\nRCPT TO:<x@example.net>\r\nDATA\r\n"
            direct.sendall(talk.encode() + b"x: y\r\n\r\n.\r\nQUIT\r\n")
            try:
                while direct.recv(4096):
                    pass
            except TimeoutError:
                pytest.fail(f"Postfix does not answer:\n{self.log.read_text()[-3000:]}")
        for _ in range(200):
            senders = re.findall(r"qmgr\[\d+\]: \w+: from=<([^>]*)>, size=", self.log.read_text())
            if stamp in senders:
                return [s for s in senders if not s.startswith("stamp")]
            time.sleep(0.05)
        pytest.fail(f"Postfix did not queue:\n{self.log.read_text()[-3000:]}")
        return []


def _ids(user: str) -> tuple[int, int]:
    import pwd

    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


@pytest.fixture(scope="module")
def lenient():
    # Not pytest's folder, for that lets no other user in, and Postfix drops its privileges.
    folder = Path(tempfile.mkdtemp(prefix="smuggling-"))
    server = Postfix(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


class Through:
    """A client that talks through the relay to a Postfix that trusts us."""

    def __init__(self, postfix: Postfix, check: str = "both") -> None:
        self.server = postfix.connect()
        self.said = b""
        self.closed = False
        self.done: list[MessageDone] = []
        client = SmtpClient(
            credential=UpstreamCredential("", ""),
            origin=Origin("203.0.113.9", 40000, login=ME, helo="laptop"),
            trusted=True,
        )
        ready: Ready | None = None
        while ready is None:
            for command in client.receive(self.server.recv(65536)):
                match command:
                    case Send(data):
                        self.server.sendall(data)
                    case Ready():
                        ready = command
                    case Failed():
                        pytest.fail(str(command))
        self.relay = SmtpRelay(
            hostname="door.example.org",
            server_extensions=ready.capabilities,
            senders=SenderPolicy(frozenset({ME}), check),
        )

    def carry(self, commands) -> None:
        for command in commands:
            match command:
                case ToClient(data):
                    self.said += data
                case ToServer(data):
                    self.server.sendall(data)
                case AskQuota():
                    self.carry(self.relay.quota_granted())
                case MessageDone():
                    self.done.append(command)
                case Close():
                    self.closed = True
                    self.server.close()

    def codes(self) -> list[str]:
        return [line[:3] for line in self.said.decode().split("\r\n")[:-1] if line[3:4] == " "]

    def send(self, *chunks: bytes, answers: int) -> list[str]:
        """Send, and wait until so many answers have come, or the session is over."""
        for chunk in chunks:
            if not self.closed:
                self.carry(self.relay.from_client(chunk))
        while len(self.codes()) < answers and not self.closed:
            data = self.server.recv(65536)
            self.carry(self.relay.from_server(data) if data else self.relay.server_closed())
        return self.codes()


ENVELOPE = b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n"


def test_this_postfix_can_be_smuggled_to_without_the_relay(lenient):
    before = lenient.queued().count("ceo@example.org")
    with lenient.connect() as direct:
        direct.sendall(b"EHLO x\r\n" + ENVELOPE)
        time.sleep(0.2)
        forged = b"\n.\nMAIL FROM:<ceo@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\nx\r\n.\r\n"
        direct.sendall(HEAD + b"\r\nhello" + forged + b"QUIT\r\n")
        while direct.recv(4096):
            pass
    assert lenient.queued().count("ceo@example.org") == before + 1


@pytest.mark.parametrize("size", [1, 3, 65536])
def test_crude_ends_never_reach_it(lenient, size):
    before = lenient.queued()
    for variant in CRUDE:
        content = HEAD + b"\r\nhello" + variant + b"\r\n.\r\n"
        session = Through(lenient)
        assert session.send(ENVELOPE, answers=3) == ["250", "250", "354"], variant
        chunks = [content[n : n + size] for n in range(0, len(content), size)]
        assert session.send(*chunks, answers=4)[3:] == ["550"], variant
        assert session.closed
    assert lenient.queued() == before


def test_crude_ends_after_the_message_has_begun_upstream(lenient):
    before = lenient.queued()
    for variant in CRUDE:
        session = Through(lenient)
        session.send(ENVELOPE, answers=3)
        session.carry(session.relay.from_client(HEAD + b"\r\nhello"))
        session.carry(session.relay.from_server(session.server.recv(65536)))  # 354: Postfix is inside DATA
        assert session.send(variant + b"\r\n.\r\n", answers=4)[3:] == ["550"], variant
    assert lenient.queued() == before


def test_crude_ends_by_bdat_across_chunks(lenient):
    before = lenient.queued()
    for n, variant in enumerate(CRUDE):
        session = Through(lenient)
        session.send(ENVELOPE.removesuffix(b"DATA\r\n"), answers=2)
        cut = 1 + n % 8
        first, second = HEAD + b"\r\nhello" + variant[:cut], variant[cut:]
        session.send(b"BDAT %d\r\n" % len(first) + first, answers=3)
        session.send(b"BDAT %d LAST\r\n" % len(second) + second, answers=4)
        assert session.codes()[-1] == "550", variant
    assert lenient.queued() == before


def test_honest_contents_are_one_message_each(lenient):
    before = len(lenient.queued())
    accepted = 0
    for variant in HONEST:
        content = HEAD + b"\r\nhello" + variant
        session = Through(lenient)
        assert session.send(ENVELOPE, content + b"\r\n.\r\n", answers=4)[3:] == ["250"], variant
        chunk = content + b"\r\n.\r\n" + variant
        talk = ENVELOPE.removesuffix(b"DATA\r\n") + b"BDAT %d LAST\r\n" % len(chunk) + chunk + b"QUIT\r\n"
        assert session.send(talk, answers=8)[4:] == ["250", "250", "250", "221"], variant
        accepted += sum(d.accepted for d in session.done)
    queued = lenient.queued()[before:]
    assert accepted == 2 * len(HONEST)
    assert queued == [ME] * accepted


def test_it_logs_the_client_and_its_login(lenient):
    session = Through(lenient)
    session.send(ENVELOPE, HEAD + b"\r\nhello\r\n.\r\nQUIT\r\n", answers=5)
    lenient.queued()
    log = lenient.log.read_text()
    assert re.search(r"client=unknown\[203\.0\.113\.9\].*sasl_username=alice@example\.org", log)


def test_a_message_of_50_mb_streams_through_whole(lenient):
    session = Through(lenient)
    block = (b".." + b"x" * 74 + b"\r\n") * 840
    session.send(ENVELOPE, answers=3)
    session.carry(session.relay.from_client(HEAD + b"\r\n" + block))
    session.carry(session.relay.from_server(session.server.recv(65536)))
    held = 0
    for _ in range(800):
        session.carry(session.relay.from_client(block))
        held = max(held, sys.getsizeof(session.relay._client._octets))
    assert session.send(b".\r\n", answers=4)[3:] == ["250"]
    assert session.done[0].size == len(HEAD) + 2 + 801 * len(block)
    assert session.done[0].size > 50_000_000
    assert held < 200_000
