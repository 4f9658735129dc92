"""Ingestion: the worker's side of the spool. Segments out to the writers, events in, each once.

A segment's file is named ``OWNER~LIFE~NUMBER.spool``. The offset up to which it has been taken is
stored in the same transaction as the events, so a kill between any two steps repeats nothing and
loses nothing. A segment is deleted when its writer is done with it (said so, began a newer one, or
died) and all of it is taken; only then is its offset forgotten. What a writer may not say (another
process's event ids, another role's kinds) is thrown away and counted.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gambeson.model.event import Event

from .spool import SpoolReader

ROTATE_AT = 16 * 1024 * 1024
_NAME = re.compile(r"([A-Za-z0-9.-]{1,64})~([0-9a-f]{1,16})~([0-9]{20})\.spool\Z")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything before ``offset`` of ``segment`` is stored."""

    segment: str
    offset: int


Ingest = Callable[[Sequence[Event], Cursor], Awaitable[None]]


class _Segment:
    def __init__(self, path: Path, owner: str, life: int, offset: int) -> None:
        self.path, self.owner, self.life = path, owner, life
        self.reader = SpoolReader(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), offset)
        self.closed = False


class Ingestion:
    """``ingest(events, cursor)`` stores both in one transaction or neither; ``forget(segment)`` drops
    a cursor whose file is gone; ``cursors`` is what was stored before."""

    def __init__(
        self,
        folder: Path,
        ingest: Ingest,
        forget: Callable[[str], Awaitable[None]],
        cursors: Mapping[str, int],
        rotate_at: int = ROTATE_AT,
    ) -> None:
        self.damaged = self.rejected = self.torn = 0
        self._folder, self._ingest, self._forget, self._rotate_at = folder, ingest, forget, rotate_at
        self._segments: dict[str, _Segment] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            match = _NAME.match(path.name)
            if match:
                offset = cursors.get(path.name, 0)
                self._segments[path.name] = _Segment(path, match[1], int(match[2], 16), offset)
        self._stray = [name for name in cursors if name not in self._segments]

    def hello(self, owner: str, life: int, current: str) -> bool:
        """A writer says what it writes to ("": nothing). Older lives and older segments of it are
        closed. True where it needs a segment."""
        for name, segment in self._segments.items():
            if segment.owner == owner and (segment.life != life or name < current):
                segment.closed = True
        known = self._segments.get(current)
        return known is None or known.closed

    def offer(self, owner: str, life: int) -> tuple[str, int]:
        """A segment to write to and an append-only descriptor for it (the caller's). One that was
        offered before and never begun is offered again. Raises OSError."""
        mine = [n for n, s in self._segments.items() if (s.owner, s.life, s.closed) == (owner, life, False)]
        name = max(mine, default="")
        if not name or self._segments[name].reader.size() > 0:
            name = f"{owner}~{life:x}~{time.time_ns():020d}.spool"
            path = self._folder / name
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            self._segments[name] = _Segment(path, owner, life, 0)
        path = self._folder / name
        return name, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)

    def close_segment(self, owner: str, name: str) -> None:
        """Its writer says that nothing more will come."""
        segment = self._segments.get(name)
        if segment is not None and segment.owner == owner:
            segment.closed = True

    def keep_only(self, owners: set[str]) -> None:
        """Nobody else is there any more: their segments are closed."""
        for segment in self._segments.values():
            if segment.owner not in owners:
                segment.closed = True

    def full(self) -> list[tuple[str, int]]:
        """Owner and life of each writer whose newest segment is long enough to be changed."""
        newest: dict[tuple[str, int], str] = {}
        for name, segment in self._segments.items():
            if not segment.closed:
                key = (segment.owner, segment.life)
                newest[key] = max(name, newest.get(key, ""))
        return [k for k, name in newest.items() if self._segments[name].reader.size() >= self._rotate_at]

    async def step(self) -> int:
        """Take what is there. Returns how many events were stored. Raises what ``ingest`` raises;
        nothing is lost then."""
        count = 0
        while self._stray:
            await self._forget(self._stray[-1])
            self._stray.pop()
        for name, segment in sorted(self._segments.items()):
            count += await self._take(name, segment)
        return count

    async def _take(self, name: str, segment: _Segment) -> int:
        closed = segment.closed  # before reading: what was written before the word is then read too
        read = segment.reader.read()
        if read.offset > segment.reader.offset:
            events = [e for e in read.events if _may_say(segment.owner, e)]
            self.rejected += len(read.events) - len(events)
            await self._ingest(events, Cursor(name, read.offset))
            segment.reader.advance(read)
            if not read.damaged:
                return len(events)
        if read.damaged:
            self.damaged += 1
            os.rename(segment.path, segment.path.with_suffix(".damaged"))
        elif closed:
            self.torn += read.torn
            segment.path.unlink(missing_ok=True)
        else:
            return 0
        segment.reader.close()
        del self._segments[name]
        await self._forget(name)
        return 0

    def close(self) -> None:
        """Close every descriptor; the files stay for the next worker."""
        for segment in self._segments.values():
            segment.reader.close()
        self._segments.clear()


def _may_say(owner: str, event: Event) -> bool:
    kind = "keeper." if owner == "keeper" else "door."
    return event.id.startswith(owner + "/") and event.kind.startswith(kind)
