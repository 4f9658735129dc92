"""The playground's certificate is accepted by a strict client for this machine's names, and kept until it ages."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gambeson.playground import certificate


def handshake(folder: Path, name: str) -> None:
    ca, cert, key = certificate.ensure(folder, datetime.now(UTC))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    client = ssl.create_default_context(cafile=str(ca))
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(there, server_side=True) as tls:
                tls.recv(1)
        except OSError:
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(here, server_hostname=name) as tls:
            tls.send(b"x")
    finally:
        here.close()
        thread.join(5)


@pytest.mark.parametrize("name", ["localhost", "mail.localhost", "127.0.0.1", "mail.playground.example"])
def test_a_strict_client_accepts_it(tmp_path: Path, name: str) -> None:
    handshake(tmp_path, name)


def test_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, "mail.example.org")


def test_it_is_kept_and_renewed_in_time(tmp_path: Path) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    _, cert, key = certificate.ensure(tmp_path, now)
    first = cert.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    certificate.ensure(tmp_path, now + timedelta(days=300))
    assert cert.read_bytes() == first
    certificate.ensure(tmp_path, now + timedelta(days=380))
    assert cert.read_bytes() != first
