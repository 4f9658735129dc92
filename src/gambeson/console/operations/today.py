"""Today of one organisation: what to do first, what Gambeson did alone, how things stand.

Rules: "nothing needs you" is said only where it was measured; the hours are the owner's to set; where nothing was done
yet, the next step is shown instead of empty figures.
"""

from __future__ import annotations

from gambeson.console.office import Office, RefusedError
from gambeson.model.staff import Verb

from . import doors, organisations, servers
from .gather import Around
from .week import TodayView, view


def today(office: Office, id: str) -> TodayView:
    """The organisation's Today. Raises RefusedError."""
    store = office.organisation(id)
    return view(office.world.store, store, office.known(id), around(office, id), office.index(), office.at)


def around(office: Office, id: str) -> Around:
    """What the store does not know of an organisation. The worker is asked."""
    listening = tuple(dict.fromkeys(each.door for each in office.facts.listeners))
    off = [line.shield.id for each in servers.shields(office, id) for line in each.lines if _off(line)]
    late = doors.lagging(office)
    return Around(listening, None if late is None else len(late), office.may(Verb.READ), tuple(off))


def _off(line: servers.ShieldLine) -> bool:
    return line.measured.effective is False


def set_hours(office: Office, id: str, text: str) -> float:
    """Sets the hours a week, from what somebody wrote. Raises RefusedError, BadValue."""
    office.organisation(id, Verb.ORGANISATIONS)
    try:
        hours = float(text.strip().replace(",", "."))
    except ValueError:
        raise RefusedError(
            "bad-hours", "That is no number of hours: write 1, 2.5 or another up to 168.", 422
        ) from None
    organisations.set_hours(office, id, hours)
    return hours
