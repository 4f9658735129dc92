"""The audit log: whole, and under a head that the keeper signed."""

from __future__ import annotations

import time
from collections.abc import Iterator

from gambeson.app.installation import InstallationError
from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.process.keeper_client import verify_head

from .result import Check, Patient, failed, ok, warning

TURN = 80
NAME = "audit log"
PATIENCE = 2.0  # the worker signs a moment after each change


def look(patient: Patient) -> Iterator[Check]:
    """Every entry is walked."""
    if patient.installation is None:
        return
    audit = patient.installation.store.audit
    try:
        public = patient.installation.keeper.public_keys().audit_pem
    except (InstallationError, ChannelGone, ChannelRefused) as error:
        yield warning(NAME, f"It could not be verified: {error}", "See the line about the keeper.")
        return
    end = time.monotonic() + PATIENCE
    while audit.unsealed() and patient.health is not None and time.monotonic() < end:
        time.sleep(0.1)
    faults = audit.verify(lambda payload, signature: verify_head(public, payload, signature))
    count, _ = audit.head()
    if faults:
        yield failed(
            NAME,
            f"Entry {faults[0].seq}: {faults[0].sentence} ({len(faults)} faults).",
            "Somebody or something changed it: gambeson audit verify, and compare with a backup.",
        )
    elif unsealed := audit.unsealed():
        yield warning(
            NAME,
            f"{count} entries are whole; the last {unsealed} are not signed yet.",
            "Start Gambeson; it signs them.",
        )
    else:
        yield ok(NAME, f"{count} entries are whole and signed.")
