"""What an operation is to the API: a method, a path, a verb, what it takes and what it gives.

Each file in ``resources/`` has its ``OPERATIONS`` and is found by its name. A handler is a plain function run on a
thread; it gets a :class:`Call` and gives the answer's document, or None. The organisation of its path is allowed with
the operation's verb before it runs, and before the body is looked at.

Rules for documents: what comes in has limits and no field that is not known; a time is RFC 3339 in UTC; what is not
there (a time that never was, an end that is none) is null.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gambeson.console.office import Office, Told
from gambeson.model.staff import Verb
from gambeson.store.tenant import OrganisationStore

from .cursor import make_cursor, read_cursor
from .problems import not_found

BASE = "/api/v1"
MAX_PAGE = 200
MAX_OFFSET = 10_000_000
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

Id = Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,64}$", max_length=64)]
Text = Annotated[str, Meta(max_length=500)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Address = Annotated[str, Meta(min_length=3, max_length=254)]
Moment = Annotated[datetime, Meta(tz=True)]
PATH_ID = re.compile(r"[A-Za-z0-9._@-]{1,254}", re.ASCII)


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of what comes in."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The base of what goes out."""


class Nothing(Given, frozen=True):
    """A body that says nothing: an empty object, or none at all."""


class PageQuery(Given, frozen=True):
    """Which part of a list: ``after`` is the ``next`` of the part before."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50
    after: Annotated[str, Meta(max_length=512)] = ""


class Page(Document, Generic[T], frozen=True):
    """A part of a list. ``next`` is null where it is the last one."""

    items: Sequence[T]
    next: str | None = None


class ToldDocument(Document, frozen=True):
    """Who acts on a change by now: ``missing`` did not say so within a second."""

    snapshot: int
    acknowledged: Sequence[str]
    missing: Sequence[str]


@dataclass(frozen=True, slots=True)
class Operation:
    """``path`` is below :data:`BASE`. One with ``{organisation}`` asks ``verbs`` there (one of them is enough); others
    ask ``verb`` of every organisation, or with ``anywhere`` of at least one. ``status`` is that of success."""

    name: str
    method: str
    path: str
    verb: Verb
    handler: Callable[[Call], msgspec.Struct | None]
    query: type[Given] | None = None
    body: type[Given] | None = None
    answer: Any = None
    summary: str = ""
    status: int = 200
    anywhere: bool = False
    or_verb: Verb | None = None

    @property
    def of_organisation(self) -> bool:
        """Whether the path names an organisation."""
        return "{organisation}" in self.path

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """One of these is needed."""
        return (self.verb,) if self.or_verb is None else (self.verb, self.or_verb)

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return re.findall(r"\{(\w+)\}", self.path)


@dataclass(frozen=True)
class Call:
    """One request to one operation, allowed and read. ``path`` has the path's parts, ``query`` and ``body`` are of the
    operation's types."""

    operation: Operation
    office: Office
    path: Mapping[str, str]
    query: Given | None = None
    body: Given | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)

    @property
    def organisation(self) -> str:
        """The id of the path's organisation."""
        return self.path["organisation"]

    @cached_property
    def org(self) -> OrganisationStore:
        """The store of the path's organisation, for one of the operation's verbs."""
        return self.office.either(self.organisation, *self.operation.verbs)

    @property
    def by(self) -> dict[str, Any]:
        """Who acts, and when, as the store wants to know it."""
        return {"by": self.office.by, "at": self.office.at}

    def asked(self, kind: type[S]) -> S:
        """The query."""
        assert isinstance(self.query, kind)
        return self.query

    def given(self, kind: type[S]) -> S:
        """The body."""
        assert isinstance(self.body, kind)
        return self.body

    @property
    def limit(self) -> int:
        """How many are wanted."""
        return self.asked(PageQuery).limit

    def after(self, kind: Any) -> Any:
        """Where the last part ended, a ``kind``; None for the first part. Raises ApiError(400)."""
        after = self.asked(PageQuery).after
        return read_cursor(after, self.operation.name, kind) if after else None

    def offset(self) -> int:
        """The same for lists that are counted. Raises ApiError(400)."""
        found: int | None = self.after(Offset)
        return found or 0

    def page(self, items: Sequence[T], next: Any = None) -> Page[T]:
        """A part of a list; ``next`` None: the last one."""
        return Page(items=items, next=None if next is None else make_cursor(self.operation.name, next))

    def counted(self, found: Sequence[T], offset: int) -> Page[T]:
        """A part of a list of which one more than the limit was asked for."""
        more = len(found) > self.limit
        return self.page(found[: self.limit], offset + self.limit if more else None)


Offset = Annotated[int, Meta(ge=0, le=MAX_OFFSET)]


def moment(at: float) -> datetime | None:
    """A time of the store; None for 0, which is no time."""
    return datetime.fromtimestamp(at, UTC) if at else None


def seconds(at: datetime | UnsetType | None) -> float:
    """A time for the store; 0 for none."""
    return max(0.0, at.timestamp()) if isinstance(at, datetime) else 0.0


def said(value: T | UnsetType) -> T | None:
    """A field of a query; None where it was left out. (Its type says UNSET and not None: the word ``null`` in a query
    would be taken for that, and the filter would be none.)"""
    return None if value is UNSET else value


def told(of: Told) -> ToldDocument:
    """Who acts on it."""
    return ToldDocument(snapshot=of.number, acknowledged=of.acknowledged, missing=of.missing)


def operations() -> tuple[Operation, ...]:
    """Every operation, in the order of their files' names."""
    from . import resources

    names = sorted(module.name for module in pkgutil.iter_modules(resources.__path__))
    modules = [importlib.import_module(f"{resources.__name__}.{name}") for name in names]
    return tuple(operation for module in modules for operation in module.OPERATIONS)


class Router:
    """Finds the operation of a path: a part that is written out goes before one that stands for anything."""

    def __init__(self, table: Sequence[Operation]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], dict[str, Operation]]]] = {}
        known: dict[tuple[str, ...], dict[str, Operation]] = {}
        for operation in table:
            parts = tuple(operation.path.split("/")[1:])
            key = tuple("{}" if part.startswith("{") else part for part in parts)
            methods = known.setdefault(key, {})
            if operation.method in methods:
                raise ValueError(f"{operation.name}: its method and path are taken")
            methods[operation.method] = operation
        for key, methods in sorted(known.items(), key=lambda item: item[0].count("{}")):
            self._by_length.setdefault(len(key), []).append((key, methods))

    def find(self, path: str) -> tuple[Mapping[str, Operation], list[str]]:
        """The operations of a path (below BASE) by method, and its variable parts. Raises ApiError(404)."""
        parts = path.split("/")[1:]
        for key, methods in self._by_length.get(len(parts), ()):
            if all(wanted in ("{}", part) for wanted, part in zip(key, parts, strict=True)):
                values = [part for wanted, part in zip(key, parts, strict=True) if wanted == "{}"]
                if all(PATH_ID.fullmatch(value) for value in values):
                    return methods, values
        raise not_found()
