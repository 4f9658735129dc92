"""The keeper's loop: channels in, answers out, each checked by the role of the channel it came on.

Call :func:`rehearse` before the drop of privileges, :class:`Keeper` after it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import argon2
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gambeson.model.access import DoorKind
from gambeson.model.asset import Account, Credential, CredentialKind, Device
from gambeson.model.organisation import Organisation
from gambeson.model.server import MailServer, SignIn
from gambeson.model.snapshot import Snapshot, SnapshotIndex

from . import possession
from .channel import Channel
from .child import Life, Peer
from .command_socket import CommandSocket
from .keeper_core import KeeperCore
from .keeper_messages import (
    CheckPasswordAsk,
    CredentialAsk,
    CredentialGiven,
    HashPasswordAsk,
    KeeperRequest,
    PasswordAsk,
    PublicKeysAsk,
    SignHeadAsk,
)
from .keeper_passwords import Passwords, affordable
from .keeper_roles import ALLOWED
from .keys import KeeperKeys
from .portal_messages import CodeVerifierAsk, PortalKeeperAsk, TotpAsk, TotpStep
from .worker_link import WorkerLink

_ASKS: dict[str, Any] = dict.fromkeys(("portal", "console", "command"), KeeperRequest | PortalKeeperAsk)


def rehearse(keys: KeeperKeys) -> None:
    """Do everything once before the drop, with nothing at stake: what libraries load only when it is
    first needed is loaded then, and a key that does not work stops the start. Raises what they raise."""
    now = time.time()
    accounts = (Account("a", "o", "a@example.org"),)
    device = Device("d", "o", "a", "rehearsal", doors=(DoorKind.IMAP,))
    issued = keys.authority.issue(
        credential="c", name="n", address="a@example.org", now=now, password="-" * 12
    )
    keys.authority.issue(
        credential="c", name="n", address="a@example.org", now=now, password="-" * 12, legacy=True
    )
    key = load_pem_private_key(issued.key_pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, SHA256())
    csr = request.public_bytes(Encoding.PEM)
    keys.authority.issue(credential="c", name="n", address="a@example.org", now=now, csr=csr)
    der = x509.load_pem_x509_certificate(issued.certificate_pem.encode()).public_bytes(Encoding.DER)
    assert keys.authority.issued(der)
    keys.authority.revocation_list([("c", now)], now)
    digest = bytes(32)
    signature = key.sign(possession.LABEL + digest, ec.ECDSA(SHA256()))
    proof = msgspec.msgpack.encode(possession.Transcript(0x0403, digest, signature))
    row = Credential("c", "o", "d", CredentialKind.CERTIFICATE, issued.fingerprint)
    servers = (MailServer("s", "o"), MailServer("t", "o", sign_in=SignIn.SEALED))
    organisations = (Organisation("o", "o"),)
    core = KeeperCore(keys)
    core.take(SnapshotIndex(Snapshot(1, now, organisations, accounts, (device,), (row,), servers)))
    given = core.answer("doors", "d", CredentialAsk("a", "s", "imap", "", "", der, proof), now)
    assert isinstance(given, CredentialGiven)
    keys.sealer.open(keys.sealer.seal(b"x", "y"), "y")
    core.answer("worker", "w", SignHeadAsk(payload=b""), now)
    core.answer("worker", "w", PublicKeysAsk(), now)
    core.answer("portal", "p", CodeVerifierAsk(code="x", context="binding:"), now)
    box, code = keys.sealer.seal(bytes(20), "totp:"), "812658"  # that of step 1
    step = core.answer("portal", "p", TotpAsk(sealed=box, context="totp:", code=code), 30.0)
    assert step == TotpStep(step=1)
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    hashed = hasher.hash("x")
    assert affordable(hashed)
    hasher.verify(hashed, "x")


class Keeper:
    """One keeper. ``peers`` are the doors', the worker's, the portal's and the console's channels."""

    def __init__(
        self,
        keys: KeeperKeys,
        *,
        issuer: str = "gambeson",
        masters: dict[str, str] | None = None,
        max_age: float = 3600.0,
        edges: bool = False,
        clock: Callable[[], float] = time.time,
        hasher: argon2.PasswordHasher | None = None,
    ) -> None:
        self._core = KeeperCore(
            keys,
            issuer=issuer,
            masters=masters,
            record=self._record,
            record_portal=self._record_portal,
            max_age=max_age,
            edges=edges,
        )
        self._clock = clock
        self._channels: dict[str, Channel] = {}
        self._gone: set[str] = set()
        self._link: WorkerLink | None = None
        self._command: CommandSocket | None = None
        self._passwords = Passwords(self._core, self._record_password, hasher)

    async def start(
        self,
        peers: Sequence[Peer],
        feed: Peer,
        command: socket.socket | None = None,
        owner: int = 0,
        patience: float = 20.0,
    ) -> None:
        """Serve administrators at once, and doors as soon as there is a snapshot to judge by and a
        record to write to: until then their questions wait in the channel, and those that can still be
        answered in time are. After ``patience`` seconds doors are served whatever is missing: refused.
        ``feed`` is the worker's channel."""
        self._link = WorkerLink(
            feed.sock,
            "keeper",
            on_snapshot=self._core.take,
            on_fresh=self._freshen,
            asked=lambda message: self._core.answer("worker", "worker", message, self._clock()),
            clock=self._clock,
        )
        if command is not None:
            handler = self._handler("command", "command")
            self._command = CommandSocket(command, owner, _ASKS["command"], handler)
        for peer in peers:
            if peer.role != "doors":
                self.add_peer(peer)
        with contextlib.suppress(TimeoutError):
            await self._link.first(patience)
        for peer in peers:
            if peer.role == "doors" and peer.name not in self._gone:
                self.add_peer(peer)

    def add_peer(self, peer: Peer) -> None:
        """A new channel; its role is what the supervisor says. Roles that may ask nothing get none."""
        if peer.role not in ALLOWED or peer.role == "worker":
            peer.sock.close()
            return
        handler = self._handler(peer.role, peer.name)
        asks = _ASKS.get(peer.role, KeeperRequest)
        self._channels[peer.name] = Channel(peer.sock, asks, handler, name=peer.name, take_fds=False)

    def attend(self, sock: socket.socket, on_end: Callable[[], None]) -> None:
        """One administrator's channel, for as long as it lasts: the command line's, while nothing runs."""
        handler = self._handler("command", "command")
        self._channels["command"] = Channel(
            sock, _ASKS["command"], handler, name="command", take_fds=False, on_end=on_end
        )

    def remove_peer(self, name: str) -> None:
        """That peer is gone for good."""
        self._gone.add(name)
        channel = self._channels.pop(name, None)
        if channel is not None:
            channel.close()

    async def run(self, life: Life) -> None:
        """Until the supervisor says stop."""
        await life.stopped.wait()
        for channel in self._channels.values():
            channel.close()
        if self._command is not None:
            self._command.close()
        if self._link is not None:
            await self._link.close()

    def _freshen(self, index: SnapshotIndex) -> None:
        self._core.index = index

    def _record(self, door: str, ask: CredentialAsk, found: Credential | None, outcome: str) -> bool:
        assert self._link is not None
        return self._link.spool.append(
            "keeper.credential.given" if outcome == "given" else "keeper.credential.refused",
            self._clock(),
            organisation=found.organisation if found is not None else "",
            account=ask.account[:128],
            device=found.device if found is not None else "",
            door=ask.door[:32],
            source=ask.source[:64],
            data={
                "server": ask.server[:128],
                "outcome": outcome,
                "by": door,
                "credential": found.id if found else "",
            },
        )

    def _record_password(self, door: str, ask: PasswordAsk, found: Credential | None, outcome: str) -> bool:
        assert self._link is not None
        kind = {"right": "right", "wrong": "wrong", "no-password": "wrong"}.get(outcome, "refused")
        return self._link.spool.append(
            f"keeper.password.{kind}",
            self._clock(),
            organisation=found.organisation if found is not None else "",
            account=ask.account[:128],
            device=found.device if found is not None else "",
            door=ask.door[:32],
            source=ask.source[:64],
            data={"outcome": outcome, "by": door, "credential": found.id if found else ""},
        )

    def _record_portal(self, kind: str, organisation: str, account: str, data: dict[str, object]) -> bool:
        assert self._link is not None
        return self._link.spool.append(
            kind, self._clock(), organisation=organisation, account=account, data={**data, "by": "portal"}
        )

    def _handler(self, role: str, name: str) -> Any:
        def handle(message: Any, fds: tuple[int, ...]) -> Any:
            for fd in fds:
                os.close(fd)
            if isinstance(message, CheckPasswordAsk) and role == "portal":
                return self._passwords.at_portal(message, self._clock())
            if isinstance(message, HashPasswordAsk | CheckPasswordAsk) and type(message) in ALLOWED[role]:
                return self._passwords.administer(message)
            if isinstance(message, PasswordAsk) and PasswordAsk in ALLOWED[role]:
                return self._passwords.beside(name, message, self._clock())
            return self._core.answer(role, name, message, self._clock())

        return handle
