"""*token*: a short-lived JSON Web Token that the mail server verifies with our public key.

JWT (RFC 7519) signed ES256 (RFC 7518 section 3.4), sent as OAUTHBEARER (RFC 7628). It names one account
and one audience and lives 60 seconds: 5 into the past for clocks that differ, 55 into the future.
Dovecot checks ``iss``, ``aud`` (it must equal its client_id), ``azp`` (which chooses the key's folder),
``exp``, ``nbf``, ``iat`` and takes the login name from ``email``, ``sub`` or ``username``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gambeson.model.asset import Account
from gambeson.model.server import MailServer
from gambeson.process.keys import base64url
from gambeson.wire.dialogue import UpstreamCredential

LIFETIME = 60
BACKDATED = 5
REUSE_SECONDS = 30  # a token is given out again for so long; its signature is the dear part


def token(
    login: str, audience: str, issuer: str, key: ec.EllipticCurvePrivateKey, kid: str, now: float
) -> str:
    """The signed token for one login name at one audience."""
    start = int(now) - BACKDATED
    claims = {
        "iss": issuer,
        "sub": login,
        "email": login,
        "username": login,
        "aud": audience,
        "azp": audience,
        "client_id": audience,
        "scope": "mail",
        "iat": start,
        "nbf": start,
        "exp": start + LIFETIME,
    }
    header = {"alg": "ES256", "typ": "JWT", "kid": kid}
    signed = f"{_part(header)}.{_part(claims)}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{base64url(r.to_bytes(32) + s.to_bytes(32))}"


def credential(
    account: Account, server: MailServer, issuer: str, key: ec.EllipticCurvePrivateKey, kid: str, now: float
) -> UpstreamCredential:
    """A fresh token for ``account`` at ``server``."""
    login = account.upstream_login or account.address
    return UpstreamCredential("OAUTHBEARER", login, token(login, server.audience, issuer, key, kid, now))


def _part(value: Mapping[str, object]) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())
