"""My things: devices, sessions, recent sign-ins; ending one, and "this wasn't me". GET shows, POST acts."""

from __future__ import annotations

from gambeson.console.web.visit import BOX, SESSION, STEP, ProblemError, Reply, Visit, forget, go
from gambeson.process.messages import Message, Published
from gambeson.process.portal_messages import DeviceEnd, OwnDevice, OwnThings, SessionEnd, SessionRow, Things

from . import sessions
from .backend import ask
from .routing import get, post
from .services import Services

SAID = ("device-ended", "session-ended", "others-ended", "alarm")
SHOWN_SIGN_INS = 50


async def home(s: Services, visit: Visit) -> Reply:
    """Everything of one's own on one page."""
    row = await sessions.required(s, visit)
    things = await _things(s, row)
    said = visit.given("said")
    names = {device.name: device.id for device in things.devices} | {d.id: d.id for d in things.devices}
    values = {
        "session": row,
        "things": things,
        "sign_ins": things.sign_ins[:SHOWN_SIGN_INS],
        "device_of": names,
        "said": said if said in SAID else "",
        "applications": [a for a in s.settings.applications if a.label],
    }
    return Reply(page="home", values=values)


async def _things(s: Services, row: SessionRow) -> Things:
    return await ask(s.backend, OwnThings(account=row.account), Things)


async def _device(s: Services, visit: Visit, row: SessionRow) -> OwnDevice:
    """The device of the path, if it is the person's own. Raises ProblemError(404)."""
    things = await _things(s, row)
    found = next((d for d in things.devices if d.id == visit.path["device"]), None)
    if found is None:
        raise ProblemError(404)
    return found


async def ask_device(s: Services, visit: Visit) -> Reply:
    """Shows what would end; ``alarm``: it was not the person."""
    row = await sessions.required(s, visit)
    device = await _device(s, visit, row)
    values = {"session": row, "device": device, "alarm": visit.given("alarm") == "1", "missing": ()}
    return Reply(page="device_end", values=values)


async def end_device(s: Services, visit: Visit) -> Reply:
    """Ends the device on every protocol; an alarm opens a Finding too."""
    row = await sessions.required(s, visit)
    device = await _device(s, visit, row)
    alarm = visit.given("alarm") == "1"
    s.links.forget_device(device.id)
    message = DeviceEnd(account=row.account, device=device.id, at=visit.at, alarm=alarm, session=row.id)
    published = await ask(s.backend, message, Published)
    person = await sessions.owner(s, row)
    await sessions.tell(
        s, visit, "portal.device.not-me" if alarm else "portal.device.ended", person, device.name
    )
    if published.missing:
        values = {"session": row, "device": device, "alarm": alarm, "missing": published.missing}
        return Reply(202, "device_end", values)
    return go("/?said=alarm" if alarm else "/?said=device-ended")


async def end_session(s: Services, visit: Visit) -> Reply:
    """Ends one session of one's own; one's current one is a sign-out."""
    row = await sessions.required(s, visit)
    wanted = visit.path["session"]
    things = await _things(s, row)
    if all(each.id != wanted for each in things.sessions):
        raise ProblemError(404)
    await sessions.end(s, visit, row.account, wanted, "ended by its owner")
    if wanted == row.id:
        return _signed_out()
    return go("/?said=session-ended")


async def ask_not_me(s: Services, visit: Visit) -> Reply:
    """A sign-in without a device was not the person: what will be done."""
    row = await sessions.required(s, visit)
    return Reply(page="not_me", values={"session": row})


async def not_me(s: Services, visit: Visit) -> Reply:
    """Ends every other session, and tells the record."""
    await _end_others(s, visit, "portal.not-me", "this was not me")
    return go("/?said=alarm")


async def end_others(s: Services, visit: Visit) -> Reply:
    """Ends every other session."""
    await _end_others(s, visit, "portal.sessions.ended", "ended by its owner")
    return go("/?said=others-ended")


async def _end_others(s: Services, visit: Visit, kind: str, reason: str) -> None:
    row = await sessions.required(s, visit)
    person = await sessions.owner(s, row)
    for other in (await _things(s, row)).sessions:
        if other.id != row.id:
            s.boxes.drop(other.id)
    message = SessionEnd(account=row.account, at=visit.at, keep=row.id, reason=reason)
    await ask(s.backend, message, Message)
    await sessions.tell(s, visit, kind, person)


async def sign_out(s: Services, visit: Visit) -> Reply:
    """Ends this session everywhere. Without one it does nothing, and looks the same."""
    row = await sessions.current(s, visit)
    if row is not None:
        await sessions.end(s, visit, row.account, row.id, "signed out")
    s.steps.drop(visit.cookie_hash(STEP))
    return _signed_out()


def _signed_out() -> Reply:
    reply = Reply(page="signed_out", cookies=[forget(SESSION), forget(BOX), forget(STEP)])
    reply.headers["clear-site-data"] = '"cache", "storage"'
    return reply


ROUTES = (
    get("/", home),
    get("/devices/{device:str}/end", ask_device),
    post("/devices/{device:str}/end", end_device),
    post("/sessions/{session:str}/end", end_session),
    post("/sessions/end-others", end_others),
    get("/not-me", ask_not_me),
    post("/not-me", not_me),
    post("/sign-out", sign_out),
)
