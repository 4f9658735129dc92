"""A TLS server's answer to a ClientHello, read from untrusted octets up to where encryption would begin.

Reads records (RFC 8446 section 5.1, RFC 5246 section 6.2.1) and the handshake messages in clear: ServerHello,
Certificate, ServerKeyExchange, ServerHelloDone. Whatever comes, in whatever chunks, gives one result; nothing is raised
and never more than ``MAX_OCTETS`` are taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .lines import ascii_human
from .tls_suites import EPHEMERAL_DH, families

MAX_OCTETS = 1024 * 1024  # of one answer; a chain of ten thousand names fits
MAX_CERTIFICATES = 32
_MAX_RECORD = 16384 + 2048  # RFC 5246 section 6.2.3
_MAX_IDLE = 32  # records and warnings that bring nothing forward
_SHOWN = 60  # octets of what is not TLS that are shown
_ALERT, _HANDSHAKE = 21, 22
_HELLO_REQUEST, _SERVER_HELLO, _CERTIFICATE, _KEY_EXCHANGE, _DONE = 0, 2, 11, 12, 14
# The random that makes a ServerHello a HelloRetryRequest: SHA-256 of that word (RFC 8446 section 4.1.3).
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_TLS1_3 = 0x0304

ALERTS = {
    0: "close notify",
    10: "unexpected message",
    20: "bad record",
    21: "decryption failed",
    22: "record overflow",
    40: "handshake failure",
    41: "no certificate",
    47: "illegal parameter",
    48: "unknown authority",
    50: "decode error",
    51: "decrypt error",
    60: "export restriction",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    86: "inappropriate fallback",
    90: "user canceled",
    109: "missing extension",
    110: "unsupported extension",
    112: "unrecognized name",
    116: "certificate required",
    120: "no application protocol",
}


@dataclass(frozen=True, slots=True)
class ServerHello:
    """The server takes part. ``version`` and ``suite`` are its choice; ``retry``: it would have another key share
    (RFC 8446 section 4.1.4). ``certificates`` are DER, the server's own first; ``dh_bits`` is the size of its
    Diffie-Hellman group (0: none was used or seen). ``complete``: everything in clear was seen; ``too_long``: it was
    more than MAX_OCTETS."""

    version: int
    suite: int
    retry: bool = False
    certificates: tuple[bytes, ...] = ()
    dh_bits: int = 0
    complete: bool = False
    too_long: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """The server declines (RFC 8446 section 6)."""

    level: int
    description: int

    @property
    def words(self) -> str:
        """What it says."""
        return ALERTS.get(self.description, f"alert {self.description}")


@dataclass(frozen=True, slots=True)
class NotTls:
    """What came is not TLS. ``reason`` is part of a sentence."""

    reason: str


Result = ServerHello | Alert | NotTls


class _BrokenError(Exception):
    """The answer breaks the protocol's grammar."""


class HelloReader:
    """Reads one answer: ``feed`` it until ``result`` is there, and ``end`` it when the peer has closed."""

    def __init__(self) -> None:
        self.result: Result | None = None
        self._octets = bytearray()  # records, not yet whole
        self._message = bytearray()  # handshake, not yet whole
        self._alert = bytearray()
        self._hello: ServerHello | None = None
        self._taken = 0
        self._idle = 0

    @property
    def started(self) -> bool:
        """Whether anything came at all."""
        return self._taken > 0

    def feed(self, octets: bytes) -> None:
        """Takes what came next. After the result there is nothing more to learn, and it is dropped."""
        if self.result is not None:
            return
        room = MAX_OCTETS - self._taken
        self._taken += len(octets)
        self._octets += octets[:room]
        try:
            while self._record():
                pass
        except _BrokenError as error:
            self._broken(str(error))
        if len(octets) > room:
            self._over()

    def end(self) -> Result | None:
        """The peer closed. The result; None where nothing came at all."""
        if self.result is None and self._taken:
            self._broken("the answer breaks off")
        self._octets.clear()
        self._message.clear()
        return self.result

    def _broken(self, reason: str) -> None:
        # What was chosen stays true, even if what follows is nonsense.
        self.result = self._hello if self._hello is not None else NotTls(reason)

    def _over(self) -> None:
        if self.result is not None:
            return
        if self._hello is not None:
            self.result = replace(self._hello, too_long=True)
        else:
            self.result = NotTls("the answer does not end")

    def _record(self) -> bool:
        octets = self._octets
        if self.result is not None or not octets:
            return False
        if octets[0] not in (20, _ALERT, _HANDSHAKE, 23) or (len(octets) > 1 and octets[1] != 3):
            raise _BrokenError(f"it says “{ascii_human(bytes(octets[:_SHOWN]))}”")
        if len(octets) < 5:
            return False
        length = int.from_bytes(octets[3:5], "big")
        if length > _MAX_RECORD:
            raise _BrokenError("a record is longer than records are")
        if len(octets) < 5 + length:
            return False
        kind, payload = octets[0], bytes(octets[5 : 5 + length])
        del octets[: 5 + length]
        if kind == _HANDSHAKE and payload:
            self._message += payload
            while self._handshake():
                pass
        elif kind == _ALERT and payload:
            self._alert += payload
            for at in range(0, len(self._alert) - 1, 2):
                self._alerted(Alert(self._alert[at], self._alert[at + 1]))
            del self._alert[: len(self._alert) & ~1]
        else:
            if kind == 23:
                raise _BrokenError("encrypted data comes before the handshake")
            self._stand()
        return True

    def _stand(self) -> None:
        self._idle += 1
        if self._idle > _MAX_IDLE:
            raise _BrokenError("the answer does not come forward")

    def _alerted(self, alert: Alert) -> None:
        # A warning does not end a handshake (RFC 5246 section 7.2); unrecognized_name often comes as one.
        if alert.level == 1 and alert.description not in (0, 90):
            self._stand()
        elif self.result is None:
            self.result = alert

    def _handshake(self) -> bool:
        message = self._message
        if self.result is not None or len(message) < 4:
            return False
        kind, length = message[0], int.from_bytes(message[1:4], "big")
        if self._hello is None and kind not in (_HELLO_REQUEST, _SERVER_HELLO):
            raise _BrokenError("the handshake begins with something else than a hello")
        if length > MAX_OCTETS:
            self._over()
            return False
        if len(message) < 4 + length:
            return False
        body = bytes(message[4 : 4 + length])
        del message[: 4 + length]
        if kind == _HELLO_REQUEST:
            self._stand()
        elif kind == _SERVER_HELLO:
            if self._hello is not None:
                raise _BrokenError("there are two hellos")
            self._hello = _server_hello(body)
            if self._hello.version >= _TLS1_3:  # the rest is encrypted
                self.result = replace(self._hello, complete=True)
        elif self._hello is not None:
            self._later(kind, body, self._hello)
        return True

    def _later(self, kind: int, body: bytes, hello: ServerHello) -> None:
        if kind == _CERTIFICATE and not hello.certificates:
            self._hello = replace(hello, certificates=_certificates(body))
        elif kind == _KEY_EXCHANGE:
            self._hello = replace(hello, dh_bits=_group(body, hello.suite))
        elif kind == _DONE:
            self.result = replace(hello, complete=True)
        else:
            self._stand()


def _server_hello(body: bytes) -> ServerHello:
    """RFC 8446 section 4.1.3; in older versions extensions may be missing."""
    if len(body) < 38 or body[0] != 3:
        raise _BrokenError("the server's hello is malformed")
    version = int.from_bytes(body[:2], "big")
    at = 35 + body[34]
    if len(body) < at + 3:
        raise _BrokenError("the server's hello is malformed")
    suite = int.from_bytes(body[at : at + 2], "big")
    at += 3
    end = min(len(body), at + 2 + int.from_bytes(body[at : at + 2], "big"))
    at += 2
    while at + 4 <= end:
        kind, length = int.from_bytes(body[at : at + 2], "big"), int.from_bytes(body[at + 2 : at + 4], "big")
        if kind == 43 and length == 2 and at + 6 <= end:  # supported_versions
            version = int.from_bytes(body[at + 4 : at + 6], "big")
        at += 4 + length
    return ServerHello(version, suite, retry=body[2:34] == _RETRY)


def _certificates(body: bytes) -> tuple[bytes, ...]:
    """RFC 5246 section 7.4.2."""
    end = 3 + int.from_bytes(body[:3], "big")
    if end != len(body):
        raise _BrokenError("the list of certificates is malformed")
    found: list[bytes] = []
    at = 3
    while at < end and len(found) < MAX_CERTIFICATES:
        length = int.from_bytes(body[at : at + 3], "big")
        at += 3
        if at + length > end:
            raise _BrokenError("the list of certificates is malformed")
        found.append(body[at : at + length])
        at += length
    return tuple(found)


def _group(body: bytes, suite: int) -> int:
    """The bits of the prime in a ServerKeyExchange of finite-field Diffie-Hellman (RFC 5246 section 7.4.3)."""
    if EPHEMERAL_DH not in families(suite):
        return 0
    length = int.from_bytes(body[:2], "big")
    if len(body) < 2 + length:
        raise _BrokenError("the server's key exchange is malformed")
    return int.from_bytes(body[2 : 2 + length], "big").bit_length()


class Ssl2Reader:
    """The answer to a hello of SSL 2.0: ``taken`` is True where it is a SERVER-HELLO that offers ciphers, False where
    it is anything else, None while that is open."""

    _MOST = 32768

    def __init__(self) -> None:
        self.taken: bool | None = None
        self._octets = bytearray()

    def feed(self, octets: bytes) -> None:
        """Takes what came next."""
        if self.taken is not None:
            return
        self._octets += octets[: self._MOST]
        found = self._octets
        if len(found) >= 2 and not found[0] & 0x80:
            self.taken = False
        elif len(found) >= 13:
            # length, type 4, session id hit, certificate type, version, lengths of certificate, ciphers, connection id
            ciphers = int.from_bytes(found[9:11], "big")
            self.taken = found[2] == 4 and found[5:7] == b"\0\2" and ciphers > 0 and ciphers % 3 == 0
