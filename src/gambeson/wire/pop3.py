"""POP3 (RFC 1939) grammar before login: command lines, response lines, response codes, and XCLIENT.

Rules: a command is a keyword and the rest of its line; PASS keeps the blanks of its argument; keywords do
not mind case. A response line is at most 512 octets with its end (RFC 2449 section 4). A response code in
brackets (RFC 2449 section 8, RFC 3206) is upper case and stands right behind the status.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass

from .dialogue import Origin
from .lines import ascii_human, human

MAX_RESPONSE = 512  # RFC 2449 section 4: a first response line with its CRLF
MAX_LINE_WITH_INITIAL = 255  # RFC 5034 section 4: a longer initial response goes into a line of its own

# RFC 3206: the credential is bad (section 5); a failure that passes or one that does not (section 4).
AUTH = "AUTH"
TEMPORARY = "SYS/TEMP"
PERMANENT = "SYS/PERM"
# RFC 2449 section 8.1.2: the credential is good, and another session holds the mailbox.
IN_USE = "IN-USE"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """One command: keyword in upper case (at most 16 characters), and all behind the first blank."""

    keyword: str
    argument: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """One response line: ``+OK`` or ``-ERR``, its code without brackets (upper case, or empty), its text."""

    ok: bool
    code: str
    text: str


class Pop3SyntaxError(Exception):
    """The line is no POP3 at all. The text is safe to show."""


_KEYWORD = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,15}")
_CODE = re.compile(rb"\[([A-Za-z0-9/_-]{1,64})\]")
_CAPABILITY = re.compile(r"[!-~]+( [!-~]+)*")


def parse_command(line: bytes) -> CommandLine:
    """A line without its end. Raises Pop3SyntaxError for NUL, CR and what has no keyword."""
    if b"\0" in line or b"\r" in line:
        raise Pop3SyntaxError("the line holds a forbidden control character")
    keyword, _, argument = line.partition(b" ")
    if not _KEYWORD.fullmatch(keyword):
        raise Pop3SyntaxError("a line must begin with a command")
    return CommandLine(keyword.decode("ascii").upper(), argument)


def parse_response(line: bytes) -> Response:
    """A response line without its end. Raises Pop3SyntaxError when it has no status."""
    for status, ok in ((b"+OK", True), (b"-ERR", False)):
        if line[: len(status)].upper() == status and line[len(status) : len(status) + 1] in (b"", b" "):
            rest = line[len(status) :].lstrip(b" ")
            code = _CODE.match(rest)
            if code:
                rest = rest[code.end() :].lstrip(b" ")
            return Response(ok, code[1].decode("ascii").upper() if code else "", human(rest))
    raise Pop3SyntaxError("the mail server's answer is no POP3")


def response(ok: bool, text: str = "", code: str = "") -> bytes:
    """One response line, sanitised and cut to what RFC 2449 section 4 allows."""
    line = " ".join(part for part in ("+OK" if ok else "-ERR", f"[{code}]" if code else "") if part)
    shown = ascii_human(text)
    if ok and not code and shown.startswith("["):
        shown = "- " + shown  # else a peer's text would read as a response code
    return f"{line} {shown}".encode("ascii")[: MAX_RESPONSE - 2].rstrip() + b"\r\n"


def is_capability(name: str) -> bool:
    """Whether this can stand as a line of CAPA's answer (RFC 2449 section 5)."""
    return len(name) <= MAX_RESPONSE - 2 and name != "." and bool(_CAPABILITY.fullmatch(name))


_SESSION = re.compile(r"[A-Za-z0-9+/=._-]{1,64}")


def xclient(origin: Origin) -> bytes | None:
    """XCLIENT's arguments, as Dovecot's POP3 and ManageSieve take them from trusted networks: ADDR, PORT,
    SESSION and FORWARD (base64 of name=value pairs between tabs). None without a usable address.

    A session name that Dovecot would not take as it is, and fields with a tab or a line end, are left out.
    """
    try:
        address = ipaddress.ip_address(origin.address)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return None  # a zone means nothing to another host
        address = address.ipv4_mapped or address
    words = [f"ADDR={address.compressed}"]
    if 0 < origin.port < 65536:
        words.append(f"PORT={origin.port}")
    if _SESSION.fullmatch(origin.session):
        words.append(f"SESSION={origin.session}")
    pairs = (("device", origin.device), ("login", origin.login))
    fields = [f"{name}={value[:128]}" for name, value in pairs if value and value.isprintable()]
    if fields:
        words.append("FORWARD=" + base64.b64encode("\t".join(fields).encode()).decode("ascii"))
    return " ".join(words).encode("ascii")
