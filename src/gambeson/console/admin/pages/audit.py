"""Audit: look acts up, take the log along, verify the chain. Of one organisation here; ``audit_all`` is the same page
for the whole installation."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.admin.templating import moment
from gambeson.console.operations import audit as operations
from gambeson.console.web.visit import ProblemError, Reply, Visit
from gambeson.model.staff import Verb
from gambeson.store.audit_entries import MAX_QUERY, AuditQuery

NAV = Nav("audit", order=85, verb=Verb.AUDIT)
MAX_SEQ = 2**53
_KEYS = ("by", "action", "subject", "since", "until")


def listing(desk: Desk, visit: Visit) -> Reply:
    """The entries, newest first."""
    given = {key: visit.given(key, MAX_QUERY) for key in _KEYS}
    organisation = visit.given("organisation", 64) if desk.of is None else ""
    before = whole(visit, "before", 0, MAX_SEQ)
    query = AuditQuery(
        by=given["by"].strip(),
        action=given["action"].strip(),
        subject=given["subject"].strip(),
        since=_day(desk, given["since"], 0),
        until=_day(desk, given["until"], 1),
        organisation=organisation,
    )
    found = operations.page(desk.office, _org(desk), query, before=before)
    asked = {key: value for key, value in (*given.items(), ("organisation", organisation)) if value}
    return desk.page(
        "audit",
        found=found,
        given=given,
        asked=bool(asked),
        newest=urlencode(asked),
        older=urlencode(asked | {"before": str(found.more)}) if found.more else "",
        before=before,
        **_frame(desk),
    )


def one(desk: Desk, visit: Visit) -> Reply:
    """One entry with its details."""
    text = visit.path["seq"]
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ProblemError(404)
    entry = operations.get(desk.office, _org(desk), int(text))
    details = operations.details(entry, lambda at: moment(at, desk.zone))
    return desk.page("audit_entry", entry=entry, details=details, **_frame(desk))


def export(desk: Desk, visit: Visit) -> Reply:
    """All entries as JSON lines, made while they are sent."""
    lines = operations.export(desk.office, _org(desk))
    name = f"audit-{desk.organisation.id if desk.of is not None else 'all'}.jsonl"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    reply = Reply(kind="application/jsonl; charset=utf-8", headers=headers)
    if visit.method != "HEAD":
        reply.stream = lines
    return reply


def verify(desk: Desk, visit: Visit) -> Reply:
    """What was found. Nothing is changed by it; it is a form because it reads the whole log."""
    found = operations.verify(desk.office, _org(desk))
    return desk.page("audit_verified", found=found, **_frame(desk))


def _org(desk: Desk) -> str:
    return desk.organisation.id if desk.of is not None else ""


def _frame(desk: Desk) -> dict[str, Any]:
    """Where the page is, and what it offers."""
    everywhere = desk.office.may(Verb.AUDIT)
    return {
        "root": f"{desk.base}/audit" if desk.of is not None else "/audit",
        "everything": desk.of is None,
        "everywhere": everywhere,
        "takes": desk.of is not None or desk.office.may(Verb.STAFF),
        "organisation_names": {o.id: o.name for o in desk.office.organisations()} if desk.of is None else {},
    }


def _day(desk: Desk, text: str, days: int) -> float:
    """The beginning of a day where the person is, ``days`` later; 0 for none. Raises ProblemError(400)."""
    if not text:
        return 0.0
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
        return max(0.0, datetime.combine(day, time(), desk.zone).timestamp())
    except (ValueError, OverflowError):
        raise ProblemError(400) from None


ROUTES = (
    get("/o/{org:str}/audit", listing, Verb.AUDIT),
    get("/o/{org:str}/audit/export", export, Verb.AUDIT),
    get("/o/{org:str}/audit/{seq:str}", one, Verb.AUDIT),
    post("/o/{org:str}/audit/verify", verify, Verb.AUDIT),
)
