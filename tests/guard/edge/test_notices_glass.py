"""Break-glass was used: every administrator and every member of staff with an address hears of it, once."""

from __future__ import annotations

from pathlib import Path

from gambeson.console import glass
from gambeson.model.staff import EVERY, Grant, Role
from guard.edge.test_notices import ADMIN, NOW, World


def test_everybody_is_told_once_however_many_organisations_there_are(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store.create_organisation("Other", by="t", at=NOW)
    staff = world.store.staff
    grants = (Grant(EVERY, Role.OWNER),)
    staff.create("Ann", address="ann@it.example", grants=grants, by="t", at=NOW)
    staff.create("Bea", address="", grants=grants, by="t", at=NOW)
    gone = staff.create("Gone", address="gone@it.example", by="t", at=NOW)
    staff.update(gone.id, enabled=False, by="t", at=NOW)
    world.store.events.append(list(glass.events(world.store, "use1", "198.51.100.4", NOW)))
    for _ in range(3):
        world.chore.step()
        world.now += 5
    assert sorted(to for to, _ in world.arrived) == ["ann@it.example", ADMIN]
    world.worker().step()  # a worker that was started anew looks again, and tells nobody twice
    assert len(world.arrived) == 2
    world.store.events.append(list(glass.events(world.store, "use2", "198.51.100.4", world.now)))
    world.chore.step()
    assert len(world.arrived) == 4
