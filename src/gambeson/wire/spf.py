"""SPF records (RFC 7208): the grammar of section 12 and the macros of section 7. Nothing is asked here.

A record is taken whole or not at all: one syntax error anywhere makes it a ``SpfError``, as section 4.6 wants
(permerror). ``parse`` gives terms in their order; what they mean for a domain is for whoever walks them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

MAX_RECORD = 16384  # characters; the longest record that works is a few hundred (RFC 7208 section 3.4)
MAX_NAME = 253  # RFC 7208 section 7.3

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TERM = re.compile(r"([+\-?~]?)([A-Za-z][A-Za-z0-9_.\-]*)([:/=]?)(.*)", re.DOTALL)
_MACRO = re.compile(r"%(?:%|_|-|\{([slodiphcrtvSLODIPHCRTV])([0-9]*)([rR]?)([.\-+,/_=]*)\})")
_LITERAL = re.compile(r"[\x21-\x24\x26-\x7e]+")
_END = re.compile(r"\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9\-]*[A-Za-z0-9])\.?\Z")
_CIDR = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
_TAIL = re.compile(r"/[0-9/]*\Z")
_EXPLANATION_ONLY = set("crtCRT")  # RFC 7208 section 7.2: only in the text of an explanation
_NEEDS_VALUE = {"include", "exists", "ip4", "ip6"}
_MECHANISMS = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"}
_ASKS = {"include", "a", "mx", "ptr", "exists"}  # RFC 7208 section 4.6.4; redirect is the sixth


class SpfError(Exception):
    """The text is no SPF record that a receiver takes. The sentence says which term, and why."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One directive: ``qualifier`` is one of ``+ - ~ ?``, ``name`` in lower case. ``target`` is the domain-spec as
    it stands, with its macros; empty means the current domain. ``network`` is that of ip4 and ip6; ``prefix4`` and
    ``prefix6`` are the lengths for a and mx."""

    qualifier: str
    name: str
    target: str = ""
    network: Network | None = None
    prefix4: int = 32
    prefix6: int = 128
    text: str = ""

    @property
    def asks(self) -> bool:
        """Whether it counts against the ten (RFC 7208 section 4.6.4)."""
        return self.name in _ASKS


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """A whole record. ``redirect`` and ``explanation`` are domain-specs; ``others`` the modifiers that nobody knows
    (RFC 7208 section 6 has them ignored)."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str = ""
    explanation: str = ""
    others: tuple[tuple[str, str], ...] = ()

    @property
    def all(self) -> str:
        """The qualifier of ``all``; empty where there is none."""
        return next((m.qualifier for m in self.mechanisms if m.name == "all"), "")


def is_spf(text: str) -> bool:
    """Whether a TXT record has the version section of SPF (RFC 7208 section 4.5)."""
    start = text[:7].lower()
    return start in ("v=spf1", "v=spf1 ")


def looks_like_spf(text: str) -> bool:
    """Whether somebody meant it to be SPF, and no receiver will take it so."""
    start = text[:16].lower().lstrip(' "\t')
    return not is_spf(text) and start.startswith(("v=spf1", "v=spf ", "spf1 ", "v = spf1", "spf2.0/"))


def parse(text: str) -> SpfRecord:
    """The record in ``text``. Raises SpfError."""
    if not is_spf(text):
        raise SpfError("it does not begin with v=spf1 and a space")
    if len(text) > MAX_RECORD:
        raise SpfError(f"it is longer than {MAX_RECORD} characters")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for term in text[6:].split(" "):
        if not term:
            continue
        match = _TERM.match(term)
        if match is None:
            raise SpfError(f"«{term}» is not a term of SPF")
        qualifier, name, mark, value = match.groups()
        if mark != "=":
            mechanisms.append(_mechanism(term, qualifier or "+", name.lower(), mark, value))
        elif qualifier:
            raise SpfError(f"«{term}» has a sign before a modifier")
        elif (modifier := name.lower()) in ("redirect", "exp"):
            if modifier in modifiers:
                raise SpfError(f"{modifier}= is there twice")
            modifiers[modifier] = _domain_spec(term, value)
        else:
            _macro_string(term, value, explanation=False)
            others.append((modifier, value))
    return SpfRecord(
        tuple(mechanisms), modifiers.get("redirect", ""), modifiers.get("exp", ""), tuple(others)
    )


def _mechanism(term: str, qualifier: str, name: str, mark: str, value: str) -> Mechanism:
    if name not in _MECHANISMS:
        raise SpfError(f"«{term}» is not a term of SPF")
    if name in _NEEDS_VALUE and (mark != ":" or not value):
        raise SpfError(f"«{term}» lacks its value")
    if name == "all" and mark:
        raise SpfError(f"«{term}» takes no value")
    if name in ("ip4", "ip6"):
        return Mechanism(qualifier, name, network=_network(term, name, value), text=term)
    if name in ("a", "mx"):
        return _host(term, qualifier, name, mark, value)
    if name == "ptr" and mark == "/":
        raise SpfError(f"«{term}» takes no prefix length")
    target = _domain_spec(term, value) if mark else ""
    return Mechanism(qualifier, name, target, text=term)


def _host(term: str, qualifier: str, name: str, mark: str, value: str) -> Mechanism:
    whole = "/" + value if mark == "/" else value
    tail = _TAIL.search(whole)
    lengths = tail.group() if tail else ""
    target = whole.removesuffix(lengths) if lengths else whole
    match = _CIDR.match(lengths)
    if match is None or (mark == ":" and not target):
        raise SpfError(f"«{term}» has a bad name or prefix length")
    prefix4, prefix6 = int(match[1] or 32), int(match[2] or 128)
    if prefix4 > 32 or prefix6 > 128:
        raise SpfError(f"«{term}» has a prefix length that is too long")
    spec = _domain_spec(term, target) if target else ""
    return Mechanism(qualifier, name, spec, prefix4=prefix4, prefix6=prefix6, text=term)


def _network(term: str, name: str, value: str) -> Network:
    address, slash, length = value.partition("/")
    if slash and not re.fullmatch(r"0|[1-9][0-9]{0,2}", length):
        raise SpfError(f"«{term}» has a bad prefix length")
    try:
        if name == "ip4":
            return ipaddress.IPv4Network((ipaddress.IPv4Address(address), int(length or 32)), strict=False)
        if "%" in address:
            raise SpfError(f"«{term}» has a zone")
        return ipaddress.IPv6Network((ipaddress.IPv6Address(address), int(length or 128)), strict=False)
    except ValueError:
        raise SpfError(f"«{term}» is not an address or a network of that kind") from None


def _macro_string(term: str, value: str, *, explanation: bool) -> str:
    """The last element of ``value``: ``literal``, ``macro`` or nothing. Raises SpfError where it is no macro-string."""
    at, last = 0, ""
    while at < len(value):
        if literal := _LITERAL.match(value, at):
            at, last = literal.end(), "literal"
            continue
        macro = _MACRO.match(value, at)
        if macro is None:
            raise SpfError(f"«{term}» has a bad macro or character")
        letter, digits = macro[1] or "", macro[2] or ""
        if letter in _EXPLANATION_ONLY and not explanation:
            raise SpfError(f"«{term}» has a macro that only an explanation may have")
        if digits and not digits.strip("0"):
            raise SpfError(f"«{term}» has a macro that keeps no part")
        at, last = macro.end(), "macro"
    return last


def _domain_spec(term: str, value: str) -> str:
    last = _macro_string(term, value, explanation=False)
    if not last or (last == "literal" and not _END.search(value)):
        raise SpfError(f"«{term}» lacks a domain name")
    return value


def letters(spec: str) -> set[str]:
    """The macro letters that ``spec`` needs, in lower case."""
    return {match[1].lower() for match in _MACRO.finditer(spec) if match[1]}


def expand(spec: str, values: Mapping[str, str]) -> str | None:
    """``spec`` with its macros replaced from ``values`` (letter to text, RFC 7208 section 7); None where a letter is
    not known. The name is cut from the left to 253 characters, as section 7.3 says."""
    if not letters(spec) <= values.keys():
        return None

    def one(match: re.Match[str]) -> str:
        if match[1] is None:
            return {"%%": "%", "%_": " ", "%-": "%20"}[match[0]]
        parts = _split(values[match[1].lower()], match[4] or ".")
        if match[3]:
            parts.reverse()
        if match[2]:
            parts = parts[-min(int(match[2][:4]), 128) :]
        text = ".".join(parts)
        return quote(text, safe="-._~") if match[1].isupper() else text

    text = _MACRO.sub(one, spec)
    while len(text.removesuffix(".")) > MAX_NAME and "." in text:
        text = text.partition(".")[2]
    return text


def _split(text: str, delimiters: Iterable[str]) -> list[str]:
    return re.split("[" + re.escape("".join(delimiters)) + "]", text)
