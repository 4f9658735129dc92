"""The playground's ManageSieve server (RFC 5804): pymap's, with several named scripts a mailbox.

Scripts lie in ``sieve/`` of the Maildir as ``NAME.sieve``; the active one's name stands in ``sieve/active``. They are
checked for syntax when put, and applied at delivery only as far as the playground's SMTP server says.

pymap offers UNAUTHENTICATE (RFC 5804 section 2.14.1). A door joins no client to a server that does: it would lead to
a sign-in that nobody guards. So it is neither offered nor known here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from pymap.config import IMAPConfig
from pymap.context import connection_exit
from pymap.filter import PluginFilterSet
from pymap.interfaces.login import LoginInterface
from pymap.sieve.manage import ManageSieveConnection
from pymap.sieve.manage.response import Condition, Response

from .access import peer

MAX_SCRIPTS = 32
MAX_SCRIPT = 64 * 1024
_NAME = re.compile(r"[\w][\w .-]{0,63}\Z")


class ScriptSet(PluginFilterSet[bytes]):
    """The Sieve scripts of one mailbox. Names that could leave the folder are refused with ValueError."""

    def __init__(self, maildir: Path) -> None:
        super().__init__("sieve", bytes)
        self._folder = maildir / "sieve"

    def _path(self, name: str) -> Path:
        if not _NAME.match(name):
            raise ValueError("a script's name has at most 64 letters, digits, blanks, dots and hyphens")
        return self._folder / f"{name}.sieve"

    def _existing(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise KeyError(name)
        return path

    def _active(self) -> str | None:
        try:
            return (self._folder / "active").read_text("utf-8") or None
        except FileNotFoundError:
            return None

    async def put(self, name: str, value: bytes) -> None:
        """Store a script. Raises ValueError for a syntax error (SieveParseError), and when there are
        too many or it is too long."""
        path = self._path(name)
        self._folder.mkdir(exist_ok=True, mode=0o700)
        if len(value) > MAX_SCRIPT:
            raise ValueError(f"a script has at most {MAX_SCRIPT} octets here")
        if not path.exists() and len(list(self._folder.glob("*.sieve"))) >= MAX_SCRIPTS:
            raise ValueError(f"at most {MAX_SCRIPTS} scripts fit here")
        await self.compiler.compile(value)
        _replace(path, value)

    async def delete(self, name: str) -> None:
        """Remove a script that is not active. Raises KeyError, ValueError."""
        path = self._existing(name)
        if self._active() == name:
            raise ValueError("the active script cannot be deleted")
        path.unlink()

    async def rename(self, before_name: str, after_name: str) -> None:
        """Rename; an active script stays active. Raises KeyError, ValueError."""
        before, after = self._existing(before_name), self._path(after_name)
        if after.exists():
            raise ValueError("a script of that name exists")
        before.rename(after)
        if self._active() == before_name:
            _replace(self._folder / "active", after_name.encode())

    async def clear_active(self) -> None:
        """No script is active any more."""
        (self._folder / "active").unlink(missing_ok=True)

    async def set_active(self, name: str) -> None:
        """Make a script the active one. Raises KeyError."""
        self._existing(name)
        _replace(self._folder / "active", name.encode())

    async def get(self, name: str) -> bytes:
        """The text of a script. Raises KeyError."""
        return self._existing(name).read_bytes()

    async def get_active(self) -> bytes | None:
        """The text of the active script, if there is one."""
        name = self._active()
        return None if name is None else self._existing(name).read_bytes()

    async def get_all(self) -> tuple[str | None, Sequence[str]]:
        """The active script's name, and all names."""
        return self._active(), sorted(p.name.removesuffix(".sieve") for p in self._folder.glob("*.sieve"))


def _replace(path: Path, value: bytes) -> None:
    new = path.with_name(f".{uuid4().hex}.new")
    new.write_bytes(value)
    new.rename(path)


class _Connection(ManageSieveConnection):
    """One connection that ends signed in as it was."""

    @property
    def capabilities(self) -> Mapping[bytes, bytes | None]:
        """pymap's, less the way back."""
        return {name: value for name, value in super().capabilities.items() if name != b"UNAUTHENTICATE"}

    async def _write_response(self, resp: Response) -> None:
        if resp.is_bye and resp.text is None:
            # RFC 5804 section 2.3: LOGOUT is answered OK, where pymap says BYE; the connection ends all the same.
            resp = Response(Condition.OK, text="Logged out.")
        await super()._write_response(resp)

    async def _do_unauthenticate(self) -> Response:
        return Response(Condition.NO, text="Unknown command.")


def handler(config: IMAPConfig, login: LoginInterface) -> Any:
    """The callback for :func:`asyncio.start_unix_server`."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        config.apply_context()
        connection = _Connection(login, config, reader, writer, peer(writer))
        async with AsyncExitStack() as stack:
            connection_exit.set(stack)
            stack.enter_context(closing(writer))
            await connection.run()

    return connected
