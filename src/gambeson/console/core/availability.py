"""Were the doors up? From what the prober wrote down (``door.probe.up``, ``door.probe.down``) in a span of time.

The prober writes on every change and every ten minutes. What it said of a listener holds until it says something else.
Where it says nothing for an hour or longer, the time is *blind*: an up that nothing confirmed within an hour vouches
for nothing, and of a down its first ten minutes count, as it was seen. Blind is never counted as up.

Several states become one by one rule: what is known to be bad is said, and blind outranks up. So: *down* where
something is down and nothing up, *degraded* where some is down and some up, *blind* where nothing is known to be down
and something is blind, *up* where all is up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from gambeson.model.event import Event

UP_KIND, DOWN_KIND = "door.probe.up", "door.probe.down"
EVERY = 600.0  # seconds between two records of an unchanged state
SILENCE = 3600.0  # seconds without a record from which on nothing is known


class Up(StrEnum):
    """Availability in one word."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` up to, not including, ``end`` (seconds since 1970)."""

    start: float
    end: float
    state: Up


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a door was down, or a part of its listeners (``state`` degraded). ``sentence`` is what the prober
    said first; ``running`` where it had not ended when the span did."""

    door: str
    start: float
    end: float
    state: Up = Up.DOWN
    sentence: str = ""
    running: bool = False


@dataclass(frozen=True, slots=True)
class DoorTime:
    """One door. ``up``, ``degraded``, ``down`` and ``blind`` are fractions of the span (0..1, together 1); ``state`` is
    how it was at the end."""

    door: str
    up: float
    degraded: float
    down: float
    blind: float
    state: Up
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Availability:
    """All doors together, as one: ``up`` is the fraction in which all were. ``outages`` are by start."""

    start: float
    end: float
    doors: tuple[DoorTime, ...]
    up: float
    degraded: float
    down: float
    blind: float
    state: Up
    spans: tuple[Span, ...]
    outages: tuple[Outage, ...]


def combined(states: Iterable[Up]) -> Up:
    """Several states as one, by the rule above. Nothing at all is blind."""
    found = set(states)
    if Up.DOWN in found and not found & {Up.UP, Up.DEGRADED}:
        return Up.DOWN
    if found & {Up.DOWN, Up.DEGRADED}:
        return Up.DEGRADED
    return Up.UP if found == {Up.UP} else Up.BLIND


def availability(
    events: Iterable[Event], start: float, end: float, doors: Iterable[str] = ()
) -> Availability:
    """What the probes in ``events`` say of the time from ``start`` to ``end``.

    Events of other kinds are passed over; those of the hour before ``start`` should be among them, as what they say
    holds on. ``doors`` are those that are served: one without any probe is blind. Raises ValueError where the span has
    no length.
    """
    if not end > start:
        raise ValueError("The span of time has no length: its end must be after its start.")
    lines: dict[tuple[str, str], list[tuple[float, bool, str]]] = {}
    for event in events:
        if event.kind in (UP_KIND, DOWN_KIND) and event.at <= end:
            key = (event.door, str(event.data.get("listener", "")))
            said = str(event.data.get("sentence", ""))
            lines.setdefault(key, []).append((event.at, event.kind == UP_KIND, said))
    by_door: dict[str, list[tuple[Span, ...]]] = {str(door): [] for door in doors}
    for (door, _), records in sorted(lines.items()):
        by_door.setdefault(door, []).append(_spans(sorted(records), start, end))
    merged = {door: _merge(each, start, end) for door, each in by_door.items()}
    whole = _merge(list(merged.values()), start, end)
    shares = _shares(whole, end - start)
    return Availability(
        start=start,
        end=end,
        doors=tuple(_door(door, spans, end - start) for door, spans in merged.items()),
        up=shares[Up.UP],
        degraded=shares[Up.DEGRADED],
        down=shares[Up.DOWN],
        blind=shares[Up.BLIND],
        state=whole[-1].state,
        spans=whole,
        outages=_outages(merged, lines, end),
    )


def _spans(records: list[tuple[float, bool, str]], start: float, end: float) -> tuple[Span, ...]:
    """One listener's time, cut to the span. Neighbours are not joined yet."""
    found = [Span(start, min(records[0][0], end), Up.BLIND)]
    for i, (at, up, _) in enumerate(records):
        after = records[i + 1][0] if i + 1 < len(records) else end
        if after - at < SILENCE:
            found.append(Span(at, after, Up.UP if up else Up.DOWN))
        elif up:
            found.append(Span(at, after, Up.BLIND))
        else:
            found += [Span(at, at + EVERY, Up.DOWN), Span(at + EVERY, after, Up.BLIND)]
    cut = (Span(max(s.start, start), min(s.end, end), s.state) for s in found)
    return tuple(s for s in cut if s.end > s.start)


def _merge(lines: list[tuple[Span, ...]], start: float, end: float) -> tuple[Span, ...]:
    """Several times as one, each state as :func:`combined`, equal neighbours joined."""
    if not lines:
        return (Span(start, end, Up.BLIND),)
    moments = sorted({start, end, *(s.start for line in lines for s in line)})
    places = [0] * len(lines)
    found: list[Span] = []
    for first, last in pairwise(moments):
        for i, line in enumerate(lines):
            while line[places[i]].end <= first:
                places[i] += 1
        state = combined(line[places[i]].state for i, line in enumerate(lines))
        if found and found[-1].state is state:
            found[-1] = Span(found[-1].start, last, state)
        else:
            found.append(Span(first, last, state))
    return tuple(found)


def _shares(spans: tuple[Span, ...], length: float) -> dict[Up, float]:
    shares = dict.fromkeys(Up, 0.0)
    for span in spans:
        shares[span.state] += (span.end - span.start) / length
    return shares


def _door(door: str, spans: tuple[Span, ...], length: float) -> DoorTime:
    shares = _shares(spans, length)
    return DoorTime(
        door,
        shares[Up.UP],
        shares[Up.DEGRADED],
        shares[Up.DOWN],
        shares[Up.BLIND],
        spans[-1].state,
        spans,
    )


def _outages(
    merged: Mapping[str, tuple[Span, ...]],
    lines: Mapping[tuple[str, str], list[tuple[float, bool, str]]],
    end: float,
) -> tuple[Outage, ...]:
    found = []
    for door, spans in merged.items():
        said = sorted(
            (at, sentence)
            for (its, _), records in lines.items()
            for at, up, sentence in records
            if its == door and not up
        )
        for span in spans:
            if span.state in (Up.DOWN, Up.DEGRADED):
                # What held on from before the span was said before it.
                sentence = next((s for at, s in reversed(said) if at <= span.start), "")
                found.append(Outage(door, span.start, span.end, span.state, sentence, span.end >= end))
    return tuple(sorted(found, key=lambda o: (o.start, o.door)))
