"""Mail servers that go wrong on purpose, one small listener for each protocol.

``mode`` says what the next connections meet; ``cut()`` ends those that are open. In the mode ``good`` the sign-in with
a token succeeds, and afterwards whatever comes is answered by one line.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

GREETING = {
    "imap": b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER AUTH=XOAUTH2 AUTH=PLAIN] ready\r\n",
    "pop3": b"+OK ready\r\n",
    "submission": b"220 upstream.example ESMTP\r\n",
    "sieve": b'"IMPLEMENTATION" "x"\r\n"SASL" "OAUTHBEARER PLAIN"\r\n"SIEVE" "fileinto"\r\n"VERSION" "1.0"\r\nOK\r\n',
}
MODES = (
    "closes at once",
    "greets and closes",
    "dies during sign-in",
    "dies after half an answer",
    "garbage",
    "endless line",
    "endless lines",
    "refuses us",
    "busy",
)


class Upstream:
    """See above."""

    def __init__(self, kind: str) -> None:
        self.kind, self.mode = kind, "good"
        self.signed_in = 0
        self._open: set[socket.socket] = set()
        self.port = 0
        self.listen()

    def listen(self) -> None:
        """Take connections, always at the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection, hard."""
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Refuse connections from now on."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock, self.mode), daemon=True).start()

    def _serve(self, sock: socket.socket, mode: str) -> None:
        try:
            sock.settimeout(600)
            self._talk(sock, mode)
        except (OSError, ValueError):
            pass
        finally:
            self._open.discard(sock)
            sock.close()

    def _talk(self, sock: socket.socket, mode: str) -> None:
        if mode == "closes at once":
            return
        if mode == "silent":
            while sock.recv(4096):
                pass
            return
        if mode == "garbage":
            sock.sendall(b"\x16\x03\x01\x00\xff\x00\r\n" + bytes(range(256)) + b"\r\n" * 20)
            time.sleep(5)
            return
        if mode == "endless line":
            sock.sendall(GREETING[self.kind][:4])
            while True:
                sock.sendall(b"x" * 65536)
        if mode == "endless lines":
            line = {"imap": b"* OK more\r\n", "submission": b"220-more\r\n", "sieve": b'"X" "y"\r\n'}
            while True:
                sock.sendall(line.get(self.kind, b"+OK more\r\n") * 4096)
        sock.sendall(GREETING[self.kind])
        if mode == "greets and closes":
            return
        file = sock.makefile("rb")
        while command := file.readline(65536):
            reply = self._reply(command.strip(), mode)
            if reply is None:
                return
            sock.sendall(reply)
            if mode == "dies after half an answer" and not reply.endswith(b"\n"):
                return

    def _reply(self, command: bytes, mode: str) -> bytes | None:
        word = command.upper()
        if self.kind == "sieve" and word.startswith(b"AUTHENTICATE") and word.endswith(b"+}"):
            return b""  # the literal is still to come
        if (self.kind == "sieve" and word.startswith(b'"')) or word == b"CAPABILITY":
            return GREETING["sieve"] if word == b"CAPABILITY" else self._verdict(b"", mode)
        tag = command.split(b" ")[0]
        if b"AUTH" in word and not word.startswith(b"CAPA"):
            return self._verdict(tag, mode)
        match self.kind:
            case "imap":
                extra = (
                    b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER\r\n" if b"CAPABILITY" in word else b""
                )
                return extra + tag + b" OK done\r\n"
            case "pop3":
                if word.startswith(b"CAPA"):
                    return b"+OK\r\nSASL OAUTHBEARER PLAIN\r\nUSER\r\nRESP-CODES\r\n.\r\n"
                return b"+OK done\r\n"
            case "submission":
                if word.startswith(b"EHLO"):
                    return b"250-upstream.example\r\n250-8BITMIME\r\n250 AUTH OAUTHBEARER PLAIN\r\n"
                return b"250 2.0.0 done\r\n"
            case _:
                return b"OK\r\n"

    def _verdict(self, tag: bytes, mode: str) -> bytes | None:
        good = {"imap": tag + b" OK in\r\n", "pop3": b"+OK in\r\n", "submission": b"235 2.7.0 in\r\n"}
        no = {"imap": tag + b" NO [AUTHENTICATIONFAILED] no\r\n", "pop3": b"-ERR [AUTH] no\r\n"}
        busy = {"imap": tag + b" NO [UNAVAILABLE] later\r\n", "pop3": b"-ERR [SYS/TEMP] later\r\n"}
        if mode == "dies during sign-in":
            return None
        if mode == "dies after half an answer":
            return good.get(self.kind, b"OK\r\n")[:2]
        if mode == "refuses us":
            return no.get(self.kind, b"535 5.7.8 no\r\n" if self.kind == "submission" else b'NO "no"\r\n')
        if mode == "busy":
            return busy.get(
                self.kind, b"454 4.7.0 later\r\n" if self.kind == "submission" else b'NO (TRYLATER) "l"\r\n'
            )
        self.signed_in += 1
        return good.get(self.kind, b"OK\r\n")
