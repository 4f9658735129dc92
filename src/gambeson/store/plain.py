"""Values on their way into the store: text, times and JSON, each with a limit.

The same limits hold on SQLite (which would take anything) and PostgreSQL (which refuses NUL), so
that what one stores the other can restore.
"""

from __future__ import annotations

import json
import math
import secrets
from functools import lru_cache

from .errors import BadValue

MAX_TEXT = 1_000
MAX_JSON = 64 * 1024


def new_id(prefix: str) -> str:
    """A new id such as ``acc-5f0c...``: 80 random bits, nothing about what it names."""
    return f"{prefix}-{secrets.token_hex(10)}"


def text(value: str, what: str, limit: int = MAX_TEXT, *, empty: bool = True, lines: bool = False) -> str:
    """``value`` where it is storable text of at most ``limit`` characters, else BadValue."""
    if len(value) > limit:
        raise BadValue(f"The {what} is too long: at most {limit} characters.")
    if not value.strip() and not empty:
        raise BadValue(f"The {what} is empty: give one.")
    allowed = "\t\r\n" if lines else ""
    if any((c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff") and c not in allowed for c in value):
        raise BadValue(f"The {what} has a control character in it: remove it.")
    return value


def moment(value: float, what: str = "time") -> float:
    """``value`` where it is a time in seconds since 1970 (0 up to the year 9999), else BadValue."""
    if not math.isfinite(value) or not 0 <= value < 253_402_300_800:
        raise BadValue(f"The {what} is not a time in seconds since 1970.")
    return float(value)


def dump(value: object, limit: int = MAX_JSON) -> str:
    """Canonical JSON: sorted keys, no blanks, UTF-8 as it is. BadValue where it is none or too large."""
    try:
        out = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
        size = len(out.encode())
    except (TypeError, ValueError, RecursionError):
        raise BadValue("The details cannot be written as JSON.") from None
    if size > limit:
        raise BadValue(f"The details are too large: at most {limit} bytes of JSON.")
    if "\\u0000" in out:
        raise BadValue("The details have a control character in them: remove it.")
    return out


def load(stored: str) -> object:
    """The value of JSON that :func:`dump` wrote."""
    value: object = json.loads(stored)
    return value


@lru_cache(maxsize=4096)
def words(stored: str) -> tuple[str, ...]:
    """A stored list of words. Cached: ten thousand accounts share few lists of groups."""
    return tuple(str(x) for x in json.loads(stored)) if stored != "[]" else ()
