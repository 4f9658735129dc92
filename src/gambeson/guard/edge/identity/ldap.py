"""Passwords that an LDAP directory or Active Directory knows: search the entry, then bind as it.

Both go over TLS with a verified certificate; in the clear only to this machine (loopback, ``ldapi://``). The search
is the service's (``bind_dn``) or anonymous and must find exactly one entry; the bind is the entry's own, on a
connection that is used for nothing else. Referrals are not followed. Several servers are asked in order, those that
failed in the last half minute last.

This speaks LDAP itself, on the loop, and needs no compiler. The libraries were tried against a silent server:
bonsai 1.5.5 keeps a core busy while it waits (it always also waits for the socket to be writable) and on
``ldaps://`` it and python-ldap 3.4.8 wait without end, because libldap's handshake with GnuTLS heeds no time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from gambeson.guard.edge.tls import client_context
from gambeson.model.asset import Account
from gambeson.settings.ldap import Ldap

from .ldap_connection import LdapConnection, LdapTrouble, Place
from .ldap_filter import Filter
from .ldap_messages import SUCCESS
from .ldap_verdict import verdict
from .source import Verdict

_URL = re.compile(r"(ldaps?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?")
_LDAPI = re.compile(r"ldapi://([^/?]+)/?")
_MAX_IDLE, _IDLE_SECONDS = 4, 60.0
_DOWN_SECONDS = 30.0


class DirectoryError(ValueError):
    """The settings of the directory don't do. One sentence."""


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """``urls`` in order of preference; ``bind_dn`` empty: anonymous search; ``ca`` empty: the system's authorities.

    ``filter`` as in :mod:`ldap_filter`. Seconds: ``connect`` for address, connection and TLS,
    ``answer`` for one answer.
    """

    urls: tuple[str, ...]
    base: str
    filter: str = "(mail={address})"
    bind_dn: str = ""
    bind_password: str = field(default="", repr=False)
    start_tls: bool = True
    ca: str = ""
    connect: float = 3.0
    answer: float = 5.0


def from_settings(ldap: Ldap, bind_password: bytes = b"") -> DirectorySettings:
    """What the ``[ldap]`` section says.

    Raises DirectoryError for a password that is not UTF-8 (RFC 4513 section 5.1.3).
    """
    try:
        password = bind_password.decode()
    except UnicodeDecodeError:
        raise DirectoryError("The password of ldap.bind_dn is not UTF-8; write it as such.") from None
    return DirectorySettings(
        urls=ldap.url,
        base=ldap.base,
        filter=ldap.filter,
        bind_dn=ldap.bind_dn,
        bind_password=password,
        start_tls=ldap.start_tls,
        ca=str(ldap.ca) if ldap.ca else "",
        connect=min(3.0, float(ldap.timeout_s)),
        answer=float(ldap.timeout_s),
    )


def place(url: str) -> Place:
    """Reads ``ldaps://HOST:PORT``, ``ldap://HOST:PORT`` or ``ldapi://%2Frun%2Fslapd.sock``. Raises DirectoryError."""
    if match := _LDAPI.fullmatch(url):
        path = unquote(match[1])
        if path.startswith("/") and "\0" not in path and len(path) < 108:
            return Place(url, path=path)
    elif match := _URL.fullmatch(url):
        tls = match[1] == "ldaps"
        port = int(match[3] or (636 if tls else 389))
        if 0 < port < 65536:
            return Place(url, match[2].strip("[]"), port, tls=tls)
    raise DirectoryError(
        f"{url!r} is no address of a directory; write ldaps://HOST, ldap://HOST or ldapi://%2FPATH."
    )


def local(where: Place) -> bool:
    """Whether it is on this machine, so that TLS adds nothing."""
    if where.path or where.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(where.host).is_loopback
    except ValueError:
        return False


class LdapDirectory:
    """``Directory`` over LDAP."""

    def __init__(
        self,
        settings: DirectorySettings,
        record: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads the authorities now (a door may not open files later). ``record`` gets one sentence for each trouble.

        Raises DirectoryError, FilterError, OSError for an authority's file that can't be read.
        """
        if not settings.urls:
            raise DirectoryError("There is no address of a directory; name one.")
        if bool(settings.bind_dn) != bool(settings.bind_password):
            raise DirectoryError(
                "bind_dn and its password go together; a bind without a password proves nothing."
            )
        self._settings = settings
        self._filter = Filter(settings.filter)
        if not self._filter.places:
            raise DirectoryError(
                "The filter holds neither {address} nor {name}, so it would find anybody; put one in."
            )
        self._places = [place(url) for url in settings.urls]
        for where in self._places:
            if not where.tls and not settings.start_tls and not local(where):
                raise DirectoryError(
                    f"Passwords would go to {where.url} in the clear; use ldaps:// or StartTLS."
                )
        self._context = client_context(settings.ca)
        self._record = record
        self._clock = clock
        self._idle: dict[Place, list[tuple[float, LdapConnection]]] = {where: [] for where in self._places}
        self._down: dict[Place, float] = {}

    async def find(self, account: Account) -> LdapQuestion | Verdict:
        """The account's entry and a fresh connection to ask it. WRONG where there is no entry; UNAVAILABLE where
        nobody answers or more than one entry is found."""
        try:
            encoded = self._filter.encode(address=account.address, name=account.address.rpartition("@")[0])
        except UnicodeEncodeError:
            return Verdict.WRONG  # no directory has such a name
        now = self._clock()
        for where in sorted(self._places, key=lambda p: self._down.get(p, -1e9) > now):
            try:
                found = await self._search(where, encoded)
                if len(found) == 1 and found[0]:
                    return LdapQuestion(
                        found[0], await self._open(where), self._settings.answer, self._record
                    )
            except (LdapTrouble, TimeoutError) as trouble:
                self._down[where] = self._clock() + _DOWN_SECONDS
                self._record(str(trouble) or f"{where.url} did not answer in time")
                continue
            self._down.pop(where, None)
            if not found:
                return Verdict.WRONG
            self._record(
                f"{where.url}: the filter finds more than one entry for one account, or a nameless one"
            )
            return Verdict.UNAVAILABLE
        return Verdict.UNAVAILABLE

    def tell(self, record: Callable[[str], None]) -> None:
        """From now on ``record`` gets the troubles."""
        self._record = record

    def close(self) -> None:
        """Close what is idle."""
        for idle in self._idle.values():
            while idle:
                idle.pop()[1].close()

    async def _open(self, where: Place) -> LdapConnection:
        secure = where.tls or (self._settings.start_tls and not where.path)
        async with asyncio.timeout(self._settings.connect):
            return await LdapConnection.open(where, self._context if secure else None)

    async def _search(self, where: Place, encoded: bytes) -> list[str]:
        """Search over an idle connection; where that has died meanwhile, over a new one."""
        while idle := self._idle[where]:
            since, connection = idle.pop()
            if self._clock() - since > _IDLE_SECONDS:
                connection.close()
                continue
            with contextlib.suppress(LdapTrouble):
                return await self._search_over(connection, encoded)
            break
        async with self._service(where) as connection:
            return await self._search_over(connection, encoded)

    @contextlib.asynccontextmanager
    async def _service(self, where: Place) -> AsyncIterator[LdapConnection]:
        connection = await self._open(where)
        try:
            if self._settings.bind_dn:
                async with asyncio.timeout(self._settings.answer):
                    result = await connection.bind(self._settings.bind_dn, self._settings.bind_password)
                if result.code != SUCCESS:
                    raise LdapTrouble(
                        f"{where.url} refused bind_dn (result {result.code}); correct its password"
                    )
            yield connection
        except BaseException:
            connection.abort()
            raise

    async def _search_over(self, connection: LdapConnection, encoded: bytes) -> list[str]:
        try:
            async with asyncio.timeout(self._settings.answer):
                found = await connection.search(
                    self._settings.base, encoded, limit=2, seconds=max(1, int(self._settings.answer))
                )
        except BaseException:
            connection.abort()
            raise
        idle = self._idle[connection.place]
        if len(idle) < _MAX_IDLE:
            idle.append((self._clock(), connection))
        else:
            connection.close()
        return found


class LdapQuestion:
    """``Question``: an entry, and a connection on which nobody is signed in."""

    def __init__(
        self, dn: str, connection: LdapConnection, seconds: float, record: Callable[[str], None]
    ) -> None:
        self.entry = dn
        self._connection = connection
        self._seconds = seconds
        self._record = record

    async def ask(self, password: str) -> Verdict:
        """Bind as the entry. UNAVAILABLE where no sensible answer comes in time."""
        try:
            async with asyncio.timeout(self._seconds):
                result = await self._connection.bind(self.entry, password)
        except (LdapTrouble, TimeoutError) as trouble:
            self._connection.abort()
            self._record(str(trouble) or f"{self._connection.place.url} did not answer a bind in time")
            return Verdict.UNAVAILABLE
        said = verdict(result)
        if said is Verdict.UNAVAILABLE:
            self._record(f"{self._connection.place.url} answered a bind with result {result.code}")
        return said

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
