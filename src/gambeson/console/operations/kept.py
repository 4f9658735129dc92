"""What is known of the safety of the record itself: when the audit log was last found whole, when a backup was made.

Both are done now and then, by different programs. Each writes down what it found as an event of no organisation, and
here it is read. What nobody wrote down is not known, and is never taken for good.
"""

from __future__ import annotations

from dataclasses import dataclass

from gambeson.console.core.chores import OLD_VERIFICATION
from gambeson.model.event import Event
from gambeson.store.control import Store

from .memory import remembered

AUDIT_VERIFIED, AUDIT_BROKEN = "console.audit.verified", "console.audit.broken"
BACKUP_MADE = "console.backup.made"
BACKUP_SINCE = 30 * 86400.0  # an older one is as good as none
FRESH = 60.0


@dataclass(frozen=True, slots=True)
class Kept:
    """``audit_verified_at``: when the log was last found whole (None: nobody knows); ``audit_broken``: it was found
    otherwise since; ``backup_at``: when the last backup was made (None: nobody knows)."""

    audit_verified_at: float | None = None
    audit_broken: bool = False
    backup_at: float | None = None


def kept(store: Store, now: float) -> Kept:
    """What was written down last."""
    return remembered(store, "kept", now, FRESH, lambda: _read(store, now))


def note_audit(store: Store, whole: bool, at: float) -> None:
    """The log was walked from its first entry to its last."""
    _note(store, AUDIT_VERIFIED if whole else AUDIT_BROKEN, at)


def note_backup(store: Store, at: float) -> None:
    """A backup was written."""
    _note(store, BACKUP_MADE, at)


def _note(store: Store, kind: str, at: float) -> None:
    store.events.append([Event(f"{kind}/{at:.6f}", at, kind)])


def _read(store: Store, now: float) -> Kept:
    audits = store.events.recent("console.audit", now - OLD_VERIFICATION, 1)
    backups = store.events.recent(BACKUP_MADE, now - BACKUP_SINCE, 1)
    whole = bool(audits) and audits[0].kind == AUDIT_VERIFIED
    return Kept(
        audit_verified_at=audits[0].at if whole else None,
        audit_broken=bool(audits) and not whole,
        backup_at=backups[0].at if backups else None,
    )
