"""The mail servers behind the doors: where they are and how the door signs in to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .access import DoorKind


class SignIn(StrEnum):
    """The ways a door signs in upstream. One file each in ``process/signin``."""

    MASTER = "master"
    TOKEN = "token"  # noqa: S105 - the name of a way
    SEALED = "sealed"
    AS_IS = "as-is"


class UpstreamTls(StrEnum):
    """implicit: TLS from the first byte; starttls: after the protocol's command; none: plaintext."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a mail server for one door.

    ``unix`` is the path of a Unix socket (``@name``: an abstract one) and replaces ``host`` and
    ``port``. ``ca`` is the path of a PEM bundle, ``pin`` the hex SHA-256 of the server's certificate
    (DER); without both the system's roots are used. ``server_name`` is checked in the certificate (empty: ``host``).
    ``proxy_v2`` sends a PROXY protocol v2 header first. ``trusts_us`` says the server accepts the
    client's address from us (IMAP ID x-originating-ip, XCLIENT).
    """

    door: DoorKind
    host: str = ""
    port: int = 0
    unix: str = ""
    tls: UpstreamTls = UpstreamTls.IMPLICIT
    ca: str = ""
    pin: str = ""
    server_name: str = ""
    proxy_v2: bool = False
    trusts_us: bool = False


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server. Servers of one organisation are tried by ``priority`` (lowest first), then by
    name; the healthy one of the lowest priority serves. ``organisation`` empty: every organisation.
    ``audience`` and ``master_login`` belong to the ways *token* and *master*.
    """

    name: str
    organisation: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    sign_in: SignIn = SignIn.TOKEN
    priority: int = 10
    audience: str = "gambeson"
    master_login: str = ""
