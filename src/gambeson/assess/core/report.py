"""Lines made an answer: three plain sentences, then a line for each thing, worst first. Pure; renderers draw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gambeson.model.finding import Severity

from .check import Light
from .doors import PortState
from .evaluate import Line, because, named
from .facts import Facts
from .unknown import Cause, Unknown

# What the sentence of a line is about does not depend on us where these stood between: the look itself is incomplete.
_OURS = frozenset({Cause.DEADLINE, Cause.NOT_ASKED, Cause.DEFECT})
_NOT_FOUND = "could not be found out"
# First words of sentences that keep their capital anywhere.
_NAMES = frozenset({"Exchange", "Outlook", "Windows", "Microsoft", "Gambeson", "I"})


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to one look. ``missing`` says in plain words what could not be looked at."""

    facts: Facts
    lines: tuple[Line, ...]
    sentences: tuple[str, str, str]
    missing: tuple[str, ...]

    def count(self, light: Light) -> int:
        """How many lines show ``light``."""
        return sum(line.light is light for line in self.lines)

    @property
    def left_out(self) -> tuple[str, ...]:
        """``missing`` without what a line of its own says."""
        said = {line.sentence for line in self.lines}
        return tuple(sentence for sentence in self.missing if sentence not in said)

    @property
    def worst(self) -> Severity:
        """The severity of the worst line that is red or amber; INFO where there is none."""
        return max(
            (line.severity for line in self.lines if line.light in (Light.RED, Light.AMBER)),
            default=Severity.INFO,
        )


def report(facts: Facts, lines: Sequence[Line]) -> Report:
    """The answer."""
    missing = tuple(_missing(facts, lines))
    return Report(facts, tuple(lines), (_seen(facts), _stands(facts, lines), _next(lines)), missing)


def _seen(facts: Facts) -> str:
    """The first sentence: what was looked at."""
    opened = {(door.address, door.port) for door in facts.doors if door.state is PortState.OPEN}
    names = [host.name for host in facts.hosts if host.addresses]
    if not names:
        return f"For {facts.domain} no mail host with an address was found; only its names could be judged."
    hosts = f"{_number(len(names), 'host name')} ({named(names)})"
    if not facts.probed:
        return f"For {facts.domain} we read its names only, and found {hosts}; no door was knocked at."
    doors = _number(len(opened), "door")
    return f"For {facts.domain} we looked from outside at {hosts} and found {doors} open to the internet."


def _number(count: int, noun: str) -> str:
    return f"no {noun}" if not count else f"one {noun}" if count == 1 else f"{count} {noun}s"


def _stands(facts: Facts, lines: Sequence[Line]) -> str:
    """The second: where it stands."""
    red = [line for line in lines if line.light is Light.RED]
    amber = sum(line.light is Light.AMBER for line in lines)
    unknown = sum(line.light is Light.UNKNOWN for line in lines)
    if red:
        stands = _counted(
            (len(red), "must be put right"), (amber, "should be improved"), (unknown, _NOT_FOUND)
        )
        return f"{stands[:1].upper()}{stands[1:]}; the worst: {_after_colon(red[0])}"
    if amber:
        return f"Nothing stands wide open; {_counted((amber, 'should be improved'), (unknown, _NOT_FOUND))}."
    tail = f"; {_counted((unknown, _NOT_FOUND))}" if unknown else ""
    if not facts.probed:
        return f"What its names say is in order, and its doors nobody has looked at{tail}."
    return f"Everything that could be seen from outside is in order{tail}."


def _next(lines: Sequence[Line]) -> str:
    """The third: what to do first."""
    for line in lines:
        if line.light in (Light.RED, Light.AMBER) and line.step:
            return f"Do this first: {_after_colon(line, step=True)}"
    return "There is nothing to do from this side; what goes on inside the server does not show from outside."


def _counted(*counts: tuple[int, str]) -> str:
    """``9 things must be put right, one should be improved and 2 could not be found out``; what is none is left out."""
    said = [("one" if count == 1 else str(count), what) for count, what in counts if count]
    noun = "thing" if said[0][0] == "one" else "things"
    parts = [f"{said[0][0]} {noun} {said[0][1]}", *(f"{count} {what}" for count, what in said[1:])]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _after_colon(line: Line, *, step: bool = False) -> str:
    """The line's sentence or step, fit to stand after a colon: a plain first word loses its capital. What a place was
    filled with (a host, a product) stays as it is, as do names and abbreviations."""
    said = line.step if step else line.sentence
    text = line.check.outcomes.get(line.code)
    template = "" if text is None else text.step if step else text.sentence
    if text is not None and not step and text.several and len(line.assets) > 1:
        template = text.several
    first = template.split(" ", 1)[0]
    plain = first.isalpha() and (first.istitle() or len(first) == 1) and first not in _NAMES
    if not plain or not said.startswith(first):
        return said
    return said[:1].lower() + said[1:]


def _missing(facts: Facts, lines: Sequence[Line]) -> list[str]:
    found = []
    if not facts.probed:
        found.append("No door was knocked at, because nobody agreed to it.")
    if facts.unfinished:
        found.append(f"The time was over before these were seen: {named(facts.unfinished)}.")
    for host in facts.hosts:
        for why in dict.fromkeys(unknown.cause for _, unknown in host.left_out):
            what = named([what for what, unknown in host.left_out if unknown.cause is why])
            remedy = (
                "; --private, or --host with the address, says that it is yours"
                if why is Cause.PRIVATE
                else ""
            )
            found.append(f"{host.name}: {what} was not probed, because {because(Unknown(why))}{remedy}.")
    found.extend(
        line.sentence
        for line in lines
        if line.light is Light.UNKNOWN and any(o.unknown and o.unknown.cause in _OURS for o in line.outcomes)
    )
    return list(dict.fromkeys(found))
