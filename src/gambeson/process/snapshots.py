"""Snapshots as files: encoded, numbered, sealed against damage, published, received.

A file is ``GAMSNAP1``, the number (8 octets, big-endian), the msgpack of the frozen dataclasses and a
BLAKE2b-256 of everything before. The worker writes it beside, syncs it, renames it into place and
keeps the last three; doors and keeper get the open file through their channel, never a path. A
receiver never takes a number lower than the one it holds.
"""

from __future__ import annotations

import copy
import dataclasses
import hmac
import os
import re
import stat
from hashlib import blake2b
from pathlib import Path

import msgspec

from gambeson.model.snapshot import Snapshot, SnapshotIndex

MAGIC = b"GAMSNAP1"
HEAD, TAIL = 16, 32
MAX_SNAPSHOT = 256 * 1024 * 1024
KEEP = 3

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)
_NAME = re.compile(r"(\d{8,20})\.snap\Z")


class SnapshotError(ValueError):
    """A snapshot file is damaged, too long, or not the one that was announced. One sentence."""


def encode(snapshot: Snapshot) -> bytes:
    """The file's octets."""
    data = MAGIC + snapshot.number.to_bytes(8) + _encoder.encode(snapshot)
    return data + blake2b(data, digest_size=TAIL).digest()


def decode(data: bytes) -> Snapshot:
    """The snapshot in ``data``. Raises SnapshotError."""
    if len(data) < HEAD + TAIL or not data.startswith(MAGIC):
        raise SnapshotError("this is no snapshot file")
    body, trailer = data[:-TAIL], data[-TAIL:]
    if not hmac.compare_digest(blake2b(body, digest_size=TAIL).digest(), trailer):
        raise SnapshotError("the snapshot file is damaged: its checksum does not fit")
    try:
        snapshot = _decoder.decode(memoryview(body)[HEAD:])
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"the snapshot does not have the shape this version knows: {error}") from None
    if snapshot.number != int.from_bytes(body[len(MAGIC) : HEAD]):
        raise SnapshotError("the snapshot file carries two numbers")
    return snapshot


def likeness(snapshot: Snapshot) -> bytes:
    """A digest of everything but number and time: equal where nothing changed."""
    plain = dataclasses.replace(snapshot, number=0, made_at=0.0)
    return blake2b(_encoder.encode(plain), digest_size=32).digest()


def read_fd(fd: int) -> Snapshot:
    """The snapshot in an open file. The descriptor stays the caller's. Raises SnapshotError."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SNAPSHOT:
        raise SnapshotError("the snapshot is no plain file, or is too long")
    parts: list[bytes] = []
    offset = 0
    while offset < status.st_size and (part := os.pread(fd, status.st_size - offset, offset)):
        parts.append(part)
        offset += len(part)
    return decode(b"".join(parts))


class SnapshotFiles:
    """The worker's folder of snapshots. Created 0700; files are 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob("*.new"):
            leftover.unlink()

    def last(self) -> int:
        """The highest number on disk, 0 where there is none."""
        return max((number for number, _ in self._files()), default=0)

    def write(self, snapshot: Snapshot) -> int:
        """Publish on disk; returns an open, read-only descriptor. Raises OSError (disk full ...)."""
        path = self._folder / f"{snapshot.number:012d}.snap"
        beside = path.with_suffix(".new")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                file.write(encode(snapshot))
                file.flush()
                os.fsync(fd)
            os.rename(beside, path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        for _, old in sorted(self._files())[:-KEEP]:
            old.unlink(missing_ok=True)
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def _files(self) -> list[tuple[int, Path]]:
        found = []
        for path in self._folder.iterdir():
            match = _NAME.match(path.name)
            if match:
                found.append((int(match[1]), path))
        return found


class SnapshotHolder:
    """What a door or the keeper holds. ``index`` is None until the first snapshot came."""

    def __init__(self) -> None:
        self.index: SnapshotIndex | None = None
        self.refused = 0

    @property
    def number(self) -> int:
        """The number held, 0 where none is."""
        return self.index.snapshot.number if self.index is not None else 0

    def take(self, number: int, fd: int) -> SnapshotIndex | None:
        """Take the announced snapshot from an open file; returns its index, or None where the one
        held is the same or newer. Raises SnapshotError; what is held stays then."""
        if number <= self.number:
            if number < self.number:
                self.refused += 1
            return None
        try:
            snapshot = read_fd(fd)
            if snapshot.number != number:
                raise SnapshotError(f"snapshot {number} was announced and {snapshot.number} came")
        except SnapshotError:
            self.refused += 1
            raise
        self.index = SnapshotIndex(snapshot)
        return self.index

    def freshen(self, number: int, at: float) -> SnapshotIndex | None:
        """The worker says that ``number`` still held at ``at``: the same snapshot with another
        ``made_at`` (an earlier one where the clock was set back).
        Returns the new index, or None where another number is held."""
        if self.index is None or number != self.number:
            return None
        index = copy.copy(self.index)
        index.snapshot = dataclasses.replace(self.index.snapshot, made_at=at)
        self.index = index
        return index
