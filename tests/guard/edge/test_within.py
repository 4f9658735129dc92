"""The login path's time-out promises what asyncio.timeout does."""

from __future__ import annotations

import asyncio

import pytest

from gambeson.guard.edge.within import Within


async def waiting(seconds: float, work: float) -> str:
    with Within(asyncio.get_running_loop(), seconds):
        await asyncio.sleep(work)
    return "done"


def test_what_ends_in_time_goes_on_as_if_nothing_were() -> None:
    async def talk() -> None:
        assert await waiting(0.2, 0.0) == "done"
        await asyncio.sleep(0.25)  # the time-out is gone, not only late
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(talk())


def test_what_takes_too_long_is_a_time_out_and_the_task_lives_on() -> None:
    async def talk() -> None:
        with pytest.raises(TimeoutError):
            await waiting(0.01, 5.0)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert await waiting(1.0, 0.0) == "done"

    asyncio.run(talk())


def test_a_cancellation_from_outside_stays_one() -> None:
    async def talk() -> None:
        task = asyncio.create_task(waiting(5.0, 5.0))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(talk())


def test_a_cancellation_together_with_the_time_out_stays_one() -> None:
    async def talk() -> None:
        async def both() -> None:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_later(0.01, task.cancel)
            with Within(asyncio.get_running_loop(), 0.01):
                await asyncio.sleep(5.0)

        task = asyncio.create_task(both())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(talk())


def test_an_error_of_the_work_passes() -> None:
    async def talk() -> None:
        with pytest.raises(ValueError, match="mine"), Within(asyncio.get_running_loop(), 5.0):
            raise ValueError("mine")

    asyncio.run(talk())
