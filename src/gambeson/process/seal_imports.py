"""After the drop nothing is imported, executed or opened by path: Python itself refuses it.

An audit hook (PEP 578) cannot be taken out again. It sees what Python code does; what libraries
below Python open (OpenSSL, the resolver) is not seen, which is why the user that a child drops to
may read neither the data directory nor need to. Refusals are errors that careful library code
already expects: an ImportError for an import, a PermissionError for the rest.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable

# What the standard library imports only when it is first needed, and a door or keeper may need.
PRELOAD = (
    "asyncio.base_subprocess",
    "asyncio.sslproto",
    "asyncio.staggered",
    "asyncio.taskgroups",
    "asyncio.threads",
    "asyncio.timeouts",
    "concurrent.futures.thread",
    "cryptography.hazmat.backends.openssl.backend",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.utf_8",
    "encodings.utf_8_sig",
    "_strptime",
    "linecache",
    "locale",
    "logging.handlers",
    "stringprep",
    "tokenize",
    "traceback",
    "unicodedata",
    "uvloop",
    "zoneinfo",
)
_EXECUTING = frozenset(
    (
        "ctypes.dlopen",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "pty.spawn",
        "subprocess.Popen",
    )
)
_BY_PATH = frozenset(
    (
        "os.chmod",
        "os.chown",
        "os.link",
        "os.listdir",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.scandir",
        "os.symlink",
        "os.truncate",
        "os.utime",
        "shutil.rmtree",
        "sqlite3.connect",
    )
)


class SealedImport(ImportError):  # noqa: N818 - says what was refused
    """A module that is not loaded yet was asked for after the drop."""


class Sealed(PermissionError):  # noqa: N818 - says what was refused
    """A path or program was asked for after the drop."""


def preload(more: Iterable[str] = ()) -> None:
    """Import what may be needed later. A name that does not exist here is passed over."""
    for name in (*PRELOAD, *more):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    "gambeson".encode("idna")


def seal(refused: Callable[[str], None] | None = None) -> None:
    """From now on refuse imports, programs and paths in this process. ``refused`` is told the event
    (``import json``, ``open /etc/passwd``), for the record; it must not do any of these itself."""

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "import":
            if args[0] not in sys.modules:
                _tell(refused, f"import {args[0]}")
                raise SealedImport(f"import of {args[0]} after the drop of privileges")
        elif event == "open":
            # An integer is a descriptor that was opened, or received, before.
            if not isinstance(args[0], int):
                _tell(refused, f"open {args[0]!r}")
                raise Sealed(1, "open by path after the drop of privileges")
        elif event in _EXECUTING or (event in _BY_PATH and not (args and isinstance(args[0], int))):
            _tell(refused, event)
            raise Sealed(1, f"{event} after the drop of privileges")

    sys.addaudithook(hook)


def _tell(refused: Callable[[str], None] | None, what: str) -> None:
    if refused is not None:
        refused(what)
