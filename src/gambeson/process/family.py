"""Who is a child of the supervisor, and which two of them have a channel.

The supervisor keeps both ends of every channel here, so that a child started anew inherits the very
channel of the one before. A door has a channel of its own to worker and keeper: what comes in on it
has that door's role and name, whatever it says of itself.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping

import msgspec

from .channel import Channel
from .child import BIRTH_VARIABLE, SUPERVISOR, BirthCertificate, ChannelPlace
from .packet import pair

DOORS, KEEPER, WORKER, CONSOLE = "doors", "keeper", "worker", "console"
PORTAL = "portal"  # where members sign in with a browser, behind the doors
PLAYGROUND = "playground"  # the embedded mail server: it talks to nobody but the supervisor
TALKS_TO = {
    DOORS: (WORKER, KEEPER, PORTAL),
    KEEPER: (WORKER, DOORS, PORTAL, CONSOLE),
    WORKER: (KEEPER, DOORS, PORTAL, CONSOLE),
    PORTAL: (WORKER, KEEPER, DOORS),
    CONSOLE: (WORKER, KEEPER),
}
FIRST_BACKOFF, LAST_BACKOFF, STEADY_SECONDS = 0.2, 10.0, 30.0


def talk(one: str, other: str) -> bool:
    """True where two roles have a channel. Two doors, or two of any one role, never have."""
    return other in TALKS_TO.get(one, ())


class Switchboard:
    """Every channel between children: both ends, by the two names."""

    def __init__(self) -> None:
        self._roles: dict[str, str] = {}
        self._ends: dict[tuple[str, str], socket.socket] = {}

    def join(self, name: str, role: str) -> list[str]:
        """A new child: channels to all it talks to. Returns their names."""
        peers = [other for other, its in self._roles.items() if talk(role, its)]
        self._roles[name] = role
        for other in peers:
            self._ends[name, other], self._ends[other, name] = pair()
        return peers

    def leave(self, name: str) -> list[str]:
        """A child that will not come back. Returns the names of those it talked to."""
        self._roles.pop(name, None)
        peers = [other for mine, other in self._ends if mine == name]
        for other in peers:
            self._ends.pop((name, other)).close()
            self._ends.pop((other, name)).close()
        return peers

    def ends_of(self, name: str) -> dict[str, tuple[str, socket.socket]]:
        """What the child inherits: peer's name to its role and our end."""
        return {other: (self._roles[other], s) for (mine, other), s in self._ends.items() if mine == name}

    def close(self) -> None:
        """All of them."""
        for sock in self._ends.values():
            sock.close()
        self._ends.clear()


class Child:
    """One slot: the processes that fill it come and go, its name and channels stay."""

    def __init__(self, name: str, role: str) -> None:
        self.name, self.role = name, role
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: Channel | None = None
        self.pidfd = -1
        self.ready = False
        self.leaving = False  # draining, stopping or being replaced: its end is no failure
        self.failures = 0
        self.said = ""
        self.reason = ""
        self.born_at = 0.0

    def spawn(
        self,
        argv: list[str],
        certificate: BirthCertificate,
        ends: Mapping[str, tuple[str, socket.socket]],
        listeners: Mapping[str, socket.socket],
    ) -> socket.socket:
        """Start a process by exec with exactly these descriptors. Returns the supervisor's end of
        its channel. Raises OSError where the program cannot be started."""
        ours, theirs = pair()
        places = [ChannelPlace(name=SUPERVISOR, role=SUPERVISOR, fd=theirs.fileno())]
        places += [ChannelPlace(name=n, role=r, fd=s.fileno()) for n, (r, s) in ends.items()]
        certificate = msgspec.structs.replace(
            certificate,
            channels=tuple(places),
            listeners={n: s.fileno() for n, s in listeners.items()},
        )
        paper = os.memfd_create("gambeson-birth", os.MFD_CLOEXEC)
        try:
            os.write(paper, msgspec.msgpack.encode(certificate))
            os.lseek(paper, 0, os.SEEK_SET)
            self.process = subprocess.Popen(  # noqa: S603 - argv is ours, no shell
                argv,
                stdin=subprocess.DEVNULL,
                pass_fds=(paper, *(p.fd for p in places), *certificate.listeners.values()),
                env={**os.environ, BIRTH_VARIABLE: str(paper)},
                process_group=0,
            )
        except OSError:
            ours.close()
            raise
        finally:
            os.close(paper)
            theirs.close()
        self.ready, self.leaving, self.reason = False, False, ""
        self.born_at = time.monotonic()
        self.pidfd = os.pidfd_open(self.process.pid)
        return ours

    def bury(self) -> int:
        """Collect the exit status of a process that ended and forget it."""
        assert self.process is not None
        status = self.process.wait()
        os.close(self.pidfd)
        if self.channel is not None:
            self.channel.close()
        self.process, self.channel, self.pidfd, self.ready = None, None, -1, False
        return status

    def backoff(self) -> float:
        """Seconds to wait before the next start, after one more failure."""
        if time.monotonic() - self.born_at > STEADY_SECONDS:
            self.failures = 0
        self.failures += 1
        return float(min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(self.failures - 1, 16)))


def by_role(children: Iterable[Child], *roles: str) -> list[Child]:
    """Those of the roles, in the order of the roles."""
    return [c for role in roles for c in children if c.role == role]
