"""SASL (RFC 4422) as a server sees it: PLAIN, LOGIN, EXTERNAL, OAUTHBEARER and XOAUTH2.

The exchange is the same in every protocol; only the framing differs (``+ `` in IMAP and POP3, ``334 ``
in SMTP, a string in ManageSieve). A dialogue makes an :class:`Exchange` and feeds it decoded
responses; it gets back a challenge to send, or the :class:`RawLogin`. Names and passwords are
prepared with SASLprep (RFC 4013, as RFC 4616 asks); strings that SASLprep forbids are an error.
"""

from __future__ import annotations

import base64
import binascii
import re
import stringprep
import unicodedata
from functools import lru_cache

from gambeson.model.access import Mechanism, RawLogin

from .limits import MAX_NAME, MAX_PASSWORD, MAX_SASL


class SaslError(Exception):
    """The client's response is no valid message of the mechanism. The text is safe to show."""


# What each mechanism sends first when the client gave no initial response. LOGIN's prompts are
# those of draft-murchison-sasl-login, which clients match literally.
_LOGIN_PROMPTS = (b"Username:", b"Password:")

# RFC 7628 section 3.2.2: the error challenge, to be answered with ^A before the failure.
_OAUTH_ERROR = b'{"status":"invalid_token","schemes":"bearer"}'


class Exchange:
    """One authentication exchange.

    ``step(None)`` begins it without an initial response. Returns ``bytes`` (a challenge to send) or the
    RawLogin that ends it. Raises SaslError; the exchange is then over.
    """

    def __init__(self, mechanism: str) -> None:
        try:
            self.mechanism = Mechanism(mechanism.upper())
        except ValueError:
            raise SaslError("this mechanism is not supported") from None
        if self.mechanism in (Mechanism.USER_PASS, Mechanism.IMAP_LOGIN):
            raise SaslError("this mechanism is not supported")
        self._answers: list[bytes] = []
        self._login: RawLogin | None = None

    def step(self, response: bytes | None) -> bytes | RawLogin:
        """Feed one decoded response."""
        if response is not None and len(response) > MAX_SASL:
            raise SaslError("the response is too long")
        match self.mechanism:
            case Mechanism.PLAIN:
                return b"" if response is None else _plain(response)
            case Mechanism.LOGIN:
                return self._step_login(response)
            case Mechanism.EXTERNAL:
                # RFC 4422 appendix A: the message is the authzid, empty for "as the certificate says".
                if response is None:
                    return b""
                return RawLogin(Mechanism.EXTERNAL, "", "", prepare_name(_text(response)))
            case _:
                return self._step_bearer(response)

    def _step_login(self, response: bytes | None) -> bytes | RawLogin:
        if response is not None:
            self._answers.append(response)
        if len(self._answers) < len(_LOGIN_PROMPTS):
            return _LOGIN_PROMPTS[len(self._answers)]
        name, password = self._answers
        return typed(Mechanism.LOGIN, name, password)

    def _step_bearer(self, response: bytes | None) -> bytes | RawLogin:
        if self._login is not None:
            return self._login  # the client acknowledged the error challenge (^A, or empty)
        if response is None:
            return b""
        self._login = _bearer(self.mechanism, response)
        return _OAUTH_ERROR


def decode(response: bytes) -> bytes:
    """Base 64 as the protocols carry it (RFC 4648 section 4, strict). ``=`` alone is the empty response
    (RFC 4954 section 4). Raises SaslError."""
    if response == b"=":
        return b""
    if len(response) > MAX_SASL:
        raise SaslError("the response is too long")
    try:
        return base64.b64decode(response, validate=True)
    except (binascii.Error, ValueError):
        raise SaslError("the response is not base64") from None


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError("the response is not UTF-8") from None


def typed(mechanism: Mechanism, name: bytes, password: bytes, authzid: bytes = b"") -> RawLogin:
    """The login of a name and a password as the client sent them, prepared. Raises SaslError.

    RFC 4616 section 2: a name or a password that is empty after preparation must fail.
    """
    username, secret = prepare_name(_text(name)), prepare_password(_text(password))
    if not username or not secret:
        raise SaslError("the name and the password must not be empty")
    return RawLogin(mechanism, username, secret, prepare_name(_text(authzid)))


def _plain(message: bytes) -> RawLogin:
    # RFC 4616 section 2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise SaslError("PLAIN needs three parts")
    authzid, authcid, password = parts
    return typed(Mechanism.PLAIN, authcid, password, authzid)


# RFC 7628 section 3.1 with RFC 5801 section 4: "n,a=NAME," where the saslname writes "," and "=" as =2C and =3D.
# "p=" (channel binding) is not taken: no mechanism of ours has it.
_GS2_HEADER = re.compile(r"[ny],(?:a=((?:[^\x00,=]|=2C|=3D)+))?,")
_TOKEN = re.compile(r"[!-~]+")


def _bearer(mechanism: Mechanism, message: bytes) -> RawLogin:
    # OAUTHBEARER: gs2-header ^A *(key=value ^A) ^A; XOAUTH2: user=NAME ^A auth=Bearer TOKEN ^A ^A
    text = _text(message)
    first, separator, rest = text.partition("\x01")
    if not separator or not rest.endswith("\x01\x01"):
        raise SaslError("the response ends too early")
    if mechanism is Mechanism.OAUTHBEARER:
        header = _GS2_HEADER.fullmatch(first)
        if header is None:
            raise SaslError("OAUTHBEARER needs a gs2 header")
        name = (header[1] or "").replace("=2C", ",").replace("=3D", "=")
    elif first.startswith("user="):
        name = first[5:]
    else:
        raise SaslError("XOAUTH2 needs a user")
    pairs = [pair.partition("=") for pair in rest[:-2].split("\x01")]
    values = [value for key, _, value in pairs if key == "auth"]
    if len(values) != 1:
        raise SaslError("the response needs one token")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or _TOKEN.fullmatch(token) is None:
        raise SaslError("no bearer token in the response")
    return RawLogin(mechanism, prepare_name(name), token)


def prepare_name(name: str) -> str:
    """SASLprep of a user name; "" stays "". Raises SaslError for a forbidden or overlong one."""
    return _prepare(name, MAX_NAME, "the name is too long")


def prepare_password(password: str) -> str:
    """SASLprep of a password; "" stays "". Raises SaslError for a forbidden or overlong one."""
    return _prepare(password, MAX_PASSWORD, "the password is too long")


def _prepare(text: str, limit: int, too_long: str) -> str:
    # Before, so that no long text is prepared at all; after, because NFKC can make 18 characters of one. Those are
    # counted before they are looked at one by one, for a stranger decides how many there are.
    if len(text) > limit or len(text.encode("utf-8", "surrogatepass")) > limit:
        raise SaslError(too_long)
    if text.isascii():
        return saslprep(text)
    mapped = _mapped(text)
    if len(mapped.encode("utf-8", "surrogatepass")) > limit:
        raise SaslError(too_long)
    return _checked(mapped)


_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """RFC 4013: map, normalise (NFKC), prohibit, check bidirectional text. Raises SaslError.

    Unassigned code points are allowed ("query" strings, RFC 3454 section 7), so that a character newer than
    Unicode 3.2 in a password works.
    """
    if text.isascii():
        if text.isprintable():
            return text
        raise SaslError("a control character is not allowed in a name or password")
    return _checked(_mapped(text))


def _mapped(text: str) -> str:
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    return unicodedata.ucd_3_2_0.normalize("NFKC", mapped)


@lru_cache(maxsize=4096)
def _prohibited(c: str) -> bool:
    return any(test(c) for test in _PROHIBITED)


def _checked(prepared: str) -> str:
    if any(_prohibited(c) for c in prepared):
        raise SaslError("a character is not allowed in a name or password")
    # RFC 3454 section 6: with any right-to-left character, no left-to-right one, and both ends must be so.
    if any(stringprep.in_table_d1(c) for c in prepared) and (
        any(stringprep.in_table_d2(c) for c in prepared)
        or not stringprep.in_table_d1(prepared[0])
        or not stringprep.in_table_d1(prepared[-1])
    ):
        raise SaslError("mixed writing directions are not allowed in a name or password")
    return prepared
