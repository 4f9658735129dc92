"""The answer as one HTML file that needs nothing else: no script, no link to anywhere, fit to be printed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

import jinja2
from markupsafe import Markup

from gambeson.assess.core.check import Light
from gambeson.assess.core.doors import DoorFacts, PortState, StartTls
from gambeson.assess.core.evaluate import Line, because
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.report import Report
from gambeson.assess.core.versions import interval
from gambeson.wire.lines import human

SHOWN = 20  # outcomes of one line, and pieces of evidence of one outcome
_LONGEST = 8000  # characters of one text
_WORDS = {Light.RED: "red", Light.AMBER: "amber", Light.UNKNOWN: "unknown", Light.GREEN: "green"}
_COUNTED = (
    (Light.RED, "to put right"),
    (Light.AMBER, "to improve"),
    (Light.UNKNOWN, "not found out"),
    (Light.GREEN, "in order"),
)
_PARTS = (
    (
        Light.RED,
        "Put right now",
        "Each of these can let a stranger in, keep mail from coming, or let others write in your name.",
    ),
    (Light.AMBER, "Improve", "Nothing burns here; each of these makes an attack or a breakdown less likely."),
    (Light.UNKNOWN, "Could not be found out", "Neither good nor bad; each says what stood in between."),
    (Light.GREEN, "In order", "As far as it shows from outside."),
)
_ROLES = {
    "mx": "receives mail",
    "srv": "named for mail programs",
    "autodiscover": "mail programs look for it",
    "autoconfig": "mail programs look for it",
    "mta-sts": "holds the MTA-STS policy",
    "guess": "a usual name",
    "given": "named by you",
}


@dataclass(frozen=True, slots=True)
class _Part:
    heading: str
    meaning: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def page(report: Report) -> str:
    """The HTML. Everything in it is escaped; what peers said was cleaned besides."""
    folder = files("gambeson.assess") / "data/page"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, finalize=_printable)
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    facts = report.facts
    at = datetime.fromtimestamp(facts.at, UTC)
    parts = [
        _Part(heading, meaning, tuple(line for line in report.lines if line.light is light))
        for light, heading, meaning in _PARTS
    ]
    return template.render(
        css=Markup((folder / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        report=report,
        facts=facts,
        at=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        at_words=at.strftime("%-d %B %Y, %H:%M UTC"),
        counts=[(light.value, word, report.count(light)) for light, word in _COUNTED],
        parts=[part for part in parts if part.lines],
        mark=_mark,
        sentence=_sentence,
        because=because,
        shown=SHOWN,
        tables=(_hosts(facts), _doors(facts), _software(facts)),
        as_of=facts.reference.exchange.as_of if facts.reference.exchange else "none",
    )


def _printable(value: object) -> object:
    """What is shown of a text: nothing that turns writing round or speaks to a terminal, should one ever see it."""
    return human(value, _LONGEST) if type(value) is str else value


def _sentence(line: Line) -> str:
    """The line's sentence under its title, which need not be said again."""
    rest = line.sentence.removeprefix(f"{line.check.title}: ")
    return rest[:1].upper() + rest[1:] if rest != line.sentence else line.sentence


def _mark(line: Line) -> str:
    """The word beside a line; of what is wrong it says how much."""
    return (
        line.severity.word.capitalize()
        if line.light in (Light.RED, Light.AMBER)
        else _WORDS[line.light].capitalize()
    )


def _hosts(facts: Facts) -> _Table:
    rows = []
    for host in facts.hosts:
        left_out = tuple(f"{address} (not looked at)" for address, _ in host.left_out)
        why = dict.fromkeys(_ROLES.get(role, role) for role in host.roles)
        rows.append((host.name, ", ".join(why), ", ".join(host.addresses + left_out) or "none"))
    return _Table("Hosts that the domain names", ("Name", "Why", "Addresses"), tuple(rows))


def _doors(facts: Facts) -> _Table:
    heads = ("Door", "Port", "Address", "Encryption", "Password alone", "Certificate until")
    rows = (_door(door) for door in facts.doors if door.state is PortState.OPEN)
    return _Table(
        "Doors that answered", heads, tuple(sorted(rows, key=lambda row: (row[0], int(row[1].split()[0]))))
    )


def _door(door: DoorFacts) -> tuple[str, ...]:
    offers = [offer for offer in (door.plain, door.secured) if offer is not None]
    password = "yes" if any(offer.bare_password for offer in offers) else "no" if offers else "see above"
    until = _day(door.tls.chain[0].not_after) if door.tls is not None and door.tls.chain else ""
    port = f"{door.port} {door.protocol.value}"
    return (door.host, port, door.address, _encryption(door), password, until)


def _software(facts: Facts) -> _Table:
    rows = tuple(
        (
            facts.reference.title(seen.component),
            seen.host,
            str(interval(seen)) if seen.low or seen.high else "does not show",
            seen.method,
            seen.confidence.value,
        )
        for seen in facts.software
    )
    return _Table(
        "Software, as far as it shows", ("Software", "Where", "Version", "Seen by", "How sure"), rows
    )


def _encryption(door: DoorFacts) -> str:
    if door.starttls is StartTls.NOT_OFFERED:
        return "none"
    if door.starttls is StartTls.FAILED:
        return "offered, does not work"
    how = "from the start" if door.starttls is StartTls.IMPLICIT else "by STARTTLS"
    taken = door.tls.accepted() if door.tls is not None else ()
    old = [version.value.replace("v", " ") for version in taken if version.value.startswith("SSL")]
    tls = [version.value.removeprefix("TLSv") for version in taken if version.value.startswith("TLS")]
    said = [*old, *([f"TLS {', '.join(tls)}"] if tls else []), how]
    return ", ".join(said)


def _day(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "no date of any calendar"
