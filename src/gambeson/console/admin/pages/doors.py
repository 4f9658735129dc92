"""Doors: each one's state, proof and last decisions; why somebody was refused; modes with a preview; the bypass.

What changes what a door does is looked at first: the form leads to a page that changes nothing and names whom it would
touch, and from there it is done.
"""

from __future__ import annotations

from urllib.parse import urlencode

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.core import charts
from gambeson.console.office import Told
from gambeson.console.operations import doors as operations
from gambeson.console.operations import modes, servers, why
from gambeson.console.web.visit import Reply, Visit, go
from gambeson.model.access import Mode, Rung
from gambeson.model.staff import Verb

NAV = Nav("doors", order=20)
MAX_PEOPLE = 100  # of a preview that are named


def doors(desk: Desk, visit: Visit) -> Reply:
    """The page: every door, the last hour, what stands open."""
    found = operations.overview(desk.office, desk.org.id)
    return desk.page(
        "doors",
        found=found,
        live=found.live,
        door=None,
        shields=servers.shields(desk.office, desk.org.id),
        ladders={view.door: _ladder(desk, view.proof) for view in found.doors},
        lines=[line for line in modes.lines(desk.office, desk.org.id) if line.holds is not Mode.ENFORCE],
        may=desk.office.may(Verb.DOORS, desk.org.id),
    )


def decisions(desk: Desk, visit: Visit) -> Reply:
    """The part of the page that asks for itself again; opened by hand, the page it belongs to."""
    door = visit.given("door", 20)
    if door:
        operations.served_door(desk.office, desk.org.id, door)
    if not visit.partial:
        return go(f"{desk.base}/doors/at/{door}" if door else f"{desk.base}/doors")
    return desk.page(
        "doors_decisions", live=operations.live(desk.office, desk.org.id, door), door=door or None
    )


def door(desk: Desk, visit: Visit) -> Reply:
    """One door: its listeners, its day, its decisions."""
    view = operations.one(desk.office, desk.org.id, visit.path["door"])
    day, hours = operations.history(desk.office, desk.org.id, view.door)
    spans = next((d.spans for d in day.doors if d.door == operations.listened(view.door)), day.spans)
    zone, clock = desk.zone, desk.services.pages.environment.filters["moment"]
    allowed, refused = sum(a for _, a, _ in hours), sum(r for _, _, r in hours)
    name = desk.texts.word("door", view.door)
    strip = charts.strip(
        [(span.start, span.end, span.state.value) for span in spans],
        desk.t("doors.day-up", door=name),
        desk.t("doors.day-up-text", share=f"{day.up:.1%}", blind=f"{day.blind:.1%}"),
        moment=lambda at: str(clock(at, zone)),
        word=lambda state: desk.texts.word("availability", state),
        width=960,
    )
    bars = charts.bars(
        [str(clock(at, zone)) for at, _, _ in hours],
        {
            desk.t("doors.allowed"): [a for _, a, _ in hours],
            desk.t("doors.refused"): [r for _, _, r in hours],
        },
        desk.t("doors.day-decisions", door=name),
        desk.t("doors.day-decisions-text", allowed=allowed, refused=refused),
        width=960,
    )
    return desk.page(
        "doors_one",
        view=view,
        day=day,
        strip=strip,
        bars=bars,
        hours=hours,
        decided=allowed + refused,
        ladder=_ladder(desk, view.proof),
        live=operations.live(desk.office, desk.org.id, view.door),
        door=view.door,
        whom=_whom(desk),
    )


def reason(desk: Desk, visit: Visit) -> Reply:
    """Why was I refused? By account, address or id."""
    query, event = visit.given("q", why.MAX_QUERY), visit.given("event", 128)
    answer = why.search(desk.office, desk.org.id, query)
    explained = why.explained(desk.office, desk.org.id, event) if event else None
    return desk.page("doors_why", answer=answer, event=event, explained=explained, days=why.DAYS)


def mode_list(desk: Desk, visit: Visit) -> Reply:
    """How far the doors hold, for whom; the form for a change, and the bypass."""
    may = desk.office.may(Verb.DOORS, desk.org.id)
    return desk.page(
        "doors_modes",
        lines=modes.lines(desk.office, desk.org.id),
        served=operations.served_here(desk.office, desk.org.id),
        groups=modes.groups(desk.office, desk.org.id),
        bypass=modes.bypass(desk.office, desk.org.id),
        may=may,
        chosen=visit.given("door", 20),
        most=modes.MOST_DAYS,
    )


def preview(desk: Desk, visit: Visit) -> Reply:
    """Whom a mode would touch. Nothing is changed."""
    change = _change(desk, visit)
    seen = modes.preview(desk.office, desk.org.id, change)
    unseen = [desk.texts.word("door", each.door) for each in seen if not (each.looked_at or each.let_in)]
    fields = {name: visit.given(name, 254) for name in ("door", "mode", "group", "account", "days", "reason")}
    return desk.page(
        "doors_preview",
        change=change,
        seen=seen,
        unseen=", ".join(unseen),
        fields=fields,
        back=f"{desk.base}/doors/modes/preview?{urlencode(fields)}",
        days=modes.DAYS_BACK,
        most=MAX_PEOPLE,
    )


def set_mode(desk: Desk, visit: Visit) -> Reply:
    """It is done."""
    change = _change(desk, visit)
    return _told(desk, modes.carry_out(desk.office, desk.org.id, change, visit.given("reason", 500)))


def remove(desk: Desk, visit: Visit) -> Reply:
    """An entry is taken away."""
    given = (visit.given("door", 20), visit.given("group", 100), visit.given("account", 64))
    return _told(desk, modes.remove(desk.office, desk.org.id, *given))


def open_bypass(desk: Desk, visit: Visit) -> Reply:
    """Everybody passes, for a while."""
    hours, why_ = whole(visit, "hours", 0, 1000), visit.given("reason", 500)
    return _told(desk, modes.open_bypass(desk.office, desk.org.id, hours, why_))


def close_bypass(desk: Desk, visit: Visit) -> Reply:
    """And no more."""
    return _told(desk, modes.close_bypass(desk.office, desk.org.id))


def _change(desk: Desk, visit: Visit) -> modes.Change:
    return modes.settle(
        desk.office,
        desk.org.id,
        visit.given("door", 20),
        visit.given("mode", 20),
        group=visit.given("group", 100),
        account=visit.given("account", 254),
        days=whole(visit, "days", 14, 10_000),
    )


def _told(desk: Desk, told: Told) -> Reply:
    return go(f"{desk.base}/doors/modes?said={'waiting' if told.missing else 'done'}")


def _ladder(desk: Desk, proof: operations.Proof) -> charts.Chart:
    """The proof ladder of a door."""

    def word(rung: Rung) -> str:
        return desk.texts.word("rung", rung.word)

    reached = word(proof.lowest) if proof.lowest is not None else desk.t("doors.nobody")
    return charts.ladder(
        proof.demanded,
        proof.lowest,
        desk.t("doors.ladder"),
        desk.t("doors.ladder-text", demanded=word(proof.demanded), reached=reached),
        word=word,
    )


def _whom(desk: Desk) -> dict[tuple[str, str], str]:
    """Names of whom entries are for, by group and account."""
    lines = modes.lines(desk.office, desk.org.id)
    return {(line.entry.group, line.entry.account): line.whom for line in lines}


ROUTES = (
    get("/o/{org:str}/doors", doors),
    get("/o/{org:str}/doors/decisions", decisions),
    get("/o/{org:str}/doors/why", reason),
    get("/o/{org:str}/doors/at/{door:str}", door),
    get("/o/{org:str}/doors/modes", mode_list),
    get("/o/{org:str}/doors/modes/preview", preview, Verb.DOORS),
    post("/o/{org:str}/doors/modes/set", set_mode, Verb.DOORS),
    post("/o/{org:str}/doors/modes/remove", remove, Verb.DOORS, fresh=True),
    post("/o/{org:str}/doors/modes/open", open_bypass, Verb.DOORS, fresh=True),
    post("/o/{org:str}/doors/modes/close", close_bypass, Verb.DOORS),
)
