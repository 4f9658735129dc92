"""SND-001: one SPF record that receivers can use, and that does not let half the internet send."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.ask import Found
from gambeson.assess.core.sender.spf import MAX_LOOKUPS, MAX_TERMS, MAX_VOID, Problem, SpfReport, report
from gambeson.model.finding import Evidence

_SHOWN = 4


def run(facts: Facts) -> Iterator[Outcome]:
    """The outcomes for the domain: everything that is wrong with its record, or that it is well."""
    spf = report(facts.domain, facts.answers)
    proof = tuple(
        Evidence("dns", f"{facts.domain} TXT", excerpt=text) for text in spf.texts or spf.lookalikes
    )

    def outcome(code: str, **values: str) -> Outcome:
        return Outcome(code, facts.domain, values, proof)

    if spf.found is Found.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=spf.unknown)
    elif spf.found is Found.NOTHING and spf.lookalikes:
        yield outcome("lookalike", record=spf.lookalikes[0])
    elif spf.found is Found.NOTHING:
        yield outcome("missing")
    elif spf.found is Found.SEVERAL:
        yield outcome("several", number=str(len(spf.texts)))
    elif spf.found is Found.BROKEN:
        yield outcome("broken", problem=spf.error)
    else:
        codes = dict(_of_record(spf))
        for code, values in codes.items():
            yield outcome(code, **values)
        for question, unknown in spf.unknowns[:1]:
            yield Outcome("unknown", f"{question.name} {question.type}", unknown=unknown)
        if not codes and not spf.unknowns:
            yield outcome("ok", **_size(spf), others=_others(spf))


def _of_record(spf: SpfReport) -> Iterator[tuple[str, dict[str, str]]]:
    """What is wrong with a record that can be read."""
    problems: dict[str, list[Problem]] = {}
    for problem in spf.problems:
        problems.setdefault(problem.code, []).append(problem)
    for code, found in problems.items():
        names = ", ".join(dict.fromkeys(p.what for p in found[:_SHOWN]))
        where = ", ".join(dict.fromkeys(p.where for p in found[:_SHOWN]))
        lookups = f"more than {MAX_TERMS}" if spf.more else str(spf.lookups)
        yield code, {"names": names, "where": where, "lookups": lookups}
    if "lookups" not in problems and spf.lookups > MAX_LOOKUPS - 2:
        yield "lookups-close", {"lookups": str(spf.lookups)}
    if len(spf.voids) > MAX_VOID:
        yield "voids", {"number": str(len(spf.voids)), "names": ", ".join(spf.voids[:_SHOWN])}
    elif spf.voids and "include-nothing" not in problems:
        yield "void", {"names": ", ".join(spf.voids[:_SHOWN])}
    if spf.everybody:
        yield "everybody", {}
    elif spf.huge:
        yield "huge", _size(spf)
    elif spf.wide:
        yield "wide", _size(spf)
    if spf.rest in ("", "?") and not spf.everybody and not problems and not spf.unknowns:
        yield "neutral", {}
    if spf.pointers:
        yield "ptr", {"where": ", ".join(dict.fromkeys(spf.pointers[:_SHOWN]))}


def _size(spf: SpfReport) -> dict[str, str]:
    networks = spf.networks
    return {
        "addresses": f"{spf.passes.size4:,}".replace(",", " "),
        "networks": str(len(networks)),
        "largest": ", ".join(sorted(networks, key=_prefix)[:3]),
    }


def _prefix(network: str) -> int:
    length = int(network.partition("/")[2])
    return length * 4 if "." in network else length


def _others(spf: SpfReport) -> str:
    if not spf.third_parties:
        return "none"
    shown = spf.third_parties[:_SHOWN]
    more = len(spf.third_parties) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
