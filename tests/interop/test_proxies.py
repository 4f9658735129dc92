"""A load balancer in front: HAProxy and swaks with PROXY version 1 and 2, from a listed source and from others."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import socket
import time
from collections.abc import Iterator

import pytest

from gambeson.wire.proxyproto import build_v2
from interop.sites import Debian, Site, before, open_folder
from peers import program
from peers.clients import Login, run, swaks
from peers.process import Child, free_port

PROXY = "127.0.0.50"  # the one that is listed


@pytest.fixture(scope="module")
def behind(peers_of_debian: Debian) -> Iterator[Site]:
    """Doors that take connections from one load balancer only."""
    settings = f'[doors]\nproxy_protocol_from = "{PROXY}/32"\n'
    settings += peers_of_debian.servers("implicit", name="debian", ca=peers_of_debian.ca, trusts_us=True)
    with open_folder("gip") as folder, before(peers_of_debian, folder, settings) as site:
        yield site


HAPROXY = """
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
"""


@pytest.fixture(scope="module")
def haproxy(behind: Site) -> Iterator[dict[str, int]]:
    """HAProxy before imaps and submissions: ports by listener and version; "stranger" speaks from another address."""
    try:
        path = program("haproxy")
    except LookupError as error:
        pytest.skip(f"haproxy: {error} (Debian package haproxy)")
    ports, text = {}, HAPROXY
    for listener in ("imaps", "imap", "submissions"):
        for name, send, source in (
            ("v1", "send-proxy", PROXY),
            ("v2", "send-proxy-v2", PROXY),
            ("stranger", "send-proxy", "127.0.0.51"),
            ("none", "", PROXY),
        ):
            ports[f"{listener}-{name}"] = port = free_port()
            text += (
                f"listen {listener}-{name}\n  bind 127.0.0.1:{port}\n  source {source}\n"
                f"  server door 127.0.0.1:{behind.gambeson.port(listener)} {send}\n"
            )
    settings = behind.folder / "haproxy.cfg"
    settings.write_text(text)
    child = Child([path, "-db", "-f", str(settings)], behind.folder / "haproxy.log")
    try:
        child.wait_for(*ports.values())
        yield ports
    finally:
        child.stop()


def session(who: Login, port: int, source: str = "127.0.0.88") -> imaplib.IMAP4_SSL:
    class From(imaplib.IMAP4_SSL):
        def _create_socket(self, timeout: float | None) -> socket.socket:
            raw = socket.create_connection((self.host, self.port), 10, source_address=(source, 0))
            return self.ssl_context.wrap_socket(raw, server_hostname="localhost")

    return From("127.0.0.1", port, ssl_context=who.tls)


@pytest.mark.peer("haproxy")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_person_behind_the_balancer_is_seen(behind: Site, haproxy: dict[str, int], version: str) -> None:
    who = behind.login()
    source = f"127.0.0.8{version[1]}"
    client = session(who, haproxy[f"imaps-{version}"], source)
    client.login(who.name, who.secret)
    assert source in {each["source"] for each in behind.gambeson.json("session", "list")["sessions"]}
    client.logout()
    assert behind.debian
    behind.debian.dovecot.wait_for_log(rf"Login: user=<{who.name}>, .*rip={source}")
    with imaplib.IMAP4("127.0.0.1", haproxy[f"imap-{version}"]) as plain:
        assert "STARTTLS" in plain.capabilities
    with smtplib.SMTP_SSL(
        "localhost", haproxy[f"submissions-{version}"], context=who.tls, source_address=(source, 0)
    ) as sending:
        assert sending.login(who.name, who.secret)[0] == 235


@pytest.mark.peer("haproxy")
@pytest.mark.parametrize("name", ["stranger", "none"])
def test_from_elsewhere_or_without_a_header_the_connection_closes(
    behind: Site, haproxy: dict[str, int], name: str
) -> None:
    with pytest.raises((OSError, imaplib.IMAP4.abort)):
        session(behind.login(), haproxy[f"imaps-{name}"])


def first_octets(site: Site, listener: str, octets: bytes, source: str = PROXY) -> bytes:
    """What the door says to these octets from this address, until it closes or is silent."""
    with socket.create_connection(
        ("127.0.0.1", site.gambeson.port(listener)), 5, source_address=(source, 0)
    ) as connection:
        said = b""
        with contextlib.suppress(OSError):
            connection.sendall(octets)
            connection.settimeout(3)
            while not said.endswith(b"\n") and (more := connection.recv(4096)):
                said += more
        return said


V1 = b"PROXY TCP4 198.51.100.7 192.0.2.1 40000 143\r\n"
V2 = build_v2("2001:db8::7", 40000, "2001:db8::1", 143)


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize(
    ("listener", "greeting"), [("imap", b"* OK"), ("pop3", b"+OK"), ("submission", b"220 "), ("sieve", b'"')]
)
def test_every_door_takes_both_versions(behind: Site, header: bytes, listener: str, greeting: bytes) -> None:
    assert first_octets(behind, listener, header).startswith(greeting)
    assert first_octets(behind, listener, header, "127.0.0.49") == b""


@pytest.mark.parametrize(
    "octets",
    [
        b"a CAPABILITY\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 40000\r\n",
        b"PROXY TCP4 999.51.100.7 192.0.2.1 40000 143\r\n",
        b"PROXY " + b"x" * 200 + b"\r\n",
        V2[:12] + b"\x31" + V2[13:],
        V2[:14] + b"\xff\xff" + V2[16:],
        b"",
    ],
)
def test_anything_else_is_no_header(behind: Site, octets: bytes) -> None:
    assert first_octets(behind, "imap", octets) == b""


@pytest.mark.peer("swaks")
@pytest.mark.parametrize("version", ["1", "2"])
def test_swaks_speaks_it_itself(behind: Site, version: str) -> None:
    who = behind.login()
    port = str(who.port("submission"))
    done = run([
        program("swaks"), "--server", "127.0.0.1", "--port", port, "--local-interface", PROXY,
        "--proxy-version", version, "--proxy-family", "AF_INET" if version == "2" else "TCP4",
        *(("--proxy-protocol", "STREAM", "--proxy-command", "PROXY") if version == "2" else ()),
        "--proxy-source", "198.51.100.9", "--proxy-source-port", "40000",
        "--proxy-dest", "192.0.2.1", "--proxy-dest-port", "587",
        "--tls", "--auth", "PLAIN", "--auth-user", who.name, "--auth-password", who.secret,
        "--from", who.name, "--to", who.name,
    ])  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert behind.debian
    end = time.monotonic() + 10
    while "client=unknown[198.51.100.9]" not in behind.debian.postfix.logged():
        assert time.monotonic() < end, behind.debian.postfix.logged()[-2000:]
        time.sleep(0.1)
    assert swaks(who, who.name).returncode != 0  # without a header
