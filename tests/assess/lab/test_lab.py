"""The whole look against a small internet with faults: each fault is found, and nothing is invented beside it.

Every fault is the clean domain with one thing changed. All looks are made side by side, so what they take together is
little more than what the slowest peers make them wait.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from gambeson.assess.core.check import Light
from gambeson.assess.core.evaluate import Line
from gambeson.assess.core.facts import Facts
from gambeson.assess.edge.checks import all_checks

from .fault import CLEAN, Fault
from .faults import FAULTS
from .world import World, said

pytestmark = [pytest.mark.slow, pytest.mark.peer("knot", "postfix", "dovecot", "nginx")]
AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Result:
    """What a look said."""

    facts: Facts
    lines: tuple[Line, ...]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """The looks of all faults that are asked for, and of the clean domain."""
    chosen = {CLEAN.name: CLEAN}
    for item in request.session.items:
        fault = getattr(item, "callspec", None) and item.callspec.params.get("fault")  # type: ignore[attr-defined]
        if isinstance(fault, Fault):
            chosen[fault.name] = fault
    folder = tmp_path_factory.mktemp("lab")
    folder.chmod(0o755)

    async def all_of_them() -> dict[str, Result]:
        found: dict[str, Result] = {}
        room = asyncio.Semaphore(AT_ONCE)

        async def one(world: World, fault: Fault) -> None:
            async with room:
                found[fault.name] = Result(*await world.look(fault.domain))

        async with World(folder, [fault.domain for fault in chosen.values()]) as world:
            await asyncio.gather(*(one(world, fault) for fault in chosen.values()))
        return found

    return asyncio.run(all_of_them())


def test_the_clean_domain_gets_nothing_but_green(results: dict[str, Result]) -> None:
    wrong = [line.sentence for line in results["clean"].lines if line.light is not Light.GREEN]
    assert wrong == []
    assert len(results["clean"].lines) > 25


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_and_none_invented(results: dict[str, Result], fault: Fault) -> None:
    clean, found = said(results["clean"].lines), said(results[fault.name].lines)
    sentences = "\n".join(line.sentence for line in results[fault.name].lines)
    assert found - clean == fault.expected, sentences
    assert {line.split()[0] for line in clean} - {line.split()[0] for line in found} == fault.silent, (
        sentences
    )
    assert results[fault.name].facts.took < 60
    assert set("{}").isdisjoint(sentences)


def test_no_look_was_cut_short(results: dict[str, Result]) -> None:
    assert [name for name, result in results.items() if result.facts.unfinished] == []


def test_every_check_has_a_fault() -> None:
    names = [check.name for check in all_checks()]
    seeded = {line.split()[0] for fault in FAULTS for line in fault.expected}
    assert sorted(seeded) == sorted(names)
    assert (
        len({fault.name for fault in FAULTS if fault.expected})
        == len([f for f in FAULTS if f.expected])
        >= 60
    )
