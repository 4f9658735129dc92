"""What the device lane knows of a request, and remembers: who sends it, and the last one that went on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from gambeson.guard.core.web.verdict import Answer, Forward, Headers, ResponseAction, Verdict, WebClient
from gambeson.guard.edge.door_settings import DoorSettings
from gambeson.guard.edge.judgement import Judgement
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Route, Site, WebRequest

ALIKE_SECONDS = 10.0  # how long a door's rule is not asked about the very same request
_ALIKE = "a device's that its door's rule let pass"


@dataclass(frozen=True, slots=True)
class DeviceCall:
    """One request of a proven device. ``verdict`` is what would be given: Forward where it is admitted, else Answer;
    ``judgement`` says why (a quarantined device: ``decision.opinion``)."""

    request: WebRequest
    client: WebClient
    site: Site
    route: Route
    index: SnapshotIndex
    judgement: Judgement
    verdict: Forward | Answer


DeviceRule = Callable[[DeviceCall], Verdict]


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who it is, and what the mail server gets. ``until`` is in seconds since 1970."""

    judgement: Judgement
    index: SnapshotIndex
    headers: Headers = field(repr=False)
    as_is: bool = False
    answered: Callable[[int], None] | None = None
    until: float = 0.0


class Way(NamedTuple):
    """All that a request's verdict hangs on besides its headers and who sent it."""

    method: str
    path: str
    query: str
    settings: DoorSettings
    client: WebClient
    site: Site
    route: Route
    actions: tuple[ResponseAction, ...]
    idle: float

    def same(self, other: Way) -> bool:
        """Whether it is the same. What seldom changes is compared by identity."""
        return (
            self.settings is other.settings
            and self.client is other.client
            and self.site is other.site
            and self.route is other.route
            and self[:3] == other[:3]
            and self[7:] == other[7:]
        )


class _Alike(NamedTuple):
    way: Way
    kept: Admitted
    forward: Forward
    until: float


def recalled(request: WebRequest, way: Way, index: SnapshotIndex, now: float) -> Forward | None:
    """The verdict on the last request with these headers, where it was the same one under the same snapshot."""
    last: _Alike | None = request.memo.get(_ALIKE)
    if last is None or not now < last.until or last.kept.index.memo is not index.memo:
        return None
    return last.forward if last.way.same(way) else None


def remember(request: WebRequest, way: Way, kept: Admitted, forward: Forward, now: float) -> None:
    """A door's rule let the request pass. As long as nothing that it sees is another, it would again."""
    request.memo[_ALIKE] = _Alike(way, kept, forward, min(kept.until, now + ALIKE_SECONDS))
