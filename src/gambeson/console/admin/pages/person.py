"""One person: addresses and groups, devices, phones, second factors, sessions, what happened lately; and every act.

Who may only contain finds the buttons that take access away. What cannot be taken back asks for a passkey that was
shown just now.
"""

from __future__ import annotations

from datetime import date, datetime, time

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import get, post
from gambeson.console.core.leaver import StepKind
from gambeson.console.office import RefusedError, Told
from gambeson.console.operations import devices as device_acts
from gambeson.console.operations import leavers
from gambeson.console.operations import people as operations
from gambeson.console.operations.devices import Wish, words
from gambeson.console.web.agents import browser
from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.model.access import DEVICE_DOORS, MAIL_DOORS
from gambeson.model.staff import Verb
from gambeson.store.errors import BadValue, Conflict

from .people import named

MACHINE_FIELDS = ("networks", "senders", "hourly_limit", "owner", "review")
_DAY_END = time(23, 59, 59)


def person(desk: Desk, visit: Visit) -> Reply:
    """The page."""
    offset = whole(visit, "offset", 0, 100_000)
    found = operations.person(desk.office, desk.organisation.id, visit.path["account"], offset=offset)
    may = {verb: desk.office.may(verb, desk.organisation.id) for verb in Verb}
    return desk.page(
        "people_person",
        found=found,
        account=found.account,
        agents={s.id: browser(s.agent, desk.texts) for s in found.web_sessions},
        names={line.device.id: line.device.name for line in found.devices},
        offset=offset,
        size=operations.MOST_DEVICES,
        manages=may[Verb.PEOPLE],
        registers=may[Verb.DEVICES],
        blocks=may[Verb.DEVICES] or may[Verb.CONTAIN],
        switches_off=may[Verb.PEOPLE] or may[Verb.CONTAIN],
        ends=may[Verb.DEVICES] or may[Verb.PEOPLE] or may[Verb.CONTAIN],
    )


def devices(desk: Desk, visit: Visit) -> Reply:
    """Approve, block, lost or revoke: one device, or those that are marked."""
    account, act = visit.path["account"], visit.given("act", 300)
    act, _, one = act.partition(" ")
    chosen = [one] if one else [value for name, value in visit.form.items() if name.startswith("device-")]
    office, org = desk.office, desk.organisation.id
    match act:
        case "approve":
            done = device_acts.approve(office, org, chosen, account=account)
        case "block":
            done = device_acts.block(office, org, chosen, account=account)
        case "lose":
            done = device_acts.block(office, org, chosen, lost=True, account=account)
        case "revoke":
            if len(chosen) > 1:
                office.fresh()
            done = device_acts.revoke(office, org, chosen, account=account)
        case _:
            raise ProblemError(400)
    return _back(desk, account, done.told)


def phone(desk: Desk, visit: Visit) -> Reply:
    """A word on an ActiveSync phone."""
    account, act = visit.path["account"], visit.given("act", 20)
    if act not in ("allowed", "blocked", "quarantined", "forget"):
        raise ProblemError(400)
    done = device_acts.decide_eas(
        desk.office, desk.organisation.id, [(account, visit.given("phone", 64))], act
    )
    return _back(desk, account, done.told)


def sessions(desk: Desk, visit: Visit) -> Reply:
    """Its sessions end: one of the portal, or all everywhere."""
    account = visit.path["account"]
    done = operations.end_sessions(
        desk.office, desk.organisation.id, account, session=visit.given("session", 64)
    )
    return _back(desk, account, done.told)


def factors(desk: Desk, visit: Visit) -> Reply:
    """A second factor is forgotten, or all of them."""
    account = visit.path["account"]
    operations.remove_factors(desk.office, desk.organisation.id, account, factor=visit.given("factor", 64))
    return go(f"{desk.base}/people/{account}?said=saved")


def state(desk: Desk, visit: Visit) -> Reply:
    """On or off."""
    account, act = visit.path["account"], visit.given("act", 20)
    if act not in ("on", "off"):
        raise ProblemError(400)
    told = operations.switch(desk.office, desk.organisation.id, account, on=act == "on")
    return _back(desk, account, told)


def names(desk: Desk, visit: Visit) -> Reply:
    """Other aliases and groups."""
    account = visit.path["account"]
    told = operations.change(
        desk.office,
        desk.organisation.id,
        account,
        aliases=words(visit.given("aliases", 8_000)),
        groups=named(visit.given("groups", 8_000)),
    )
    return _back(desk, account, told)


# -- a new device


def new_device(desk: Desk, visit: Visit) -> Reply:
    """The form. A passkey is asked for first: nobody fills it in and loses it."""
    desk.office.fresh()
    return _device_form(desk, visit)


def register(desk: Desk, visit: Visit) -> Reply:
    """The device, and its secret: shown this once."""
    account = visit.path["account"]
    machine = visit.given("kind", 10) == "machine"
    try:
        wish = Wish(
            "",
            visit.given("name", 100).strip(),
            tuple(d.value for d in DEVICE_DOORS if visit.given(f"door-{d.value}", 5)),
            _end_of(desk, visit.given("expires", 20)),
            machine,
            words(visit.given("networks", 2_000)) if machine else (),
            words(visit.given("senders", 4_000)) if machine else (),
            whole(visit, "hourly_limit", 0, 1_000_000) if machine else 0,
            visit.given("owner", 254).strip() if machine else "",
            _end_of(desk, visit.given("review", 20)) if machine else 0.0,
        )
        made, told = device_acts.register(desk.office, desk.organisation.id, account, wish)
    except (BadValue, Conflict) as error:
        return _device_form(desk, visit, 409, str(error))
    except RefusedError as error:
        if error.status != 422:
            raise
        return _device_form(desk, visit, 422, error.sentence)
    return desk.page("people_secret", made=made, told=told, hostname=desk.office.facts.hostname)


def _device_form(desk: Desk, visit: Visit, status: int = 200, error: str = "") -> Reply:
    fields = ("name", "kind", "expires", *MACHINE_FIELDS)
    doors = [d for d in DEVICE_DOORS if d in operations.grid(desk.office, desk.organisation.id).doors]
    chosen = {d for d in doors if visit.form.get(f"door-{d.value}")} if visit.form else set(MAIL_DOORS)
    return desk.page(
        "people_device_new",
        status,
        error=error,
        account=desk.org.accounts.get(visit.path["account"]),
        form={name: visit.form.get(name, "")[:4_000] for name in fields},
        doors=doors,
        chosen=chosen,
    )


def _end_of(desk: Desk, text: str) -> float:
    """The end of a day in the person's zone; 0 for none. Raises RefusedError."""
    if not text.strip():
        return 0.0
    try:
        day = date.fromisoformat(text.strip())
        return datetime.combine(day, _DAY_END, desk.zone).timestamp()
    except (ValueError, OverflowError):
        raise RefusedError("date", "A date is written as 2030-12-31.", 422) from None


# -- somebody leaves


def leaving(desk: Desk, visit: Visit) -> Reply:
    """What will end."""
    return desk.page(
        "people_leave",
        leaving=leavers.plan(desk.office, desk.organisation.id, visit.path["account"]),
        mail_sessions=StepKind.END_MAIL_SESSIONS,
    )


def leave(desk: Desk, visit: Visit) -> Reply:
    """All of it ends; what is left is told."""
    left = leavers.leave(desk.office, desk.organisation.id, visit.path["account"])
    return desk.page("people_left", left=left, leaving=left.before)


def _back(desk: Desk, account: str, told: Told) -> Reply:
    return go(f"{desk.base}/people/{account}?said={'waiting' if told.missing else 'done'}")


_ONE = "/o/{org:str}/people/{account:str}"
ROUTES = (
    get(_ONE, person),
    post(f"{_ONE}/devices", devices, Verb.READ),  # the operations ask for one verb of several
    post(f"{_ONE}/phones", phone, Verb.READ),
    post(f"{_ONE}/sessions", sessions, Verb.READ),
    post(f"{_ONE}/state", state, Verb.READ),
    post(f"{_ONE}/factors", factors, Verb.PEOPLE, fresh=True),
    post(f"{_ONE}/names", names, Verb.PEOPLE),
    get(f"{_ONE}/device", new_device, Verb.DEVICES),
    post(f"{_ONE}/device", register, Verb.DEVICES, fresh=True),
    get(f"{_ONE}/leave", leaving, Verb.PEOPLE),
    post(f"{_ONE}/leave", leave, Verb.PEOPLE, fresh=True),
)
