"""The policy as a person writes it: TOML, read strictly.

Unknown keys, double names, values out of range, names of networks that are not declared, floors below the
default and rules that can never be asked are errors with line and column: a policy that means something
else than it says is worse than none. ``docs/policy.md`` describes every key.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import DeviceKind, DeviceState
from gambeson.model.decision import Opinion
from gambeson.model.rule import ModeEntry, Network, Policy, PolicyException, PolicyRule

from .compiled import DEFAULT_FLOORS
from .policy_reader import Report, Table
from .policy_source import Place, PolicyError, Source, syntax_error
from .risk import needs_countries

__all__ = ["PolicyError", "Problem", "lint", "parse_policy"]

MAX_TEXT = 262_144  # characters
MAX_TABLES = 500  # of one kind
_TOP = ("floors", "network", "exception", "mode", "rule")
_YEAR = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to look at. ``error`` means that the policy is not taken."""

    line: int
    column: int
    text: str
    error: bool


def parse_policy(text: str, organisation: str) -> Policy:
    """The policy in ``text``. Raises PolicyError at the first error, in the order of the file."""
    policy, problems = _read(text, organisation, None)
    for problem in problems:
        if problem.error:
            raise PolicyError(problem.line, problem.column, problem.text)
    return policy


def lint(
    text: str, organisation: str = "", now: float | None = None, country_table: bool = False
) -> tuple[Problem, ...]:
    """All errors and warnings in the order of the file. With ``now``, also what has ended. ``country_table`` says
    whether the doors have one: without it some rules never hold."""
    try:
        return tuple(_read(text, organisation, now, country_table)[1])
    except PolicyError as error:
        return (Problem(error.line, error.column, error.text, True),)


def _read(
    text: str, organisation: str, now: float | None, country_table: bool = True
) -> tuple[Policy, list[Problem]]:
    if len(text) > MAX_TEXT:
        raise PolicyError(1, 1, f"the policy is longer than {MAX_TEXT} characters; split the organisation")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise syntax_error(text, error) from None
    except (RecursionError, ValueError):
        raise PolicyError(1, 1, "the policy is nested too deep or holds an impossible number") from None
    source = Source(text)
    problems: list[Problem] = []

    def report(place: Place, sentence: str, error: bool = True) -> None:
        problems.append(Problem(place.line, place.column, sentence, error))

    for key in data:
        if key not in _TOP:
            report(source.table(key), f"{key!r} is not known here; known are {', '.join(_TOP)}")

    def tables(name: str) -> list[Table]:
        found = data.get(name, [])
        if not isinstance(found, list) or not all(isinstance(t, dict) for t in found):
            report(source.table(name), f"write [[{name}]] with two brackets, once for each")
            return []
        if len(found) > MAX_TABLES:
            report(source.table(name), f"there are more than {MAX_TABLES} of [[{name}]]")
            found = found[:MAX_TABLES]
        return [Table(values, name, i, source, report) for i, values in enumerate(found)]

    networks = tuple(_network(t) for t in tables("network"))
    declared = frozenset(n.name for n in networks)
    exceptions = tuple(_exception(t, declared, now) for t in tables("exception"))
    modes = tuple(_mode(t, now) for t in tables("mode"))
    rules = [(_rule(t, declared, country_table), t) for t in tables("rule")]
    floors_given = data.get("floors", {})
    floors: tuple[tuple[DoorKind, Rung], ...] = ()
    if isinstance(floors_given, dict):
        floors = _floors(Table(floors_given, "floors", 0, source, report), floors_given)
    else:
        report(source.table("floors"), "write [floors] as a table of door = rung")
    for name, named in (("network", networks), ("exception", exceptions), ("rule", [r for r, _ in rules])):
        _no_doubles(name, [n.name for n in named], source, report)
    _reachable(rules)
    problems.sort(key=lambda p: (p.line, p.column))
    policy = Policy(
        organisation,
        rules=tuple(r for r, _ in rules),
        networks=networks,
        exceptions=exceptions,
        floors=floors,
        modes=modes,
    )
    return policy, problems


def _floors(table: Table, values: dict[str, object], key: str = "") -> tuple[tuple[DoorKind, Rung], ...]:
    """Doors and rungs; lower than the default is an error, as it would have no effect."""
    floors = []
    for name, word in values.items():
        where = key or name
        try:
            door, rung = DoorKind(name), Rung.from_word(str(word))
        except ValueError:
            known = f"doors are {', '.join(DoorKind)}; rungs are {', '.join(r.word for r in Rung)}"
            table.error(where, f"{name} = {str(word)[:60]!r} is no floor; {known}")
            continue
        if rung < DEFAULT_FLOORS[door]:
            table.error(
                where,
                f"the floor of {door} is {DEFAULT_FLOORS[door].word} and can only be raised; "
                "to let somebody below it, write an [[exception]] with owner, reason and end",
            )
            continue
        floors.append((door, rung))
    return tuple(floors)


def _network(t: Table) -> Network:
    name = t.name()
    cidrs = t.cidrs("cidrs")
    if not cidrs:
        t.error("cidrs", "a network needs at least one address range, such as 192.0.2.0/24")
    given = t.inner("floors")
    t.done()
    return Network(name, cidrs, _floors(t, given, "floors"))


def _exception(t: Table, declared: frozenset[str], now: float | None) -> PolicyException:
    rung = t.rung("rung", required=True)
    rung = Rung.KNOWLEDGE if rung is None else rung  # "nothing" is false as well, and must be seen
    if rung < Rung.KNOWLEDGE:
        t.error("rung", "an exception goes down to knowledge (a password) at the lowest")
    door = t.one("door", DoorKind, required=True) or DoorKind.IMAP
    if rung >= DEFAULT_FLOORS[door]:
        t.warn("rung", f"the floor of {door} is not above {rung.word}; the exception may have no effect")
    made = PolicyException(
        name=t.name(),
        door=door,
        rung=rung,
        owner=t.text("owner", required=True),
        reason=t.text("reason", required=True),
        until=t.time("until", required=True),
        accounts=t.addresses("accounts"),
        groups=t.texts("groups"),
        networks=t.networks("networks", declared),
        line=t.place.line,
    )
    if not (made.accounts or made.groups or made.networks):
        t.warn(
            "name", "this exception holds for everybody from everywhere; name accounts, groups or networks"
        )
    if now is not None and made.until:
        if not now < made.until:
            t.warn("until", "this exception has ended; it has no effect any more")
        elif made.until - now > _YEAR:
            t.warn("until", "this exception runs for more than a year")
    t.done()
    return made


def _mode(t: Table, now: float | None) -> ModeEntry:
    mode = t.one("mode", Mode, required=True) or Mode.ENFORCE
    made = ModeEntry(
        door=t.one("door", DoorKind, required=True) or DoorKind.IMAP,
        mode=mode,
        until=t.time("until", required=mode is not Mode.ENFORCE),
        group=t.text("group"),
        account=t.address("account"),
    )
    if made.group and made.account:
        t.error("group", "a mode is for a group or for an account; write two entries")
    if mode is not Mode.ENFORCE and now is not None and not now < made.until:
        t.warn("until", f"this {mode} mode has ended; enforce has taken over")
    t.done()
    return made


def _rule(t: Table, declared: frozenset[str], country_table: bool) -> PolicyRule:
    made = PolicyRule(
        name=t.name(),
        opinion=t.one("opinion", Opinion, required=True) or Opinion.DENY,
        sentence=t.text("sentence"),
        doors=t.many("doors", DoorKind),
        accounts=t.addresses("accounts"),
        groups=t.texts("groups"),
        networks=t.networks("networks", declared),
        outside=t.flag("outside"),
        countries=t.countries("countries"),
        device_states=t.many("device_states", DeviceState),
        device_kinds=t.many("device_kinds", DeviceKind),
        rung_at_least=t.rung("rung_at_least"),
        hours=t.hours("hours"),
        weekdays=t.weekdays("weekdays"),
        risk_at_least=t.number("risk_at_least", 0, 100),
        line=t.place.line,
    )
    if made.outside and made.networks:
        t.error("outside", "no request comes from a declared network and from outside of all; drop one")
    # Said aloud, or an owner believes that a country is kept out.
    if needs_countries(made) and not country_table:
        key = "countries" if made.countries else "risk_at_least"
        t.warn(key, "without doors.country_table no country is known; this rule never holds")
    t.done()
    return made


def _no_doubles(name: str, names: list[str], source: Source, report: Report) -> None:
    for i, one in enumerate(names):
        if one and one in names[:i]:
            report(source.key(name, i, "name"), f"there are two of [[{name}]] named {one!r}; rename one")


def _reachable(rules: list[tuple[PolicyRule, Table]]) -> None:
    """A rule behind one that takes everything it would take is never asked."""
    for i, (rule, table) in enumerate(rules):
        for earlier, _ in rules[:i]:
            if _covers(earlier, rule):
                table.error(
                    "name",
                    f"rule {rule.name!r} is never asked: rule {earlier.name!r} in line {earlier.line} "
                    "decides everything it would; put it before that one, or drop it",
                )
                break


def _covers(wide: PolicyRule, narrow: PolicyRule) -> bool:
    """True where every request for which ``narrow`` holds, ``wide`` holds too (never true by mistake)."""
    for field in ("doors", "networks", "countries", "device_states", "device_kinds", "weekdays"):
        mine, its = getattr(wide, field), getattr(narrow, field)
        if mine and not (its and set(its) <= set(mine)):
            return False
    if (wide.accounts or wide.groups) and not (
        (narrow.accounts or narrow.groups)
        and set(narrow.accounts) <= set(wide.accounts)
        and set(narrow.groups) <= set(wide.groups)
    ):
        return False
    if wide.outside is not None and wide.outside != narrow.outside:
        return False
    if wide.hours is not None and wide.hours != narrow.hours:
        return False
    for field in ("rung_at_least", "risk_at_least"):
        mine, its = getattr(wide, field), getattr(narrow, field)
        if mine and not (its is not None and its >= mine):
            return False
    return True
