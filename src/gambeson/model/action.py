"""Actions: something Gambeson will change, planned before done, and undoable where it can be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActionState(StrEnum):
    """The life of an action."""

    PLANNED = "planned"
    APPROVED = "approved"
    DONE = "done"
    VERIFIED = "verified"
    UNDONE = "undone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Action:
    """``kind`` names what is done (``device.revoke``), ``target`` to which asset."""

    id: str
    organisation: str
    kind: str
    target: str
    state: ActionState = ActionState.PLANNED
    planned_at: float = 0.0
    done_at: float = 0.0
    by: str = ""
