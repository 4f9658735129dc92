"""DNS-002: name servers that answer, more than one, in more than one network."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.addresses import Addresses, addresses, network, public
from gambeson.assess.core.check import Outcome
from gambeson.assess.core.dns import Answers, DnsAnswer, DnsState, Question
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.ask import NEVER_SAID, every, host_name
from gambeson.assess.core.unknown import Cause
from gambeson.model.finding import Confidence, Evidence

MAX_SERVERS = 13
MAX_ASKED = 16  # addresses that are asked themselves


def run(facts: Facts) -> Iterator[Outcome]:
    """What is wrong with the name servers of the zone that the domain is in."""
    zone, answer = apex(facts.domain, facts.answers)
    if answer.state is DnsState.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=answer.unknown or NEVER_SAID)
        return
    names = [name for record in answer.records[:MAX_SERVERS] if (name := host_name(record))]
    if not names:
        return
    found = list(addresses(facts.answers, names).values())
    asked = [(server, text) for server in found for text in server.found][:MAX_ASKED]
    every(facts.answers, *(Question(zone, "SOA", text) for _, text in asked))
    wrong = [*_spread(zone, found), *_names(found, facts.private), *_answers(zone, asked, facts.answers)]
    yield from wrong
    if not any(outcome.code != "unknown" for outcome in wrong):
        proof = tuple(Evidence("dns", f"{zone} NS", excerpt=name) for name in names)
        yield Outcome("ok", zone, {"number": str(len(names))}, proof)


def apex(domain: str, answers: Answers) -> tuple[str, DnsAnswer]:
    """The zone that ``domain`` is in, the domain or the nearest above, with its NS records. Raises WantedError."""
    labels = domain.split(".")
    names = [".".join(labels[at:]) for at in range(max(1, len(labels) - 1))][:4]
    found = every(answers, *(Question(name, "NS") for name in names))
    for name, answer in zip(names, found, strict=True):
        if answer.state is DnsState.UNKNOWN or (answer.state is DnsState.RECORDS and not answer.aliases):
            return name, answer
    return names[-1], found[-1]


def _spread(zone: str, found: list[Addresses]) -> Iterator[Outcome]:
    if any(server.unknown for server in found):
        return  # what is not known may be the other network
    every_address = {text for server in found for text in server.found}
    fours = {text for text in every_address if ":" not in text}
    most = max(fours, every_address - fours, key=len)
    if len(most) == 1:
        yield Outcome("single", zone, {"server": found[0].name})
    elif most and len({network(text) for text in most}) == 1:
        yield Outcome("one-network", zone, {"network": network(min(most))})


def _names(found: list[Addresses], lab: bool) -> Iterator[Outcome]:
    for server in found:
        values = {"server": server.name, "target": server.aliases[-1] if server.aliases else ""}
        if server.lost is not None:
            yield Outcome("unknown", server.name, unknown=server.lost)
        elif not server.found:
            yield Outcome("dangling" if server.missing else "no-address", server.name, values)
        elif not any(public(text, lab) for text in server.found):
            yield Outcome("private", server.name, {**values, "address": server.found[0]})
        elif server.aliases:
            yield Outcome("alias", server.name, values)


def _answers(zone: str, asked: list[tuple[Addresses, str]], answers: Answers) -> Iterator[Outcome]:
    serials: dict[str, str] = {}
    for server, text in asked:
        answer = answers[Question(zone, "SOA", text)]
        values = {"server": server.name, "address": text, "zone": zone}
        place = f"{server.name} ({text})"
        if answer.state is DnsState.UNKNOWN:
            why = answer.unknown or NEVER_SAID
            if why.cause in (Cause.REFUSED, Cause.SERVFAIL):
                yield Outcome(
                    "lame", place, values, (Evidence("dns", f"{zone} SOA at {text}", excerpt=why.detail),)
                )
            elif why.cause is not Cause.PRIVATE:
                yield Outcome("unknown", place, unknown=why)
            continue
        if answer.state is not DnsState.RECORDS or not answer.authoritative:
            yield Outcome("lame", place, values, (Evidence("dns", f"{zone} SOA at {text}"),))
            continue
        words = answer.records[0].split()
        serials[text] = words[2] if len(words) == 7 else ""
        if answer.recursive:
            yield Outcome("recursive", place, values, confidence=Confidence.MEDIUM)
    if len(set(serials.values())) > 1:
        proof = tuple(
            Evidence("dns", f"{zone} SOA at {text}", excerpt=number) for text, number in serials.items()
        )
        yield Outcome("apart", zone, evidence=proof, confidence=Confidence.MEDIUM)
