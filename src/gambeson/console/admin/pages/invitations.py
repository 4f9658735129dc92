"""Enrolment of a whole group: whom to invite, the sheets of paper, and by name who has come so far."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from gambeson.console import sheets
from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.admin.templating import LANGUAGES, moment
from gambeson.console.operations import invitations as operations
from gambeson.console.operations.invitations import MAX_DAYS, Choice, Paper
from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.model.staff import Verb
from gambeson.store.invitations import MAX_AT_ONCE, Among, Chosen, Progress

NAV = Nav("invitations", order=35, verb=Verb.PEOPLE)
SIZE = 50
SHOWN = 10  # names of those who would be invited
MAX_SEARCH, MAX_ADDRESSES = 100, 16_000
PICK = "pick."
K = TypeVar("K", bound=StrEnum)


def show(desk: Desk, visit: Visit) -> Reply:
    """By name: invited when and by whom, and how far each is."""
    wanted = _one_of(Progress, visit.given("progress", 20), Progress.ALL)
    text, offset = visit.given("q", MAX_SEARCH), whole(visit, "offset", 0, 100_000)
    id = desk.organisation.id
    rows, total = operations.progress(desk.office, id, wanted, text=text, limit=SIZE, offset=offset)
    return desk.page(
        "invitations",
        rows=rows,
        total=total,
        offset=offset,
        size=SIZE,
        query=urlencode({"progress": wanted, "q": text}),
        progress=wanted,
        kinds=list(Progress),
        q=text,
        counts=operations.counts(desk.office, id),
        work=operations.current(desk.office, id),
        may=desk.office.may(Verb.PEOPLE, id),
        portal=desk.office.facts.portal,
    )


def new(desk: Desk, visit: Visit) -> Reply:
    """The form. With a choice in the address it says whom it means, before anything is done."""
    desk.office.fresh()
    choice = _choice(desk, visit)
    found = operations.chosen(desk.office, desk.organisation.id, choice) if visit.query.get("among") else None
    return _form(desk, choice, found, visit.given("q", MAX_SEARCH))


def make(desk: Desk, visit: Visit) -> Reply:
    """The sheets are to be made."""
    language = visit.given("language", 8) or desk.texts.language
    if language not in LANGUAGES:
        raise ProblemError(400)
    work = operations.invite(
        desk.office,
        desk.organisation.id,
        _choice(desk, visit),
        whole(visit, "days", MAX_DAYS, 1_000),
        _paper(desk, language),
    )
    return go(f"{desk.base}/progress/{work.id}")


def _form(desk: Desk, choice: Choice, found: Chosen | None, q: str) -> Reply:
    id = desk.organisation.id
    return desk.page(
        "invitations_new",
        choice=choice,
        found=found,
        names=[address for _, address in found.people[:SHOWN]] if found is not None else [],
        most=MAX_AT_ONCE,
        groups=operations.groups(desk.office, id),
        q=q,
        results=operations.search(desk.office, id, q),
        days=MAX_DAYS,
        languages=LANGUAGES,
        pick=PICK,
        portal=desk.office.facts.portal,
    )


def _choice(desk: Desk, visit: Visit) -> Choice:
    """What the form or the address says. Raises ProblemError."""
    given = visit.form if visit.method == "POST" else visit.query
    among = _one_of(Among, visit.given("among", 20), Among.NO_FACTOR)
    people = [name.removeprefix(PICK) for name in given if name.startswith(PICK)]
    people += visit.given("addresses", MAX_ADDRESSES).split()
    if len(people) > MAX_AT_ONCE:
        raise ProblemError(413)
    return Choice(
        among=among,
        group=visit.given("group", 100),
        people=tuple(people) if among is Among.PEOPLE else (),
        replacing=visit.given("replacing", 8) == "on",
    )


def _one_of(kind: type[K], word: str, default: K) -> K:
    try:
        return kind(word)
    except ValueError:
        return default


def _paper(desk: Desk, language: str) -> Paper:
    """The sheets' texts, in their own language."""
    texts = desk.services.catalogues[language]
    zone = desk.zone

    def until(at: float) -> str:
        return texts("sheet.until", at=f"{moment(at, zone)} ({zone.key})")

    return Paper(
        language=language,
        texts={word: texts(f"sheet.{word}") for word in sheets.WORDS if word != "until"},
        until=until,
        done=lambda people: desk.t("invitations.made", people=people),
    )


ROUTES = (
    get("/o/{org:str}/invitations", show),
    get("/o/{org:str}/invitations/new", new, Verb.PEOPLE),
    post("/o/{org:str}/invitations", make, Verb.PEOPLE, fresh=True),
)
