"""What every child of the supervisor does: be born, take its descriptors, drop, serve, stop.

A child's main reads so::

    birth = child.birth()                      # descriptors, role, parameters
    ...                                        # imports, certificates, keys: still with rights
    birth.drop()                               # rights away, verified; sealed where it may be
    async with birth.attend() as life:         # the supervisor's channel
        life.ready()
        await life.stopped.wait()

A child ignores SIGINT (the terminal sends it to everyone; the supervisor decides), takes SIGTERM like
the supervisor's Stop, and ends when the supervisor is gone, however that happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from . import privileges, seal_imports
from .channel import Channel, ChannelGone
from .messages import BirthFailed, ChildReady, Drain, FromSupervisor, PeerAdded, PeerGone, Stop
from .packet import NOTE, seal_packet, send_packet

BIRTH_VARIABLE = "GAMBESON_BIRTH"
SUPERVISOR = "supervisor"


class ChannelPlace(msgspec.Struct, frozen=True):
    """One inherited channel: the peer's name and role and our end's descriptor."""

    name: str
    role: str
    fd: int


class BirthCertificate(msgspec.Struct, frozen=True):
    """What the supervisor writes for a child, in a memory file. ``parent`` is its process id,
    ``owner`` the numeric user whom the data belongs to;
    ``listeners`` maps listener names to descriptors; ``parameters`` are plain JSON values."""

    role: str
    name: str
    parent: int
    owner: int = 0
    user: str = ""
    sealed: bool = False
    channels: tuple[ChannelPlace, ...] = ()
    listeners: dict[str, int] = {}
    parameters: dict[str, Any] = {}


class Peer:
    """A channel not yet spoken on: its peer's name and role and our socket."""

    def __init__(self, name: str, role: str, sock: socket.socket) -> None:
        self.name, self.role, self.sock = name, role, sock


class Life:
    """The supervisor's orders as events. ``stopped`` is set on Stop, SIGTERM and the supervisor's
    end (``orphaned``); ``draining`` on Drain. ``seconds`` is how long the order gives.
    ``on_peer`` and ``on_peer_gone`` may be set before :meth:`ready`; peers that came are kept."""

    def __init__(self, birth: Birth) -> None:
        self.stopped = asyncio.Event()
        self.draining = asyncio.Event()
        self.orphaned = False
        self.seconds = 10.0
        self.on_peer: Callable[[Peer], None] | None = None
        self.on_peer_gone: Callable[[str], None] | None = None
        sock = birth.peers.pop(SUPERVISOR).sock
        self._channel = Channel(sock, FromSupervisor, self._order, name=SUPERVISOR, on_end=self._orphan)

    def ready(self) -> None:
        """Tell the supervisor that we serve."""
        with contextlib.suppress(ChannelGone):
            self._channel.send(ChildReady())

    def stop(self) -> None:
        """End of our own accord, as if ordered."""
        self.stopped.set()

    def close(self) -> None:
        """The supervisor's channel is no longer needed."""
        self._channel.close()

    def _orphan(self) -> None:
        self.orphaned, self.seconds = True, 1.0
        self.stopped.set()

    def _order(self, message: FromSupervisor, fds: tuple[int, ...]) -> None:
        taken = 0
        match message:
            case Stop(seconds=seconds):
                self.seconds = seconds
                self.stopped.set()
            case Drain(seconds=seconds):
                self.seconds = seconds
                self.draining.set()
            case PeerAdded(name=name, role=role):
                if fds and self.on_peer is not None:
                    taken = 1
                    self.on_peer(Peer(name, role, socket.socket(fileno=fds[0])))
            case PeerGone(name=name):
                if self.on_peer_gone is not None:
                    self.on_peer_gone(name)
        for fd in fds[taken:]:
            os.close(fd)


class Birth:
    """A child's inheritance. ``peers`` by name (the supervisor's among them until :meth:`attend`),
    ``listeners`` by name, ``parameters`` as the program above gave them."""

    def __init__(self, certificate: BirthCertificate) -> None:
        self.certificate = certificate
        self.role, self.name = certificate.role, certificate.name
        self.parameters, self.owner = certificate.parameters, certificate.owner
        self.peers = {c.name: Peer(c.name, c.role, socket.socket(fileno=c.fd)) for c in certificate.channels}
        self.listeners = {n: socket.socket(fileno=fd) for n, fd in certificate.listeners.items()}

    def drop(self, refused: Callable[[str], None] | None = None) -> None:
        """Preload, give up rights, and seal where the supervisor says so. ``refused`` is told what was asked for after
        that (default: it is written to the log). Raises PrivilegeError."""
        seal_imports.preload()
        privileges.drop(self.certificate.user, self.certificate.parent)
        if self.certificate.sealed:
            seal_imports.seal(refused or _logger(self.name))

    def fail(self, sentence: str, code: int = 2) -> int:
        """Tell the supervisor in one sentence why there is no start; returns the exit status."""
        failed = BirthFailed(sentence=sentence[:4000], code=code)
        with contextlib.suppress(OSError, KeyError):
            send_packet(self.peers[SUPERVISOR].sock, seal_packet(NOTE, 0, 0, 0.0, failed))
        return code

    @contextlib.asynccontextmanager
    async def attend(self) -> AsyncIterator[Life]:
        """Listen to the supervisor; SIGTERM stops, SIGINT is passed over."""
        loop = asyncio.get_running_loop()
        life = Life(self)
        loop.add_signal_handler(signal.SIGTERM, life.stop)
        try:
            yield life
        finally:
            life.close()


def _logger(name: str, most: int = 20) -> Callable[[str], None]:
    """Writes what was refused to the log: somebody who is not us is in there, or we forgot to import something."""
    left = most

    def tell(what: str) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            line = f"gambeson: {name}: refused after the drop of privileges: {what[:300]}\n"
            with contextlib.suppress(OSError):
                os.write(2, line.encode("utf-8", "backslashreplace"))

    return tell


def birth() -> Birth:
    """Take what the supervisor left for us. Raises RuntimeError where nobody started us as a child."""
    number = os.environ.pop(BIRTH_VARIABLE, "")
    if not number.isdecimal():
        raise RuntimeError("this program is started by 'gambeson up', not by hand")
    with open(int(number), "rb") as file:
        certificate = msgspec.msgpack.decode(file.read(), type=BirthCertificate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    privileges.die_with_parent(certificate.parent)
    born = Birth(certificate)
    for sock in (*(p.sock for p in born.peers.values()), *born.listeners.values()):
        sock.set_inheritable(False)
    return born


def run(main: Callable[[Birth], int]) -> int:
    """Run a child's main; errors at birth go to the supervisor as one sentence, not a traceback."""
    try:
        born = birth()
    except RuntimeError as error:
        print(f"gambeson: {error}", file=sys.stderr)
        return 2
    try:
        return main(born)
    except privileges.PrivilegeError as error:
        return born.fail(f"{born.name}: {error}")
