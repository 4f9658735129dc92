"""Direct TLS objects carry the same octets as those of the standard library."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from gambeson.guard.edge.direct_tls import DirectSSLObject
from gambeson.guard.edge.tls import client_context, server_context
from peers.pki import Pki


def shake(one: ssl.SSLObject, other: ssl.SSLObject, pipes: tuple[ssl.MemoryBIO, ...]) -> None:
    """Both sides of a handshake over ``pipes``: in and out of the first, in and out of the second."""
    into, out, into_other, out_other = pipes
    for _ in range(6):
        for side in (one, other):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            into_other.write(out.read())
            into.write(out_other.read())


def test_octets_go_both_ways(tmp_path) -> None:
    pki = Pki(tmp_path)
    issued = pki.issue("mail.example.org")
    pipes = tuple(ssl.MemoryBIO() for _ in range(4))
    server = server_context(str(issued.certificate), str(issued.key)).wrap_bio(
        pipes[0], pipes[1], server_side=True
    )
    client = client_context(str(pki.ca)).wrap_bio(pipes[2], pipes[3], server_hostname="mail.example.org")
    assert isinstance(server, DirectSSLObject)
    assert isinstance(client, DirectSSLObject)
    shake(client, server, (pipes[2], pipes[3], pipes[0], pipes[1]))
    read, pending = server.read, server.pending
    with pytest.raises(ssl.SSLWantReadError):
        read(10)
    assert client.write(b"hello") == 5
    pipes[0].write(pipes[3].read())
    assert read(2) == b"he"
    assert pending() == 3
    buffer = bytearray(3)
    assert read(3, buffer) == 3
    assert bytes(buffer) == b"llo"
    assert server.write(b"good day") == 8
    pipes[2].write(pipes[1].read())
    assert client.read(100) == b"good day"
