"""Events: what happened, append-only. The same shape from a door, the worker or an administrator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

REQUEST = "door.web.request"  # one line of the request log: kept apart from events, and not as long


@dataclass(frozen=True, slots=True)
class Event:
    """``id`` is unique for ever (door name, start, counter), so that ingestion is exactly once.

    ``kind`` is ``source.subject.action``: ``door.login.allowed``, ``door.login.refused``,
    ``door.session.closed``, ``door.message.sent``, ``admin.device.revoked`` ... ``at`` is seconds
    since 1970. ``data`` holds plain JSON values and never a secret.
    """

    id: str
    at: float
    kind: str
    organisation: str = ""
    account: str = ""
    device: str = ""
    door: str = ""
    source: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
