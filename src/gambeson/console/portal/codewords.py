"""Recovery codes and how codes are typed: made, shown, read again."""

from __future__ import annotations

import unicodedata

from gambeson.model.device_secret import ALPHABET

RECOVERY_CODES = 10
RECOVERY_OCTETS = (
    10  # 80 bits each (NIST SP 800-63B section 5.1.2.2: 112 bits may be hashed fast; these are keyed)
)
GROUP = 4
MAX_CODE = 64  # characters as typed


def recovery_code(entropy: bytes) -> str:
    """One code of ``RECOVERY_OCTETS`` random octets, in groups: ``0a1b-2c3d-4e5f-6g7h``."""
    value = int.from_bytes(entropy)
    text = "".join(ALPHABET[(value >> 5 * i) & 31] for i in reversed(range(len(entropy) * 8 // 5)))
    return "-".join(text[i : i + GROUP] for i in range(0, len(text), GROUP))


def typed(code: str) -> str:
    """A recovery or binding code as it was meant: lower case, without blanks and hyphens; the alphabet has no o, i and
    l, so they are 0 and 1 (Crockford). Never empty: nothing is as wrong as anything."""
    plain = unicodedata.normalize("NFKC", code[:MAX_CODE]).lower()
    kept = "".join(c for c in plain if c.isascii() and c.isalnum())
    return kept.translate(str.maketrans("oil", "011")) or "0"


def digits(code: str) -> str:
    """A one-time code as it was meant: digits only."""
    return "".join(c for c in unicodedata.normalize("NFKC", code[:MAX_CODE]) if c in "0123456789")
