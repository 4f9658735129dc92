"""One check, run over facts until it wants no more answers; every sentence of what it says must fill."""

from __future__ import annotations

import importlib
import tomllib
from dataclasses import replace
from importlib.resources import files

from assess.dns_zone import Records, Zone
from gambeson.assess.core.catalogue import check, places
from gambeson.assess.core.check import Check, Outcome
from gambeson.assess.core.evaluate import evaluate
from gambeson.assess.core.facts import Facts

_ALWAYS = {"title", "asset", "assets", "count"}


def loaded(name: str) -> Check:
    """The check of ``data/checks/NAME.toml``."""
    path = files("gambeson.assess") / "data" / "checks" / f"{name}.toml"
    module = importlib.import_module(f"gambeson.assess.core.checks.{name}")
    return check(name, tomllib.loads(path.read_text(encoding="utf-8")), module.run)


def outcomes(name: str, zone: Records, facts: Facts) -> list[Outcome]:
    """What the check yields where ``zone`` answers. Each sentence and step must find all that it names."""
    one = loaded(name)

    def run(answers: object) -> list[Outcome]:
        return list(one.run(replace(facts, answers=answers)))  # type: ignore[arg-type]

    found = Zone(zone).settle(run)
    for outcome in found:
        if outcome.code == "unknown":
            assert outcome.unknown is not None
            continue
        text = one.outcomes[outcome.code]
        for sentence in (text.sentence, text.step, text.several):
            assert places(sentence) <= outcome.values.keys() | _ALWAYS, (outcome.code, sentence)
    return found


def codes(name: str, zone: Records, facts: Facts) -> list[str]:
    """The codes that the check yields, in order."""
    return [outcome.code for outcome in outcomes(name, zone, facts)]


def sentences(name: str, zone: Records, facts: Facts) -> list[tuple[str, str]]:
    """Light and sentence of each line."""
    one = loaded(name)

    def run(answers: object) -> list[tuple[str, str]]:
        settled = replace(facts, answers=answers)  # type: ignore[arg-type]
        list(one.run(settled))
        return [(line.light.value, line.sentence) for line in evaluate(settled, [one])]

    return Zone(zone).settle(run)
