"""Actions: something Gambeson will change, planned before done, and undoable where it can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ActionState(StrEnum):
    """The life of an action."""

    PLANNED = "planned"
    APPROVED = "approved"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    VERIFIED = "verified"
    UNDONE = "undone"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Action:
    """``kind`` names what is done (``device.revoke``), ``target`` is what it is done to (an account's id, say),
    ``details`` and ``result`` are JSON values that the kind gives a meaning; ``reason`` says why it failed, was undone
    or cancelled."""

    id: str
    organisation: str
    kind: str
    target: str
    details: Mapping[str, object] = field(default_factory=dict)
    state: ActionState = ActionState.PLANNED
    result: object = None
    reason: str = ""
    planned_by: str = ""
    planned_at: float = 0.0
    approved_by: str = ""
    approved_at: float = 0.0
    changed_at: float = 0.0
