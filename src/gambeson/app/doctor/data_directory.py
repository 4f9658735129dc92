"""The data directory: whose it is, who may look inside, room on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gambeson.app.place import Place
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
    worker = _worker(patient)
    starter = os.geteuid()
    mode = 0o710 if worker is not None and worker[0] != starter else 0o700
    wrong = [(path, starter) for path in _starters(patient.place) if _uid(path) not in (starter, -1)]
    if worker is not None:
        wrong += [(path, worker[0]) for path in _workers(patient.place) if _uid(path) not in (worker[0], -1)]
    if stat.S_IMODE(status.st_mode) & 0o777 & ~mode:
        yield failed(NAME, f"Others may look into {data}.", f"Run: chmod {mode:04o} {data}")
    elif wrong:
        path, owner = wrong[0]
        same = [str(each) for each, theirs in wrong if theirs == owner]
        yield failed(
            NAME,
            f"{path} belongs to {_name(_uid(path))}, not to {_name(owner)}, who works with it"
            f"{f' ({len(wrong) - 1} more)' if len(wrong) > 1 else ''}.",
            f"Stop Gambeson, run: chown -h {_name(owner)} {' '.join(same[:4])}, and start it.",
        )
    elif mode == 0o710 and worker is not None and not (status.st_mode & 0o010 and status.st_gid == worker[1]):
        yield failed(
            NAME,
            f"{_name(worker[0])} cannot pass through {data} to its folders.",
            "Stop Gambeson and start it as root: it opens the way.",
        )
    elif mode == 0o710 and worker is not None:
        yield ok(NAME, f"{data} is {_name(starter)}'s; {_name(worker[0])} passes through to its own folders.")
    else:
        yield ok(NAME, f"{data} is its owner's alone ({_name(status.st_uid)}).")
    yield _room(data)


def _worker(patient: Patient) -> tuple[int, int] | None:
    """User and group of whoever writes the databases; None where they are not known."""
    worker = patient.users.get(WORKER, "")
    if not worker:
        return os.geteuid(), os.getegid()
    try:
        return user_ids(worker)
    except PrivilegeError:
        return None  # the check of users says so


def _starters(place: Place) -> list[Path]:
    """What nobody but the starter may write: the directory, and what lies in it but for the worker's folders."""
    return [place.data, *(path for path in place.data.iterdir() if path not in place.written_by_worker)]


def _workers(place: Place) -> list[Path]:
    folders = [path for path in place.written_by_worker if path.is_dir()]
    return [*folders, *(path for folder in folders for path in folder.iterdir())]


def _uid(path: Path) -> int:
    """-1: it has gone meanwhile."""
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return -1


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
