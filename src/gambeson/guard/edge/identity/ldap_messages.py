"""The few LDAP messages that a search and a bind need (RFC 4511 section 4), as octets and back. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .ber import BOOLEAN, ENUMERATED, OCTETS, SEQUENCE, BerError, Reader, element, integer, truth

START_TLS = b"1.3.6.1.4.1.1466.20037"  # RFC 4511 section 4.14.1
PASSWORD_POLICY = b"1.3.6.1.4.1.42.2.27.8.5.1"  # draft-behera-ldap-password-policy, as OpenLDAP answers it
NO_ATTRIBUTES = b"1.1"  # RFC 4511 section 4.5.1.8

SUCCESS, SIZE_LIMIT_EXCEEDED, CONSTRAINT_VIOLATION = 0, 4, 19
NO_SUCH_OBJECT, INAPPROPRIATE_AUTHENTICATION, INVALID_CREDENTIALS = 32, 48, 49
UNWILLING_TO_PERFORM = 53

_BIND, _BIND_RESPONSE, _UNBIND, _SEARCH, _ENTRY, _DONE = 0x60, 0x61, 0x42, 0x63, 0x64, 0x65
_REFERENCE, _EXTENDED, _EXTENDED_RESPONSE, _INTERMEDIATE = 0x73, 0x77, 0x78, 0x79
_CONTROLS = 0xA0
_MAX_CONTROLS = 32
_MAX_DIAGNOSTIC = 500  # characters kept


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that a search found; only its name was asked for."""

    message: int
    dn: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Another server might know more. It is never followed: it would be sent somebody's password."""

    message: int


@dataclass(frozen=True, slots=True)
class Result:
    """The end of an operation. ``policy`` is the password policy's error, -1 where it says none."""

    message: int
    kind: int
    code: int
    diagnostic: str
    policy: int = -1

    @property
    def ends_bind(self) -> bool:
        """Whether it answers a bind."""
        return self.kind == _BIND_RESPONSE

    @property
    def ends_search(self) -> bool:
        """Whether it answers a search."""
        return self.kind == _DONE

    @property
    def ends_extended(self) -> bool:
        """Whether it answers an extended operation (StartTLS), or is the notice of disconnection (message 0)."""
        return self.kind == _EXTENDED_RESPONSE


def bind(message: int, dn: str, password: str) -> bytes:
    """A simple bind (RFC 4511 section 4.2) that asks for the password policy's word.

    Raises ValueError where either is empty: RFC 4513 sections 5.1.1 and 5.1.2 call that an anonymous or
    unauthenticated bind, which may succeed and proves nothing.
    """
    if not dn or not password:
        raise ValueError("a bind without a name or without a password proves nothing")
    body = element(_BIND, integer(3), element(OCTETS, dn.encode()), element(0x80, password.encode()))
    control = element(SEQUENCE, element(OCTETS, PASSWORD_POLICY))
    return element(SEQUENCE, integer(message), body, element(_CONTROLS, control))


def search(message: int, base: str, encoded_filter: bytes, limit: int, seconds: int) -> bytes:
    """Names below ``base`` (whole subtree), at most ``limit``, no attributes, aliases not followed."""
    body = element(
        _SEARCH,
        element(OCTETS, base.encode()),
        integer(2, ENUMERATED),
        integer(0, ENUMERATED),
        integer(limit),
        integer(seconds),
        truth(True),
        encoded_filter,
        element(SEQUENCE, element(OCTETS, NO_ATTRIBUTES)),
    )
    return element(SEQUENCE, integer(message), body)


def start_tls(message: int) -> bytes:
    """The request to begin TLS (RFC 4511 section 4.14)."""
    return element(SEQUENCE, integer(message), element(_EXTENDED, element(0x80, START_TLS)))


def unbind(message: int) -> bytes:
    """Good-bye (RFC 4511 section 4.3); nothing answers it."""
    return element(SEQUENCE, integer(message), element(_UNBIND))


def decode(octets: bytes) -> Entry | Reference | Result:
    """One whole message of the server. Raises BerError."""
    outer = Reader(octets)
    message = Reader(outer.take(SEQUENCE))
    number = message.number()
    if not 0 <= number < 1 << 31:
        raise BerError("a message number that LDAP does not have")
    tag, body = message.any()
    inner = Reader(body)
    if tag == _ENTRY:
        return Entry(number, _text(inner.take(OCTETS)))
    if tag in (_REFERENCE, _INTERMEDIATE):
        return Reference(number)
    if tag not in (_BIND_RESPONSE, _DONE, _EXTENDED_RESPONSE):
        raise BerError(f"an operation 0x{tag:02x} that a server does not send us")
    code = inner.number(ENUMERATED)
    inner.take(OCTETS)  # matchedDN
    diagnostic = inner.take(OCTETS).decode("utf-8", "replace")[:_MAX_DIAGNOSTIC]
    policy = -1
    if message.next_tag == _CONTROLS:
        policy = _policy(message.take(_CONTROLS))
    return Result(number, tag, code, diagnostic, policy)


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise BerError("a name that is not UTF-8") from None


def _policy(controls: bytes) -> int:
    reader = Reader(controls)
    for _ in range(_MAX_CONTROLS):
        if reader.next_tag < 0:
            return -1
        control = Reader(reader.take(SEQUENCE))
        name = control.take(OCTETS)
        if control.next_tag == BOOLEAN:
            control.any()
        if name != PASSWORD_POLICY or control.next_tag != OCTETS:
            continue
        value = Reader(Reader(control.take(OCTETS)).take(SEQUENCE))
        if value.next_tag == 0xA0:
            value.any()  # a warning
        return value.number(0x81) if value.next_tag == 0x81 else -1
    raise BerError("too many controls")
