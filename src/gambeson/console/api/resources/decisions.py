"""Decisions: who asked to be let in at which door, what was decided, and why; the newest first."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from gambeson.console.api.operation import (
    Call,
    Document,
    Id,
    Moment,
    Operation,
    Page,
    PageQuery,
    moment,
    said,
    seconds,
)
from gambeson.console.operations.doors import shown
from gambeson.model.access import DoorKind
from gambeson.model.event import Event
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.staff import Verb

KIND = "door.login"
Outcome = Literal["allowed", "refused", "failed"]
_Place = tuple[Annotated[float, Meta(ge=0, le=253_402_300_800)], Annotated[str, Meta(max_length=128)]]


class DecisionDocument(Document, frozen=True):
    """``account`` and ``device`` are ids, empty where nothing was proven; ``claimed`` is the address that was named."""

    id: str
    at: Moment | None
    door: str
    outcome: str
    account: str
    claimed: str
    device: str
    source: str
    country: str
    program: str
    rung: str
    rule: str
    reason: str


class DecisionAsk(PageQuery, frozen=True):
    """``since`` is inclusive, ``until`` exclusive."""

    since: Moment | UnsetType = UNSET
    until: Moment | UnsetType = UNSET
    outcome: Outcome | UnsetType = UNSET
    account: Id | UnsetType = UNSET
    device: Id | UnsetType = UNSET
    door: DoorKind | UnsetType = UNSET


def list_(call: Call) -> Page[DecisionDocument]:
    """The newest first."""
    asked = call.asked(DecisionAsk)
    place: tuple[float, str] | None = call.after(_Place)
    found = call.org.events.query(
        kind=f"{KIND}.{asked.outcome}" if asked.outcome is not UNSET else KIND,
        account=said(asked.account) or "",
        device=said(asked.device) or "",
        door=asked.door.value if asked.door is not UNSET else "",
        since=seconds(asked.since),
        until=seconds(asked.until),
        before=place,
        limit=call.limit + 1,
    )
    index, some = call.office.index(), found[: call.limit]
    last = (some[-1].at, some[-1].id) if len(found) > call.limit else None
    return call.page([_document(each, index) for each in some], last)


def _document(event: Event, index: SnapshotIndex) -> DecisionDocument:
    def text(key: str) -> str:
        value: Any = event.data.get(key, "")
        return str(value)[:200] if isinstance(value, str) else ""

    line = shown(event, index)
    return DecisionDocument(
        id=event.id,
        at=moment(event.at),
        door=event.door,
        outcome=event.kind.rpartition(".")[2],
        account=event.account,
        claimed=line.who,
        device=event.device,
        source=event.source,
        country=text("country"),
        program=text("program"),
        rung=line.rung,
        rule=text("rule"),
        reason=line.reason,
    )


OPERATIONS = (
    Operation(
        "decisions.list",
        "GET",
        "/organisations/{organisation}/decisions",
        Verb.READ,
        list_,
        query=DecisionAsk,
        answer=Page[DecisionDocument],
        summary="What the doors decided, the newest first",
    ),
)
