"""Where a part of a list ended, as a word that clients hand back and need not understand.

It holds nothing that its owner may not see, so it is not signed: it is read as strictly as any input, names the
operation that it is of, and what it leads to is asked of the same organisation with the same rights again.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, TypeVar

import msgspec

from .problems import ApiError

MAX_CURSOR = 512
T = TypeVar("T")


def make_cursor(operation: str, value: Any) -> str:
    """The word for a place in the list of an operation."""
    return urlsafe_b64encode(msgspec.json.encode([operation, value])).rstrip(b"=").decode()


def read_cursor(text: str, operation: str, kind: Any) -> Any:
    """The place, which is a ``kind``. Raises ApiError(400)."""
    try:
        if len(text) > MAX_CURSOR:
            raise ValueError
        octets = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        said, value = msgspec.json.decode(octets, type=tuple[str, kind])
        if said != operation or make_cursor(operation, value) != text:
            raise ValueError
    except (ValueError, msgspec.DecodeError):
        raise ApiError(
            400,
            "bad-cursor",
            "This is not the next of a part of this list: begin without after.",
            parameter="after",
        ) from None
    return value
