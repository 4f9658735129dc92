"""A shield as a person writes it: one TOML file, read strictly.

A file says what the flaw is, its CVE names, the fixed builds, since when it is exploited, where to read about it, the
request conditions (any of them), what to do to answers, and cases: requests that must be stopped and such that must
not. ``docs/shields.md`` describes every key. Unknown keys are errors, and so is a file that lacks one of these.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from gambeson.model.web import Product, WebRequest

from .canonical import squeezed
from .verdict import ResponseAction

MAX_PEEK = 65_536  # octets of a body that a shield may ask for
_TOP = frozenset(
    [
        "id",
        "title",
        "what",
        "cve",
        "product",
        "rank",
        "since",
        "disclosed",
        "references",
        "fixed",
        "request",
        "response",
        "positive",
        "negative",
    ]
)
_REQUEST = frozenset(
    [
        "methods",
        "contains",
        "path",
        "url",
        "query",
        "cookie",
        "cookie_name",
        "cookie_twice",
        "header_name",
        "header",
        "agent",
        "parameter",
        "body",
        "limit",
        "whole",
    ]
)
_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,60}")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,7}")
_URL = re.compile(r"https://[a-z0-9.-]+/[!-~]*")


class ShieldError(Exception):
    """What is wrong in a shield's file: one sentence that names the file."""


@dataclass(frozen=True, slots=True)
class Condition:
    """All that is given must hold. Patterns are searched in the canonical forms (:mod:`.canonical`): ``path`` and
    ``url`` (path?query) in each of their readings; ``contains`` are texts that must all be in the url. Names are
    squeezed; ``cookie_twice`` are cookies of which one comes more than once; with ``unlike`` the parameter must come
    and not match. A condition with ``body`` is asked only once the first ``limit`` octets are there; with ``whole`` a
    body that is longer than these holds too, for nobody knows what is in the rest."""

    methods: frozenset[str] = frozenset()
    contains: tuple[str, ...] = ()
    path: re.Pattern[str] | None = None
    url: re.Pattern[str] | None = None
    query: re.Pattern[str] | None = None
    cookie: re.Pattern[str] | None = None
    cookie_names: tuple[str, ...] = ()
    cookie_twice: tuple[str, ...] = ()
    header_names: tuple[str, ...] = ()
    headers: tuple[tuple[str, re.Pattern[str]], ...] = ()
    agent: re.Pattern[str] | None = None
    parameter: str = ""
    like: re.Pattern[str] | None = None
    unlike: re.Pattern[str] | None = None
    body: re.Pattern[str] | None = None
    limit: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Answering:
    """What is done to the answers of requests whose path matches."""

    path: re.Pattern[str]
    action: ResponseAction


@dataclass(frozen=True, slots=True)
class Case:
    """A request as it would be sent: a raw target, headers in order, the beginning of a body."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def request(self, host: str = "mail.example.org", source: str = "192.0.2.7") -> WebRequest:
        """The request as shields see it, whether the door would take such a target or not."""
        path, _, query = self.target.partition("?")
        cookies = tuple(
            (name.strip(), value.strip())
            for header, text in self.headers
            if header == "cookie"
            for name, _, value in (pair.partition("=") for pair in text.split(";"))
        )
        return WebRequest(
            self.method, host, path, query, path.lower(), (), self.headers, cookies, source, bool(self.body)
        )


@dataclass(frozen=True, slots=True)
class Shield:
    """One virtual patch. ``fixed`` are (product, first build without the flaw); ``since`` is the first known day of
    exploitation, ``disclosed`` the day the flaw became public; the smaller ``rank``, the earlier it is asked."""

    id: str
    title: str
    what: str
    cve: tuple[str, ...]
    product: Product
    rank: int
    since: date
    disclosed: date
    references: tuple[str, ...]
    fixed: tuple[tuple[str, str], ...]
    conditions: tuple[Condition, ...]
    answers: tuple[Answering, ...]
    positive: tuple[Case, ...]
    negative: tuple[Case, ...]

    @property
    def probe(self) -> Case:
        """The harmless shape that shows whether the shield is effective: the first positive case."""
        return self.positive[0]

    @property
    def page(self) -> Case | None:
        """A page whose answer the shield changes, as a browser asks for it: the first such negative case. None where it
        changes no answer."""
        return next((case for case in self.negative if self.changes(case)), None)

    def changes(self, case: Case) -> tuple[Answering, ...]:
        """What is done to the answer of ``case``."""
        path = case.target.partition("?")[0].lower()
        return tuple(one for one in self.answers if one.path.search(path))


def read_shield(text: str, name: str) -> Shield:
    """The shield in ``text``; ``name`` is the file's. Raises ShieldError."""
    try:
        shield = _shield(tomllib.loads(text))
    except (KeyError, TypeError, AttributeError, ValueError, re.error) as error:
        raise ShieldError(f"{name}: {type(error).__name__}: {error}") from None
    if f"{shield.id}.toml" != name:
        raise ShieldError(f"{name}: the file is called as its shield, {shield.id}.toml")
    return shield


def _shield(data: dict[str, object]) -> Shield:
    _known(data, _TOP)
    cve = _texts(data["cve"])
    references = _texts(data["references"])
    since, disclosed = data["since"], data["disclosed"]
    rank = data.get("rank", 50)
    conditions = tuple(_condition(item) for item in _tables(data.get("request", [])))
    answers = tuple(_answering(item) for item in _tables(data.get("response", [])))
    shield = Shield(
        str(data["id"]),
        str(data["title"]),
        str(data["what"]).strip(),
        cve,
        Product(str(data["product"])),
        rank if isinstance(rank, int) else 50,
        since if isinstance(since, date) else date.max,
        disclosed if isinstance(disclosed, date) else date.max,
        references,
        tuple((str(item["product"]), str(item["build"])) for item in _tables(data["fixed"])),
        conditions,
        answers,
        tuple(_case(item) for item in _tables(data["positive"])),
        tuple(_case(item) for item in _tables(data["negative"])),
    )
    _complete(shield)
    return shield


def _complete(shield: Shield) -> None:
    if not _ID.fullmatch(shield.id):
        raise ValueError("an id is lower-case letters, digits and hyphens")
    if not shield.cve or not all(_CVE.fullmatch(one) for one in shield.cve):
        raise ValueError("'cve' names at least one flaw, such as CVE-2021-34473")
    if not shield.references or not all(_URL.fullmatch(one) for one in shield.references):
        raise ValueError("'references' has at least one https address")
    if date.max in (shield.since, shield.disclosed):
        raise ValueError("'since' and 'disclosed' are dates, such as 2021-08-06")
    if not shield.title or not shield.what:
        raise ValueError("'title' and 'what' say what this is")
    if not shield.fixed or not all(product and build for product, build in shield.fixed):
        raise ValueError("'fixed' names at least one product and its fixed build")
    if not shield.conditions and not shield.answers:
        raise ValueError("a shield has a request condition or does something to answers")
    if not shield.positive or not shield.negative:
        raise ValueError("a shield has positive and negative cases")
    if shield.answers and shield.page is None:
        raise ValueError("a shield that changes answers has a negative case whose answer it changes")


def _condition(item: dict[str, object]) -> Condition:
    _known(item, _REQUEST)
    parameter = _table(item.get("parameter", {}))
    _known(parameter, frozenset({"name", "like", "unlike"}))
    limit = item.get("limit", 0)
    body = _pattern(item, "body")
    if not isinstance(limit, int) or not 0 <= limit <= MAX_PEEK or (body is None) is not (limit == 0):
        raise ValueError(
            f"a condition with 'body' has a 'limit' of up to {MAX_PEEK} octets, others have none"
        )
    if not set(item) - {"methods"}:
        raise ValueError("a condition looks at more than the method")
    return Condition(
        frozenset(_texts(item.get("methods", []))),
        _texts(item.get("contains", [])),
        _pattern(item, "path"),
        _pattern(item, "url"),
        _pattern(item, "query"),
        _pattern(item, "cookie"),
        tuple(squeezed(one) for one in _texts(item.get("cookie_name", []))),
        tuple(squeezed(one) for one in _texts(item.get("cookie_twice", []))),
        tuple(squeezed(one) for one in _texts(item.get("header_name", []))),
        tuple((name, re.compile(str(pattern))) for name, pattern in _table(item.get("header", {})).items()),
        _pattern(item, "agent"),
        str(parameter.get("name", "")),
        _pattern(parameter, "like"),
        _pattern(parameter, "unlike"),
        body,
        limit,
        item.get("whole", False) is True,
    )


def _answering(item: dict[str, object]) -> Answering:
    _known(item, frozenset({"path", "set", "add", "drop", "content_type"}))
    action = ResponseAction(
        _headers(item.get("set", {})),
        tuple(name.lower() for name in _texts(item.get("drop", []))),
        str(item.get("content_type", "")),
        _headers(item.get("add", {})),
    )
    return Answering(re.compile(str(item["path"])), action)


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), str(text)) for name, text in _table(value).items())


def _case(item: dict[str, object]) -> Case:
    _known(item, frozenset({"method", "target", "headers", "body"}))
    headers = tuple(
        (name.lower(), value.strip(" \t"))
        for name, _, value in (text.partition(":") for text in _texts(item.get("headers", [])))
    )
    return Case(
        str(item.get("method", "GET")), str(item["target"]), headers, str(item.get("body", "")).encode()
    )


def _pattern(item: Mapping[str, object], key: str) -> re.Pattern[str] | None:
    return re.compile(str(item[key])) if key in item else None


def _known(table: Mapping[str, object], keys: frozenset[str]) -> None:
    strange = sorted(set(table) - keys)
    if strange:
        raise ValueError(f"{strange[0]!r} is not known here")


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("a table is due here")
    return value


def _tables(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list):
        raise ValueError("a list of tables is due here")
    return [_table(item) for item in value]


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("a list of texts is due here")
    return tuple(value)
