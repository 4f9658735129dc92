"""What a kind of action is: how it is planned, run, verified and taken back.

Each kind is a file in ``runners/`` with one ``RUNNER``; it is found by its file. Rules: a plan changes nothing and says
in whole sentences what will happen; what is planned is looked at once more before it is run; ``run`` gives what
``undo`` needs to know; ``verify`` reads again, and believes neither what was planned nor what ``run`` said.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from gambeson.console.office import Office, RefusedError
from gambeson.model.action import Action
from gambeson.model.asset import Account
from gambeson.model.staff import Verb
from gambeson.store.errors import BadValue, NotFound
from gambeson.store.tenant import OrganisationStore

MAX_VALUE = 254


@dataclass(frozen=True, slots=True)
class Field:
    """What a person gives beside the target. ``choices``: one of these words; ``number``: a whole number."""

    name: str
    needed: bool = False
    choices: tuple[str, ...] = ()
    number: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that was measured, and whether it is as it should be."""

    sentence: str
    holds: bool


Details = Mapping[str, str]
Result = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an action is done: the office of who asks, and the organisation's store."""

    office: Office
    org: OrganisationStore

    @property
    def by(self) -> str:
        """Who does it, for the audit log."""
        return self.office.by

    @property
    def at(self) -> float:
        """When."""
        return self.office.at

    def account(self, name: str) -> Account:
        """The organisation's account with this id or address. Raises RefusedError."""
        try:
            return self.org.accounts.find(name) if "@" in name else self.org.accounts.get(name)
        except (NotFound, BadValue):
            raise refused("There is no such account here: give its address.") from None


class Runner(ABC):
    """A kind of action. ``verb`` is what it takes beside :attr:`Verb.ACTIONS`; ``second``: somebody else than who
    planned it must approve it; ``no_undo`` says why there is no way back (empty: there is one)."""

    kind: str
    verb: Verb
    second: bool = False
    no_undo: str = ""
    fields: tuple[Field, ...] = ()

    @abstractmethod
    def settle(self, place: Place, target: str, given: Details) -> tuple[str, dict[str, str]]:
        """Target and details as they are kept: ids, words, numbers. Raises RefusedError."""

    @abstractmethod
    def plan(self, place: Place, target: str, details: Details) -> Sequence[str]:
        """What will happen, in sentences. Raises RefusedError where it cannot."""

    @abstractmethod
    def run(self, place: Place, action: Action, details: Details) -> dict[str, object]:
        """Does it; gives what an undo needs. Raises RefusedError, StoreError."""

    @abstractmethod
    def verify(self, place: Place, action: Action, details: Details) -> Sequence[Proof]:
        """Reads the store, and what the doors get of it, anew."""

    def undo(self, place: Place, action: Action, details: Details) -> str:
        """Takes it back; gives what was done in a sentence. Raises RefusedError, StoreError."""
        raise refused(self.no_undo, 409)


def refused(sentence: str, status: int = 422) -> RefusedError:
    """It cannot be done, in a sentence."""
    return RefusedError("not-possible", sentence, status)


def result(action: Action) -> Result:
    """What ``run`` gave."""
    return action.result if isinstance(action.result, dict) else {}


def checked(fields: Sequence[Field], given: Details) -> dict[str, str]:
    """The values of these fields, each of its form. Raises RefusedError."""
    found: dict[str, str] = {}
    for field in fields:
        value = given.get(field.name, "").strip() or field.default
        if len(value) > MAX_VALUE or not value.isprintable():
            raise refused(f"The field {field.name} is too long or has something in it that cannot be shown.")
        if field.needed and not value:
            raise refused(f"The field {field.name} is empty: give it.")
        if value and field.choices and value not in field.choices:
            raise refused(f"The field {field.name} is one of {', '.join(field.choices)}.")
        if value and field.number and not (value.isascii() and value.isdigit() and len(value) < 10):
            raise refused(f"The field {field.name} is a whole number.")
        found[field.name] = value
    return found


@cache
def runners() -> Mapping[str, Runner]:
    """Every kind, by its name."""
    from . import runners as folder

    modules = [
        importlib.import_module(f"{folder.__name__}.{module.name}")
        for module in pkgutil.iter_modules(folder.__path__)
    ]
    return {module.RUNNER.kind: module.RUNNER for module in modules}
