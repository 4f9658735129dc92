"""Facts and checks in, lines out. Pure, so a look can be judged again whenever a check was mended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gambeson.model.finding import Severity
from gambeson.wire.lines import human

from .check import Check, Light, Outcome, Text
from .dns import Question, WantedError
from .facts import Facts
from .unknown import Cause, Unknown

MAX_ASSETS = 200  # outcomes that one check may have; what comes beyond is counted, not shown
SHOWN_ASSETS = 4  # assets named in one sentence
_NOT_KNOWN = Text(Light.UNKNOWN, Severity.INFO, "{title}: not known, because {cause}.")
_ORDER = {Light.RED: 0, Light.AMBER: 1, Light.UNKNOWN: 2, Light.GREEN: 3, Light.NOTHING: 4}
_BECAUSE = {
    Cause.TIMEOUT: "no answer came in time",
    Cause.SERVFAIL: "the domain name system could not find out",
    Cause.REFUSED: "the name server refuses to answer",
    Cause.BOGUS: "the answer's signature does not hold",
    Cause.UNREACHABLE: "there was no way to it from here",
    Cause.RATE_LIMITED: "the server asked us to stop",
    Cause.MALFORMED: "what came back is not what is spoken there",
    Cause.TOO_LONG: "the answer did not end",
    Cause.TLS_FAILED: "no encrypted connection came about",
    Cause.PRIVATE: "its address is of private use and is not probed unasked",
    Cause.DEADLINE: "the time of this look was over",
    Cause.NOT_ASKED: "it was not asked",
    Cause.DEFECT: "the check itself failed",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One answer of one check. ``outcomes`` are all those with its ``code``; ``assets`` what they are about."""

    check: Check
    code: str
    light: Light
    severity: Severity
    sentence: str
    step: str
    assets: tuple[str, ...]
    outcomes: tuple[Outcome, ...]


def evaluate(facts: Facts, checks: Sequence[Check]) -> tuple[Line, ...]:
    """The lines of all checks, worst first; those of one light in the order of severity and weight."""
    found = [line for check in checks for line in _lines(check, outcomes_of(check, facts))]
    found.sort(key=lambda line: (_ORDER[line.light], -line.severity, -line.check.points, line.check.id))
    return tuple(found)


def outcomes_of(check: Check, facts: Facts) -> list[Outcome]:
    """What ``check`` says. An answer that was never given is not known; a check that breaks says so and no more."""
    found: list[Outcome] = []
    try:
        for outcome in check.run(facts):
            found.append(_clean(outcome))
            if len(found) >= MAX_ASSETS:
                break
    except WantedError as wanted:
        cause = Cause.DEADLINE if facts.unfinished else Cause.NOT_ASKED
        found.append(Outcome("unknown", facts.domain, unknown=Unknown(cause, str(wanted))))
    except Exception as error:  # one broken check must not take the others with it
        cause = Cause.DEFECT
        found.append(
            Outcome("unknown", facts.domain, unknown=Unknown(cause, f"{type(error).__name__}: {error}"))
        )
    return found


def _clean(outcome: Outcome) -> Outcome:
    """``outcome`` fit to be shown: much of what proves it was written by strangers."""
    evidence = tuple(
        replace(e, source=human(e.source), locator=human(e.locator), excerpt=human(e.excerpt))
        for e in outcome.evidence
    )
    unknown = outcome.unknown and replace(outcome.unknown, detail=human(outcome.unknown.detail))
    return replace(outcome, asset=human(outcome.asset), evidence=evidence, unknown=unknown)


def wanted(facts: Facts, checks: Iterable[Check]) -> set[Question]:
    """The questions that the checks would still ask of the domain name system."""
    missing: set[Question] = set()
    for check in checks:
        try:
            for _ in check.run(facts):
                pass
        except WantedError as error:
            missing.update(error.questions)
        except Exception:  # noqa: S112 - outcomes_of says it, once
            continue
    return missing


def _lines(check: Check, outcomes: Sequence[Outcome]) -> list[Line]:
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        cause = outcome.unknown.cause if outcome.unknown else ""
        groups.setdefault((outcome.code, cause), []).append(outcome)
    lines = [_line(check, code, found) for (code, _), found in groups.items()]
    if any(line.light is not Light.GREEN for line in lines):  # a good half does not make a line of its own
        lines = [line for line in lines if line.light is not Light.GREEN]
    return [line for line in lines if line.light is not Light.NOTHING]


def _line(check: Check, code: str, outcomes: list[Outcome]) -> Line:
    text = check.outcomes.get(code)
    if text is None and code != "unknown":
        raise ValueError(f"{check.name} has no outcome {code}")
    text = text or _NOT_KNOWN
    assets = tuple(dict.fromkeys(human(outcome.asset) for outcome in outcomes))
    first = outcomes[0]
    values = {key: human(value) for key, value in first.values.items()}
    values |= {"title": check.title, "asset": assets[0], "assets": named(assets), "count": str(len(assets))}
    if first.unknown is not None:
        values |= {"cause": because(first.unknown), "detail": human(first.unknown.detail)}
    sentence = text.several if text.several and len(assets) > 1 else text.sentence
    return Line(
        check=check,
        code=code,
        light=text.light,
        severity=text.severity,
        sentence=filled(sentence, values),
        step=filled(text.step, values),
        assets=assets,
        outcomes=tuple(outcomes),
    )


def because(unknown: Unknown) -> str:
    """The cause as part of a sentence, with what happened."""
    detail = human(unknown.detail)
    return _BECAUSE[unknown.cause] + (f" ({detail})" if detail else "")


def named(assets: Sequence[str]) -> str:
    """``a, b and c``; doors of one host are named together, ``host (ports 25, 587)``; many are counted."""
    places = _places(assets)
    shown = [_place(host, ports) for host, ports in list(places.items())[:SHOWN_ASSETS]]
    more = sum(len(ports) or 1 for ports in list(places.values())[SHOWN_ASSETS:])
    if more:
        shown.append(f"{more} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _places(assets: Sequence[str]) -> dict[str, list[str]]:
    """The assets in their order, those that are ports of one host under its name."""
    places: dict[str, list[str]] = {}
    for asset in assets:
        host, _, port = asset.rpartition(":")
        if host and ":" not in host and port.isascii() and port.isdigit():
            places.setdefault(host, []).append(port)
        else:
            places.setdefault(asset, [])
    return places


def _place(host: str, ports: Sequence[str]) -> str:
    if len(ports) < 2:
        return f"{host}:{ports[0]}" if ports else host
    return f"{host} (ports {', '.join(sorted(dict.fromkeys(ports), key=lambda port: (len(port), port)))})"


def filled(sentence: str, values: Mapping[str, str]) -> str:
    """``sentence`` with its places filled; a place without a value stays empty. Values are never formats themselves."""

    class Values(dict[str, str]):
        def __missing__(self, key: str) -> str:
            return ""

    return sentence.format_map(Values(values))
