"""Mail doors as facts, for the tests of checks, and the checks themselves with their files."""

from __future__ import annotations

import importlib
import tomllib
from importlib.resources import files
from typing import Any

from gambeson.assess.core import catalogue
from gambeson.assess.core.check import Check
from gambeson.assess.core.doors import IMPLICIT, PORTS, DoorFacts, Offer, PortState, Protocol, StartTls
from gambeson.assess.core.evaluate import Line, evaluate
from gambeson.assess.core.facts import Facts, Host
from gambeson.assess.core.unknown import Cause, Unknown

HOST = "mail.example.org"
NOTHING = Offer(("X",), (), False)
PASSWORD = Offer(("X", "AUTH PLAIN"), ("PLAIN",), False)
COMMAND = Offer(("X",), (), True)
TOKENS = Offer(("X",), ("OAUTHBEARER", "XOAUTH2"), False)
CHALLENGE = Offer(("X",), ("CRAM-MD5",), False)
UNTOLD = Offer()
LATE = Unknown(Cause.TIMEOUT, "it sends no greeting")


def door(protocol: Protocol, **more: Any) -> DoorFacts:
    """An open door at its usual port that offers nothing, with working TLS unless told otherwise."""
    values: dict[str, Any] = {"secured": NOTHING}
    if protocol in IMPLICIT:
        values |= {"starttls": StartTls.IMPLICIT}
    else:
        values |= {"plain": NOTHING, "starttls": StartTls.OFFERED}
    values |= {"host": HOST, "address": "192.0.2.1", "port": PORTS[protocol], "state": PortState.OPEN} | more
    if values["starttls"] in (StartTls.NOT_OFFERED, StartTls.FAILED):
        values["secured"] = None
    return DoorFacts(protocol=protocol, **values)


def unseen(protocol: Protocol, unknown: Unknown = LATE) -> DoorFacts:
    """A door of which nothing is known."""
    return DoorFacts(HOST, "192.0.2.1", PORTS[protocol], protocol, PortState.UNKNOWN, unknown)


def closed(protocol: Protocol) -> DoorFacts:
    """A door where nothing listens."""
    return DoorFacts(HOST, "192.0.2.1", PORTS[protocol], protocol, PortState.CLOSED)


def facts(*doors: DoorFacts, roles: tuple[str, ...] = ("mx",), **more: Any) -> Facts:
    """The facts of a look that saw these doors."""
    hosts = (Host(HOST, roles, ("192.0.2.1",)),)
    return Facts("example.org", 1_800_000_000.0, probed=True, doors=doors, hosts=hosts, **more)


def the_check(name: str) -> Check:
    """The check of that name."""
    path = files("gambeson.assess") / "data" / "checks" / f"{name}.toml"
    module = importlib.import_module(f"gambeson.assess.core.checks.{name}")
    return catalogue.check(name, tomllib.loads(path.read_text(encoding="utf-8")), module.run)


def codes(name: str, measured: Facts) -> list[str]:
    """The codes that the check gives, in their order; each of them is one that its file knows."""
    check = the_check(name)
    found = list(check.run(measured))
    assert all(outcome.code in check.outcomes or outcome.code == "unknown" for outcome in found)
    assert all((outcome.unknown is not None) == (outcome.code == "unknown") for outcome in found)
    return [outcome.code for outcome in found]


def lines(name: str, measured: Facts) -> tuple[Line, ...]:
    """What people are shown."""
    found = evaluate(measured, [the_check(name)])
    for line in found:
        assert "{" not in line.sentence + line.step
        assert line.sentence.strip() == line.sentence
    return found
