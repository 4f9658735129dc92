"""NTLM's first two messages (MS-NLMP section 2.2.1): what a server tells everybody before anybody signs in.

The first message names nobody and holds no secret; the challenge that answers it holds the names of the machine and
its domain, and Windows' build. What comes is hostile until it was parsed: offsets are checked, counts are bounded, and
a challenge is parsed or it is one NtlmError.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .lines import human

MAX_CHALLENGE = 16384  # octets; a real one has a few hundred
MAX_PAIRS = 32  # MS-NLMP section 2.2.2.1 knows eleven kinds
MAX_NAME = 255  # characters

_SIGNATURE = b"NTLMSSP\0"
_UNICODE = 0x00000001
_VERSION = 0x02000000
# MS-NLMP section 2.2.2.5: 56 and 128 bits, version, extended session security, always sign, NTLM, request target,
# OEM and Unicode. Servers that miss one of them only leave out what it asks for.
_ASKED = 0xA2088207

# MS-NLMP section 2.2.2.1
_PAIRS = {1: "netbios_computer", 2: "netbios_domain", 3: "dns_computer", 4: "dns_domain"}


class NtlmError(Exception):
    """The octets are no NTLM challenge. The text is safe to show."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a challenge gives away; empty where it does not say. ``windows`` is version and build: ``10.0.17763``."""

    windows: str = ""
    netbios_domain: str = ""
    netbios_computer: str = ""
    dns_domain: str = ""
    dns_computer: str = ""


def negotiate() -> bytes:
    """The first message (MS-NLMP section 2.2.1.1): no domain, no workstation, no version of ours."""
    return _SIGNATURE + struct.pack("<II8s8s8s", 1, _ASKED, bytes(8), bytes(8), bytes(8))


def parse_challenge(octets: bytes) -> Challenge:
    """The second message (MS-NLMP section 2.2.1.2). Raises NtlmError."""
    if len(octets) > MAX_CHALLENGE:
        raise NtlmError("the NTLM challenge is too long")
    if len(octets) < 32 or octets[:8] != _SIGNATURE or octets[8:12] != b"\x02\0\0\0":
        raise NtlmError("the answer is no NTLM challenge")
    (flags,) = struct.unpack_from("<I", octets, 20)
    found = {"windows": _windows(octets, flags)}
    encoding = "utf-16-le" if flags & _UNICODE else "latin-1"
    if len(octets) >= 48:
        found |= _names(_field(octets, 40))
    # A server of before Windows 2000 names only its domain or itself, as the target.
    if not found.get("netbios_domain"):
        found["netbios_domain"] = _text(_field(octets, 12), encoding)
    return Challenge(**found)


def _windows(octets: bytes, flags: int) -> str:
    if not flags & _VERSION or len(octets) < 56:
        return ""
    major, minor, build = struct.unpack_from("<BBH", octets, 48)
    return f"{major}.{minor}.{build}" if major else ""


def _field(octets: bytes, at: int) -> bytes:
    length, _, offset = struct.unpack_from("<HHI", octets, at)
    if length and offset + length > len(octets):
        raise NtlmError("a field of the NTLM challenge lies outside of it")
    return octets[offset : offset + length]


def _names(info: bytes) -> dict[str, str]:
    names: dict[str, str] = {}
    at = 0
    for _ in range(MAX_PAIRS):
        if at + 4 > len(info):
            return names
        kind, length = struct.unpack_from("<HH", info, at)
        if kind == 0:
            return names
        value = info[at + 4 : at + 4 + length]
        if len(value) < length:
            raise NtlmError("a name of the NTLM challenge is cut off")
        if name := _PAIRS.get(kind):
            names[name] = _text(value, "utf-16-le")
        at += 4 + length
    raise NtlmError("the NTLM challenge has too many names")


def _text(octets: bytes, encoding: str) -> str:
    return human(octets[: 2 * MAX_NAME].decode(encoding, "replace"), MAX_NAME)
