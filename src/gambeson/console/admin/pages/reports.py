"""Reports: one organisation and a period, to be printed or taken along as JSON; the findings as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import Nav, get
from gambeson.console.admin.templating import day, moment
from gambeson.console.core.charts import strip
from gambeson.console.core.wording import counted, percent
from gambeson.console.operations import report as reports
from gambeson.console.operations.report import Report, document, findings_csv, period
from gambeson.console.web.texts import Catalogue
from gambeson.console.web.visit import Reply, Visit

NAV = Nav("reports", order=80)
_UTC = ZoneInfo("UTC")


def page(desk: Desk, visit: Visit) -> Reply:
    """The page."""
    days = period(visit.given("days", 4))
    found = reports.report(desk.office, desk.organisation.id, days)
    return desk.page(
        "reports",
        report=found,
        sentences=list(sentences(desk.texts, found)),
        periods=reports.PERIODS,
        shares=[
            (desk.t("report.all-doors"), found.up.whole),
            *((desk.texts.word("door", name), shares) for name, shares in found.up.doors),
        ],
        percent=percent,
        chart=_chart(desk, found),
    )


def _chart(desk: Desk, found: Report) -> object:
    spans = [(s.start, s.end, s.state.value) for each in found.up.days for s in each.spans]
    return strip(
        spans,
        desk.t("report.up-chart"),
        desk.t("report.up-chart-text", share=percent(found.up.whole.up), days=found.days),
        moment=lambda at: moment(at, desk.zone),
        word=lambda state: desk.texts.word("availability", state),
    )


def sentences(t: Catalogue, found: Report) -> Iterator[str]:
    """The report in a few sentences."""
    yield t(
        "report.says-state",
        exposure=t.word("exposure", found.state.exposure),
        availability=t.word("availability", found.state.availability),
    )
    lax = len(found.served) - found.enforcing
    if not found.served:
        yield t("report.says-no-door")
    elif lax:
        yield counted(t, "report.says-lax", lax, total=len(found.served))
    else:
        yield counted(t, "report.says-enforcing", len(found.served))
    yield t("report.says-decisions", allowed=found.allowed, refused=found.refused)
    yield t(
        "report.says-up", share=percent(found.up.whole.up_of_measured), blind=percent(found.up.whole.blind)
    )
    yield t(
        "report.says-findings", opened=found.opened, closed=found.closed, waived=found.waived, open=found.open
    )
    if found.exceptions:
        yield counted(t, "report.says-exceptions", len(found.exceptions))
    else:
        yield t("report.says-no-exception")
    lacking = found.without_factor
    if lacking is not None:
        yield t("report.says-factors", count=found.accounts - lacking.count, total=found.accounts)
    yield t("report.says-devices", count=found.accounts - found.without_device.count, total=found.accounts)
    side = sum(each.accounts for each in found.side_doors)
    if side:
        yield counted(t, "report.says-side-doors", len(found.side_doors), accounts=side)
    else:
        yield t("report.says-no-side-door")


def as_json(desk: Desk, visit: Visit) -> Reply:
    """The same as a document."""
    found = reports.report(desk.office, desk.organisation.id, period(visit.given("days", 4)))
    body = json.dumps(document(found, sentences(desk.texts, found)), ensure_ascii=False, indent=1)
    return _file(desk, found.at, f"report-{found.days}", "json", "application/json", body)


def as_csv(desk: Desk, visit: Visit) -> Reply:
    """The findings as a table."""
    body = findings_csv(desk.office, desk.organisation.id)
    # A byte order mark: without it spreadsheets read the table in an encoding of their own choice.
    return _file(desk, desk.at, "findings", "csv", "text/csv; charset=utf-8", "\ufeff" + body)


def _file(desk: Desk, at: float, name: str, ending: str, kind: str, body: str) -> Reply:
    where = f'attachment; filename="gambeson-{name}-{day(at, _UTC)}.{ending}"'
    return Reply(body=body.encode("utf-8", "replace"), kind=kind, headers={"content-disposition": where})


ROUTES = (
    get("/o/{org:str}/reports", page),
    get("/o/{org:str}/reports/report.json", as_json),
    get("/o/{org:str}/reports/findings.csv", as_csv),
)
