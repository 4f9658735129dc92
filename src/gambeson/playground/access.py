"""Who may sign in to the playground's server: whoever shows a fresh token of the keeper, nobody else.

A token is a JWT (RFC 7519) signed with ES256 (RFC 7518 section 3.4) for one account (``sub``) and this server
(``aud``), at most a minute old. It arrives as OAUTHBEARER (RFC 7628), XOAUTH2, or as the password of PLAIN.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from uuid import uuid4

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from proxyprotocol.result import ProxyResultUnix
from proxyprotocol.sock import SocketInfo

from gambeson.model.access import RawLogin

MAX_TOKEN = 4096
MAX_AGE = 60
_SKEW = 5


class TokenDoor:
    """Checks tokens against the keeper's public key.

    ``public_key`` is PEM (SubjectPublicKeyInfo, P-256); ``known`` says whether a mailbox of that address exists.
    """

    def __init__(self, public_key: bytes, audience: str, known: Callable[[str], bool]) -> None:
        self._key = ECKey.import_key(public_key)
        self._audience = audience
        self._known = known

    def account(self, login: RawLogin) -> str | None:
        """The address that ``login`` proves, or None. The name it claims must be the token's."""
        if not login.password or len(login.password) > MAX_TOKEN:
            return None
        try:
            token = jwt.decode(login.password, self._key, algorithms=["ES256"])
            claims = token.claims
            jwt.JWTClaimsRegistry(
                now=lambda: int(time.time()),
                leeway=_SKEW,
                aud={"essential": True, "value": self._audience},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError, TypeError, KeyError):
            return None
        if claims["exp"] - claims["iat"] > MAX_AGE:
            return None
        address = claims["sub"]
        claimed = (login.username, login.authzid)
        if not isinstance(address, str) or any(c not in ("", address) for c in claimed):
            return None
        return address if self._known(address) else None


def peer(writer: asyncio.StreamWriter) -> SocketInfo:
    """What pymap is told of a connection. It takes names of Unix sockets for text, which an abstract one is not."""
    return SocketInfo.get(writer, ProxyResultUnix("doors", "playground"), unique_id=uuid4().bytes)
