"""What the web doors record: an admission once, not with every request; refusals so that no flood fills the disk."""

from __future__ import annotations

from typing import Any

from gambeson.guard.core.clouds import of_cloud
from gambeson.guard.edge.door import Door
from gambeson.guard.edge.flood import Flood
from gambeson.guard.edge.networks import prefix
from gambeson.model.access import AccessRequest, Mechanism
from gambeson.model.decision import Decision

from .shelf import Shelf

ONCE_SECONDS = 3600.0
ROUND_SECONDS = 30.0
MAX_KNOWN = 20_000
MAX_PROGRAM = 200  # characters
MAX_NOTICED = 20  # an hour, of one kind and credential


class WebRecord:
    """Beside the doors' recorder: knows what it has recorded already."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._known: Shelf[bool] = Shelf(MAX_KNOWN)
        self._noticed: Shelf[int] = Shelf(MAX_KNOWN)
        self._flood = Flood()
        self._round = 0.0

    def admitted(
        self,
        key: tuple[str, ...],
        access: AccessRequest,
        decision: Decision,
        *,
        mechanism: Mechanism,
        program: str,
        server: str,
    ) -> bool:
        """Record an admission, the first time. False where it must not happen, because it cannot be recorded.
        ``program`` is what the client calls itself, ``server`` the site's name."""
        door, now = self._door, self._door.counting()
        if self._known.get(key, now):
            return True
        told = {"mechanism": mechanism, "program": program[:MAX_PROGRAM], "server": server}
        if not door.recorder.healthy or not self._write("door.login.allowed", access, decision, told):
            return False
        self._known.put(key, True, now + ONCE_SECONDS, now)
        return True

    def refused(
        self,
        access: AccessRequest,
        decision: Decision,
        *,
        mechanism: Mechanism,
        program: str,
        failure: str = "",
    ) -> None:
        """Record a refusal; of a flood of one source the first of a round."""
        if not self._flooded(f"{prefix(access.source)} {decision.reason}"):
            failure = failure or access.identity.failure
            told = {"mechanism": mechanism, "program": program[:MAX_PROGRAM], "failure": failure}
            self._write("door.login.refused", access, decision, told)

    def noticed(
        self,
        kind: str,
        key: tuple[str, ...],
        access: AccessRequest,
        seconds: float = ONCE_SECONDS,
        **data: Any,
    ) -> None:
        """Record something about who was proven, once in so many ``seconds`` for each ``key``, and of one kind and
        credential so many an hour: what a program names is without end."""
        now = self._door.counting()
        if self._known.get((kind, *key), now):
            return
        whose = (kind, access.identity.credential or access.identity.account)
        count = self._noticed.get(whose, now) or 0
        if count >= MAX_NOTICED:
            return
        if count:
            self._noticed.change(whose, count + 1)
        else:
            self._noticed.put(whose, 1, now + ONCE_SECONDS, now)
        recorded = self._door.recorder.record(
            kind,
            identity=access.identity,
            door=access.door.value,
            source=access.source,
            credential=access.identity.credential,
            **data,
        )
        if recorded:
            self._known.put((kind, *key), True, now + seconds, now)

    def turned_away(self, kind: str, prefix: str, source: str, door: str = "", **data: Any) -> None:
        """Record a request that nobody was judged for."""
        if not self._flooded(f"{prefix} {kind} {data.get('why', '')}"):
            self._door.recorder.record(kind, door=door, source=source, **data)

    def _flooded(self, what: str) -> bool:
        now = self._door.counting()
        if not 0 <= now - self._round < ROUND_SECONDS:
            self._round = now
            counts = self._flood.take()
            if counts:
                self._door.recorder.record("door.requests.refused", counts=counts)
        return self._flood.counted(what)

    def _write(self, kind: str, access: AccessRequest, decision: Decision, data: dict[str, Any]) -> bool:
        identity = access.identity
        return self._door.recorder.record(
            kind,
            identity=identity,
            door=access.door.value,
            source=access.source,
            listener="https",
            rung=identity.rung.word,
            credential=identity.credential,
            session=identity.session,
            opinion=decision.opinion,
            mode=decision.mode,
            rule=decision.rule,
            reason=decision.reason,
            country=access.country,
            risk=access.risk,
            **of_cloud(access),
            **data,
        )
