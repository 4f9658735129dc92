"""The client's half of every SASL mechanism that a side door may speak (RFC 4422), as answers to challenges.

They are here to be refused. Each is done right, so that a server which knows the password says yes; those
that cannot be done without more than a password (GSSAPI, NTLM, tokens) present a made-up thing.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from hashlib import md5, new, pbkdf2_hmac

from .walk import Login

Answer = Callable[[int, bytes], bytes]
"""Given the number of the challenge (from 0) and the challenge (empty for none), the answer."""

MAX_ITERATIONS = 100_000  # a server may ask for more, to tire us


def answers(mechanism: str, login: Login, service: str, nonce: str) -> Answer:
    """How to answer in ``mechanism``. ``service`` is the registered name such as ``imap``, ``nonce`` some made-up
    text. Raises KeyError for a mechanism that is not known."""
    name, secret, authzid = login.name, login.secret, login.authzid
    match mechanism:
        case "PLAIN":
            return _say(f"{authzid}\0{name}\0{secret}")
        case "LOGIN":
            return _say(name, secret)
        case "EXTERNAL":
            return _say(authzid)
        case "ANONYMOUS":
            return _say("walk")
        case "XOAUTH2":
            return _say(f"user={name}\x01auth=Bearer {secret}\x01\x01", "")
        case "OAUTHBEARER":
            return _say(f"n,a={_escaped(name)},\x01auth=Bearer {secret}\x01\x01", "\x01")
        case "CRAM-MD5":
            return lambda turn, challenge: (
                f"{name} {hmac.new(secret.encode(), challenge, md5).hexdigest()}".encode()
            )
        case "DIGEST-MD5":
            return lambda turn, challenge: b"" if turn else _digest(login, service, nonce, challenge)
        case "SCRAM-SHA-1" | "SCRAM-SHA-256":
            return _Scram(login, nonce, "sha1" if mechanism.endswith("-1") else "sha256")
        case "GSSAPI":
            return _say("\x60\x0b\x06\x09walk", "", "")
        case "NTLM":
            return _say("NTLMSSP\0\x01\0\0\0\x07\x82\0\0" + "\0" * 16, "NTLMSSP\0\x03\0\0\0" + "\0" * 52)
    raise KeyError(mechanism)


def forged_token(name: str) -> str:
    """A token that says the right things and is signed by nobody (``alg`` none)."""
    header = _part('{"alg":"none","typ":"JWT"}')
    body = _part(f'{{"sub":"{name}","email":"{name}","aud":"gambeson","iss":"gambeson","exp":4102444800}}')
    return f"{header}.{body}."


def _part(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _say(*texts: str) -> Answer:
    said = [text.encode() for text in texts]
    return lambda turn, challenge: said[turn] if turn < len(said) else b""


def _escaped(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


def _digest(login: Login, service: str, nonce: str, challenge: bytes) -> bytes:
    text = challenge.decode("utf-8", "replace")[:4096]
    given = {key.lower(): quoted or bare for key, quoted, bare in _DIRECTIVE.findall(text)}
    realm, theirs = given.get("realm", ""), given.get("nonce", "")
    uri = f"{service}/localhost"
    first = _md5(f"{login.name}:{realm}:{login.secret}".encode())
    a1 = _md5(first + f":{theirs}:{nonce}".encode()).hex()
    a2 = _md5(f"AUTHENTICATE:{uri}".encode()).hex()
    response = _md5(f"{a1}:{theirs}:00000001:{nonce}:auth:{a2}".encode()).hex()
    return (
        f'charset=utf-8,username="{login.name}",realm="{realm}",nonce="{theirs}",nc=00000001,cnonce="{nonce}",'
        f'digest-uri="{uri}",response={response},qop=auth'
    ).encode()


_DIRECTIVE = re.compile(r'([a-zA-Z-]+)=(?:"([^"]*)"|([^,"\s]*))')


def _md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()


class _Scram:
    """SCRAM without channel binding (RFC 5801's header ``n,,``)."""

    def __init__(self, login: Login, nonce: str, digest: str) -> None:
        self._login, self._digest = login, digest
        self._bare = f"n={_escaped(login.name)},r={nonce}"

    def __call__(self, turn: int, challenge: bytes) -> bytes:
        if turn == 0:
            return f"n,,{self._bare}".encode()
        if turn > 1:
            return b""
        first = challenge.decode("utf-8", "replace")
        parts = dict(part.split("=", 1) for part in first.split(",") if "=" in part)
        try:
            salt = base64.b64decode(parts.get("s", ""))
            rounds = min(int(parts.get("i", "4096")), MAX_ITERATIONS)
        except ValueError:
            return b""
        salted = pbkdf2_hmac(self._digest, self._login.secret.encode(), salt or b"-", max(1, rounds))
        final = f"c=biws,r={parts.get('r', '')}"
        message = f"{self._bare},{first},{final}".encode()
        client = hmac.digest(salted, b"Client Key", self._digest)
        stored = new(self._digest, client, usedforsecurity=False).digest()
        proof = bytes(a ^ b for a, b in zip(client, hmac.digest(stored, message, self._digest), strict=True))
        return f"{final},p={base64.b64encode(proof).decode()}".encode()
