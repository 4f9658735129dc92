"""The system users that the processes become when started as root."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.app.setup import closed_to
from gambeson.process.family import WORKER
from gambeson.process.privileges import PrivilegeError, user_ids

from .result import Check, Patient, failed, ok, warning

TURN = 15
NAME = "users"


def look(patient: Patient) -> Iterator[Check]:
    """They exist, are nobody's login, and are not root."""
    if not patient.users:
        yield warning(
            NAME,
            "Not started as root, so every process runs as the same user.",
            "For real mail start it as root: each process then becomes a user of its own.",
        )
        return
    missing = []
    for role, user in sorted(patient.users.items()):
        try:
            if user_ids(user)[0] == 0:
                missing.append(f"{user} (of the {role}) is root")
        except PrivilegeError:
            missing.append(f"{user} (of the {role}) does not exist")
    if missing:
        yield failed(
            NAME,
            f"{'; '.join(missing)}.",
            "Make them: systemd-sysusers examples/systemd/sysusers.d/gambeson.conf",
        )
    elif patient.config_file and (closed := closed_to(patient.place.data, patient.users[WORKER])):
        yield failed(
            NAME,
            f"{patient.users[WORKER]} cannot reach {patient.place.data}: {closed} is closed to it.",
            f"Run: chmod o+x {closed}, or put the data elsewhere.",
        )
    else:
        names = sorted(set(patient.users.values()))
        yield ok(NAME, f"The processes become {', '.join(names)}.")
