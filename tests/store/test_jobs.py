"""The queue: one worker a job, leases that run out, and no job lost or done twice."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gambeson.store.control import Store
from gambeson.store.errors import Conflict
from gambeson.store.jobs import Job, JobState

NOW = 1_700_000_000.0


@pytest.fixture
def org(store: Store) -> Any:
    return store.create_organisation("Acme", by="root", at=NOW)


def _claim(store: Store, at: float, worker: str = "w1") -> Job | None:
    return store.jobs.claim(["scan"], worker=worker, lease=60, at=at)


def test_a_job_is_claimed_worked_on_and_done(store: Store, org: Any) -> None:
    org.jobs.add("other", {}, by="root", at=NOW)
    later = org.jobs.add("scan", {"n": 2}, run_at=NOW + 100, by="root", at=NOW)
    first = org.jobs.add("scan", {"n": 1}, by="root", at=NOW)
    job = _claim(store, NOW + 1)
    assert job is not None
    assert (job.id, job.payload, job.state, job.attempts) == (first.id, {"n": 1}, JobState.RUNNING, 1)
    assert _claim(store, NOW + 2, "w2") is None  # leased, and the other is not due
    job = store.jobs.extend(job, lease=600, at=NOW + 50)
    assert _claim(store, NOW + 99, "w2") is None
    assert store.jobs.done(job, {"found": 3}, at=NOW + 99).result == {"found": 3}
    due = _claim(store, NOW + 100)
    assert due is not None
    assert due.id == later.id
    assert [j.state for j in org.jobs.list(states=[JobState.DONE])] == [JobState.DONE]


def test_a_silent_worker_loses_its_job_and_cannot_finish_it(store: Store, org: Any) -> None:
    org.jobs.add("scan", 1, max_attempts=2, by="root", at=NOW)
    dead = _claim(store, NOW)
    taken = _claim(store, NOW + 61, "w2")
    assert dead is not None
    assert taken is not None
    assert taken.attempts == 2
    for late in (
        lambda: store.jobs.done(dead, 1, at=NOW + 62),
        lambda: store.jobs.extend(dead, lease=60, at=NOW + 62),
    ):
        with pytest.raises(Conflict, match="taken over"):
            late()
    assert _claim(store, NOW + 200) is None  # both attempts used up
    assert org.jobs.get(taken.id).state is JobState.FAILED
    assert "given up after 2" in str(org.jobs.get(taken.id).result)


def test_a_failed_job_is_tried_again_while_attempts_are_left(store: Store, org: Any) -> None:
    org.jobs.add("scan", 1, max_attempts=2, by="root", at=NOW)
    for attempt, state in ((1, JobState.QUEUED), (2, JobState.FAILED)):
        job = _claim(store, NOW + attempt * 10)
        assert job is not None
        assert store.jobs.failed(job, "no route", retry_at=NOW + 15, at=NOW + 11).state is state


def test_jobs_that_ended_long_ago_are_forgotten(store: Store, org: Any) -> None:
    org.jobs.add("waits", 1, by="root", at=NOW)
    for n, payload in enumerate(("done", "failed", "newer")):
        org.jobs.add("scan", payload, by="root", at=NOW + n)
    for at in (NOW + 1, NOW + 2, NOW + 100):
        job = _claim(store, at)
        assert job is not None
        (store.jobs.failed if job.payload == "failed" else store.jobs.done)(job, None, at=at)
    org.jobs.add("scan", "runs", by="root", at=NOW)
    assert _claim(store, NOW + 3) is not None
    assert store.jobs.prune(NOW + 100) == 2
    left = {(job.state, job.payload) for job in org.jobs.list()}
    assert left == {(JobState.QUEUED, 1), (JobState.DONE, "newer"), (JobState.RUNNING, "runs")}


def test_many_workers_share_the_jobs(place: Any, store: Store, org: Any) -> None:
    for n in range(40):
        org.jobs.add("scan", n, by="root", at=NOW)
    done: list[Any] = []

    def work(name: str) -> None:
        with Store.open(place.url, timeout=30) as mine:
            while (job := _claim(mine, NOW + 1, name)) is not None:
                done.append(mine.jobs.done(job, None, at=NOW + 2).payload)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(40))


def test_a_job_with_a_name_of_its_own_is_queued_once_for_ever(store: Store, org: Any) -> None:
    first = org.jobs.add("scan", {"n": 1}, id="notice-1", by="root", at=NOW)
    with pytest.raises(Conflict):
        org.jobs.add("scan", {"n": 2}, id="notice-1", by="root", at=NOW)
    job = _claim(store, NOW)
    assert job is not None
    assert (job.id, job.payload) == (first.id, {"n": 1})
    store.jobs.done(job, None, at=NOW)
    with pytest.raises(Conflict):
        org.jobs.add("scan", {"n": 3}, id="notice-1", by="root", at=NOW + 100)
