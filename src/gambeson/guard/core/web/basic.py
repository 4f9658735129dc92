"""What a program sends in Authorization: HTTP Basic (RFC 7617) is read, everything else is named and refused.

The charset is UTF-8 (RFC 7617 section 2.1), names and passwords are prepared as at the mail doors, and there are no
control characters in either (RFC 7617 section 2).
"""

from __future__ import annotations

import base64
import binascii

from gambeson.model.access import Mechanism, RawLogin
from gambeson.model.web import WebRequest
from gambeson.wire.sasl import SaslError, typed

MAX_HEADER = 8192  # octets of the header's value

# Stable words for the record.
NONE = "no-credential"
OTHER = "single-sign-on-not-offered"
MALFORMED = "basic-malformed"


class BasicError(ValueError):
    """No login in it. ``reason`` is a stable word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def authorization(request: WebRequest) -> str:
    """The one Authorization header's value; empty for none. Raises BasicError where there are several."""
    values = [value for name, value in request.headers if name == "authorization"]
    if len(values) > 1:
        raise BasicError(MALFORMED)
    return values[0].strip() if values else ""


def parse_basic(value: str) -> RawLogin:
    """The login in an Authorization header's value (text as latin-1). Raises BasicError with ``no-credential`` for an
    empty one, ``single-sign-on-not-offered`` for NTLM, Negotiate, Bearer and every other scheme, else
    ``basic-malformed``."""
    if not value:
        raise BasicError(NONE)
    if len(value) > MAX_HEADER:
        raise BasicError(MALFORMED)
    scheme, _, credentials = value.partition(" ")
    if scheme.lower() != "basic":
        raise BasicError(OTHER)
    try:
        octets = base64.b64decode(credentials.strip(" ").encode("latin-1"), validate=True)
    except (binascii.Error, ValueError):
        raise BasicError(MALFORMED) from None
    # The first colon ends the name: a name has none, a password may.
    name, mark, password = octets.partition(b":")
    if not mark:
        raise BasicError(MALFORMED)
    try:
        return typed(Mechanism.BASIC, name, password)
    except SaslError:
        raise BasicError(MALFORMED) from None


def basic(login: str, password: str) -> str:
    """The header's value for a mail server."""
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()
