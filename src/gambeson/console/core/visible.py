"""Text from strangers, made visible: what a terminal obeys, what turns or hides text, is shown as its number.

Evidence quotes what somebody sent. Escaping keeps it from being HTML; this keeps it from looking like something else:
a right-to-left override makes ``exe.txt`` of ``txt.exe``, a zero-width space makes two names look alike.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MAX_LINK = 2_000
# Controls but line feed and tab; characters that turn or hide text (Unicode's bidirectional and default-ignorable
# ones); tags and variation selectors; halves of a pair.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)


def visible(text: str, limit: int = 4_000) -> str:
    """``text`` with what cannot be seen shown as ``\\u{202E}``, cut to ``limit`` characters of the original."""
    cut = text[:limit].replace("\r\n", "\n")
    shown = _UNSEEN.sub(lambda found: f"\\u{{{ord(found[0]):04X}}}", cut)
    return f"{shown}\N{HORIZONTAL ELLIPSIS}" if len(text) > limit else shown


def link(text: str) -> str:
    """``text`` where it is an address that somebody may follow: https, a plain host, nobody's name or password in it.
    Empty for all else."""
    if len(text) > MAX_LINK or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return ""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return ""
    named = re.fullmatch(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", parts.hostname or "") is not None
    plain = parts.scheme == "https" and "@" not in parts.netloc and port != 0
    return text if named and plain else ""
