"""Enrolment of many: invitations on paper, and who has come so far.

The codes are drawn and the sheets are set first; then all codes are kept in one change. Whoever cancels before that has
changed nothing, and a sheet that nobody has is never good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gambeson.console import sheets
from gambeson.console.office import Office, RefusedError
from gambeson.console.works import Progress as Steps
from gambeson.console.works import Result, Work, Works
from gambeson.model.event import Event
from gambeson.model.staff import Verb
from gambeson.store.errors import StoreError
from gambeson.store.invitations import Among, Chosen, Counts, Invitation, Progress
from gambeson.store.tenant import OrganisationStore

from . import binding

KIND = "invitations"
MAX_DAYS = 14
EVENT = "console.invitations.made"


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom to invite. ``people`` are ids or addresses, for ``Among.PEOPLE``; ``replacing``: those too whose code is
    still good, and it is good no more."""

    among: Among
    group: str = ""
    people: tuple[str, ...] = ()
    replacing: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """How the sheets are written: language, the texts in it (``sheets.WORDS``; ``until`` is made of the time), and
    how a time is shown."""

    language: str
    texts: Mapping[str, str]
    until: Callable[[float], str]
    done: Callable[[int], str]  # the sentence of the result


def groups(office: Office, organisation: str) -> Sequence[str]:
    """The names of the organisation's groups."""
    return office.organisation(organisation, Verb.PEOPLE).invitations.groups()


def search(office: Office, organisation: str, text: str) -> Sequence[tuple[str, str]]:
    """Accounts (id, address) whose address has ``text`` in it."""
    return office.organisation(organisation, Verb.PEOPLE).invitations.search(text) if text.strip() else ()


def chosen(office: Office, organisation: str, choice: Choice) -> Chosen:
    """Who that would be, and how many."""
    return office.organisation(organisation, Verb.PEOPLE).invitations.choose(
        choice.among,
        group=choice.group,
        people=choice.people,
        replacing=choice.replacing,
        at=office.at,
    )


def invite(office: Office, organisation: str, choice: Choice, days: int, paper: Paper) -> Work:
    """Begins to make the sheets: long work whose result is one PDF. Raises RefusedError."""
    store = office.organisation(organisation, Verb.PEOPLE)
    address = binding.portal(office)
    if not 1 <= days <= MAX_DAYS:
        raise RefusedError("days", f"An invitation is good for 1 to {MAX_DAYS} days.", 422)
    unknown = _unknown(store, choice, office.at)
    if unknown:
        raise RefusedError(
            "unknown", f"Nobody was invited: {unknown[:80]} is no account that is let in here.", 422
        )
    people = chosen(office, organisation, choice).people
    if not people:
        raise RefusedError("nobody", "There is nobody to invite: choose other people.", 422)
    name = office.known(organisation).name
    clock = office.world.clock

    def make(progress: Steps) -> Result:
        codes, papers = [], []
        for number, (account, who) in enumerate(people):
            progress.step(number, who)
            text, verifier = binding.draw(office, account)
            codes.append((account, verifier))
            papers.append(sheets.Sheet(who, text))
        progress.step(len(people))
        at = clock()
        ends = at + days * 86400.0
        try:
            document = sheets.render(
                papers,
                organisation=name,
                portal=address,
                language=paper.language,
                texts={**paper.texts, "until": paper.until(ends)},
            )
        except sheets.SheetError:
            raise RefusedError("sheets", "The sheets could not be made; no code was kept.") from None
        progress.step(len(people))
        store.invitations.make(codes, good_for=days * 86400.0, by=office.by, at=at)
        _tell(office, organisation, len(people), at)
        return Result(paper.done(len(people)), document, sheets.MEDIA_TYPE, "invitations.pdf")

    return _works(office).start(
        organisation, by=office.by, verb=Verb.PEOPLE, kind=KIND, total=len(people), function=make
    )


def progress(
    office: Office, organisation: str, wanted: Progress, *, text: str = "", limit: int = 50, offset: int = 0
) -> tuple[Sequence[Invitation], int]:
    """Invitations by address, and how many there are of that kind."""
    store = office.organisation(organisation, Verb.READ)
    return store.invitations.list(wanted, text=text, at=office.at, limit=limit, offset=offset)


def counts(office: Office, organisation: str) -> Counts:
    """How far everybody is."""
    return office.organisation(organisation, Verb.READ).invitations.counts(office.at)


def current(office: Office, organisation: str) -> Work | None:
    """The newest making of sheets that is known, for who may make some."""
    if not office.may(Verb.PEOPLE, organisation) or office.world.works is None:
        return None
    return next((w for w in _works(office).of(organisation) if w.kind == KIND), None)


def _unknown(store: OrganisationStore, choice: Choice, at: float) -> str:
    """The first of the named people who is nobody here, or shut out; empty where all are known."""
    if choice.among is not Among.PEOPLE:
        return ""
    found = store.invitations.choose(Among.PEOPLE, people=choice.people, replacing=True, at=at).people
    known = {each for person in found for each in person}
    for each in choice.people:
        if each in known or each.strip().lower() in known:
            continue
        try:
            if not store.accounts.find(each).enabled:  # an alias
                return each
        except StoreError:
            return each
    return ""


def _works(office: Office) -> Works:
    works = office.world.works
    if not isinstance(works, Works):
        raise RefusedError("no-works", "The console does no long work now: start it again.", 503)
    return works


def _tell(office: Office, organisation: str, people: int, at: float) -> None:
    event = Event(
        id=f"console-{office.world.random(12).hex()}",
        at=at,
        kind=EVENT,
        organisation=organisation,
        source=office.access.source,
        data={"by": office.by, "people": people},
    )
    office.world.store.events.append([event])
