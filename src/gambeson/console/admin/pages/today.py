"""Today: your hour this week, what Gambeson did alone, availability beside exposure, the week in a picture."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.admin.templating import day, moment
from gambeson.console.core.charts import bars
from gambeson.console.core.weekly import where
from gambeson.console.core.wording import counted, percent, sentence
from gambeson.console.operations import tally
from gambeson.console.operations.today import set_hours
from gambeson.console.operations.today import today as look
from gambeson.console.operations.week import TodayView
from gambeson.console.web.visit import Reply, Visit, go
from gambeson.model.staff import Verb

NAV = Nav("today", order=10)
_UTC = ZoneInfo("UTC")
_ALONE = ("refused", "throttled", "shielded", "sprays", "sessions_ended", "findings_closed")
_WHERE = {"connect": "servers", "people": "people", "invite": "people"}


def today(desk: Desk, visit: Visit) -> Reply:
    """The page."""
    view = look(desk.office, desk.organisation.id)
    t = desk.texts
    return desk.page(
        "today",
        view=view,
        chores=[
            (chore, sentence(t, chore, lambda at: moment(at, desk.zone)), where(desk.base, chore.link))
            for chore in view.today.chores
        ],
        alone=[
            counted(t, f"today.alone-{name.replace('_', '-')}", count)
            for name in _ALONE
            if (count := getattr(view.today.alone, name))
        ],
        chart=_chart(desk, view),
        rows=[
            (day(each.start, _UTC), each.of(tally.ALLOWED), each.of((*tally.REFUSED, *tally.SHIELDED)))
            for each in view.days
        ],
        steps=[(name, done, f"{desk.base}/{_WHERE[name]}") for name, done in view.steps],
        outages=[each for each in view.up.outages if each.running],
        up_share=percent(view.up.whole.up_of_measured),
        blind_share=percent(view.up.whole.blind) if view.up.whole.blind > 0 else "",
        may_set=desk.office.may(Verb.ORGANISATIONS, desk.organisation.id),
    )


def _chart(desk: Desk, view: TodayView) -> object:
    """Bars, or None where nothing was decided."""
    allowed = [each.of(tally.ALLOWED) for each in view.days]
    refused = [each.of((*tally.REFUSED, *tally.SHIELDED)) for each in view.days]
    if not sum(allowed) + sum(refused):
        return None
    t = desk.texts
    return bars(
        [day(each.start, _UTC) for each in view.days],
        {t("today.allowed"): allowed, t("today.refused"): refused},
        t("today.chart"),
        t("today.chart-text", allowed=sum(allowed), refused=sum(refused)),
    )


def hours(desk: Desk, visit: Visit) -> Reply:
    """How much time there is a week."""
    set_hours(desk.office, desk.organisation.id, visit.given("hours", 20))
    return go(f"{desk.base}/today?said=saved")


ROUTES = (
    get("/o/{org:str}/today", today),
    post("/o/{org:str}/today/hours", hours, Verb.ORGANISATIONS),
)
