"""RES-007: whether one fault stops all incoming mail, as far as names and addresses show it."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.addresses import network, public
from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.routes import Way, route


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for the domain. Nothing where the hosts are a provider's many or there is no mail."""
    way = route(facts.domain, facts.answers)
    if way.way in (Way.NULL, Way.NONE, Way.UNKNOWN):
        return  # the check of the MX records says it
    doubts = [unknown for exchanger in way.exchangers for _, unknown in exchanger.unknown]
    found = {text for exchanger in way.exchangers for text in exchanger.found if public(text, facts.private)}
    single = (
        sum(bool(found.intersection(e.found)) for e in way.exchangers) == 1 and len(_by_family(found)) == 1
    )
    if doubts and (not found or single or len(_networks(found)) == 1):
        yield Outcome(
            "unknown", facts.domain, unknown=doubts[0]
        )  # what was not told may be the other network
    elif not found:
        return
    elif single:
        yield Outcome("single", facts.domain, {"host": way.exchangers[0].name})
    elif len(_networks(found)) == 1:
        yield Outcome("one-network", facts.domain, {"network": " and ".join(sorted(_networks(found)))})
    else:
        yield Outcome("ok", facts.domain, {"count": str(len(way.exchangers))})


def _by_family(found: set[str]) -> set[str]:
    """The addresses of the family that has more; a second address of the other family is the same machine."""
    fours = {text for text in found if ":" not in text}
    return max(fours, found - fours, key=len)


def _networks(found: set[str]) -> set[str]:
    return {network(text) for text in _by_family(found)}
