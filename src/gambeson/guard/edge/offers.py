"""What the mail servers behind the submission door offer, so that the door offers it before anybody signs in.

Most mail programs read the extensions once, under TLS, and not again behind the sign-in: what stands only there
is used by few. So each server is asked without a credential (EHLO, then QUIT), and heard again at every sign-in.
Offered is what every server heard so far offers, and nothing of theirs until one was: what a door offers it must
keep, whoever signs in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, MailServer, UpstreamTls
from gambeson.model.snapshot import SnapshotIndex
from gambeson.wire.dialogue import Origin, UpstreamCredential
from gambeson.wire.proxyproto import build_v2
from gambeson.wire.smtp_client import SmtpClient
from gambeson.wire.smtp_extensions import KEPT, UPSTREAM

from .upstream import Patience, SignInFailed, Unreachable, UpstreamTrust, sign_in

_ASK_AGAIN = 30.0  # seconds, while a server does not answer
_NOBODY = UpstreamCredential("", "")


class Offers:
    """The extensions by server's name. Only the event loop's thread touches it."""

    __slots__ = ("_asked", "_heard", "_tasks")

    def __init__(self) -> None:
        self._heard: dict[str, frozenset[str]] = {}
        self._asked: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def extensions(self) -> tuple[str, ...]:
        """What to offer before the sign-in."""
        heard = self._heard.values()
        return (*KEPT, *(name for name in UPSTREAM if heard and all(name in one for one in heard)))

    def hear(self, server: str, lines: Iterable[bytes]) -> None:
        """``server`` answered EHLO with these lines."""
        words = (line.decode("ascii", "replace").split() for line in lines)
        self._heard[server] = frozenset(each[0].upper() for each in words if each)

    def keep(self, servers: Collection[str]) -> None:
        """Forget every other server."""
        for known in (self._heard, self._asked):
            for name in [n for n in known if n not in servers]:
                del known[name]

    def ask(self, index: SnapshotIndex, trust: UpstreamTrust, patience: Patience, hostname: str) -> None:
        """Ask the servers of ``index`` that were not heard yet, in tasks; each every half minute at most."""
        loop = asyncio.get_running_loop()
        found = {
            server.name: (server, endpoint)
            for servers in index.servers.values()
            for server in servers
            for endpoint in server.endpoints
            if endpoint.door is DoorKind.SUBMISSION
        }
        self.keep(found)
        for name, (server, endpoint) in found.items():
            if name in self._heard or loop.time() < self._asked.get(name, 0.0):
                continue
            self._asked[name] = loop.time() + _ASK_AGAIN
            task = loop.create_task(self._ask(server, endpoint, trust, patience, hostname))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(
        self, server: MailServer, endpoint: Endpoint, trust: UpstreamTrust, patience: Patience, hostname: str
    ) -> None:
        dialogue = SmtpClient(
            credential=_NOBODY,
            origin=Origin(),
            starttls=endpoint.tls is UpstreamTls.STARTTLS,
            hostname=hostname,
        )
        try:
            side, ready = await sign_in(
                endpoint, dialogue, trust, patience, build_v2("", 0, "", 0) if endpoint.proxy_v2 else b""
            )
        except (Unreachable, SignInFailed):
            return  # who signs in there learns it, and the record says why
        self.hear(server.name, ready.capabilities)
        if side.transport is not None:
            side.transport.write(b"QUIT\r\n")
            side.transport.close()
