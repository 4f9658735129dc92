"""Which mail server a session goes to, and which are well.

An account's own server where it names one, else the organisation's by priority. A server that could not
be reached is left alone for a while; then one session at a time tries it (half open) until one succeeds.
Where none that is well lets us in, those that rest are tried too, the longest rested first: a resting server is better
than none, and refusing without trying helps nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gambeson.model.access import DoorKind
from gambeson.model.asset import Account
from gambeson.model.server import Endpoint, MailServer
from gambeson.model.snapshot import SnapshotIndex

Target = tuple[MailServer, Endpoint]


@dataclass(slots=True)
class _Ill:
    until: float
    failures: int


class Health:
    """What is known of the mail servers that could not be reached, by (server's name, door)."""

    __slots__ = ("_down_for", "_ill", "_probe_for")

    def __init__(self, down_for: float, probe_for: float) -> None:
        self._down_for = down_for
        self._probe_for = probe_for
        self._ill: dict[tuple[str, DoorKind], _Ill] = {}

    def well(self, target: Target, now: float) -> bool:
        """Whether to try it. Answering True for an ill one whose rest is over makes the asker its probe: nobody
        else gets True until that has had time to finish."""
        ill = self._ill.get((target[0].name, target[1].door))
        if ill is None:
            return True
        if now < ill.until:
            return False
        ill.until = now + self._probe_for
        return True

    def rested(self, target: Target) -> float:
        """When its rest ends; smaller is better."""
        ill = self._ill.get((target[0].name, target[1].door))
        return ill.until if ill is not None else 0.0

    def failed(self, target: Target, now: float) -> bool:
        """It could not be reached. True when this is news."""
        key = (target[0].name, target[1].door)
        ill = self._ill.get(key)
        if ill is None:
            self._ill[key] = _Ill(now + self._down_for, 1)
            return True
        ill.failures += 1
        ill.until = now + self._down_for
        return False

    def succeeded(self, target: Target) -> bool:
        """It answered. True when it was ill before."""
        return self._ill.pop((target[0].name, target[1].door), None) is not None

    def ill(self) -> dict[tuple[str, DoorKind], float]:
        """The ill ones and when their rest ends, for the health page."""
        return {key: ill.until for key, ill in self._ill.items()}


def targets(index: SnapshotIndex, organisation: str, account: Account | None, door: DoorKind) -> list[Target]:
    """The servers with an endpoint for this door, in the order to be tried."""
    servers = index.servers.get(organisation, ())
    if account is not None and account.server:
        servers = tuple(s for s in servers if s.name == account.server)
    found: list[Target] = []
    for server in servers:
        endpoint = next((e for e in server.endpoints if e.door is door), None)
        if endpoint is not None:
            found.append((server, endpoint))
    return found


def in_order(candidates: list[Target], health: Health, now: float) -> Iterator[Target]:
    """The well ones; then, where none of them would do, those that rest, the longest rested first. Lazy, because
    asking makes the asker a probe."""
    resting: list[tuple[float, Target]] = []
    for target in candidates:
        until = health.rested(target)
        if health.well(target, now):
            yield target
        else:
            resting.append((until, target))
    for _, target in sorted(resting, key=lambda each: each[0]):
        yield target
