"""The settings file: it was read, or there would be no other check. Who may read it, and what it leaves open."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from .result import Check, Patient, ok, warning

TURN = 10
NAME = "settings"


def look(patient: Patient) -> Iterator[Check]:
    """Valid, not for everyone to change, and secrets only by reference to files that can be read."""
    path = patient.config_file
    if path is None:
        yield ok(NAME, "There is no settings file; this is the playground, or the defaults hold.")
        return
    if stat.S_IMODE(path.stat().st_mode) & 0o022:
        yield warning(NAME, f"{path} is valid, but others may change it.", f"Run: chmod 0600 {path}")
    else:
        yield ok(NAME, f"{path} is valid.")
    for server in patient.config.server:
        if server.plaintext_exception:
            yield warning(
                NAME,
                f"The way to the mail server {server.name} may go without TLS: {server.plaintext_exception}",
                "Use TLS, and take plaintext_exception away.",
            )
