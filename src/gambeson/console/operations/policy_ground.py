"""What a proposed policy is tried on: one organisation by itself, and the sign-ins that were recorded there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf, nextafter
from typing import cast

from gambeson.console.office import Office
from gambeson.model.event import Event
from gambeson.model.rule import Policy
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.store.events import Events

_CHUNK = 2_000
_SIGN_INS = "door.login"
Step = Callable[[int], None]


class TooMuchError(Exception):
    """More than may be looked at while somebody waits."""


class SignIns:
    """Recorded sign-ins, the newest first, read a page at a time. Several may have one time: those at the edge of a
    page are asked for again and passed over. ``most`` are given at most; ``strict`` raises TooMuchError for more.
    ``oldest`` is the time of the last that was given, ``more`` says whether there were others; ``step`` is told how
    many were read."""

    def __init__(self, events: Events, since: float, most: int, strict: bool, step: Step | None) -> None:
        self._events, self._since, self._most = events, since, most
        self._strict, self._step = strict, step
        self.more, self.oldest = False, 0.0

    def __iter__(self) -> Iterator[Event]:
        until, edge, read, size = 0.0, frozenset[str](), 0, _CHUNK
        while True:
            page = self._events.query(kind=_SIGN_INS, since=self._since, until=until, limit=size)
            new = [event for event in page if event.id not in edge]
            for event in new:
                if read >= self._most:
                    self.more = True
                    if self._strict:
                        raise TooMuchError
                    return
                read, self.oldest = read + 1, event.at
                yield event
            if self._step is not None:
                self._step(read)
            if len(page) < size:
                return
            last = page[-1].at
            edge = frozenset(event.id for event in page if event.at == last)
            until = nextafter(last, inf)
            size = _CHUNK + len(edge)  # so that each page brings something new


def own_index(office: Office, organisation: str) -> SnapshotIndex:
    """The store as a door would get it now, with nobody in it but this organisation."""
    index = office.index()
    key = f"policy: only {organisation}"
    if key not in index.memo:
        index.memo[key] = _excerpt(index.snapshot, organisation)
    return SnapshotIndex(replace(cast(Snapshot, index.memo[key]), made_at=office.at))


def _excerpt(whole: Snapshot, organisation: str) -> Snapshot:
    return replace(
        whole,
        organisations=tuple(o for o in whole.organisations if o.id == organisation),
        accounts=tuple(a for a in whole.accounts if a.organisation == organisation),
        devices=tuple(d for d in whole.devices if d.organisation == organisation),
        credentials=tuple(c for c in whole.credentials if c.organisation == organisation),
        servers=tuple(s for s in whole.servers if s.organisation in ("", organisation)),
        policies=tuple(p for p in whole.policies if p.organisation == organisation),
        bypass_until=tuple(b for b in whole.bypass_until if b[0] == organisation),
        sites=tuple(s for s in whole.sites if s.organisation in ("", organisation)),
    )


def with_policy(index: SnapshotIndex, organisation: str, policy: Policy) -> SnapshotIndex:
    """The same with another policy of this organisation."""
    held = index.policy.get(organisation)
    policy = replace(policy, version=held.version if held is not None else 0)
    return SnapshotIndex(replace(index.snapshot, policies=(policy,)))
