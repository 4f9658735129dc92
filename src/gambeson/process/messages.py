"""What the processes say to each other: one struct per message, with limits.

Messages are msgpack maps with defaults, so that doors of the generation before an upgrade still
understand a newer worker or keeper and the other way round: fields may be added, never reused.
What is said with the keeper is in ``keeper_messages``, with the portal in ``portal_messages``.
Which role may send which message is decided where it is received (``keeper_roles.ALLOWED``,
``worker_desk``), by the channel it came in on, never by what the message says of itself.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

MAX_INLINE = 64 * 1024  # octets of one packet; longer bodies travel in a memory file
MAX_MESSAGE = 16 * 1024 * 1024  # octets of one message in all
MAX_STATE = 6 * 1024 * 1024  # octets of a door's throttle counters

Text = Annotated[str, msgspec.Meta(max_length=4096)]
Counter = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Blob = Annotated[bytes, msgspec.Meta(max_length=65536)]
State = Annotated[bytes, msgspec.Meta(max_length=MAX_STATE)]


class Message(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The base of everything that goes through a channel."""


class Refused(Message, frozen=True):
    """The answer to a request that was understood and not granted; ``reason`` is a stable word."""

    reason: Text
    sentence: Text = ""


class Done(Message, frozen=True):
    """The answer to a request that has nothing to tell."""


class Octets(Message, frozen=True):
    """An answer that is one string of octets; repr hides it."""

    value: Blob

    def __repr__(self) -> str:
        return f"Octets(<{len(self.value)} octets>)"


class LongText(Message, frozen=True):
    """An answer that is one long text, such as a revocation list."""

    text: Annotated[str, msgspec.Meta(max_length=MAX_MESSAGE)]


# -- supervisor and child ------------------------------------------------------------------------


class ChildReady(Message, frozen=True):
    """Child to supervisor: privileges are dropped and I serve."""


class BirthFailed(Message, frozen=True):
    """Child to supervisor: I cannot start; ``code`` is the exit status of ``up`` (2 or 3)."""

    sentence: Text
    code: int = 2


class Stop(Message, frozen=True):
    """Supervisor to child: say goodbye and end within ``seconds``."""

    seconds: float = 10.0


class Drain(Message, frozen=True):
    """Supervisor to a door: stop accepting, end with the last session, within ``seconds``."""

    seconds: float = 3900.0


class PeerAdded(Message, frozen=True):
    """Supervisor to child, with one descriptor: the channel to a new peer of that role."""

    name: Text
    role: Text


class PeerGone(Message, frozen=True):
    """Supervisor to child: that peer will not come back; close its channel."""

    name: Text


# -- worker and its followers (doors and keeper) ---------------------------------------------------


class FollowerHello(Message, frozen=True):
    """Door or keeper to worker: I am here, I hold snapshot ``number`` (0: none) and write to
    ``segment`` ("": none). ``life`` tells this process from its predecessor of the same name. The
    worker answers with a SnapshotOffer and, where it is needed, a SegmentOffer."""

    life: Counter
    number: Counter = 0
    segment: Text = ""


class WorkerHello(Message, frozen=True):
    """Worker to follower after its own start: please say FollowerHello again."""


class SnapshotOffer(Message, frozen=True):
    """Worker to follower, with one descriptor: the file of snapshot ``number``."""

    number: Counter


class SnapshotFresh(Message, frozen=True):
    """Worker to follower: snapshot ``number`` still says what the store says, as of ``at``."""

    number: Counter
    at: float


class SnapshotAck(Message, frozen=True):
    """Follower to worker: I hold ``number`` and what it no longer admits is closed."""

    number: Counter


class SnapshotAge(Message, frozen=True):
    """Follower to worker, every few seconds: the snapshot I hold was last known to be true ``seconds`` ago."""

    seconds: float


class ThrottleAsk(Message, frozen=True):
    """Worker to door: how do your throttle counters stand? Answered by ThrottleState."""


class ThrottleState(Message, frozen=True):
    """A door's throttle counters, which only a door reads. Door to worker: keep these for whoever comes after me.
    Worker to door, once after its hello: how those before you stood (empty: nobody was)."""

    data: State = b""

    def __repr__(self) -> str:
        return f"ThrottleState(<{len(self.data)} octets>)"


class SegmentOffer(Message, frozen=True):
    """Worker to follower, with one append-only descriptor: write events to ``segment`` from now."""

    segment: Text


class SegmentClosed(Message, frozen=True):
    """Follower to worker: nothing more will be written to ``segment``."""

    segment: Text


class SessionInfo(Message, frozen=True):
    """One open session as a door lists it. ``since`` is seconds since 1970."""

    id: Text
    door: Text
    organisation: Text = ""
    account: Text = ""
    address: Text = ""
    device: Text = ""
    source: Text = ""
    since: float = 0.0
    process: Text = ""
    server: Text = ""


class SessionsAsk(Message, frozen=True):
    """List the open sessions (of one organisation, or all where it is empty)."""

    organisation: Text = ""


class Sessions(Message, frozen=True):
    """``missing`` names the doors that did not answer."""

    sessions: tuple[SessionInfo, ...] = ()
    missing: tuple[Text, ...] = ()


class KillAsk(Message, frozen=True):
    """Close every session that matches all fields that are set; none set matches nothing."""

    session: Text = ""
    device: Text = ""
    account: Text = ""
    organisation: Text = ""


class Killed(Message, frozen=True):
    """How many sessions were closed, and which doors did not answer."""

    count: int = 0
    missing: tuple[Text, ...] = ()


# -- command line and console to worker ------------------------------------------------------------


class PublishAsk(Message, frozen=True):
    """Read the store again, publish, and wait up to ``seconds`` for everyone's acknowledgement."""

    seconds: float = 1.0


class Published(Message, frozen=True):
    """Which snapshot, who holds it and has acted on it, and who has not."""

    number: Counter
    acknowledged: tuple[Text, ...] = ()
    missing: tuple[Text, ...] = ()


class HealthAsk(Message, frozen=True):
    """How is everyone?"""


class Health(Message, frozen=True):
    """``followers`` maps each door and the keeper to the snapshot it holds (0: none yet)."""

    number: int = 0
    made_at: float = 0.0
    followers: dict[str, int] = {}
    damaged: int = 0
    problem: Text = ""


WorkerRequest = PublishAsk | SessionsAsk | KillAsk | HealthAsk
FromFollower = FollowerHello | SnapshotAck | SegmentClosed | SnapshotAge | ThrottleState
ToFollower = (
    WorkerHello
    | SnapshotOffer
    | SnapshotFresh
    | SegmentOffer
    | SessionsAsk
    | KillAsk
    | ThrottleAsk
    | ThrottleState
)
FromSupervisor = Stop | Drain | PeerAdded | PeerGone
ToSupervisor = ChildReady | BirthFailed
