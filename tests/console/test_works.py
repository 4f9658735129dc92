"""Long work: one at a time, shown, cancelled, kept for a while and not longer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from gambeson.console import works as module
from gambeson.console.office import RefusedError
from gambeson.console.works import KEPT_SECONDS, MAX_WAITING, Progress, Result, Work, Works, WorkState
from gambeson.model.staff import Verb
from gambeson.store.errors import Conflict


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """Work that says when it has begun and ends when it may."""

    def __init__(self) -> None:
        self.begun, self.may = threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> Result:
        progress.step(1, "ann@a.example")
        self.begun.set()
        assert self.may.wait(10)
        progress.step(2)
        return Result("done")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def works(clock: Clock) -> Iterator[Works]:
    count = iter(range(10_000))
    made = Works(lambda size: next(count).to_bytes(size), clock)
    yield made
    made.close()


def start(works: Works, function: Callable[[Progress], Result], org: str = "a", total: int = 3) -> Work:
    return works.start(org, by="Ann", verb=Verb.PEOPLE, kind="x", total=total, function=function)


def state(works: Works, work: Work) -> Work:
    found = works.get(work.organisation, work.id)
    assert found is not None
    return found


def test_it_is_shown_while_it_goes_on_and_then_its_result(works: Works) -> None:
    gate = Gate()
    work = start(works, gate)
    assert gate.begun.wait(10)
    now = state(works, work)
    assert (now.state, now.number, now.total, now.text) == (WorkState.RUNNING, 1, 3, "ann@a.example")
    gate.may.set()
    works.join()
    now = state(works, work)
    assert (now.state, now.number, now.result) == (WorkState.DONE, 3, Result("done"))


def test_another_organisation_does_not_see_or_cancel_it(works: Works) -> None:
    gate = Gate()
    work = start(works, gate)
    assert gate.begun.wait(10)
    assert works.get("b", work.id) is None
    assert works.of("b") == ()
    assert not works.cancel("b", work.id)
    gate.may.set()
    works.join()
    assert state(works, work).state is WorkState.DONE


def test_one_for_each_organisation_one_at_a_time_and_few_wait(works: Works) -> None:
    gate, order = Gate(), []
    start(works, gate)
    assert gate.begun.wait(10)
    with pytest.raises(RefusedError, match="going on for this organisation"):
        start(works, gate)
    for org in range(MAX_WAITING):
        start(works, lambda _p, org=org: order.append(org) or Result(), str(org))  # type: ignore[misc]
    with pytest.raises(RefusedError) as refused:
        start(works, gate, "z")
    assert refused.value.status == 503
    assert order == []  # they wait
    gate.may.set()
    works.join()
    assert order == list(range(MAX_WAITING))
    assert start(works, lambda _: Result()).id  # there is room again


def test_cancelled_at_its_next_step_or_before_its_turn(works: Works) -> None:
    gate, touched = Gate(), []
    running = start(works, gate)
    waiting = start(works, lambda _p: touched.append(1) or Result(), "b")  # type: ignore[func-returns-value]
    assert gate.begun.wait(10)
    assert works.cancel("b", waiting.id)
    assert state(works, waiting).state is WorkState.CANCELLED
    assert works.cancel("a", running.id)
    gate.may.set()
    works.join()
    assert state(works, running).state is WorkState.CANCELLED
    assert state(works, running).result == Result()
    assert not works.cancel("a", running.id)
    assert touched == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RefusedError("x", "That is not possible."), "That is not possible."),
        (Conflict("It is there already."), "It is there already."),
        (ValueError("secret details"), "Something went wrong here. It was written to the log; try again."),
    ],
)
def test_a_failure_is_one_sentence_and_the_next_work_goes_on(
    works: Works, error: Exception, sentence: str
) -> None:
    def fail(_progress: Progress) -> Result:
        raise error

    work = start(works, fail)
    works.join()
    assert (state(works, work).state, state(works, work).text) == (WorkState.FAILED, sentence)
    after = start(works, lambda _: Result("good"))
    works.join()
    assert state(works, after).result.text == "good"


def test_results_are_kept_for_an_hour(works: Works, clock: Clock) -> None:
    work = start(works, lambda _: Result("x", b"file"))
    works.join()
    clock.now += KEPT_SECONDS - 1
    assert state(works, work).result.octets == b"file"
    clock.now += 1
    assert works.get("a", work.id) is None
    assert works.of("a") == ()


def test_results_are_bounded_together(works: Works, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OCTETS", 100)
    made = []
    for _ in range(3):
        clock.now += 1
        made.append(start(works, lambda _: Result("x", bytes(40))))
        works.join()
    assert [works.get("a", work.id) is not None for work in made] == [False, True, True]
    large = start(works, lambda _: Result("x", bytes(101)))
    works.join()
    assert state(works, large).state is WorkState.FAILED
    assert "larger than" in state(works, large).text


def test_no_secret_is_in_what_a_result_looks_like() -> None:
    assert "0a1b" not in repr(Result("x", b"0a1b"))


def test_closing_cancels_what_runs_and_what_waits(works: Works) -> None:
    gate = Gate()
    running, waiting = start(works, gate), start(works, gate, "b")
    assert gate.begun.wait(10)
    gate.may.set()
    works.close()
    assert state(works, waiting).state is WorkState.CANCELLED
    assert state(works, running).state in (WorkState.CANCELLED, WorkState.DONE)
