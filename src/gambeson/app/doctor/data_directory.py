"""The data directory: whose it is, who may look inside, room on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gambeson.process.family import WORKER
from gambeson.process.privileges import PrivilegeError, user_ids

from .result import Check, Patient, failed, ok, warning

TURN = 20
FULL, TIGHT = 200 << 20, 2 << 30  # octets free
NAME, ROOM = "data directory", "disk"


def look(patient: Patient) -> Iterator[Check]:
    """Owner, mode, room."""
    data = patient.place.data
    try:
        status = data.stat()
    except OSError as error:
        yield failed(
            NAME, f"{data} cannot be used: {error.strerror}.", "Start it with gambeson up, or name another."
        )
        return
    owner = _owner(patient)
    wrong = [path for path in (data, *_workers(data)) if owner >= 0 and path.stat().st_uid != owner]
    if stat.S_IMODE(status.st_mode) & 0o077:
        yield failed(NAME, f"Others may look into {data}.", f"Run: chmod 0700 {data}")
    elif wrong:
        yield failed(
            NAME,
            f"{wrong[0]} belongs to {_name(wrong[0].stat().st_uid)}, not to {_name(owner)}, who works with it"
            f"{f' ({len(wrong) - 1} more)' if len(wrong) > 1 else ''}.",
            f"Stop Gambeson, run: chown -R {_name(owner)} {' '.join(str(p) for p in wrong[:4])}, and start it.",
        )
    else:
        yield ok(NAME, f"{data} is its owner's alone ({_name(status.st_uid)}).")
    yield _room(data)


def _owner(patient: Patient) -> int:
    worker = patient.users.get(WORKER, "")
    if not worker:
        return os.geteuid()
    try:
        return user_ids(worker)[0]
    except PrivilegeError:
        return -1  # the check of users says so


def _workers(data: Path) -> list[Path]:
    folders = [data / "snapshots", data / "spool"]
    files = [*data.glob("control.db*"), *data.glob("events.db*")]
    inside = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    return [path for path in (*files, *folders, *inside) if path.exists()]


def _room(data: Path) -> Check:
    found = os.statvfs(data)
    free = found.f_bavail * found.f_frsize
    text = f"{free / (1 << 30):.1f} GiB are free under {data}."
    if found.f_files and found.f_favail < 1000:
        return failed(ROOM, f"Only {found.f_favail} more files can be made under {data}.", "Delete some.")
    if free < FULL:
        return failed(ROOM, text, "Make room: with a full disk no change can be saved.")
    if free < TIGHT:
        return warning(ROOM, text, "Make room soon, or delete old backups.")
    return ok(ROOM, text)


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
