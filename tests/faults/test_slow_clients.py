"""Slow and many: who sends one octet a second, who never reads, 10,000 who only connect, 2,000 who stay. A good client
gets in all the while, and memory stays bounded."""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults.conftest import configured, folder
from faults.hands import ALMA, DOORS, IMPLICIT, Line, eventually, open_door, open_files, rss, session, sign_in
from faults.idle_server import IdleServer
from peers.gambeson import Gambeson

NEEDED = 16_000


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """For our own side. The doors raise their own limit: they are started with a shell's usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED:
        pytest.skip(f"this machine allows {hard} open files, {NEEDED} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, soft), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def more_for_us() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def slow(g: Gambeson, listener: str, way: str, source: str) -> socket.socket:
    """A connection that has come as far as ``way`` says and will only trickle from now on."""
    if way == "before TLS":
        line = Line(g.port(listener), source)
    else:
        line = open_door(g, listener, source)
        if way == "within sign-in":
            line.send(
                {
                    "imaps": b"a AUTHENTICATE PLAIN",
                    "imap": b"a AUTHENTICATE PLAIN",
                    "sieve": b'AUTHENTICATE "PLAIN"',
                }.get(listener, b"AUTH PLAIN")
            )
            line.line()
    return line.sock


@pytest.mark.slow
def test_one_octet_a_second_ends_at_the_deadline_of_signing_in() -> None:
    ways = ("before TLS", "after TLS", "within sign-in")
    with configured('[doors]\nlogin_timeout_s = 5\n[listen]\nconsole = "127.0.0.1:0"\n') as g:
        secret = g.enrol("anna@example.org", doors="imap")
        door = g.children()["doors"]
        before = rss(door)
        socks: dict[socket.socket, tuple[str, str, float]] = {}
        for number, (listener, way) in enumerate([(a, b) for a in DOORS for b in ways] * 4):
            began = time.monotonic()
            sock = slow(g, listener, way, f"127.{50 + number}.1.1")
            socks[sock] = (listener, way, began)
        took: dict[tuple[str, str], float] = {}
        words = []
        began = time.monotonic()
        while socks and time.monotonic() - began < 25:
            for sock in list(socks):
                listener, way, since = socks[sock]
                hello = way == "before TLS" and listener in IMPLICIT
                over = False
                try:
                    sock.setblocking(True)
                    sock.send(
                        b"\x16" if hello and time.monotonic() - since < 1.2 else b"\x01" if hello else b"A"
                    )
                    if select.select([sock], [], [], 0)[0]:
                        sock.settimeout(0.5)
                        over = sock.recv(65536) == b""
                except TimeoutError:
                    pass
                except (OSError, ssl.SSLError):
                    over = True
                if over:
                    del socks[sock]
                    took[listener, way] = max(took.get((listener, way), 0.0), time.monotonic() - since)
                    sock.close()
            words.append(sign_in(g, "imaps", "anna@example.org", secret))
            time.sleep(1)
        assert not socks, sorted({value[:2] for value in socks.values()})
        assert len(took) == len(DOORS) * len(ways)
        assert max(took.values()) < 16
        assert set(words) == {"in"}
        assert rss(door) - before < 32 * 1024
        eventually(lambda: g.children()["doors"] == door, 1)


@pytest.mark.slow
def test_who_never_reads_is_not_read_from_and_ends_too() -> None:
    with configured('[doors]\nlogin_timeout_s = 5\n[listen]\nconsole = "127.0.0.1:0"\n') as g:
        door = g.children()["doors"]
        before = rss(door)
        lines = [open_door(g, listener, f"127.9.{n}.1") for n, listener in enumerate(DOORS * 3)]
        sent = 0
        for line in lines:
            line.sock.settimeout(1)
            with contextlib.suppress(TimeoutError, OSError):
                while sent < 400 << 20:
                    line.sock.sendall(b"a NOOP\r\n" * 4096)
                    sent += 8 * 4096
        assert rss(door) - before < 64 * 1024
        eventually(lambda: not still_open(lines), 25, every=1)
        assert g.children()["doors"] == door
        assert "Traceback" not in g.log.read_text()


def still_open(lines: list[Line]) -> list[Line]:
    """Those that are still open."""
    still = []
    for line in lines:
        try:
            line.sock.settimeout(0.2)
            while line.sock.recv(1 << 20):
                pass
        except TimeoutError:
            still.append(line)
        except (OSError, ssl.SSLError):
            pass
    return still


@pytest.mark.slow
def test_ten_thousand_who_only_connect(many_descriptors: None) -> None:
    with folder() as path, Gambeson(path / "data") as g:
        more_for_us()
        door = g.children()["doors"]
        assert sign_in(g, "imaps", ALMA, g.secret) == "in"
        before, ports = rss(door), [g.port(listener) for listener in DOORS]
        crowd = []
        for n in range(10_000):
            sock = socket.socket()
            sock.setblocking(False)
            sock.bind((f"127.{1 + n % 200}.{n // 200}.9", 0))
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", ports[n % len(ports)]))
            crowd.append(sock)
        # for its first three seconds a flood is let be; from then on the oldest of it makes room for each newcomer
        eventually(lambda: sign_in(g, "imaps", ALMA, g.secret) == "in", 6)
        for listener in DOORS * 3:
            assert sign_in(g, listener, ALMA, g.secret, source="127.250.1.1") == "in", listener
        assert rss(door) - before < 96 * 1024
        if os.geteuid() == 0:  # nobody else may look into a door
            assert len(open_files(door)) < 2_500  # the limit of unauthenticated connections, and some
        for sock in crowd:
            sock.close()
        if os.geteuid() == 0:
            eventually(lambda: len(open_files(door)) < 60, 20, every=0.5)
        assert g.children()["doors"] == door


@pytest.mark.slow
def test_two_thousand_who_stay(many_descriptors: None) -> None:
    server = IdleServer()
    with (
        folder() as path,
        Gambeson(path / "data", "--mail-server", f"imap+plain://127.0.0.1:{server.port}") as g,
    ):
        more_for_us()
        people = enrol_many(g, 50)
        door = g.children()["doors"]
        with session(g, *people[0]):
            before = rss(door)
        lines: list[Line] = []
        lock = threading.Lock()

        def one(n: int) -> None:
            line = session(g, *people[n % 50], source=f"127.{1 + n % 250}.{n // 250}.3")
            with lock:
                lines.append(line)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(2_000)))
        assert len(lines) == 2_000
        each = (rss(door) - before) / 2_000
        assert each < 64, f"{each:.1f} KiB for each idle session"
        assert len(g.json("session", "list")["sessions"]) == 2_000
        began = time.monotonic()
        assert sign_in(g, "imaps", *people[1], source="127.251.1.1") == "in"
        assert time.monotonic() - began < 2
        g.run("account", "disable", people[0][0])
        eventually(lambda: len(g.json("session", "list")["sessions"]) == 1_960, 5)
        print(f"{each:.1f} KiB for each of 2,000 idle sessions")
        assert g.stop() == 0
        for line in lines:
            line.close()
    server.close()


def enrol_many(g: Gambeson, count: int) -> list[tuple[str, str]]:
    """So many accounts with a device each, put into the store as ``device enrol`` does."""
    from gambeson.model import device_secret
    from gambeson.model.access import MAIL_DOORS
    from gambeson.model.asset import CredentialKind
    from gambeson.process.keeper_client import AdminKeeper
    from gambeson.process.worker_client import AdminWorker
    from gambeson.store.control import Store

    keeper, found = AdminKeeper(g.data / "run" / "keeper.sock"), []
    with Store.open(f"sqlite:///{g.data / 'store' / 'control.db'}", migrate=False) as store:
        org = store.organisation(store.organisations()[0].id)
        for n in range(count):
            made = device_secret.make(secrets.token_bytes(device_secret.ENTROPY_BYTES))
            name, who = f"many{n}@playground.example", {"by": "test", "at": time.time()}
            account = org.accounts.create(name, **who)
            device = org.devices.create(account.id, "One", doors=MAIL_DOORS, **who)
            org.credentials.add(
                device.id,
                CredentialKind.DEVICE_SECRET,
                made.public_id,
                verifier=keeper.secret_verifier(made.text),
                **who,
            )
            found.append((name, made.text))
    AdminWorker(g.data / "run" / "worker.sock").publish(5.0)
    return found
