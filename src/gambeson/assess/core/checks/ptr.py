"""SND-010: every address of a mail host says its name, and the name says the address."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from gambeson.assess.core.addresses import Addresses, address, addresses, public, reverse
from gambeson.assess.core.check import Outcome
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.plan import own
from gambeson.assess.core.routes import Way, route
from gambeson.assess.core.sender.ask import NEVER_SAID, every, host_name
from gambeson.model.finding import Evidence

MAX_ADDRESSES = 16
MAX_NAMES = 4  # of one address
_GENERIC = re.compile(
    r"(?:^|[.-])(?:dyn|dynamic|dialup|dsl|adsl|vdsl|dhcp|pool|ppp|cable|broadband)(?:[.-]|\d|$)"
)


def run(facts: Facts) -> Iterator[Outcome]:
    """An outcome for each public address of a mail host of the domain's own; a provider sees to its own."""
    way = route(facts.domain, facts.answers)
    if way.way not in (Way.MX, Way.IMPLICIT):
        return
    mine = [e for e in way.exchangers if own(e.name, facts.domain) and not _elsewhere(e, facts.domain)]
    hosts = {text: e.name for e in reversed(mine) for text in e.found if public(text, facts.private)}
    chosen = list(hosts)[:MAX_ADDRESSES]
    said = every(facts.answers, *(Question(reverse(text), "PTR") for text in chosen))
    names = {text: _names(answer) for text, answer in zip(chosen, said, strict=True)}
    back = addresses(facts.answers, [name for found in names.values() for name in found])
    for text, answer in zip(chosen, said, strict=True):
        yield _of(text, hosts[text], answer, [back[name] for name in names[text]])


def _elsewhere(exchanger: Addresses, domain: str) -> bool:
    return bool(exchanger.aliases) and not own(exchanger.aliases[-1], domain)


def _names(answer: DnsAnswer) -> list[str]:
    return [name for record in answer.records[:MAX_NAMES] if (name := host_name(record))]


def _of(text: str, host: str, answer: DnsAnswer, back: list[Addresses]) -> Outcome:
    proof = tuple(Evidence("dns", f"{answer.question.name} PTR", excerpt=record) for record in answer.records)
    values = {"address": text, "host": host, "name": back[0].name if back else ""}
    if answer.state is DnsState.UNKNOWN:
        return Outcome("unknown", text, unknown=answer.unknown or NEVER_SAID)
    if not back:
        return Outcome("missing", text, values, proof)
    fitting = [found for found in back if text in found.found]
    if not fitting:
        if unknown := [why for found in back for _, why in found.unknown]:
            return Outcome("unknown", text, unknown=unknown[0])
        return Outcome("mismatch", text, values, proof)
    values["name"] = fitting[0].name
    if all(generic(found.name, text) for found in fitting):
        return Outcome("generic", text, values, proof)
    return Outcome("ok", text, values, proof)


def generic(name: str, text: str) -> bool:
    """Whether ``name`` looks as if a provider made it from the address ``text``, as they do for home connections."""
    if _GENERIC.search(name):
        return True
    found = ipaddress.ip_address(text)
    if found.version == 6:
        return found.exploded.replace(":", "") in re.sub(r"[^0-9a-f]", "", name)
    parts = re.findall(r"\d+", name)
    numbers = [str(int(part)) for part in parts if len(part) <= 3]
    octets = address(text).split(".")
    runs = [numbers[at : at + 4] for at in range(len(numbers) - 3)]
    return octets in runs or octets[::-1] in runs or "".join(f"{int(o):02x}" for o in octets) in name
