"""IMAP's ID command (RFC 2971): read what a client says of itself, tell the mail server whom we stand for.

What a client says is asserted and proves nothing. Fields that begin with ``x-`` are how Dovecot takes the
real origin of a login from a front that it trusts; so a client's own never go up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from .dialogue import Origin
from .imap import Cursor, GrammarError, quoted
from .lines import human

# RFC 2971 section 3.3; octets
MAX_PAIRS = 30
MAX_FIELD = 30
MAX_VALUE = 1024

_MALFORMED = "ID needs NIL or a list of pairs of strings"


def read_id(arguments: Cursor) -> tuple[tuple[str, str], ...]:
    """The pairs of a client's ID command, made printable; NIL is "". Raises GrammarError."""
    arguments.need(b" ", _MALFORMED)
    pairs: list[tuple[str, str]] = []
    if not arguments.take(b"("):
        if arguments.nstring() is not None:
            raise GrammarError(_MALFORMED)
    else:
        while not arguments.take(b")"):
            if pairs:
                arguments.need(b" ", _MALFORMED)
            field = arguments.string()
            arguments.need(b" ", _MALFORMED)
            value = arguments.nstring() or b""
            if len(pairs) == MAX_PAIRS or len(field) > MAX_FIELD or len(value) > MAX_VALUE:
                raise GrammarError("The ID list is too long")
            pairs.append((human(field, MAX_FIELD), human(value, MAX_VALUE)))
    arguments.end()
    return tuple(pairs)


def id_for_server(origin: Origin | None, client_id: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The pairs to send up: the origin in the fields that Dovecot knows (None: not to be told), then what
    the client said of itself, without its ``x-`` fields; at most 30 pairs."""
    pairs: list[tuple[str, str]] = []
    if origin is not None:
        pairs = [
            ("x-originating-ip", origin.address),
            ("x-originating-port", str(origin.port) if origin.port else ""),
            ("x-session-id", origin.session),
            ("x-forward-device", origin.device),
        ]
    pairs += [(field, value) for field, value in client_id if not field.strip().lower().startswith("x-")]
    return tuple((field, value) for field, value in pairs if value)[:MAX_PAIRS]


def write_id(pairs: Sequence[tuple[str, str]]) -> bytes:
    """The argument of ID: a list of quoted strings."""
    return b"(" + b" ".join(_written(field) + b" " + quoted(value) for field, value in pairs) + b")"


@lru_cache(64)  # the names of fields are few, and the same at every login
def _written(field: str) -> bytes:
    return quoted(field)
