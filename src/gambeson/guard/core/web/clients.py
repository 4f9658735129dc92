"""The mail programs that Gambeson knows: one file each in ``guard/data/clients``.

What a program calls itself is a claim. It proves nothing, so it only narrows: a registered device that calls itself
Outlook may ask EWS for what Outlook asks, one that calls itself nothing may ask nothing. Programs that read mail
through their maker's cloud name it: what that means is in ``guard/core/clouds.py``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from gambeson.guard.data import texts
from gambeson.model.access import DEVICE_DOORS, DoorKind, Rung
from gambeson.model.asset import CredentialKind

MAX_AGENT = 512  # characters of a name that are looked at
MAX_KNOWN = 512  # names whose program is kept
NOT_TRIED = "not tried here"
_REQUIRED = ("name", "doors", "protocols", "credentials", "rung", "steps", "source", "tried")
_KEYS = frozenset((*_REQUIRED, "cloud", "agents", "samples", "operations", "breaks", "setup"))
_OPERATION = re.compile(r"[A-Z][A-Za-z]{2,63}\Z")


class ClientError(ValueError):
    """A file does not describe a program. One sentence that names file and key."""


class SetUp(StrEnum):
    """How a person sets a program up with what the portal gives."""

    PROFILE = "profile"  # an Apple configuration profile; by hand too
    AUTOCONFIG = "autoconfig"  # it finds the servers by the address; the secret is typed
    STEPS = "steps"  # by hand, from a table
    ADMINISTRATOR = "administrator"  # not by a person at the portal


@dataclass(frozen=True, slots=True)
class Client:
    """One program. ``id`` is the file's name; ``doors`` it comes to; ``protocols`` for people; ``credentials`` it can
    show; ``rung`` the best it reaches; ``cloud``: the id of its maker's cloud where it reads through one, else empty;
    ``agents`` are patterns for the beginning of what it calls itself, ``samples`` such names; ``operations`` are the
    EWS operations it makes; ``setup`` is the way and ``steps`` what to do after the portal's "add a device"; ``breaks``
    that are known, ``source`` of this, and when it was last ``tried``."""

    id: str
    name: str
    doors: tuple[DoorKind, ...]
    protocols: str
    credentials: tuple[CredentialKind, ...]
    rung: Rung
    steps: tuple[str, ...]
    source: str
    tried: str
    cloud: str = ""
    agents: tuple[re.Pattern[str], ...] = ()
    samples: tuple[str, ...] = ()
    operations: frozenset[str] = frozenset()
    breaks: tuple[str, ...] = ()
    setup: SetUp = SetUp.STEPS


class Clients:
    """All programs, in the order of their names."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self.all: tuple[Client, ...] = tuple(sorted(clients, key=lambda client: client.name.lower()))
        self._known: dict[str, Client | None] = {}  # by what it calls itself

    def recognise(self, agent: str) -> Client | None:
        """The program that calls itself so."""
        shown = agent[:MAX_AGENT].strip()
        if shown in self._known:
            return self._known[shown]
        found = next((c for c in self.all if shown and any(p.match(shown) for p in c.agents)), None)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[shown] = found
        return found

    def program(self, agent: str) -> str:
        """How a program is named in records: its name where it is known, else what it calls itself, shortened."""
        client = self.recognise(agent)
        return client.name if client is not None else " ".join(agent.split())[:120]


def parse_client(text: str, name: str) -> Client:
    """The program in a file's text; ``name`` is the file's. Raises ClientError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ClientError(f"{name}: is no TOML: {error}") from None
    if unknown := table.keys() - _KEYS:
        raise ClientError(f"{name}: {sorted(unknown)[0]} is no key of a program's file.")
    if missing := [key for key in _REQUIRED if not table.get(key)]:
        raise ClientError(f"{name}: {missing[0]} is missing.")
    try:
        made = Client(
            id=name.removesuffix(".toml"),
            name=_text(table, "name"),
            doors=tuple(DoorKind(word) for word in _texts(table, "doors")),
            protocols=_text(table, "protocols"),
            credentials=tuple(CredentialKind(word) for word in _texts(table, "credentials")),
            rung=Rung.from_word(_text(table, "rung")),
            steps=_texts(table, "steps"),
            source=_text(table, "source"),
            tried=_text(table, "tried"),
            cloud=_text(table, "cloud") if "cloud" in table else "",
            agents=tuple(re.compile(pattern, re.IGNORECASE) for pattern in _texts(table, "agents")),
            samples=_texts(table, "samples"),
            operations=frozenset(_texts(table, "operations")),
            breaks=_texts(table, "breaks"),
            setup=SetUp(table.get("setup", SetUp.STEPS)),
        )
    except (ValueError, re.error) as error:
        raise ClientError(f"{name}: {error}.") from None
    if set(made.doors) - set(DEVICE_DOORS):
        raise ClientError(f"{name}: doors names one that no program comes to.")
    if bad := [operation for operation in made.operations if not _OPERATION.match(operation)]:
        raise ClientError(f"{name}: {bad[0]!r} is no EWS operation.")
    return made


def _text(table: dict[str, Any], key: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} is no text")
    return value.strip()


def _texts(table: dict[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f"{key} is no list of texts")
    return tuple(value)


@cache
def load_clients() -> Clients:
    """The programs that come with Gambeson. Raises ClientError where a file is damaged."""
    return Clients(parse_client(text, name) for name, text in texts("clients").items())


def document(clients: Clients) -> str:
    """``docs/clients.md``: the table, then each program with its steps."""
    out = [
        "# Mail programs",
        "",
        "Made from `guard/data/clients/` by `./dev docs`; do not edit. *Rung* is the best proof that the",
        "program reaches (see [policy](policy.md)). A program's own word about itself only narrows what it may do.",
        "",
        "| program | doors | credential | rung | through a cloud | last tried |",
        "|---|---|---|---|---|---|",
    ]
    for one in clients.all:
        kinds = ", ".join(kind.value for kind in one.credentials)
        doors = ", ".join(door.value for door in one.doors)
        cloud = one.cloud or "no"
        out.append(
            f"| [{one.name}](#{one.id}) | {doors} | {kinds} | {one.rung.word} | {cloud} | {one.tried} |"
        )
    for one in clients.all:
        out += ["", f'<a id="{one.id}"></a>', f"## {one.name}", "", f"{one.protocols}", ""]
        out += [f"{number}. {step}" for number, step in enumerate(_all_steps(one), 1)]
        if one.breaks:
            out += ["", "Known breaks:", "", *(f"- {text}" for text in one.breaks)]
        if one.operations:
            out += ["", f"EWS operations: {', '.join(sorted(one.operations))}."]
        out += ["", f"Source: {one.source}"]
    return "\n".join(out) + "\n"


def readme_table(clients: Clients) -> str:
    """The short table of README.md."""
    out = ["| program | doors | credential | rung | tried |", "|---|---|---|---|---|"]
    for one in clients.all:
        cloud = ", through a cloud" if one.cloud else ""
        kinds = ", ".join(kind.value for kind in one.credentials)
        doors = ", ".join(door.value for door in one.doors)
        out.append(f"| {one.name}{cloud} | {doors} | {kinds} | {one.rung.word} | {one.tried} |")
    return "\n".join(out) + "\n"


def _all_steps(one: Client) -> Iterator[str]:
    """With the first one, which the portal leaves out: whoever reads it there has done it."""
    if one.setup is not SetUp.ADMINISTRATOR and not one.cloud:
        yield f'Sign in at the portal and choose "Add a device", then "{one.name}".'
    yield from one.steps
