"""Doors: how each one is, what it demands, how far it holds; and the mode of one for all, a group or an account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from gambeson.console.api.operation import (
    Address,
    Call,
    Document,
    Given,
    Moment,
    Operation,
    ToldDocument,
    moment,
    told,
)
from gambeson.console.core.availability import Up
from gambeson.console.operations import doors, modes
from gambeson.model.access import DoorKind, Mode
from gambeson.model.staff import Verb


class ModeDocument(Document, frozen=True):
    """One entry. ``group`` and ``account`` (an id) empty: everybody. ``holds`` is what it means now: one that is over
    enforces."""

    door: DoorKind
    mode: Mode
    holds: Mode
    group: str
    account: str
    until: Moment | None


class DoorDocument(Document, frozen=True):
    """``demanded``, ``lowest`` and ``usual`` are rungs (null: nobody came in); ``allowed`` and ``refused`` of the last
    hour; ``mode`` is that of whom it holds least for."""

    door: DoorKind
    state: Up
    since: Moment | None
    sentence: str
    demanded: str
    lowest: str | None
    usual: str | None
    allowed: int
    refused: int
    mode: Mode
    trouble: Sequence[str]


class DoorList(Document, frozen=True):
    """Every door that is served here, and all modes. ``bypass_until`` null: the emergency bypass is closed."""

    items: Sequence[DoorDocument]
    modes: Sequence[ModeDocument]
    bypass_until: Moment | None


class ModeNew(Given, frozen=True):
    """A mode for a group, an account (its address) or everybody. observe and warn end after ``days``; a weaker mode
    needs a reason."""

    mode: Mode
    group: Annotated[str, Meta(max_length=100)] = ""
    account: Address | None = None
    days: Annotated[int, Meta(ge=1, le=modes.MOST_DAYS)] = 14
    reason: Annotated[str, Meta(max_length=1000)] = ""


class ModeSet(Document, frozen=True):
    """Every entry as it is now, and who acts on it."""

    modes: Sequence[ModeDocument]
    told: ToldDocument


def _modes(call: Call) -> list[ModeDocument]:
    return [
        ModeDocument(
            door=line.entry.door,
            mode=line.entry.mode,
            holds=line.holds,
            group=line.entry.group,
            account=line.entry.account,
            until=moment(line.entry.until),
        )
        for line in modes.lines(call.office, call.organisation)
    ]


def list_(call: Call) -> DoorList:
    """All of them."""
    found = doors.overview(call.office, call.organisation)
    items = [
        DoorDocument(
            door=each.door,
            state=each.state,
            since=moment(each.since),
            sentence=each.sentence,
            demanded=each.proof.demanded.word,
            lowest=each.proof.lowest.word if each.proof.lowest is not None else None,
            usual=each.proof.usual.word if each.proof.usual is not None else None,
            allowed=each.allowed,
            refused=each.refused,
            mode=each.laxest,
            trouble=each.trouble,
        )
        for each in found.doors
    ]
    return DoorList(
        items=items,
        modes=_modes(call),
        bypass_until=moment(found.bypass.until) if found.bypass is not None else None,
    )


def set_mode(call: Call) -> ModeSet:
    """Sets one."""
    body = call.given(ModeNew)
    change = modes.settle(
        call.office,
        call.organisation,
        call.path["door"],
        body.mode.value,
        group=body.group,
        account=body.account or "",
        days=body.days,
    )
    known = modes.carry_out(call.office, call.organisation, change, body.reason)
    return ModeSet(modes=_modes(call), told=told(known))


_PATH = "/organisations/{organisation}/doors"
OPERATIONS = (
    Operation(
        "doors.list",
        "GET",
        _PATH,
        Verb.READ,
        list_,
        answer=DoorList,
        summary="Doors as they are now, with all modes",
    ),
    Operation(
        "doors.set-mode",
        "PUT",
        _PATH + "/{door}/mode",
        Verb.DOORS,
        set_mode,
        body=ModeNew,
        answer=ModeSet,
        summary="Set how far a door (or `all`) holds",
    ),
)
