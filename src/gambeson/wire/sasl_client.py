"""SASL (RFC 4422) as a client sees it: how a door signs in at the mail server.

The counterpart of :mod:`.sasl`: the exchange is the same in every protocol, only the framing differs. A
mechanism is the list of messages that we send, in order; each challenge draws the next one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from .dialogue import UpstreamCredential

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class SignInError(Exception):
    """The credential does not fit its mechanism, or the server asks for more than the mechanism has."""


def _plain(c: UpstreamCredential) -> list[str]:
    return [f"{c.authzid}\0{c.authcid}\0{c.secret}"]  # RFC 4616 section 2


def _login(c: UpstreamCredential) -> list[str]:
    return [c.authcid, c.secret]


def _external(c: UpstreamCredential) -> list[str]:
    return [c.authzid]  # RFC 4422 appendix A: whom to act as, or nothing


def _oauthbearer(c: UpstreamCredential) -> list[str]:
    # RFC 7628 section 3.1; the saslname escapes are those of RFC 5801 section 4. An error challenge is
    # acknowledged by ^A (section 3.2.3), then the failure comes.
    name = (c.authzid or c.authcid).replace("=", "=3D").replace(",", "=2C")
    return [f"n,a={name},\x01auth=Bearer {c.secret}\x01\x01", "\x01"]


def _xoauth2(c: UpstreamCredential) -> list[str]:
    return [f"user={c.authzid or c.authcid}\x01auth=Bearer {c.secret}\x01\x01", ""]


_MESSAGES: dict[str, Callable[[UpstreamCredential], list[str]]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "EXTERNAL": _external,
    "OAUTHBEARER": _oauthbearer,
    "XOAUTH2": _xoauth2,
}


class SignInExchange:
    """One exchange from the client's side, in raw octets (:func:`encode` makes them base64).

    Raises SignInError for a mechanism that is not ours, and for control characters in a name, a password or
    a token: they would change what the message means.
    """

    def __init__(self, credential: UpstreamCredential) -> None:
        messages = _MESSAGES.get(credential.mechanism)
        if messages is None:
            raise SignInError("this way to sign in at the mail server is not supported")
        fields = (credential.authcid, credential.secret, credential.authzid)
        if any(_CONTROL.search(field) for field in fields):
            raise SignInError("the credential for the mail server holds a control character")
        self.mechanism = credential.mechanism
        self._messages = [message.encode() for message in messages(credential)]
        self._next = 0

    def initial(self) -> bytes | None:
        """The initial response, to be sent with the mechanism's name; None where the server speaks first."""
        return None if self.mechanism == "LOGIN" else self.answer()

    def answer(self) -> bytes:
        """The response to the next challenge. Raises SignInError when there is none left."""
        if self._next >= len(self._messages):
            raise SignInError("the mail server asked for more than the mechanism has")
        self._next += 1
        return self._messages[self._next - 1]


def encode(message: bytes) -> bytes:
    """Base 64 (RFC 4648 section 4) as the protocols carry it."""
    return base64.b64encode(message)
