"""The quarantine queue: devices and phones that wait for a word, one or many at once."""

from __future__ import annotations

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import get, post
from gambeson.console.office import RefusedError
from gambeson.console.operations import devices, people
from gambeson.console.operations import quarantine as operations
from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.model.access import DEVICE_DOORS
from gambeson.model.staff import Verb


def show(desk: Desk, visit: Visit) -> Reply:
    """The queue."""
    offset = whole(visit, "offset", 0, 100_000)
    served = people.grid(desk.office, desk.organisation.id).doors
    may = {verb: desk.office.may(verb, desk.organisation.id) for verb in (Verb.DEVICES, Verb.CONTAIN)}
    return desk.page(
        "people_quarantine",
        queue=operations.queue(desk.office, desk.organisation.id, offset=offset),
        offset=offset,
        size=operations.PAGE,
        doors=[door for door in DEVICE_DOORS if door in served],
        approves=may[Verb.DEVICES],
        blocks=may[Verb.DEVICES] or may[Verb.CONTAIN],
    )


def decide(desk: Desk, visit: Visit) -> Reply:
    """Approve or block what is marked."""
    office, org, act = desk.office, desk.organisation.id, visit.given("act", 300)
    act, _, one = act.partition(" ")
    if act not in ("approve", "block"):
        raise ProblemError(400)
    keys = [one] if one else [value for name, value in visit.form.items() if name.startswith("item-")]
    own = [key.removeprefix("device ") for key in keys if key.startswith("device ")]
    eas = [key.split(" ") for key in keys if key.startswith("eas ")]
    if len(own) + len(eas) != len(keys) or any(len(parts) != 3 for parts in eas):
        raise ProblemError(400)
    phones = [(parts[1], parts[2]) for parts in eas]
    if not keys:
        raise RefusedError("nothing", "Nothing was chosen: mark what you mean.", 422)
    doors = [door.value for door in DEVICE_DOORS if visit.given(f"door-{door.value}", 5)]
    told = None
    if own:
        done = (
            devices.approve(office, org, own, doors or None)
            if act == "approve"
            else devices.block(office, org, own)
        )
        told = done.told
    if phones:
        told = devices.decide_eas(office, org, phones, "allowed" if act == "approve" else "blocked").told
    missing = told is not None and bool(told.missing)
    return go(f"{desk.base}/people/quarantine?said={'waiting' if missing else 'done'}")


ROUTES = (
    get("/o/{org:str}/people/quarantine", show),
    post("/o/{org:str}/people/quarantine", decide, Verb.READ),  # the operations ask for one verb of two
)
