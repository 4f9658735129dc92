"""A mail server whose TLS goes wrong: nothing of a credential leaves before TLS stands and is verified."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest

from faults.conftest import folder
from faults.hands import ALMA, sign_in
from peers.gambeson import Gambeson


@pytest.mark.parametrize(
    "fault", ["plaintext", "closes in the handshake", "another's certificate", "half a handshake"]
)
def test_tls_to_the_server_that_goes_wrong(fault: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            while True:
                sock, _ = listener.accept()
                sock.settimeout(20)
                if fault == "another's certificate":
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(certificate)
                    with contextlib.suppress(OSError, ssl.SSLError):
                        heard.append(context.wrap_socket(sock, server_side=True).recv(4096))
                    continue
                if fault == "plaintext":
                    sock.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n")
                heard.append(sock.recv(4096))
                if fault == "closes in the handshake":
                    sock.close()
                if fault == "half a handshake":
                    sock.sendall(b"\x16\x03\x03\x40\x00")
                    kept.append(sock)

    kept: list[socket.socket] = []
    with folder() as path:
        certificate = str(path / "other.pem")
        with Gambeson(path / "data", "--mail-server", f"imaps://127.0.0.1:{listener.getsockname()[1]}") as g:
            with open(certificate, "wb") as file:
                file.write((g.data / "tls" / "certificate.pem").read_bytes())
                file.write((g.data / "tls" / "key.pem").read_bytes())
            threading.Thread(target=serve, daemon=True).start()
            began = time.monotonic()
            assert sign_in(g, "imaps", ALMA, g.secret, patience=20) == "later"
            assert time.monotonic() - began < 12
            assert all(not data or data[0] == 0x16 or fault == "another's certificate" for data in heard)
            assert not any(b"AUTH" in data or b"Bearer" in data for data in heard)
        listener.close()
