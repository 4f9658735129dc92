"""Somebody who is signed in, or has a stolen session, makes the desk work without end: entries of the audit log, and
snapshots for all doors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.portal.test_real_desk import Real
from gambeson.process import portal_messages as p
from gambeson.process.messages import Message, Published, Refused
from gambeson.store.control import Store


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    with Store.open(f"sqlite:///{tmp_path / 'control.db'}") as store:
        made = Real(store, tmp_path / "keys")
        yield made
        made.answer_desk.close()


def ask(real: Real, message: Message) -> Message:
    return asyncio.run(real.desk(message))


def opened(real: Real, number: int) -> Message:
    secret = number.to_bytes(32, "big")
    return ask(real, p.SessionOpen(account="acc-1", rung="knowledge-and-code", secret=secret, at=0.0))


def test_devices_made_and_removed_without_end(real: Real) -> None:
    made = 0
    for i in range(150):
        new = p.DeviceAdd(
            account="acc-1", name=f"Phone {i}", doors=("imap",), public_id="", verifier=b"", at=0.0
        )
        device = ask(real, new)
        if isinstance(device, Refused):
            assert device.reason == "too-many"
            continue
        made += 1
        assert isinstance(device, p.OwnDevice)
        # What protects is never held back.
        assert isinstance(ask(real, p.DeviceEnd(account="acc-1", device=device.id, at=0.0)), Published)
    assert made == 120
    # One kind of act held back holds no other back: the owner still signs in.
    assert isinstance(opened(real, 1), p.SessionRow)
    real.clock.now += 20.0
    assert isinstance(ask(real, new), p.OwnDevice)


def test_ending_what_is_over_makes_no_snapshot(real: Real) -> None:
    row = opened(real, 1)
    assert isinstance(row, p.SessionRow)
    end = p.SessionEnd(account="acc-1", at=0.0, id=row.id)
    assert isinstance(ask(real, end), Published)
    assert real.published == 1
    for again in (
        end,
        p.SessionEnd(account="acc-1", at=0.0),
        p.SessionEnd(account="acc-1", at=0.0, keep=row.id),
    ):
        assert isinstance(ask(real, again), Published)
    assert real.published == 1
