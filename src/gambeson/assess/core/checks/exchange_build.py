"""How far behind its newest security update an Exchange server is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.exchange import Build, Tables, behind, named
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.lifecycles import Support, support
from gambeson.assess.core.versions import Known, interval, key, together

from .known_exploited import evidence, newest


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each Exchange server that says something of its version."""
    tables = facts.reference.exchange
    if tables is None:
        return
    for known in together(facts.software):
        if known.component == "exchange" and (known.interval.low or known.interval.high):
            outcome = _judge(known, tables)
            if outcome.code != "newest" or not _ended(
                known, facts
            ):  # the newest of what is given up is no praise
                yield outcome


def _ended(known: Known, facts: Facts) -> bool:
    table = facts.reference.lifecycle("exchange")
    today = datetime.fromtimestamp(facts.at, UTC).date()
    return table is not None and support(known.interval, table, today)[0] is Support.ENDED


def _judge(known: Known, tables: Tables) -> Outcome:
    values = {
        "build": named(known.interval, tables.builds),
        "version": ", ".join(dict.fromkeys(str(interval(o)) for o in known.seen if o.low or o.high)),
        "update": newest(known.interval, tables),
        "as_of": tables.as_of,
    }
    if known.conflict:
        return Outcome("mixed", known.host, values, evidence(known))
    possible = [build for build in tables.builds if known.interval.has(build.build)]
    if not possible:
        return Outcome("unlisted", known.host, values, evidence(known))
    if not _looked_after(possible[-1], tables):
        return Outcome("old", known.host, values, evidence(known))
    missing = behind(known.interval, tables.builds)
    if missing:
        values |= {"number": str(len(missing)), "first": missing[0].date}
        return Outcome("behind", known.host, values, evidence(known))
    code = "newest" if len(possible) == 1 else "perhaps"
    return Outcome(code, known.host, values, evidence(known))


def _looked_after(build: Build, tables: Tables) -> bool:
    """Whether the last security updates of its product came out for this cumulative update too."""
    updates = [b for b in tables.builds if b.product == build.product and b.kind in ("SU", "RU")]
    if not updates:
        return True
    last = max(updates, key=lambda b: b.date).date
    newer = any(
        b.product == build.product and b.kind in ("CU", "RTM") and key(b.build) > key(build.build)
        for b in tables.builds
    )
    return not newer or any(b.cumulative == build.cumulative and b.date == last for b in updates)
