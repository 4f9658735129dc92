"""Where the worker keeps the throttle counters of doors, so that a new door goes on counting.

Octets that only doors read: the worker neither opens nor trusts them. One place per door slot (``doors.3.1`` is slot
1 of the third generation), so that a door can replace nobody's counters but those of its own slot, and only
while no younger door of that slot is there. In memory at once, on disk a little later.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

import msgspec

from .messages import State

_NAME = re.compile(r"[a-z]{1,16}\.(\d{1,9})\.(\d{1,3})\Z")
_FILE = re.compile(r"(\d{1,3})\.state\Z")


class Kept(msgspec.Struct, frozen=True):
    """What door ``name`` said last."""

    name: str
    data: State


def place(name: str) -> tuple[int, int]:
    """Slot and generation of a door's name; another name than the supervisor's has slot 0, generation 0."""
    match = _NAME.match(name)
    return (int(match[2]), int(match[1])) if match else (0, 0)


def elder(name: str, others: Collection[str]) -> str:
    """The youngest of the doors of the same slot that are older than ``name``; "" for none."""
    slot, generation = place(name)
    found = [(place(other)[1], other) for other in others if place(other)[0] == slot and other != name]
    return max((each for each in found if each[0] < generation), default=(0, ""))[1]


class ThrottleShelf:
    """Over ``folder``, made 0700 where it is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kept: dict[int, Kept] = {}
        self._unwritten: set[int] = set()
        for path in sorted(folder.iterdir()):
            match = _FILE.match(path.name)
            if match is None:
                continue
            try:
                self._kept[int(match[1])] = msgspec.msgpack.decode(path.read_bytes(), type=Kept)
            except (OSError, msgspec.MsgspecError):
                path.unlink(missing_ok=True)  # a torn write: the failures in the snapshot still count

    def put(self, name: str, data: bytes, present: Collection[str]) -> bool:
        """Keep what ``name`` says; not where a younger door of its slot is among those ``present``."""
        slot, generation = place(name)
        if any(place(other)[0] == slot and place(other)[1] > generation for other in present):
            return False
        self._kept[slot] = Kept(name, data)
        self._unwritten.add(slot)
        return True

    def said_by(self, name: str) -> bool:
        """Whether what is kept for its slot is its own."""
        kept = self._kept.get(place(name)[0])
        return kept is not None and kept.name == name

    def get(self, name: str) -> bytes:
        """What a new door of this name begins with: its slot's counters, else the first slot's, else nothing."""
        kept = self._kept.get(place(name)[0]) or self._kept.get(0)
        return kept.data if kept is not None else b""

    def take_unwritten(self) -> list[tuple[int, Kept]]:
        """What changed since the last call, for :meth:`write`."""
        changed = [(slot, self._kept[slot]) for slot in sorted(self._unwritten)]
        self._unwritten.clear()
        return changed

    def write(self, changed: list[tuple[int, Kept]]) -> None:
        """Put it on disk: each file whole or not at all. Touches no state but the files. Raises OSError."""
        for slot, kept in changed:
            path = self._folder / f"{slot}.state"
            beside = path.with_suffix(".new")
            with open(
                os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb"
            ) as file:
                file.write(msgspec.msgpack.encode(kept))
            beside.replace(path)
