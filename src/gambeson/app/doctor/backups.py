"""Backups: is there one, and how old is the newest."""

from __future__ import annotations

from collections.abc import Iterator

from .result import DAY, Check, Patient, days, ok, warning

TURN = 90
NAME = "backups"
OLD = 8 * DAY


def look(patient: Patient) -> Iterator[Check]:
    """Only those in the data directory are seen; copies elsewhere are unknown here."""
    found = [path for path in patient.place.backups.glob("*") if path.is_file()]
    if not found:
        yield warning(
            NAME,
            f"There is none in {patient.place.backups}; whether there are others elsewhere is not known here.",
            "Make one and keep it on another machine: gambeson backup",
        )
        return
    newest = max(found, key=lambda path: path.stat().st_mtime)
    age = patient.now - newest.stat().st_mtime
    text = f"The newest of {len(found)} is {newest.name}, {days(max(0.0, age))} old."
    if age > OLD:
        yield warning(NAME, text, "Make one every night, and keep it on another machine: gambeson backup")
    else:
        yield ok(NAME, f"{text} Whether it is copied to another machine is not known here.")
