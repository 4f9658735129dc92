"""The probe: what real and ill-willed servers say before anybody signs in, within bounds."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.app.doctor.probe import ProbeError, ask
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, UpstreamTls
from peers.dovecot import Dovecot, missing

DOORS = (DoorKind.IMAP, DoorKind.POP3, DoorKind.SUBMISSION, DoorKind.SIEVE)


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    if missing():
        pytest.skip(missing())
    with Dovecot(users={"anna@example.org": "pass word"}) as peer:
        yield peer


@pytest.mark.parametrize(
    ("listener", "door", "tls"),
    [
        ("imaps", DoorKind.IMAP, UpstreamTls.IMPLICIT),
        ("imap", DoorKind.IMAP, UpstreamTls.STARTTLS),
        ("pop3s", DoorKind.POP3, UpstreamTls.IMPLICIT),
        ("pop3", DoorKind.POP3, UpstreamTls.STARTTLS),
        ("submission", DoorKind.SUBMISSION, UpstreamTls.STARTTLS),
        ("sieve", DoorKind.SIEVE, UpstreamTls.STARTTLS),
    ],
)
@pytest.mark.peer("dovecot")
def test_dovecot_says_what_it_offers(
    dovecot: Dovecot, listener: str, door: DoorKind, tls: UpstreamTls
) -> None:
    at = Endpoint(door, host="127.0.0.1", port=dovecot.ports[listener], tls=tls, ca=str(dovecot.ca))
    answer = ask(at)
    assert {"AUTH=PLAIN", "AUTH=OAUTHBEARER"} <= answer.offers
    assert answer.distrust == ""
    assert answer.certificate
    assert ("STARTTLS" in answer.before) is (tls is UpstreamTls.STARTTLS)
    stranger = ask(Endpoint(door, host="127.0.0.1", port=dovecot.ports[listener], tls=tls))
    assert "issuer" in stranger.distrust
    assert stranger.offers == answer.offers
    other = ask(at, name="other.example")
    assert "other.example" in other.distrust
    pinned = ask(Endpoint(door, host="127.0.0.1", port=dovecot.ports[listener], tls=tls, pin="0" * 64))
    assert pinned.distrust == "it is not the pinned one"


class Server:
    """Answers one connection after the other with ``serve``."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._sock.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                self._serve(peer)

    def close(self) -> None:
        self._sock.close()


def _endless(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"* CAPABILITY IMAP4rev1\r\n250-X\r\n" * 100)


def _one_line(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"x" * 65536)


def _slow(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("serve", [_endless, _one_line, _slow, lambda peer: None])
@pytest.mark.parametrize("door", DOORS)
def test_an_ill_willed_server_is_left_in_time(serve: Callable[[socket.socket], None], door: DoorKind) -> None:
    server = Server(serve)
    begun = time.monotonic()
    with pytest.raises(ProbeError):
        ask(Endpoint(door, host="127.0.0.1", port=server.port, tls=UpstreamTls.NONE), 1.0)
    assert time.monotonic() - begun < 3
    server.close()


def test_more_behind_starttls_is_no_answer() -> None:
    """What stands before TLS must not count after it."""

    def serve(peer: socket.socket) -> None:
        peer.sendall(b"* OK hello\r\n")
        peer.recv(100)
        peer.sendall(b"* CAPABILITY IMAP4rev1 STARTTLS\r\na OK\r\n")
        peer.recv(100)
        peer.sendall(b"b OK begin\r\n* CAPABILITY AUTH=PLAIN\r\n")
        peer.recv(100)

    server = Server(serve)
    with pytest.raises(ProbeError, match="before TLS"):
        ask(Endpoint(DoorKind.IMAP, host="127.0.0.1", port=server.port, tls=UpstreamTls.STARTTLS), 2.0)
    server.close()


@settings(max_examples=40)
@given(st.binary(max_size=300), st.sampled_from(DOORS), st.sampled_from(list(UpstreamTls)))
def test_any_octets_give_an_answer_or_the_declared_error(
    said: bytes, door: DoorKind, tls: UpstreamTls
) -> None:
    server = Server(lambda peer: peer.sendall(said))
    try:
        ask(Endpoint(door, host="127.0.0.1", port=server.port, tls=tls), 1.0)
    except ProbeError:
        pass
    finally:
        server.close()
