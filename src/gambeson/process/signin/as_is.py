"""*as-is*: what the client sent goes on to the mail server.

Only where the device is proven by a certificate and the password comes on top, and in observe mode,
where a door passes on what passed before. The keeper is not asked and gives nothing: there is nothing
of ours in it. A device secret is never a password and never goes on.
"""

from __future__ import annotations

from gambeson.model import device_secret
from gambeson.model.access import RawLogin
from gambeson.wire.dialogue import UpstreamCredential


class NothingToPassOnError(ValueError):
    """The client sent no password, or a device secret. One sentence."""


def credential(login: RawLogin, upstream_login: str = "") -> UpstreamCredential:
    """The client's own name (or the account's name on the server) and password, as SASL PLAIN
    (RFC 4616) without authorization identity. Raises NothingToPassOnError."""
    if not login.password or device_secret.resembles(login.password):
        raise NothingToPassOnError("there is no password of the mail server to pass on")
    return UpstreamCredential("PLAIN", upstream_login or login.username, login.password)
