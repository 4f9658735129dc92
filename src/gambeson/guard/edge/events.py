"""What the doors record. The spool gives every event an id that is unique for ever and never raises."""

from __future__ import annotations

import time

from gambeson.model.access import Identity

from .ports import Spool


class Recorder:
    """Gives events to the spool. ``healthy`` False: nobody new is admitted, because an admission that can't
    be recorded must not happen."""

    __slots__ = ("_count", "_prefix", "_spool")

    def __init__(self, spool: Spool, door: str, started: float) -> None:
        self._spool = spool
        self._prefix = f"{door}-{int(started * 1000):x}"
        self._count = 0

    @property
    def healthy(self) -> bool:
        """Whether events reach the disk; asks the spool to try again where they did not."""
        return self._spool.healthy or self._spool.retry()

    def session_id(self) -> str:
        """A unique name for one session: the door process, its start, a counter."""
        self._count += 1
        return f"{self._prefix}-{self._count:x}"

    def record(
        self, kind: str, *, identity: Identity | None = None, door: str = "", source: str = "", **data: object
    ) -> bool:
        """Write one event about ``identity``; whether it is on disk. ``data`` holds plain JSON values, never a
        secret."""
        if identity is None:
            return self._spool.append(kind, time.time(), door=door, source=source, data=data)
        data["claimed"] = identity.claimed
        return self._spool.append(
            kind,
            time.time(),
            organisation=identity.organisation,
            account=identity.account,
            device=identity.device,
            door=door,
            source=source,
            data=data,
        )

    def record_at(
        self,
        at: float,
        kind: str,
        *,
        identity: Identity | None,
        organisation: str,
        door: str,
        source: str,
        **data: object,
    ) -> bool:
        """Write one event that happened at ``at`` (seconds since 1970). ``organisation`` is told where nobody was
        proven."""
        if identity is not None:
            data["claimed"] = identity.claimed
            organisation = identity.organisation
        return self._spool.append(
            kind,
            at,
            organisation=organisation,
            account=identity.account if identity is not None else "",
            device=identity.device if identity is not None else "",
            door=door,
            source=source,
            data=data,
        )
