"""The journalled job queue: work that outlives the process that asked for it.

A worker claims a job with a lease and says at the end what came of it. Where it dies, the lease runs
out and another takes the job; after ``max_attempts`` the job has failed. A worker that lost its
lease can no longer finish the job. PostgreSQL workers skip each other's rows (SKIP LOCKED); on
SQLite a claim holds the write lock, which is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import plain, schema
from .engine import EVERYWHERE, Database
from .errors import Conflict, NotFound
from .scope import Scoped


class JobState(StrEnum):
    """The life of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """``payload`` and ``result`` are JSON values. ``lease_until`` is when a silent worker loses it."""

    id: str
    organisation: str
    kind: str
    payload: object = None
    state: JobState = JobState.QUEUED
    attempts: int = 0
    max_attempts: int = 3
    run_at: float = 0.0
    lease_until: float = 0.0
    worker: str = ""
    result: object = field(default=None)
    created_at: float = 0.0
    changed_at: float = 0.0


class Jobs(Scoped):
    """The jobs of one organisation: asked for and looked at here, done by the worker."""

    def add(
        self,
        kind: str,
        payload: object,
        *,
        id: str = "",
        run_at: float = 0.0,
        max_attempts: int = 3,
        by: str,
        at: float,
    ) -> Job:
        """Queues a job, to be run at ``run_at`` or as soon as can be. With an ``id`` of the caller's making it is
        queued once: a second one of that id is a Conflict. Raises BadValue, Conflict."""
        job = Job(
            id=plain.text(id, "id", 64) or plain.new_id("job"),
            organisation=self._organisation,
            kind=plain.text(kind, "kind of job", 100, empty=False),
            payload=payload,
            max_attempts=max(1, min(100, max_attempts)),
            run_at=plain.moment(run_at),
            created_at=at,
            changed_at=at,
        )
        with self._changing(by, at) as change:
            change.insert(
                schema.jobs,
                id=job.id,
                kind=kind,
                payload=plain.dump(payload),
                state=str(JobState.QUEUED),
                attempts=0,
                max_attempts=job.max_attempts,
                run_at=job.run_at,
                lease_until=0.0,
                worker="",
                result="null",
                created_at=at,
                changed_at=at,
            )
            change.audit("job.added", job.id, kind=kind)
        return job

    def get(self, id: str) -> Job:
        """The job. Raises NotFound."""
        with self._reading() as scope:
            row = scope.one(schema.jobs, schema.jobs.c.id == id)
        if row is None:
            raise NotFound(f"There is no job {id[:80]}.")
        return job_of(row)

    def list(self, *, states: Sequence[JobState] = tuple(JobState), limit: int = 1_000) -> Sequence[Job]:
        """The jobs in one of ``states``, newest first."""
        table = schema.jobs
        with self._reading() as scope:
            rows = scope.rows(
                table,
                table.c.state.in_([str(s) for s in states]),
                order=[table.c.created_at.desc(), table.c.id],
                limit=limit,
            )
        return [job_of(row) for row in rows]


class JobQueue:
    """The worker's side, over all organisations: each job that it gets names its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, kinds: Sequence[str], *, worker: str, lease: float, at: float) -> Job | None:
        """The longest waiting job of ``kinds``, leased to ``worker`` for ``lease`` seconds; or None.

        A job whose lease ran out counts as waiting; one that had all its attempts is failed here.
        """
        table = schema.jobs
        plain.text(worker, "worker's name", 200, empty=False)
        ready = sa.or_(
            table.c.state == str(JobState.QUEUED),
            sa.and_(table.c.state == str(JobState.RUNNING), table.c.lease_until <= at),
        )
        query = (
            sa.select(table)
            .where(table.c.kind.in_(list(kinds)), table.c.run_at <= at, ready)
            .order_by(table.c.run_at, table.c.created_at, table.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._database.write(EVERYWHERE) as conn:
            while (row := conn.execute(query).one_or_none()) is not None:
                if row.attempts < row.max_attempts:
                    _set(
                        conn,
                        row,
                        at,
                        state=str(JobState.RUNNING),
                        attempts=row.attempts + 1,
                        lease_until=at + lease,
                        worker=worker,
                    )
                    return job_of(_row(conn, row.organisation, row.id))
                text = f"given up after {row.attempts} attempts that did not come to an end"
                _set(conn, row, at, state=str(JobState.FAILED), result=plain.dump(text), worker="")
        return None

    def extend(self, job: Job, *, lease: float, at: float) -> Job:
        """Keeps a job that takes longer. Raises Conflict where the lease is lost."""
        return self._move(job, at, lease_until=at + lease)

    def done(self, job: Job, result: object, *, at: float) -> Job:
        """The job is done. Raises Conflict where the lease is lost."""
        return self._move(job, at, state=str(JobState.DONE), result=plain.dump(result), lease_until=0.0)

    def failed(self, job: Job, result: object, *, retry_at: float | None = None, at: float) -> Job:
        """The job did not work out; with ``retry_at`` it is tried again while attempts are left."""
        again = retry_at is not None and job.attempts < job.max_attempts
        return self._move(
            job,
            at,
            state=str(JobState.QUEUED if again else JobState.FAILED),
            run_at=retry_at if again else job.run_at,
            result=plain.dump(result),
            lease_until=0.0,
        )

    def prune(self, before: float) -> int:
        """Forgets the jobs that were done or had failed by ``before``; gives how many. Then an id of a caller's making
        is free again, so nobody may make one anew after so long."""
        table = schema.jobs
        ended = table.c.state.in_([str(JobState.DONE), str(JobState.FAILED)])
        with self._database.write(EVERYWHERE) as conn:
            return conn.execute(sa.delete(table).where(ended, table.c.changed_at < before)).rowcount

    def _move(self, job: Job, at: float, **values: object) -> Job:
        with self._database.write(EVERYWHERE) as conn:
            row = _row(conn, job.organisation, job.id)
            mine = (str(JobState.RUNNING), job.worker, job.attempts)
            if (row.state, row.worker, row.attempts) != mine:
                raise Conflict(f"The job {job.id} was taken over: its lease had run out.")
            _set(conn, row, at, **values)
            return job_of(_row(conn, job.organisation, job.id))


def job_of(row: sa.Row[Any]) -> Job:
    """The job in a row."""
    values = dict(row._mapping)
    values["payload"] = plain.load(row.payload)
    values["result"] = plain.load(row.result)
    values["state"] = JobState(row.state)
    return Job(**values)


def _row(conn: Connection, organisation: str, id: str) -> sa.Row[Any]:
    table = schema.jobs
    query = sa.select(table).where(table.c.organisation == organisation, table.c.id == id)
    row = conn.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {id[:80]}.")
    return row


def _set(conn: Connection, row: sa.Row[Any], at: float, **values: object) -> None:
    table = schema.jobs
    conn.execute(
        sa.update(table)
        .where(table.c.organisation == row.organisation, table.c.id == row.id)
        .values(**values, changed_at=plain.moment(at))
    )
