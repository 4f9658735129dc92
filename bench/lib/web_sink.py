"""Where uploads end: over TLS, reads the whole body of a POST into one buffer, then answers with 1 KB.

Blocking sockets and a thread a connection: the cheapest that Python has for few connections with much on them.
nginx itself answers a request before it has read the body that it throws away, so it can't be this end.

Arguments: port, certificate, key.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 1024\r\n\r\n" + bytes(
    1024
)


def serve(sock: ssl.SSLSocket) -> None:
    """One connection, until it ends."""
    buffer = bytearray(1 << 18)
    kept = b""
    with sock:
        while True:
            while b"\r\n\r\n" not in kept:
                data = sock.recv(65536)
                if not data:
                    return
                kept += data
            head, _, body = kept.partition(b"\r\n\r\n")
            kept = b""
            found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            left = (int(found[1]) if found else 0) - len(body)
            while left > 0:
                count = sock.recv_into(buffer, min(left, len(buffer)))
                if not count:
                    return
                left -= count
            sock.sendall(ANSWER)


def main() -> None:
    """Serve until told to stop."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)

    def begin(plain: socket.socket) -> None:
        try:
            serve(context.wrap_socket(plain, server_side=True))
        except OSError:
            plain.close()

    while True:
        plain, _ = listening.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=begin, args=(plain,), daemon=True).start()


if __name__ == "__main__":
    main()
