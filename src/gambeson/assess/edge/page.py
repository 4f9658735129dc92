"""The answer as one HTML file that needs nothing else: no script, no link to anywhere, fit to be printed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

import jinja2
from markupsafe import Markup

from gambeson.assess.core.check import Light
from gambeson.assess.core.doors import DoorFacts, PortState, StartTls
from gambeson.assess.core.report import Report
from gambeson.assess.core.versions import interval

SHOWN = 20  # outcomes of one line, and pieces of evidence of one outcome
_WORDS = {Light.RED: "Red", Light.AMBER: "Amber", Light.UNKNOWN: "Unknown", Light.GREEN: "Green"}
_HEADINGS = (
    (Light.RED, "Put right now"),
    (Light.AMBER, "Improve"),
    (Light.UNKNOWN, "Could not be told"),
    (Light.GREEN, "In order"),
)


@dataclass(frozen=True, slots=True)
class _Door:
    place: str
    protocol: str
    address: str
    encryption: str
    password: str
    until: str


def page(report: Report) -> str:
    """The HTML. Everything in it is escaped; what peers said was cleaned besides."""
    folder = files("gambeson.assess") / "data/page"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    facts = report.facts
    at = datetime.fromtimestamp(facts.at, UTC)
    return template.render(
        css=Markup((folder / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        report=report,
        facts=facts,
        at=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        at_words=at.strftime("%-d %B %Y, %H:%M UTC"),
        counts=[(light.value, word.lower(), report.count(light)) for light, word in _WORDS.items()],
        headings=_HEADINGS,
        words=_WORDS,
        shown=SHOWN,
        doors=[_row(door) for door in facts.doors if door.state is PortState.OPEN],
        software=[
            {
                "title": facts.reference.title(seen.component),
                "host": seen.host,
                "version": str(interval(seen)),
                "method": seen.method,
                "confidence": seen.confidence.value,
            }
            for seen in facts.software
        ],
        as_of=facts.reference.exchange.as_of if facts.reference.exchange else "none",
    )


def _row(door: DoorFacts) -> _Door:
    offers = [offer for offer in (door.plain, door.secured) if offer is not None]
    password = "yes" if any(offer.bare_password for offer in offers) else "no" if offers else "see the lines"
    until = ""
    if door.tls is not None and door.tls.chain:
        until = _day(door.tls.chain[0].not_after)
    return _Door(door.place, door.protocol.value, door.address, _encryption(door), password, until)


def _encryption(door: DoorFacts) -> str:
    if door.starttls is StartTls.NOT_OFFERED:
        return "none"
    if door.starttls is StartTls.FAILED:
        return "offered, does not work"
    versions = ", ".join(version.value for version in door.tls.accepted()) if door.tls is not None else ""
    how = "from the start" if door.starttls is StartTls.IMPLICIT else "STARTTLS"
    return f"{how}: {versions}" if versions else how


def _day(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "no date of any calendar"
