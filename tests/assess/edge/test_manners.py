"""A look's manners: few connections at once to an address, apart from each other, and an end to it all."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from assess.looped import looped
from gambeson.assess.edge.manners import Manners, OutOfTimeError


class Guests:
    """Who is in at an address, and the most that ever were."""

    def __init__(self) -> None:
        self.inside: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.most_in_all = 0

    async def visit(self, manners: Manners, address: str, stay: float = 0.0) -> None:
        async with manners.turn(address):
            self.inside[address] = self.inside.get(address, 0) + 1
            self.most[address] = max(self.most.get(address, 0), self.inside[address])
            self.most_in_all = max(self.most_in_all, sum(self.inside.values()))
            try:
                await asyncio.sleep(stay)
            finally:
                self.inside[address] -= 1


@looped
async def test_an_address_has_no_more_guests_than_it_may() -> None:
    manners, guests = Manners(30, per_address=3, gap=0), Guests()
    await asyncio.gather(*(guests.visit(manners, address, 0.001) for address in ["a", "b"] * 20))
    assert guests.most == {"a": 3, "b": 3}
    assert guests.most_in_all == 6
    assert manners.connections == 40


@looped
async def test_all_addresses_together_have_a_limit() -> None:
    manners, guests = Manners(30, per_address=4, gap=0, total=5), Guests()
    await asyncio.gather(*(guests.visit(manners, f"h{n % 10}", 0.001) for n in range(60)))
    assert guests.most_in_all == 5


@looped
async def test_connections_to_an_address_begin_apart() -> None:
    manners, began = Manners(30, per_address=9, gap=0.02), []

    async def knock() -> None:
        async with manners.turn("a"):
            began.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(knock() for _ in range(5)))
    assert all(later - earlier > 0.015 for earlier, later in pairwise(began))


@looped
async def test_who_waits_for_a_slow_server_keeps_no_other_out() -> None:
    """More wait at one address than there are places in all; another address is served at once."""
    manners, release = Manners(30, per_address=1, gap=0, total=2), asyncio.Event()

    async def slow() -> None:
        async with manners.turn("slow"):
            await release.wait()

    waiting = [asyncio.create_task(slow()) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.wait_for(Guests().visit(manners, "other"), 5)
    release.set()
    await asyncio.gather(*waiting)


@looped
async def test_a_place_comes_free_whatever_happens_in_it() -> None:
    manners = Manners(30, per_address=1, gap=0, total=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="in it"):
            async with manners.turn("a"):
                raise ValueError("in it")
    stuck = asyncio.create_task(Guests().visit(manners, "a", 30))
    await asyncio.sleep(0.01)
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)
    await asyncio.wait_for(Guests().visit(manners, "a"), 5)


@looped
async def test_when_the_time_is_over_nobody_is_let_in() -> None:
    manners = Manners(0, gap=0)
    assert manners.left() == 0
    assert manners.allowance(8) == 0
    with pytest.raises(OutOfTimeError):
        await Guests().visit(manners, "a")
    assert manners.connections == 0


@looped
async def test_who_waits_past_the_end_hears_that_it_is_over() -> None:
    manners = Manners(0.1, per_address=1, gap=0)
    first = asyncio.create_task(Guests().visit(manners, "a", 30))
    await asyncio.sleep(0)
    with pytest.raises(OutOfTimeError):
        await Guests().visit(manners, "a")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


@looped
async def test_an_allowance_is_never_more_than_what_is_left() -> None:
    manners = Manners(5)
    assert manners.allowance(3) == 3
    assert 4 < manners.allowance(60) <= 5
