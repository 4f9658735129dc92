"""A policy written out as TOML that ``parse_policy`` reads back to the same policy (but for line numbers)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from gambeson.model.access import DoorKind, Rung
from gambeson.model.rule import ModeEntry, Network, Policy, PolicyException, PolicyRule

from .policy_reader import WEEKDAYS


def format_policy(policy: Policy) -> str:
    """The TOML text of ``policy``."""
    blocks: list[list[str]] = []
    if policy.floors:
        blocks.append(["[floors]", *(f"{door} = {_text(rung.word)}" for door, rung in policy.floors)])
    blocks += [_network(n) for n in policy.networks]
    blocks += [_exception(e) for e in policy.exceptions]
    blocks += [_mode(m) for m in policy.modes]
    blocks += [_rule(r) for r in policy.rules]
    return "\n\n".join("\n".join(line for line in block if line) for block in blocks) + "\n"


def _network(n: Network) -> list[str]:
    return ["[[network]]", f"name = {_text(n.name)}", _list("cidrs", n.cidrs), _floors(n.floors)]


def _exception(e: PolicyException) -> list[str]:
    return [
        "[[exception]]",
        f"name = {_text(e.name)}",
        f"door = {_text(e.door)}",
        f"rung = {_text(e.rung.word)}",
        f"owner = {_text(e.owner)}",
        f"reason = {_text(e.reason)}",
        f"until = {_time(e.until)}",
        _list("accounts", e.accounts),
        _list("groups", e.groups),
        _list("networks", e.networks),
    ]


def _mode(m: ModeEntry) -> list[str]:
    return [
        "[[mode]]",
        f"door = {_text(m.door)}",
        f"mode = {_text(m.mode)}",
        f"until = {_time(m.until)}" if m.until else "",
        f"group = {_text(m.group)}" if m.group else "",
        f"account = {_text(m.account)}" if m.account else "",
    ]


def _rule(r: PolicyRule) -> list[str]:
    return [
        "[[rule]]",
        f"name = {_text(r.name)}",
        f"opinion = {_text(r.opinion)}",
        f"sentence = {_text(r.sentence)}" if r.sentence else "",
        _list("doors", r.doors),
        _list("accounts", r.accounts),
        _list("groups", r.groups),
        _list("networks", r.networks),
        f"outside = {str(r.outside).lower()}" if r.outside is not None else "",
        _list("countries", r.countries),
        _list("device_states", r.device_states),
        _list("device_kinds", r.device_kinds),
        f"rung_at_least = {_text(r.rung_at_least.word)}" if r.rung_at_least is not None else "",
        _list("hours", r.hours or ()),
        _list("weekdays", (WEEKDAYS[d] for d in r.weekdays)),
        f"risk_at_least = {r.risk_at_least}" if r.risk_at_least is not None else "",
    ]


def _list(key: str, items: Iterable[str]) -> str:
    written = ", ".join(_text(item) for item in items)
    return f"{key} = [{written}]" if written else ""


def _floors(floors: tuple[tuple[DoorKind, Rung], ...]) -> str:
    written = ", ".join(f"{door} = {_text(rung.word)}" for door, rung in floors)
    return f"floors = {{ {written} }}" if written else ""


def _text(value: str) -> str:
    # A JSON string of printable characters is a TOML basic string.
    return json.dumps(str(value), ensure_ascii=False)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
