"""A request and an answer as the pages see them: parsed, within limits, without the framework."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import parse_qsl

MAX_BODY = 64 * 1024  # octets
MAX_FIELDS = 32
MAX_VALUE = 32 * 1024  # characters of one field: the answer of a passkey
MAX_QUERY = 8 * 1024
MAX_COOKIES = 150  # the door takes no more either

# draft-ietf-httpbis-rfc6265bis section 4.1.3.2: a name that begins so belongs to this very host, over TLS only.
SESSION = "__Host-gambeson-portal"
STEP = "__Host-gambeson-step"
BOX = "__Host-gambeson-box"
KNOWN = "__Host-gambeson-known"


class ProblemError(Exception):
    """A request that gets an error page: the status, and the key of its sentence in the catalogue."""

    def __init__(self, status: int, key: str = "") -> None:
        super().__init__(f"{status} {key}")
        self.status, self.key = status, key or f"problem.{status}"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. ``source`` is the browser's address as the door saw it, ``at`` the time in seconds since 1970.
    ``path`` has the parts of the path that the route names, ``languages`` is what the browser asks for
    (Accept-Language), ``partial``: a script wants a part of the page only, ``files`` are those of a form."""

    method: str
    source: str
    at: float
    agent: str = ""
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    languages: str = ""
    partial: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Visit({self.method}, {self.source!r})"

    def given(self, name: str, limit: int = 512) -> str:
        """A field of the form of a POST, of the query of a GET; empty for none. Raises ProblemError(400) where it is
        too long. A form's field is never taken from the address: what is secret must not stand there."""
        value = (self.form if self.method == "POST" else self.query).get(name, "")
        if len(value) > limit:
            raise ProblemError(400)
        return value

    def cookie_hash(self, name: str) -> bytes:
        """SHA-256 of a cookie's value, under which things are kept; empty where none came."""
        value = self.cookies.get(name, "")
        return sha256(value.encode("latin-1", "replace")).digest() if value else b""


@dataclass(slots=True)
class Reply:
    """One answer. ``page`` names a template, ``values`` go into it; else ``body`` goes out as it is. ``location``
    makes it a 303. ``cookies`` are whole Set-Cookie values. ``stream``: parts that are made while they are sent, where
    the framework around can do that; nobody reads it twice."""

    status: int = 200
    page: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    body: bytes = b""
    kind: str = "text/html; charset=utf-8"
    location: str = ""
    cookies: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None

    def __repr__(self) -> str:
        return f"Reply({self.status}, {self.page or self.kind!r})"


def go(location: str, *cookies: str) -> Reply:
    """A 303: the browser asks for ``location`` with GET (RFC 9110 section 15.4.4)."""
    return Reply(303, location=location, cookies=list(cookies))


def cookie(name: str, value: str, *, strict: bool = False, seconds: float = 0.0) -> str:
    """A Set-Cookie value; ``seconds`` 0: until the browser closes."""
    age = f"; Max-Age={int(seconds)}" if seconds else ""
    same = "Strict" if strict else "Lax"
    return f"{name}={value}; Path=/; Secure; HttpOnly; SameSite={same}{age}"


def forget(name: str) -> str:
    """A Set-Cookie value that takes a cookie away."""
    return f"{name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"


def read_cookies(headers: list[bytes]) -> dict[str, str]:
    """The cookies that came exactly once: of two with one name, none is believed; of more than MAX_COOKIES, none at
    all."""
    seen: dict[str, list[str]] = {}
    pairs = [pair for header in headers for pair in header.decode("latin-1").split(";")]
    for pair in pairs if len(pairs) <= MAX_COOKIES else ():
        name, equals, value = pair.strip().partition("=")
        if equals:
            seen.setdefault(name, []).append(value)
    return {name: values[0] for name, values in seen.items() if len(values) == 1}


def read_fields(text: bytes, limit: int, most: int = MAX_FIELDS) -> dict[str, str]:
    """The fields of a query or form (application/x-www-form-urlencoded). Raises ProblemError(400) for too many, too
    long, one name twice, anything that is not UTF-8, and control characters other than line breaks."""
    if len(text) > limit:
        raise ProblemError(400)
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=most, errors="strict")
    except ValueError:  # UnicodeDecodeError is one
        raise ProblemError(400) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ProblemError(400)
    for value in (*fields, *fields.values()):
        if len(value) > MAX_VALUE or any(c < " " and c not in "\r\n\t" for c in value):
            raise ProblemError(400)
    return fields
