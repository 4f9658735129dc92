"""DNS-001: MX records that lead to a mail server from everywhere."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.addresses import Addresses, public
from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.routes import Route, Way, route
from gambeson.model.finding import Evidence


def run(facts: Facts) -> Iterator[Outcome]:
    """What is wrong with each host that mail is led to, or that nothing is."""
    way = route(facts.domain, facts.answers)
    proof = tuple(Evidence("dns", f"{facts.domain} MX", excerpt=record) for record in way.records)
    if way.way is Way.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=way.unknown)
    elif way.way in (Way.NULL, Way.NONE):
        yield Outcome("null" if way.way is Way.NULL else "none", facts.domain, evidence=proof)
    elif way.way is Way.IMPLICIT:
        yield Outcome("implicit", facts.domain, {"address": way.exchangers[0].found[0]}, proof)
    else:
        wrong = list(_wrong(facts, way, proof))
        yield from wrong
        if not wrong:
            names = ", ".join(exchanger.name for exchanger in way.exchangers)
            yield Outcome("ok", facts.domain, {"hosts": names}, proof)


def _wrong(facts: Facts, way: Route, proof: tuple[Evidence, ...]) -> Iterator[Outcome]:
    if way.null_beside:
        yield Outcome("null-beside", facts.domain, evidence=proof)
    for literal in way.literals:
        yield Outcome("literal", literal, evidence=proof)
    good = any(
        exchanger.lost is not None or any(public(text, facts.private) for text in exchanger.found)
        for exchanger in way.exchangers
    )
    for exchanger in way.exchangers:
        proven = (*proof, *(Evidence("dns", exchanger.name, excerpt=text) for text in exchanger.found))
        yield from _of(exchanger, good, facts.private, proven)
    if not way.exchangers and not way.null_beside and not way.literals:
        yield Outcome("unreadable", facts.domain, evidence=proof)


def _of(exchanger: Addresses, others: bool, lab: bool, proof: tuple[Evidence, ...]) -> Iterator[Outcome]:
    values = {"host": exchanger.name, "target": exchanger.aliases[-1] if exchanger.aliases else ""}
    if exchanger.lost is not None:
        yield Outcome("unknown", exchanger.name, unknown=exchanger.lost)
        return
    if exchanger.missing:
        yield Outcome("dangling" if others else "dead", exchanger.name, values, proof)
    elif not exchanger.found:
        yield Outcome("no-address" if others else "dead", exchanger.name, values, proof)
    elif not any(public(text, lab) for text in exchanger.found):
        yield Outcome(
            "private-beside" if others else "private",
            exchanger.name,
            {**values, "address": exchanger.found[0]},
            proof,
        )
    elif private := [text for text in exchanger.found if not public(text, lab)]:
        yield Outcome("part-private", exchanger.name, {**values, "address": private[0]}, proof)
    if exchanger.aliases and not exchanger.missing:
        yield Outcome("alias", exchanger.name, values, proof)
