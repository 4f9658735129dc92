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
    lost = next((exchanger.lost for exchanger in way.exchangers if exchanger.lost is not None), None)
    found = {text for exchanger in way.exchangers for text in exchanger.found if public(text, facts.private)}
    if lost is not None and len({network(text) for text in found}) < 2:
        yield Outcome("unknown", facts.domain, unknown=lost)
    elif not found:
        return
    elif sum(bool(found.intersection(e.found)) for e in way.exchangers) == 1 and len(_by_family(found)) == 1:
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
