"""Devices, and the quarantine: what was registered, and what waits for somebody's word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from gambeson.console.api.operation import (
    Call,
    Document,
    Given,
    Id,
    Moment,
    Name,
    Nothing,
    Operation,
    Page,
    PageQuery,
    ToldDocument,
    moment,
    said,
    seconds,
    told,
)
from gambeson.console.operations import devices, quarantine
from gambeson.model.access import DoorKind
from gambeson.model.asset import CredentialKind, Device, DeviceKind, DeviceState
from gambeson.model.staff import Verb

Doors = Annotated[Sequence[DoorKind], Meta(min_length=1, max_length=20)]
Networks = Annotated[Sequence[Annotated[str, Meta(max_length=64)]], Meta(max_length=100)]
Senders = Annotated[Sequence[Annotated[str, Meta(max_length=254)]], Meta(max_length=100)]


class DeviceDocument(Document, frozen=True):
    """A registered thing. The fields from ``networks`` on bind a machine."""

    id: str
    account: str
    name: str
    kind: DeviceKind
    state: DeviceState
    doors: Sequence[DoorKind]
    created: Moment | None
    expires: Moment | None
    networks: Sequence[str]
    senders: Sequence[str]
    hourly_limit: int
    owner: str
    review: Moment | None


class DeviceQuery(PageQuery, frozen=True):
    """Of an account, of a kind, in a state."""

    account: Id | UnsetType = UNSET
    kind: DeviceKind | UnsetType = UNSET
    state: DeviceState | UnsetType = UNSET


class DeviceNew(Given, frozen=True):
    """A new device of an account. A machine needs its networks, who answers for it, and when it is looked at again."""

    account: Id
    name: Name
    doors: Doors
    expires: Moment | None = None
    machine: bool = False
    networks: Networks = ()
    senders: Senders = ()
    hourly_limit: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    owner: Annotated[str, Meta(max_length=254)] = ""
    review: Moment | None = None


class DeviceRegistered(Document, frozen=True):
    """``secret`` is the password of this one device's mail program. It is not shown again."""

    device: DeviceDocument
    secret: str
    told: ToldDocument


class DeviceApproval(Given, frozen=True):
    """For which doors; left out: those that it was registered for."""

    doors: Doors | UnsetType = UNSET


class DeviceBlock(Given, frozen=True):
    """Whether it was lost."""

    lost: bool = False


class DeviceChanged(Document, frozen=True):
    """The device as it is now, and who acts on it."""

    device: DeviceDocument
    told: ToldDocument


class WaitingDocument(Document, frozen=True):
    """One that waits: a registered ``device``, or an ActiveSync phone (``phone`` is its DeviceId). ``why`` is a stable
    word."""

    account: str
    address: str
    device: str
    name: str
    phone: str
    program: str
    source: str
    country: str
    door: str
    rung: str
    proofs: Sequence[CredentialKind]
    doors: Sequence[DoorKind]
    why: str
    first_seen: Moment | None
    last_seen: Moment | None


def _document(found: Device) -> DeviceDocument:
    return DeviceDocument(
        id=found.id,
        account=found.account,
        name=found.name,
        kind=found.kind,
        state=found.state,
        doors=found.doors,
        created=moment(found.created_at),
        expires=moment(found.expires_at),
        networks=found.networks,
        senders=found.senders,
        hourly_limit=found.hourly_limit,
        owner=found.owner,
        review=moment(found.review_at),
    )


def list_(call: Call) -> Page[DeviceDocument]:
    """By account and name."""
    asked, offset = call.asked(DeviceQuery), call.offset()
    found = call.org.devices.list(
        account=said(asked.account),
        kind=said(asked.kind),
        state=said(asked.state),
        limit=call.limit + 1,
        offset=offset,
    )
    return call.counted([_document(each) for each in found], offset)


def get(call: Call) -> DeviceDocument:
    """One."""
    return _document(call.org.devices.get(call.path["device"]))


def register(call: Call) -> DeviceRegistered:
    """A new one, with its secret."""
    body = call.given(DeviceNew)
    wish = devices.Wish(
        "",
        body.name,
        tuple(door.value for door in body.doors),
        seconds(body.expires),
        body.machine,
        tuple(body.networks),
        tuple(body.senders),
        body.hourly_limit,
        body.owner,
        seconds(body.review),
    )
    made, known = devices.register(call.office, call.organisation, body.account, wish)
    return DeviceRegistered(device=_document(made.device), secret=made.secret, told=told(known))


def _changed(call: Call, act: Callable[[str], devices.Done]) -> DeviceChanged:
    id = call.path["device"]
    done = act(id)
    return DeviceChanged(device=_document(call.org.devices.get(id)), told=told(done.told))


def approve(call: Call) -> DeviceChanged:
    """It is let in."""
    doors = call.given(DeviceApproval).doors
    words = None if doors is UNSET else [door.value for door in doors]
    return _changed(call, lambda id: devices.approve(call.office, call.organisation, [id], words))


def block(call: Call) -> DeviceChanged:
    """It is shut out."""
    lost = call.given(DeviceBlock).lost
    return _changed(call, lambda id: devices.block(call.office, call.organisation, [id], lost=lost))


def revoke(call: Call) -> DeviceChanged:
    """It is shut out for ever."""
    return _changed(call, lambda id: devices.revoke(call.office, call.organisation, [id]))


def waiting(call: Call) -> Page[WaitingDocument]:
    """Devices by account, then phones by when they came first."""
    offset = call.offset()
    found = quarantine.queue(call.office, call.organisation, offset=offset, limit=call.limit)
    items = [
        WaitingDocument(
            account=each.account,
            address=each.address,
            device=each.device,
            name=each.name,
            phone=each.phone,
            program=each.program,
            source=each.source,
            country=each.country,
            door=each.door,
            rung=each.rung,
            proofs=each.proofs,
            doors=each.doors,
            why=each.why,
            first_seen=moment(each.first_seen),
            last_seen=moment(each.last_seen),
        )
        for each in found.waiting
    ]
    after = offset + call.limit
    return call.page(items, after if after < found.total else None)


_ORG = "/organisations/{organisation}"
_PATH = _ORG + "/devices"
OPERATIONS = (
    Operation(
        "devices.list",
        "GET",
        _PATH,
        Verb.READ,
        list_,
        query=DeviceQuery,
        answer=Page[DeviceDocument],
        summary="Devices by account and name",
    ),
    Operation(
        "devices.register",
        "POST",
        _PATH,
        Verb.DEVICES,
        register,
        body=DeviceNew,
        answer=DeviceRegistered,
        summary="Register a device; its secret is shown once",
        status=201,
    ),
    Operation(
        "devices.get", "GET", _PATH + "/{device}", Verb.READ, get, answer=DeviceDocument, summary="One device"
    ),
    Operation(
        "devices.approve",
        "POST",
        _PATH + "/{device}/approve",
        Verb.DEVICES,
        approve,
        body=DeviceApproval,
        answer=DeviceChanged,
        summary="Let a device in",
    ),
    Operation(
        "devices.block",
        "POST",
        _PATH + "/{device}/block",
        Verb.DEVICES,
        block,
        body=DeviceBlock,
        answer=DeviceChanged,
        summary="Shut a device out until somebody lets it in again",
        or_verb=Verb.CONTAIN,
    ),
    Operation(
        "devices.revoke",
        "POST",
        _PATH + "/{device}/revoke",
        Verb.DEVICES,
        revoke,
        body=Nothing,
        answer=DeviceChanged,
        summary="Shut a device out for ever",
        or_verb=Verb.CONTAIN,
    ),
    Operation(
        "quarantine.list",
        "GET",
        _ORG + "/quarantine",
        Verb.READ,
        waiting,
        query=PageQuery,
        answer=Page[WaitingDocument],
        summary="Devices and phones that wait for somebody's word",
    ),
)
