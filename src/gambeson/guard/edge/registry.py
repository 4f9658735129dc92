"""The open sessions: listed, killed one by one, and judged again when the snapshot changes.

A session keeps what was proven when it was admitted, never the secret. Judging again asks the same
``decide`` as at the door, after looking whether the credential is still the one it was.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gambeson.guard.core.decide import decide
from gambeson.guard.core.identify import alive
from gambeson.model.access import AccessRequest, DoorKind, Identity, Rung
from gambeson.model.snapshot import SnapshotIndex

from .wheel import Wheel

_CHUNK = 100  # sessions judged in one turn of the loop


class Link(Protocol):
    """The moving part of a session: splice or relay."""

    def farewell(self, sentence: str) -> None:
        """Say goodbye in the protocol where that can be done, and close."""

    def cut(self) -> None:
        """Close both sides at once."""


@dataclass(frozen=True, slots=True)
class SessionView:
    """One line of the list of sessions. Times are seconds since 1970, ``idle`` seconds, bytes octets."""

    id: str
    door: DoorKind
    listener: str
    account: str
    address: str
    device: str
    credential: str
    organisation: str
    source: str
    server: str
    since: float
    idle: float
    from_client: int
    to_client: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What admitted a session: enough to judge it again, nothing to impersonate it with.

    ``public_id`` and ``verifier`` are the credential's at admission: another value under the same id means
    that it was replaced. ``senders`` is whom a submission session may write as: it was told to the relay once.
    """

    request: AccessRequest
    public_id: str = ""
    verifier: bytes = b""
    senders: frozenset[str] = frozenset()


class Session:
    """One signed-in session. ``last`` is the loop's time of the last octet, a second coarse; ``until`` the time
    (seconds since 1970) at which it ends whatever moves; 0.0: none of its own."""

    __slots__ = (
        "down",
        "id",
        "idle_limit",
        "last",
        "link",
        "listener",
        "on_closed",
        "proof",
        "reason",
        "server",
        "since",
        "spoke",
        "until",
        "up",
    )

    def __init__(
        self, id: str, listener: str, proof: Proof, server: str, since: float, now: float, idle_limit: float
    ) -> None:
        self.id = id
        self.listener = listener
        self.proof = proof
        self.server = server
        self.since = since
        self.last = now
        self.idle_limit = idle_limit
        self.until = 0.0
        self.up = 0
        self.down = 0
        self.reason = ""
        self.spoke = 0
        self.link: Link | None = None
        self.on_closed: Callable[[Session], None] | None = None

    @property
    def ending(self) -> bool:
        """Whether it was told to end, or one of its sides has left."""
        return bool(self.reason) or self.link is None

    @property
    def identity(self) -> Identity:
        """Who it is."""
        return self.proof.request.identity

    @property
    def door(self) -> DoorKind:
        """Which door it came through."""
        return self.proof.request.door

    def due(self, now: float) -> float:
        """The idle limit may have passed."""
        ends = self.last + self.idle_limit
        if ends > now:
            return ends
        self.close("idle", "Nothing was heard for too long; please connect again.")
        return 0.0

    def close(self, reason: str, sentence: str) -> None:
        """End it with the protocol's goodbye. ``reason`` is for the record."""
        if self.link is not None and not self.reason:
            self.reason = reason
            self.link.farewell(sentence)

    def closed(self, reason: str) -> None:
        """The link says that it is gone. Idempotent."""
        self.reason = self.reason or reason
        self.link = None
        report, self.on_closed = self.on_closed, None
        if report is not None:
            report(self)


def proof_of(request: AccessRequest, index: SnapshotIndex) -> Proof:
    """The proof that a session keeps."""
    credential = index.credential.get(request.identity.credential)
    if credential is None:
        return Proof(request, senders=senders_of(request, index))
    return Proof(request, credential.public_id, credential.verifier, senders_of(request, index))


def senders_of(request: AccessRequest, index: SnapshotIndex) -> frozenset[str]:
    """The addresses that a submission session may write as: the device's own, else the account's."""
    if request.door is not DoorKind.SUBMISSION:
        return frozenset()
    identity = request.identity
    device = index.device.get(identity.device)
    if device is not None and device.senders:
        return frozenset(device.senders)
    account = index.account.get(identity.account) or index.account_by_address.get(identity.claimed)
    return frozenset((account.address, *account.aliases) if account is not None else (identity.claimed,))


def still_admitted(proof: Proof, index: SnapshotIndex, now: float) -> bool:
    """Whether the snapshot would let the session in at ``now``, given what was proven then."""
    identity = proof.request.identity
    if identity.credential:
        credential = index.credential.get(identity.credential)
        device = index.device.get(identity.device)
        if (
            credential is None
            or device is None
            or device.account != identity.account
            or credential.device != identity.device
            or (credential.public_id, credential.verifier) != (proof.public_id, proof.verifier)
            or alive(credential, device, now)
        ):
            return False
    elif identity.session:
        # Its own end is a floor; without a second factor there is no session of the portal.
        if identity.rung < Rung.KNOWLEDGE_AND_CODE or identity.session in index.ended_sessions:
            return False
    elif identity.rung > Rung.KNOWLEDGE:
        return False
    account = index.account.get(identity.account) if identity.account else None
    if account is not None and identity.claimed not in (account.address, *account.aliases):
        return False
    if not proof.senders <= senders_of(proof.request, index):
        return False  # an address was taken away; the relay knows only the old ones
    # An old snapshot admits nobody new; it does not throw out who is there.
    return decide(proof.request, index, now, max_age=math.inf).passes


class Registry:
    """All signed-in sessions of this process."""

    __slots__ = ("_sessions", "_wheel")

    def __init__(self, wheel: Wheel) -> None:
        self._sessions: dict[str, Session] = {}
        self._wheel = wheel

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def add(self, session: Session) -> None:
        """From now on it is listed, timed and judged."""
        self._sessions[session.id] = session
        self._wheel.put(session, session.last + session.idle_limit)

    def discard(self, session: Session) -> None:
        """It is gone."""
        self._sessions.pop(session.id, None)
        self._wheel.remove(session)

    def get(self, id: str) -> Session | None:
        """The session of that id."""
        return self._sessions.get(id)

    def views(self, addresses: Callable[[str], str]) -> list[SessionView]:
        """The list; ``addresses`` turns an account's id into its address."""
        now = self._wheel.now
        return [
            SessionView(
                s.id,
                s.door,
                s.listener,
                s.identity.account,
                addresses(s.identity.account) or s.identity.claimed,
                s.identity.device,
                s.identity.credential,
                s.identity.organisation,
                s.proof.request.source,
                s.server,
                s.since,
                max(0.0, now - s.last),
                s.up,
                s.down,
            )
            for s in self
            if not s.ending
        ]

    async def judge_again(self, index: SnapshotIndex, now: float, sentence: str) -> int:
        """Close every session that ``index`` no longer admits. Returns how many."""
        ended = 0
        for count, session in enumerate(self, 1):
            over = 0.0 < session.until <= now
            if not session.ending and (over or not still_admitted(session.proof, index, now)):
                session.close("no longer admitted", sentence)
                ended += 1
            if count % _CHUNK == 0:
                await asyncio.sleep(0)
        return ended
