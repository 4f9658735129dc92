"""MAIL and RCPT: mailboxes, paths and ESMTP parameters (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

What a client sent is taken apart strictly and put together anew for the mail server: its own octets never
reach it in a command. Of the parameters only those of the extensions that we offer are known: SIZE
(RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY and ORCPT (RFC 3461), AUTH (RFC 4954).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gambeson.model.address import canonical

from .smtp import SmtpError, is_xtext

MAX_LOCAL = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_DOMAIN = 255  # octets, RFC 5321 section 4.5.3.1.2
MAX_ENVID = 100  # RFC 3461 section 4.4
MAX_ORCPT = 500  # RFC 3461 section 4.2

# RFC 6531 section 3.3 adds the characters beyond ASCII; the C1 controls and the separators that some
# programs take for line ends are left out.
_U = "\u00a1-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"
_ATOM = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{_U}-]+"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED = rf'"(?:[\x20\x21\x23-\x5b\x5d-\x7e{_U}]|\\[\x20-\x7e])*"'
_LABEL = rf"[A-Za-z0-9_{_U}](?:[A-Za-z0-9_{_U}-]*[A-Za-z0-9_{_U}])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*|\[[\x21-\x5a\x5e-\x7e]+\]"
_MAILBOX = re.compile(rf"({_DOT_STRING}|{_QUOTED})@({_DOMAIN})")
_ROUTE = re.compile(rf"@(?:{_DOMAIN})(?:,@(?:{_DOMAIN}))*:")
_DOT_STRING_ONLY = re.compile(rf"{_DOT_STRING}\Z")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e]+))?\Z")
_ORCPT = re.compile(r"[A-Za-z0-9-]+;(.+)\Z")

MAIL_PARAMETERS = ("SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH")
RCPT_PARAMETERS = ("NOTIFY", "ORCPT")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """``local`` and ``domain`` as sent."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def ascii(self) -> bool:
        """Whether it can be used without SMTPUTF8."""
        return self.local.isascii() and self.domain.isascii()

    @property
    def canonical(self) -> str:
        """For comparing, in the one form of :mod:`gambeson.model.address`. A mailbox that has none there (a domain
        literal, a local part that needs its quotes) is given in lower case, and is no account's address."""
        local = self.local
        if local.startswith('"'):
            # RFC 5321 section 4.1.2: a quoted string and the same dot-string are the same mailbox.
            bare = re.sub(r"\\(.)", r"\1", local[1:-1])
            local = bare if _DOT_STRING_ONLY.match(bare) else local
        try:
            return canonical(f"{local}@{self.domain}")
        except ValueError:
            return f"{local}@{self.domain}".lower()


def mailbox(text: str) -> Mailbox | None:
    """The whole text as one mailbox; None when it is none, or is longer than may be."""
    match = _MAILBOX.fullmatch(text) if len(text) <= MAX_LOCAL + 1 + MAX_DOMAIN else None
    if match is None or len(match[1].encode()) > MAX_LOCAL or len(match[2].encode()) > MAX_DOMAIN:
        return None
    return Mailbox(match[1], match[2])


def mail(argument: bytes) -> tuple[Mailbox | None, dict[str, str]]:
    """``FROM:<path> parameters``: the mailbox (None for ``<>``) and the parameters, checked. Raises SmtpError."""
    text, rest = _path(argument, "FROM:", "5.1.7")
    sender = None if text == "" else _mailbox(text, "5.1.7")
    given = _parameters(rest, MAIL_PARAMETERS)
    if given.get("BODY", "7BIT") not in ("7BIT", "8BITMIME"):
        raise SmtpError(555, "5.5.4", "This BODY is not offered here")
    if not re.fullmatch(r"[0-9]{1,20}", given.get("SIZE", "0")):
        raise SmtpError(501, "5.5.4", "SIZE needs a number")
    if given.get("RET", "FULL") not in ("FULL", "HDRS"):
        raise SmtpError(501, "5.5.4", "RET is FULL or HDRS")
    if not is_xtext(given.get("ENVID", "x")) or len(given.get("ENVID", "x")) > MAX_ENVID:
        raise SmtpError(501, "5.5.4", "ENVID needs at most 100 characters of xtext")
    if given.get("AUTH", "<>") != "<>" and not is_xtext(given["AUTH"]):
        raise SmtpError(501, "5.5.4", "AUTH needs a mailbox in xtext")
    if sender is not None and not sender.ascii and "SMTPUTF8" not in given:
        raise SmtpError(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8")
    return sender, given


def rcpt(argument: bytes) -> tuple[str, Mailbox | None, dict[str, str]]:
    """``TO:<path> parameters``: the address as to be passed on, its mailbox (None for ``postmaster``, which
    needs no domain: RFC 5321 section 4.1.1.3), the parameters. Raises SmtpError."""
    text, rest = _path(argument, "TO:", "5.1.3")
    box = None if text.lower() == "postmaster" else _mailbox(text, "5.1.3")
    given = _parameters(rest, RCPT_PARAMETERS)
    notify = given.get("NOTIFY", "NEVER").split(",")
    if notify != ["NEVER"] and (
        not set(notify) <= {"SUCCESS", "FAILURE", "DELAY"} or len(set(notify)) < len(notify)
    ):
        raise SmtpError(501, "5.5.4", "NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY")
    if "ORCPT" in given:
        original = _ORCPT.match(given["ORCPT"])
        if original is None or not is_xtext(original[1]) or len(given["ORCPT"]) > MAX_ORCPT:
            raise SmtpError(501, "5.5.4", "ORCPT needs an address type, a semicolon and xtext")
    return (text if box is None else str(box)), box, given


def written(parameters: Mapping[str, str], keep: tuple[str, ...]) -> str:
    """Those of the parameters that are in ``keep``, to be put behind a path."""
    return "".join(f" {k}={v}" if v else f" {k}" for k, v in parameters.items() if k in keep)


def _path(argument: bytes, keyword: str, enhanced: str) -> tuple[str, str]:
    """What stands between < and > without the source route (RFC 5321 appendix C: it is ignored), and what
    follows. A blank before < is against the grammar, but common and harmless, as we write the path anew."""
    try:
        text = argument.decode("utf-8")
    except UnicodeDecodeError:
        raise SmtpError(501, "5.5.2", "The command is not UTF-8") from None
    if text[: len(keyword)].upper() != keyword:
        raise SmtpError(501, "5.5.4", f"Say {keyword}<address>")
    text = text[len(keyword) :].lstrip(" ")
    end = _closing(text)
    if end < 0:
        raise SmtpError(501, enhanced, "The address must stand in angle brackets")
    inside, rest = text[1:end], text[end + 1 :]
    if rest and not rest.startswith(" "):
        raise SmtpError(501, "5.5.4", "A blank is missing behind the address")
    if inside.startswith("@"):
        route = _ROUTE.match(inside)
        if route is None:
            raise SmtpError(501, enhanced, "The address is malformed")
        inside = inside[route.end() :]
        if not inside:
            raise SmtpError(501, enhanced, "The address is malformed")
    return inside, rest


def _closing(text: str) -> int:
    if not text.startswith("<"):
        return -1
    quoted = escaped = False
    for at, c in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and c == "\\":
            escaped = True
        elif c == '"':
            quoted = not quoted
        elif c == ">" and not quoted:
            return at
    return -1


def _mailbox(text: str, enhanced: str) -> Mailbox:
    box = mailbox(text)
    if box is None:
        raise SmtpError(501, enhanced, "The address is malformed")
    return box


def _parameters(rest: str, known: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    for word in filter(None, rest.split(" ")):
        match = _PARAMETER.match(word)
        if match is None:
            raise SmtpError(501, "5.5.4", "A parameter is malformed")
        keyword, value = match[1].upper(), match[2] or ""
        if keyword not in known:
            # RFC 5321 section 4.1.1.11
            raise SmtpError(555, "5.5.4", f"The parameter {keyword[:40]} is not offered here")
        if keyword in given:
            raise SmtpError(501, "5.5.4", f"The parameter {keyword} stands there twice")
        if bool(value) == (keyword == "SMTPUTF8"):
            raise SmtpError(501, "5.5.4", f"The parameter {keyword} has a wrong value")
        given[keyword] = value.upper() if keyword in ("BODY", "RET", "NOTIFY") else value
    return given
