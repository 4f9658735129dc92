"""The machine: Python's end of life, file descriptors, the clock."""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from .result import DAY, Check, Patient, failed, ok, warning

TURN = 100
# The month after which a version gets no security fixes (PEP 619, 664, 693, 719, 745).
LAST = {(3, 11): (2027, 10), (3, 12): (2028, 10), (3, 13): (2029, 10), (3, 14): (2030, 10)}
RESERVE = 200  # descriptors besides sessions: listeners, channels, snapshots, spool
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def look(patient: Patient) -> Iterator[Check]:
    """In this order."""
    yield _python(patient.now, sys.version_info[:2])
    yield _descriptors(patient)
    yield _clock(patient)


def _python(now: float, version: tuple[int, int]) -> Check:
    name = f"Python {version[0]}.{version[1]}"
    if version not in LAST:
        return warning(
            "python", f"When {name} gets its last security fix is not known here.", "See python.org."
        )
    year, month = LAST[version]
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()
    text = f"{name} gets security fixes until {year}-{month:02d}"
    if now >= end:
        return failed(
            "python",
            f"{text}, which is over.",
            "Move to a newer one, unless your distribution still mends it.",
        )
    if end - now < 180 * DAY:
        return warning("python", f"{text}.", "Plan the move to a newer one.")
    return ok("python", f"{text}.")


def _descriptors(patient: Patient) -> Check:
    need = 2 * patient.config.doors.max_sessions + RESERVE
    limit = _limit_of(patient)
    where = "the doors" if limit is not None else "this shell (nothing runs)"
    have = limit if limit is not None else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if have == resource.RLIM_INFINITY or have >= need:
        return ok(
            "descriptors", f"{where.capitalize()} may open {have}; {need} are needed for doors.max_sessions."
        )
    return warning(
        "descriptors",
        f"{where.capitalize()} may open {have} files; doors.max_sessions = {patient.config.doors.max_sessions} "
        f"needs {need}.",
        f"Start with LimitNOFILE={need} or more, or lower doors.max_sessions.",
    )


def _limit_of(patient: Patient) -> int | None:
    """The running supervisor's own hard limit, which its doors inherit."""
    try:
        text = Path(f"/proc/{int(patient.ready['pid'])}/limits").read_text()
    except (KeyError, ValueError, TypeError, OSError):
        return None
    for line in text.splitlines():
        if line.startswith("Max open files"):
            word = line.split()[4]
            return int(word) if word.isdecimal() else resource.RLIM_INFINITY
    return None


def _clock(patient: Patient) -> Check:
    newest = 0.0
    for path in (patient.place.control, patient.place.events, *patient.place.backups.glob("*")):
        if path.is_file():
            newest = max(newest, path.stat().st_mtime)
    if newest > patient.now + 60:
        return failed(
            "clock",
            f"Files were written {newest - patient.now:.0f} s in the future: the clock was set back.",
            "Set the clock; devices, tokens and certificates end by it.",
        )
    state = _kernel_clock()
    if state == TIME_ERROR:
        return warning(
            "clock",
            "The kernel says that nothing keeps this clock right.",
            "Run an NTP client, such as chrony.",
        )
    if state < 0:
        return warning(
            "clock",
            "Whether the clock is kept right is unknown: the kernel does not say.",
            "Look at timedatectl.",
        )
    return ok("clock", "The kernel says that the clock is kept right.")


def _kernel_clock() -> int:
    """adjtimex(2) that changes nothing: its clock state, -1 where it is not allowed."""
    buffer = ctypes.create_string_buffer(512)  # struct timex is 208 octets; modes = 0 only reads
    try:
        return int(ctypes.CDLL(None, use_errno=True).adjtimex(buffer))
    except (AttributeError, OSError):
        return -1
