"""Every kept seed, and what lies near it, through the same targets that atheris runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

SEEDS = Path(__file__).parent / "seeds"


def seeds(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((SEEDS / name).glob("*"))]


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    found = seeds(name)
    assert found, "no seeds are kept for this protocol"
    for data in found:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_near_the_seeds(name: str) -> None:
    found = seeds(name)

    @settings(max_examples=150)
    @given(
        st.sampled_from(found),
        st.integers(0, 4000),
        st.binary(max_size=8),
        st.integers(0, 6),
        st.binary(max_size=2),
    )
    def run(data: bytes, at: int, put: bytes, cut: int, head: bytes) -> None:
        at %= len(data) + 1
        changed = data[:at] + put + data[at + cut :]
        TARGETS[name](head + changed[len(head) :])

    run()
