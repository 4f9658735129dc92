"""The request log: what was asked at the web doors, to run shields over that are written later.

Lines come in with the events (:meth:`.events.EventLog.append`). They are no security record: a door drops what is too
much, and here they are forgotten by age and by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from .engine import EVERYWHERE, Database
from .event_schema import requests

PAGE = 20_000  # lines of one read transaction


class Line(NamedTuple):
    """One request. ``at`` is seconds since 1970; ``data`` JSON as the door wrote it."""

    at: float
    id: str
    organisation: str
    account: str
    door: str
    source: str
    data: str


class RequestLog:
    """All lines of all organisations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lines(self, since: float = 0.0, organisation: str = "") -> Iterator[Line]:
        """The lines from ``since`` on, the oldest first; of one organisation and of none where one is given."""
        at, id_ = since, ""
        query = (
            sa.select(requests)
            .where(
                sa.tuple_(requests.c.at, requests.c.id) > sa.tuple_(sa.bindparam("at"), sa.bindparam("id"))
            )
            .order_by(requests.c.at, requests.c.id)
            .limit(PAGE)
        )
        if organisation:
            query = query.where(requests.c.organisation.in_(("", organisation)))
        while True:
            with self._database.read(EVERYWHERE) as conn:
                page = conn.execute(query, {"at": at, "id": id_}).all()
            for row in page:
                yield Line._make(row)
            if len(page) < PAGE:
                return
            at, id_ = page[-1].at, page[-1].id

    def prune(self, before: float, most: int) -> int:
        """Deletes lines older than ``before``, and the oldest where there are more than ``most``; gives how many."""
        newest_gone = (
            sa.select(requests.c.at)
            .order_by(requests.c.at.desc(), requests.c.id.desc())
            .offset(most)
            .limit(1)
        )
        with self._database.write(EVERYWHERE) as conn:
            gone = conn.execute(sa.delete(requests).where(requests.c.at < before)).rowcount
            last = conn.execute(newest_gone).scalar()
            if last is not None:
                gone += conn.execute(sa.delete(requests).where(requests.c.at <= last)).rowcount
        return gone
