"""DNS-004: the names by which programs find the mail server lead to it, and not into nothing."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.addresses import Addresses, addresses
from gambeson.assess.core.check import Outcome
from gambeson.assess.core.discovery import NOBODY, SERVICES, targets
from gambeson.assess.core.dns import DnsState, Question
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.routes import Way, route
from gambeson.assess.core.sender.ask import NEVER_SAID, every
from gambeson.model.finding import Evidence

_NAMES = ("autodiscover", "autoconfig")


def run(facts: Facts) -> Iterator[Outcome]:
    """Each name that leads into nothing, or which ways programs have."""
    if route(facts.domain, facts.answers).way in (Way.NULL, Way.NONE):
        return
    services = [Question(f"{service}.{facts.domain}", "SRV") for service in SERVICES]
    said = every(facts.answers, *services)
    led = {question.name: [name for name, _ in targets(facts.answers, question)] for question in services}
    names = [f"{label}.{facts.domain}" for label in _NAMES]
    nobody = f"{NOBODY}.{facts.domain}"
    found = addresses(facts.answers, [*names, nobody, *(name for group in led.values() for name in group)])
    ways: list[str] = []
    quiet = True
    for name in names:
        if found[name].missing and found[name].aliases:
            if found[name].aliases == found[nobody].aliases:
                continue  # every name leads there: the check of invented names says it
            yield _dangling(name, found[name])
            quiet = False
        elif found[name].lost is not None:
            yield Outcome("unknown", name, unknown=found[name].lost)
            quiet = False
        elif found[name].found and not set(found[name].found) <= set(found[nobody].found):
            ways.append(name)
    for question, answer in zip(services, said, strict=True):
        if answer.state is DnsState.UNKNOWN:
            yield Outcome("unknown", question.name, unknown=answer.unknown or NEVER_SAID)
            quiet = False
        for target in led[question.name]:
            if found[target].missing:
                values = {"name": question.name, "target": target}
                yield Outcome(
                    "service",
                    question.name,
                    values,
                    (Evidence("dns", f"{question.name} SRV", excerpt=target),),
                )
                quiet = False
            elif found[target].found:
                ways.append(question.name)
    if quiet:
        values = {"ways": ", ".join(dict.fromkeys(ways))}
        yield Outcome("ok" if ways else "none", facts.domain, values)


def _dangling(name: str, found: Addresses) -> Outcome:
    target = found.aliases[-1]
    return Outcome("dangling", name, {"target": target}, (Evidence("dns", f"{name} CNAME", excerpt=target),))
