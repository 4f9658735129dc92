"""Upstream cookies belong to the session under which they were set, and go upstream under no other.

Beside each cookie that an application sets, the door sets a *witness*: ``__Secure-gambeson-w-NAME`` with the same
path and life, whose value is a keyed hash of session, host, name and value. A request's cookie goes on only where a
witness that came with it says so. Nothing is remembered, so it holds over restarts and in every door process, and the
application's scripts still read their cookies as they were set. Scripts cannot make a witness: what they set
themselves stays in the browser, except the few names in ``FROM_SCRIPTS``, which say nothing of a person.

RFC 6265 sections 4.1.1 and 5.4; the prefix is that of draft-ietf-httpbis-rfc6265bis section 4.1.3.1.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import blake2b

from gambeson.model.web import Product, WebRequest
from gambeson.wire import cookies as wire_cookies

WITNESS = "__Secure-gambeson-w-"
_LOWER = WITNESS.lower()
DIGEST = 12  # octets
MAX_NAME = 128
_KEPT = ("path", "expires", "max-age", "samesite", "partitioned")

FROM_SCRIPTS: dict[Product, frozenset[str]] = {
    Product.EXCHANGE: frozenset(("PBack", "PrivateComputer", "cookieTest")),
    Product.ROUNDCUBE: frozenset(("colorMode",)),
}
_NONE: frozenset[str] = frozenset()


def ours(name: str) -> bool:
    """Whether the name is a witness's, or of the door's own cookies. Browsers compare prefixes without regard to
    case."""
    return _witnesses(name) or wire_cookies.ours(name)


def _witnesses(name: str) -> bool:
    return name.strip().lower().startswith(_LOWER)


def witness(key: bytes, session: str, host: str, name: str, value: str) -> str:
    """The witness's value (hex). ``key`` has up to 64 octets and never leaves the doors."""
    made = blake2b(key=key, digest_size=DIGEST, person=b"gambeson cookie")
    for part in (session, host, name, value):
        octets = part.encode("utf-8", "surrogatepass")
        made.update(len(octets).to_bytes(4))  # so that no two lists of parts are one text
        made.update(octets)
    return made.hexdigest()


def admitted_of(request: WebRequest, key: bytes, session: str, product: Product) -> str:
    """:func:`admitted` of a request's cookies at its host, worked out once for the same cookies."""
    asked = (key, session, request.host, product)
    kept: tuple[object, str] | None = request.cookie_memo.get(_MEMO)
    if kept is not None and kept[0] == asked:
        return kept[1]
    found = admitted(request.cookies, key, session, request.host, product)
    request.cookie_memo[_MEMO] = (asked, found)
    return found


_MEMO = "cookies of the session"


def unbound_of(request: WebRequest) -> str:
    """:func:`unbound` of a request's cookies."""
    if not request.cookies:
        return ""
    kept: str | None = request.cookie_memo.get(_UNBOUND)
    if kept is None:
        kept = request.cookie_memo[_UNBOUND] = unbound(request.cookies)
    return kept


_UNBOUND = "cookies of no session"


def admitted(
    cookies: Iterable[tuple[str, str]], key: bytes, session: str, host: str, product: Product
) -> str:
    """The Cookie header's value for upstream: those of this session."""
    pairs = tuple(cookies)
    witnesses: dict[str, list[str]] = {}
    for name, value in pairs:
        if _witnesses(name):
            witnesses.setdefault(name[len(WITNESS) :], []).append(value)
    scripts = FROM_SCRIPTS.get(product, _NONE)
    kept = []
    for name, value in pairs:
        if not name or ours(name):
            continue
        mine = witnesses.get(name)
        if mine is None:
            if name in scripts:
                kept.append(f"{name}={value}")
        else:
            expected = witness(key, session, host, name, value)
            if any(hmac.compare_digest(expected.encode(), each.encode("utf-8", "replace")) for each in mine):
                kept.append(f"{name}={value}")
    return "; ".join(kept)


def unbound(cookies: Iterable[tuple[str, str]]) -> str:
    """The Cookie header's value for a request without session that may pass: what belongs to no session."""
    pairs = tuple(cookies)
    bound = {name[len(WITNESS) :] for name, _ in pairs if _witnesses(name)}
    return "; ".join(
        f"{name}={value}" for name, value in pairs if name and name not in bound and not ours(name)
    )


def set_beside(text: str, key: bytes, session: str, host: str) -> tuple[str, ...]:
    """An application's Set-Cookie value, and its witness's. Nothing for one that names a witness, has no name, or one
    that is too long."""
    pair, _, attributes = text.partition(";")
    name, mark, value = pair.partition("=")
    name, value = name.strip(" \t"), value.strip(" \t")
    if not mark or not name or len(name) > MAX_NAME or ours(name):
        return ()
    kept = []
    for attribute in attributes.split(";"):
        if attribute.partition("=")[0].strip().lower() in _KEPT:
            kept.append("; " + attribute.strip())
    # What a browser keeps of a path that is missing is the same for both, for both come with one answer.
    said = witness(key, session, host, name, value)
    return text, f"{WITNESS}{name}={said}{''.join(kept)}; Secure; HttpOnly"


def expired(cookies: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Set-Cookie values that take every cookie of this host that came out of the browser again."""
    names = dict.fromkeys(name for name, _ in cookies if _plain(name))
    return tuple(f"{name}=; Path=/; Max-Age=0; Secure; HttpOnly" for name in names)


def _plain(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME + len(WITNESS) and all(
        "!" <= c <= "~" and c not in '"(),/:;<=>?@[\\]{}' for c in name
    )
