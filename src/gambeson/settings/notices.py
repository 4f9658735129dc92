"""``[notices]``: how Gambeson tells people something by mail: a device waits in quarantine, a factor is new.

Notices go straight to the organisation's mail server, never through one of our doors: a door wants a sign-in, and
the worker has nothing to sign in with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gambeson.model.access import DoorKind
from gambeson.model.address import canonical
from gambeson.model.server import Endpoint, UpstreamTls

from .declare import Kind, Problem, setting
from .kinds import PATH, TEXTS, TRUTH, array, quoted
from .servers import endpoint_kind, loopback


def _address(value: Any, base: Path) -> str:
    if value == "":
        return ""
    if not isinstance(value, str):
        raise ValueError
    try:
        return canonical(value)
    except ValueError:
        raise ValueError from None


def _addresses(value: Any, base: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_address(text, base) for text in TEXTS.read(value, base) if text))


ADDRESS: Kind[str] = Kind('a mail address, or ""', _address, quoted)
MAIL_ADDRESSES: Kind[tuple[str, ...]] = Kind('a mail address, a list of them, or ""', _addresses, array)


@dataclass(frozen=True, slots=True)
class Notices:
    """Mail to people about their devices and what changed at the portal. Off without smtp or lmtp."""

    smtp: Endpoint | None = setting(
        None,
        endpoint_kind("smtp", DoorKind.SUBMISSION, True),
        "The mail server that takes mail for your people without a sign-in, by SMTP.",
        "Empty: no notices; the findings say the same.",
        example='"smtp://mail.internal.example.org:25"',
    )
    lmtp: Endpoint | None = setting(
        None,
        endpoint_kind("lmtp", DoorKind.SUBMISSION, False),
        "The same by LMTP, as Dovecot offers it: lmtp+unix:/run/dovecot/lmtp.",
        "One of the two is enough.",
    )
    from_: str = setting(
        "",
        ADDRESS,
        "The address that notices are from. Bounces go nowhere (null sender).",
        "Empty: postmaster at the recipient's domain, which every mail domain has.",
        example='"it@example.org"',
    )
    admins: tuple[str, ...] = setting(
        (),
        MAIL_ADDRESSES,
        "Who gets a notice besides the device's owner.",
        "Empty: nobody; the findings say the same.",
        example='["it@example.org"]',
    )
    weekly: bool = setting(
        True,
        TRUTH,
        "Whether the admins get a mail on Monday: what to do first, and what was done alone.",
        "One for each organisation; it goes only where there is a console to do it at.",
    )
    ca: str = setting(
        "", PATH, "A PEM file with the authorities to trust for smtp and lmtp.", "Empty: the system's."
    )

    @property
    def endpoint(self) -> Endpoint | None:
        """Where notices go; None: nowhere."""
        return self.smtp or self.lmtp

    def check(self) -> Iterator[Problem]:
        """One way, and not in the clear over a network."""
        if self.smtp and self.lmtp:
            yield Problem("lmtp", "is given besides notices.smtp; remove one of the two")
        for name in ("smtp", "lmtp"):
            endpoint: Endpoint | None = getattr(self, name)
            if endpoint is not None and endpoint.tls is UpstreamTls.NONE and not loopback(endpoint):
                yield Problem(name, "leaves this machine without TLS; use TLS")
