"""Whether what answers is still given security updates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.lifecycles import Lifecycle, Support, support
from gambeson.assess.core.versions import Interval, Known, together

from .known_exploited import apart, evidence


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each component whose version shows and whose table we have."""
    today = datetime.fromtimestamp(facts.at, UTC).date()
    for known in together(facts.software):
        table = facts.reference.lifecycle(known.component)
        if table is None:
            continue
        # Where several servers answer to one name, each is judged.
        for one in apart(known) if known.conflict else (known,):
            if not one.interval.low and not one.interval.high:
                continue
            outcome = _judge(one, table, facts, today)
            if outcome is not None:
                yield outcome


def _judge(known: Known, table: Lifecycle, facts: Facts, today: date) -> Outcome | None:
    found, cycles = support(known.interval, table, today)
    values = {"title_of": table.title, "version": str(known.interval)}
    if len(cycles) == 1 and not known.interval.exact:
        values["version"] = cycles[0].name
    if cycles:
        ends = [cycle.end for cycle in cycles if cycle.end]
        values["end"] = max(ends).isoformat() if ends else ""
        values["extended"] = cycles[0].extended.isoformat() if cycles[0].extended else ""
    if found is Support.UNLISTED:
        return None
    if found in (Support.ENDED, Support.EXTENDED) and table.distributed:
        return Outcome(_distribution(known, facts, today), known.host, values, evidence(known))
    code = {
        Support.SUPPORTED: "supported",
        Support.EXTENDED: "extended",
        Support.ENDED: "ended",
        Support.INDETERMINATE: "perhaps",
    }[found]
    return Outcome(code, known.host, values, evidence(known))


def _distribution(known: Known, facts: Facts, today: date) -> str:
    """A distribution that shows its release, and is looked after itself, looks after what it ships."""
    table = facts.reference.lifecycle("debian")
    for seen in known.seen:
        name, _, release = seen.distribution.partition(" ")
        if name == "Debian" and release and table is not None:
            found, _ = support(Interval(release, release), table, today)
            return "ended" if found is Support.ENDED else "supported"
    return "upstream"
