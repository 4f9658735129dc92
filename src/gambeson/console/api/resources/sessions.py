"""Sessions of mail programs and browsers at the doors, as the worker knows them now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from gambeson.console.api.operation import Call, Document, Given, Id, Moment, Operation, moment
from gambeson.console.office import RefusedError
from gambeson.model.staff import Verb
from gambeson.process.messages import KillAsk, SessionInfo
from gambeson.process.worker_client import WorkerGone, WorkerRefused
from gambeson.store.errors import BadValue

MOST = 10_000
Session = Annotated[str, Meta(min_length=1, max_length=128, pattern="^[!-~]+$")]


class SessionDocument(Document, frozen=True):
    """One open session. ``account`` and ``device`` are ids."""

    id: str
    door: str
    account: str
    address: str
    device: str
    source: str
    since: Moment | None
    server: str


class SessionList(Document, frozen=True):
    """All of them. ``missing`` doors did not answer; ``more`` could not be shown."""

    items: Sequence[SessionDocument]
    missing: Sequence[str]
    more: int


class SessionQuery(Given, frozen=True):
    """Of an account, of a device."""

    account: Id | UnsetType = UNSET
    device: Id | UnsetType = UNSET


class SessionEnd(Given, frozen=True):
    """Those to which all that is given applies; at least one thing is given."""

    session: Session | None = None
    account: Id | None = None
    device: Id | None = None


class SessionsEnded(Document, frozen=True):
    """How many were closed; ``missing`` doors did not answer."""

    count: int
    missing: Sequence[str]


def list_(call: Call) -> SessionList:
    """The oldest first."""
    asked = call.asked(SessionQuery)
    try:
        found, missing = call.office.world.worker.sessions(call.org.id)
    except (WorkerGone, WorkerRefused):
        raise _no_worker() from None
    mine = [
        each
        for each in found
        if each.organisation == call.org.id
        and asked.account in (UNSET, each.account)
        and asked.device in (UNSET, each.device)
    ]
    mine.sort(key=lambda each: (each.since, each.id))
    return SessionList(
        items=[_document(each) for each in mine[:MOST]], missing=missing, more=max(0, len(mine) - MOST)
    )


def end(call: Call) -> SessionsEnded:
    """Closes them at the doors."""
    body = call.given(SessionEnd)
    if not (body.session or body.account or body.device):
        raise BadValue("Say which: a session, an account or a device.")
    org = call.org
    if body.account:
        org.accounts.get(body.account)
    if body.device:
        org.devices.get(body.device)
    ask = KillAsk(
        session=body.session or "",
        account=body.account or "",
        device=body.device or "",
        organisation=org.id,
    )
    try:
        done = call.office.world.worker.kill(ask)
    except (WorkerGone, WorkerRefused):
        raise _no_worker() from None
    return SessionsEnded(count=done.count, missing=done.missing)


def _document(found: SessionInfo) -> SessionDocument:
    return SessionDocument(
        id=found.id,
        door=found.door,
        account=found.account,
        address=found.address,
        device=found.device,
        source=found.source,
        since=moment(found.since),
        server=found.server,
    )


def _no_worker() -> RefusedError:
    return RefusedError("no-worker", "The worker does not answer: see gambeson doctor on the machine.", 503)


_PATH = "/organisations/{organisation}/sessions"
OPERATIONS = (
    Operation(
        "sessions.list",
        "GET",
        _PATH,
        Verb.READ,
        list_,
        query=SessionQuery,
        answer=SessionList,
        summary="Open sessions at the doors",
    ),
    Operation(
        "sessions.end",
        "POST",
        _PATH + "/end",
        Verb.DEVICES,
        end,
        body=SessionEnd,
        answer=SessionsEnded,
        summary="Close sessions at the doors",
        or_verb=Verb.CONTAIN,
    ),
)
