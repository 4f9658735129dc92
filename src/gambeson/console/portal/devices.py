"""Adding a device in a minute: choose what it is, scan a code (or read a table), done.

The device's secret is made here, shown once, and kept nowhere: the store has the keeper's verifier. The link of the QR
code works without a session, because the phone has none: 256 random bits, ten minutes, once. Looking at the link shows
nothing secret and does not use it up, so no preview of a chat program can.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from gambeson.console.web.qr import svg
from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.model import device_secret
from gambeson.process.messages import Published
from gambeson.process.portal_messages import DeviceAdd, DeviceEnd, OwnDevice, Person, SessionRow

from . import profile, programs, sessions
from .backend import BackendGoneError, DeniedError, ask
from .links import Setup
from .routing import get, post
from .services import Services

MAX_NAME = 60
IDENTITY_PASSWORD_OCTETS = 9


async def new(s: Services, visit: Visit) -> Reply:
    """What shall be added?"""
    row = await sessions.fresh(s, visit, "device")
    return _form(s, row, await sessions.owner(s, row))


def _form(
    s: Services, row: SessionRow, person: Person, error: str = "", status: int = 200, name: str = ""
) -> Reply:
    offered = programs.offered(s.settings, s.texts, person.clouds)
    values = {
        "session": row,
        "error": error,
        "name": name,
        "programs": offered,
        "refused": programs.refused(s.settings, person.clouds),
        "certificates": ", ".join(one.name for one in offered if one.certificate),
    }
    return Reply(status, "device_new", values)


async def add(s: Services, visit: Visit) -> Reply:
    """Register the device and show how to set it up."""
    row = await sessions.fresh(s, visit, "device")
    person = await sessions.owner(s, row)
    name = _name(visit)
    program = programs.find(s.settings, s.texts, person.clouds, visit.given("program"))
    if program is None:
        raise ProblemError(400)
    if not name:
        return _form(s, row, person, "device.name-missing", 422)
    secret = device_secret.make(s.random(device_secret.ENTROPY_BYTES))
    message = DeviceAdd(
        account=person.account,
        name=name,
        doors=program.doors,
        public_id=secret.public_id,
        verifier=await s.backend.verifier(secret.text),
        at=visit.at,
        session=row.id,
    )
    try:
        device = await ask(s.backend, message, OwnDevice)
    except DeniedError:
        return _form(s, row, person, "device.refused", 409, name)
    identity, password = b"", ""
    if program.certificate and visit.given("certificate") == "1":
        password = s.random(IDENTITY_PASSWORD_OCTETS).hex()
        try:
            identity = await s.backend.certificate(person.account, device.id, name, person.address, password)
        except (DeniedError, BackendGoneError):
            undo = DeviceEnd(account=person.account, device=device.id, at=visit.at, session=row.id)
            await ask(s.backend, undo, Published)
            return _form(s, row, person, "device.refused", 409, name)
    await s.backend.publish()
    await sessions.tell(s, visit, "portal.device.added", person, name)
    setup = Setup(
        program=program.id,
        account=person.account,
        device=device.id,
        name=name,
        address=person.address,
        ends=visit.at + s.settings.link_seconds,
        secret=secret.text,
        identity=identity,
        identity_password=password,
        doors=program.doors,
        clouds=person.clouds,
    )
    return _added(s, row, setup, visit.at)


def _added(s: Services, row: SessionRow, setup: Setup, now: float) -> Reply:
    link = f"{s.settings.origin}/d/{s.links.make(setup, now)}"
    values = {
        "session": row,
        "link": link,
        "qr": svg(link, s.texts("device.qr")),
        "minutes": int(s.settings.link_seconds // 60),
        **_shown(s, setup),
    }
    return Reply(page="device_added", values=values)


def _shown(s: Services, setup: Setup) -> dict[str, object]:
    """What the pages say of the program and its servers. Raises ProblemError(404) where it is offered no more."""
    program = programs.find(s.settings, s.texts, setup.clouds, setup.program)
    if program is None:
        raise ProblemError(404, "device.link-over")
    autoconfig = ""
    if program.autoconfig and s.settings.autoconfig:
        autoconfig = f"{s.settings.autoconfig}?{urlencode({'emailaddress': setup.address})}"
    services = programs.rows(s.settings, setup.doors)
    return {"setup": setup, "program": program, "services": services, "autoconfig": autoconfig}


async def look(s: Services, visit: Visit) -> Reply:
    """The phone opened the link: say what it gives, and give it on the next step."""
    token = visit.path["token"]
    setup = s.links.look(token, visit.at)
    if setup is None:
        raise ProblemError(404, "device.link-over")
    signed = signer(s).able
    values = {"path": f"/d/{quote(token, safe='')}", "signed": signed, **_shown(s, setup)}
    return Reply(page="device_link", values=values)


async def give_profile(s: Services, visit: Visit) -> Reply:
    """The Apple profile, once."""
    if visit.method != "GET":
        raise ProblemError(405)
    setup = s.links.look(visit.path["token"], visit.at)
    program = None if setup is None else programs.find(s.settings, s.texts, setup.clouds, setup.program)
    if setup is None or program is None or not program.profile:
        raise ProblemError(404, "device.link-over")
    s.links.take(visit.path["token"], visit.at)
    body = signer(s).sign(profile.profile(s.settings, setup))
    headers = {"content-disposition": 'attachment; filename="mail.mobileconfig"'}
    return Reply(body=body, kind=profile.KIND, headers=headers)


async def show_secret(s: Services, visit: Visit) -> Reply:
    """The table to type from, once."""
    setup = s.links.take(visit.path["token"], visit.at)
    if setup is None:
        raise ProblemError(404, "device.link-over")
    return Reply(page="device_table", values=_shown(s, setup))


def signer(s: Services) -> profile.Signer:
    """The signer of profiles, read from the settings (which were checked at the start)."""
    return profile.Signer(s.settings.signing_certificate, s.settings.signing_key)


def _name(visit: Visit) -> str:
    shown = "".join(c if c.isprintable() else " " for c in visit.given("name"))
    return " ".join(shown.split())[:MAX_NAME]


async def to_new(_s: Services, _visit: Visit) -> Reply:
    """The list of devices is on the first page."""
    return go("/")


ROUTES = (
    get("/devices", to_new),
    get("/devices/new", new),
    post("/devices/new", add),
    get("/d/{token:str}", look),
    get("/d/{token:str}/profile", give_profile),
    post("/d/{token:str}/show", show_secret),
)
