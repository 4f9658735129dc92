"""DMARC records (RFC 9989 sections 4.7 and 4.8; RFC 7489 section 6.3, which many receivers still follow).

What is not a DMARC record at all is a ``DmarcError``. Within one, RFC 9989 section 4.8 has a wrong value discarded in
favour of its default; ``discarded`` keeps it, because whoever wrote it meant something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import tag_list

POLICIES = ("none", "quarantine", "reject")  # from weak to strong
MAX_URIS = 20

_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):([!-~]+)\Z", re.IGNORECASE)
_MAILBOX = re.compile(r"[!-?A-~]{1,64}@([A-Za-z0-9](?:[A-Za-z0-9\-_.]{0,252}))\Z")
_SIZE = re.compile(r"!([0-9]+[kmgt]?)\Z", re.IGNORECASE)
_KNOWN = {
    "v", "p", "sp", "np", "t", "psd", "pct", "adkim", "aspf", "rua", "ruf", "fo", "ri", "rf",
}  # fmt: skip


class DmarcError(Exception):
    """The text is no DMARC record that a receiver takes. The sentence says why."""


@dataclass(frozen=True, slots=True)
class ReportUri:
    """Where reports go: ``address`` and its ``domain`` for mailto; for another scheme, which nobody need serve
    (RFC 9989 section 4.7), both are empty."""

    uri: str
    address: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """``policy`` is the p tag, empty where it is missing or wrong; ``subdomains`` (sp) and ``nonexistent`` (np) are
    empty where unsaid. ``percent`` is RFC 7489's pct, ``testing`` its successor t=y. ``psd`` is y, n or u."""

    policy: str = ""
    subdomains: str = ""
    nonexistent: str = ""
    testing: bool = False
    psd: str = "u"
    percent: int = 100
    strict_dkim: bool = False
    strict_spf: bool = False
    aggregate: tuple[ReportUri, ...] = ()
    failure: tuple[ReportUri, ...] = ()
    discarded: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def stated(self) -> str:
        """What a receiver takes ``p`` for. Without the tag it is none (RFC 9989 section 4.7); where p, sp or np is
        wrong it is none too if reports are wanted, and nothing at all otherwise (section 4.10.1)."""
        if any(tag in ("p", "sp", "np") for tag, _ in self.discarded):
            return "none" if self.aggregate else ""
        return self.policy or "none"

    def effective(self, which: str = "p") -> str:
        """The policy for the domain (``p``), for its subdomains (``sp``) and for those that do not exist (``np``),
        one step weaker while testing (RFC 9989 section 4.7)."""
        stated = self.stated
        if which == "sp":
            stated = self.subdomains or stated
        elif which == "np":
            stated = self.nonexistent or self.subdomains or stated
        if self.testing and stated in POLICIES:
            return POLICIES[max(POLICIES.index(stated) - 1, 0)]
        return stated


def is_dmarc(text: str) -> bool:
    """Whether a TXT record begins as a DMARC record must."""
    return tag_list.version(text, "DMARC1")


def parse(text: str) -> DmarcRecord:
    """The record in ``text``. Raises DmarcError."""
    if not is_dmarc(text):
        raise DmarcError("it does not begin with v=DMARC1")
    try:
        tags = {name.lower(): value for name, value in tag_list.parse(text)}
    except tag_list.TagListError as error:
        raise DmarcError(str(error)) from None
    wrong: list[tuple[str, str]] = []

    def one_of(tag: str, allowed: tuple[str, ...], default: str) -> str:
        value = tags.get(tag)
        if value is None:
            return default
        if value.lower() in allowed:
            return value.lower()
        wrong.append((tag, value))
        return default

    def uris(tag: str) -> tuple[ReportUri, ...]:
        if tag not in tags:
            return ()
        found = []
        for piece in tags[tag].split(",")[:MAX_URIS]:
            uri = report_uri(piece.strip(tag_list.SPACE))
            if uri is None:
                wrong.append((tag, piece))
            else:
                found.append(uri)
        return tuple(found)

    percent = 100
    if (pct := tags.get("pct")) is not None:
        if re.fullmatch(r"[0-9]{1,3}", pct) and int(pct) <= 100:
            percent = int(pct)
        else:
            wrong.append(("pct", pct))
    return DmarcRecord(
        policy=one_of("p", POLICIES, ""),
        subdomains=one_of("sp", POLICIES, ""),
        nonexistent=one_of("np", POLICIES, ""),
        testing=one_of("t", ("y", "n"), "n") == "y",
        psd=one_of("psd", ("y", "n", "u"), "u"),
        percent=percent,
        strict_dkim=one_of("adkim", ("r", "s"), "r") == "s",
        strict_spf=one_of("aspf", ("r", "s"), "r") == "s",
        aggregate=uris("rua"),
        failure=uris("ruf"),
        discarded=tuple(wrong),
        unknown=tuple(tag for tag in tags if tag not in _KNOWN),
    )


def report_uri(text: str) -> ReportUri | None:
    """One URI of rua or ruf; None where it is none. The size limit of RFC 7489 section 6.2 is dropped."""
    text = _SIZE.sub("", text)
    match = _SCHEME.match(text)
    if match is None or len(text) > 2048:
        return None
    if match[1].lower() != "mailto":
        return ReportUri(text)
    address = match[2].partition("?")[0].replace("%21", "!").replace("%2C", ",").replace("%2c", ",")
    mailbox = _MAILBOX.match(address)
    if mailbox is None or ".." in mailbox[1]:
        return None
    return ReportUri(text, address, mailbox[1].lower().removesuffix("."))
