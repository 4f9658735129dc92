"""What the console tells the record of itself: sign-ins, refusals, break-glass. (Acts are told by the audit log.)"""

from __future__ import annotations

from gambeson.console.office import World
from gambeson.model.event import Event


def tell(
    world: World, kind: str, at: float, *, organisation: str = "", source: str = "", **data: object
) -> None:
    """One event. Raises StoreError where it cannot be kept."""
    event = Event(
        id=f"console-{world.random(12).hex()}",
        at=at,
        kind=kind,
        organisation=organisation,
        door="",
        source=source,
        data=data,
    )
    world.store.events.append([event])
