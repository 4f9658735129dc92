"""Offices for tests of operations: who asks, in a laboratory, without a browser."""

from __future__ import annotations

from console.lab import Lab
from gambeson.console.office import Access, Office
from gambeson.model.staff import Staff, Verb


def office(lab: Lab, staff: Staff, *, token: str = "", only: frozenset[Verb] | None = None) -> Office:
    """The office of somebody who signed in just now, or of a token of theirs."""
    by = f"token {token}" if token else f"{staff.name} (console)"
    now = lab.clock.now
    access = Access(lab.store.staff.get(staff.id), by, proven_at=now, token=token, only=only)
    return Office(lab.world, access, now)
