"""Writing a file whole or not at all: whoever reads it meanwhile sees the old one or the new one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(path: Path, text: str | bytes, *, mode: int = 0o600, replace: bool = True) -> None:
    """Put ``text`` into ``path``; ``mode`` is cut by the umask. It is written beside first, to a new file with a name
    that nobody foresees: a link laid there is never followed, nor is anybody's file overwritten. A link at ``path``
    itself is replaced. Without ``replace`` it raises FileExistsError where something is there. Raises OSError."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(new, flags, mode)
    try:
        with open(handle, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            file.flush()
            os.fsync(handle)
        if replace:
            os.replace(new, path)
        else:
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)
