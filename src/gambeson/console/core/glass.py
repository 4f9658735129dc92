"""Break-glass codes as people write them, and the finding that stands open while the glass is broken.

A code is 25 characters of Crockford's base 32 (125 bits), in five groups. It has neither I, L, O nor U; who reads an O
or an I off the paper means 0 or 1. What is kept of a code is the SHA-256 of its plain form: 125 random bits need no
slow hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from gambeson.model.finding import Confidence, Evidence, Finding, Severity

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHARACTERS, GROUP, CODES = 25, 5, 8
OCTETS = 16  # of randomness for one code: 128 bits, of which 125 are used
MAX_TYPED = 100  # characters of what somebody typed
RULE, ASSET_KIND, ASSET = "console.break-glass", "console", "break-glass"
USED = "console.break-glass.used"  # the kind of the event
_MEANT = str.maketrans({"O": "0", "I": "1", "L": "1"})


def code(random: bytes) -> str:
    """The code that 16 random octets make."""
    if len(random) != OCTETS:
        raise ValueError(f"a code is made of {OCTETS} octets")
    number = int.from_bytes(random, "big")
    text = "".join(ALPHABET[number >> 5 * place & 31] for place in range(CHARACTERS))
    return "-".join(text[i : i + GROUP] for i in range(0, CHARACTERS, GROUP))


def plain(typed: str) -> str:
    """What somebody typed, in the form that is hashed; empty where it is no code."""
    if len(typed) > MAX_TYPED:
        return ""
    text = "".join(c for c in typed.upper() if c != "-" and not c.isspace()).translate(_MEANT)
    return text if len(text) == CHARACTERS and set(text) <= set(ALPHABET) else ""


def verifier(plain_code: str) -> bytes:
    """What is kept of a code."""
    return sha256(plain_code.encode("ascii")).digest()


def broken(unused: int, made_at: float, live: Iterable[object]) -> str:
    """Why the glass counts as broken now, one sentence; empty where it does not. ``unused`` codes were made at
    ``made_at`` (0: never); ``live`` are the sessions by break-glass."""
    if any(True for _ in live):
        return "A session by break-glass is open."
    if made_at and not unused:
        return "A break-glass code was used, and no new codes were made."
    return ""


def finding(reason: str, at: float) -> Finding:
    """The finding of every organisation while it is so."""
    return Finding(
        id="",
        organisation="",
        asset_kind=ASSET_KIND,
        asset_name=ASSET,
        rule=RULE,
        title="Somebody came in with a break-glass code",
        severity=Severity.CRITICAL,
        reason=reason,
        confidence=Confidence.HIGH,
        evidence=(Evidence("console", "measured", excerpt=reason, at=at),),
        remedy=(
            "Ask who used a code and why. If nobody says so, somebody else has your codes.",
            "End the session at the console (Staff, Break-glass), or wait: it lasts an hour at most.",
            "Make new codes there and lock them away. This closes by itself once no such session is open.",
        ),
    )
