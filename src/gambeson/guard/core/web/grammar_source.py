"""A request grammar as a person writes it: TOML, read strictly into lines.

A file has ``product``, ``mounts`` (prefixes under which the application may stand), ``[refuse]`` (cookies and headers
that no client sends), ``[values]`` (named patterns), ``[[header]]`` (headers allowed in one place only),
``[cookies]`` (what certain cookies look like) and the lines.
``docs/grammar.md`` describes every key. Unknown keys and names are errors: a grammar that means something else than
it says is worse than none.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from gambeson.model.access import DoorKind
from gambeson.model.web import Lane, Product

from .canonical import squeezed

IDLE = 300.0  # seconds of silence of the mail server, where a line says nothing
MAX_PATHS = 1000  # all lines' paths under all mounts
MAX_IDLE = 3600.0
_LINE_KEYS = frozenset(
    [
        "name",
        "lane",
        "door",
        "methods",
        "path",
        "parameters",
        "required",
        "query",
        "content",
        "need",
        "idle",
        "local",
        "mounted",
    ]
)
_TOP = frozenset(["product", "mounts", "refuse", "values", "cookies", "header", "line"])
_METHOD = re.compile(r"[A-Z]{3,10}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")
_PIECE = re.compile(r"\{([a-z]+)(?::([a-z0-9,]+))?\}|\*\*")

#: What stands for one segment of a path (compared in lower case, decoded once).
SEGMENTS = {
    "guid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "version": r"[0-9]{1,3}(?:\.[0-9]{1,6}){1,3}",
    "address": r"[a-z0-9_][a-z0-9._+'&=-]{0,63}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+",
    "word": r"[a-z][a-z0-9_-]{0,63}",
    "name": r"[^\x00-\x1f\x7f/\\%;.][^\x00-\x1f\x7f/\\%;]{0,254}",
    "file": r"[a-z0-9_~][a-z0-9_.~@+-]{0,126}",
}
# A directory of files. None has a dot, versions excepted: "shell.aspx/x.js" is a script to servers that take what
# follows a script's name for its argument (PATH_INFO, RFC 3875 section 4.1.5).
_FOLDER = rf"(?:{SEGMENTS['version']}|[a-z0-9_~][a-z0-9_~@+-]{{0,126}})"


class GrammarError(Exception):
    """What is wrong in a grammar file: one sentence that names the file and the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a grammar. ``path`` is a compiled pattern over the whole canonical path, ``exact`` the path itself
    where it has no pattern. ``parameters`` are name -> pattern of the value, ``open`` prefix -> pattern for names that
    begin so. ``query`` not None: the raw query must match it, and parameters are not looked at."""

    name: str
    lane: Lane
    door: DoorKind | None
    methods: frozenset[str]
    path: re.Pattern[str]
    exact: str
    first: str
    parameters: Mapping[str, re.Pattern[str]]
    open: tuple[tuple[str, re.Pattern[str]], ...] = ()
    required: tuple[str, ...] = ()
    query: re.Pattern[str] | None = None
    content: tuple[str, ...] = ()
    need: tuple[tuple[str, re.Pattern[str]], ...] = ()
    idle: float = IDLE
    local: str = ""


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """A header that may come only under one path, exactly once, with such a value. ``name`` is squeezed."""

    name: str
    spelt: str
    under: str
    value: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Source:
    """A grammar read: the lines in the file's order; refused names are squeezed, those of ``prefixes`` begin so;
    ``cookie_values`` (squeezed name -> pattern) come at most once each."""

    product: Product
    lines: tuple[Line, ...]
    cookies: tuple[str, ...] = ()
    headers: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    places: tuple[HeaderLine, ...] = ()
    cookie_values: Mapping[str, re.Pattern[str]] = field(default_factory=dict)


def read_grammar(text: str, name: str) -> Source:
    """The grammar in ``text``; ``name`` is the file's, for sentences. Raises GrammarError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GrammarError(f"{name}: this is no TOML: {error}") from None
    reader = _Reader(name, data)
    try:
        return reader.source()
    except (KeyError, TypeError, AttributeError, ValueError, re.error) as error:
        raise GrammarError(f"{name}: {reader.where}: {type(error).__name__}: {error}") from None


class _Reader:
    def __init__(self, file: str, data: dict[str, object]) -> None:
        self.where = "top"
        self._file, self._data = file, data
        self._values: dict[str, re.Pattern[str]] = {"text": re.compile(r"[^\x00-\x1f\x7f]{0,4096}")}

    def source(self) -> Source:
        data = self._data
        self._known(data, _TOP)
        product = Product(str(data["product"]))
        mounts = self._texts(data.get("mounts", [""]))
        for key, pattern in self._table(data.get("values", {})).items():
            self.where = f"values.{key}"
            self._values[key] = re.compile(str(pattern), re.ASCII)
        refuse = self._table(data.get("refuse", {}))
        self._known(refuse, frozenset({"cookies", "headers"}))
        headers = self._texts(refuse.get("headers", []))
        lines: list[Line] = []
        for item in self._tables("line"):
            lines += self._line(item, mounts)
        self.where = "lines"
        if not 0 < len(lines) <= MAX_PATHS:
            raise ValueError(f"a grammar has between one and {MAX_PATHS} paths")
        names = [str(item["name"]) for item in self._tables("line")]
        double = next((one for one in names if names.count(one) > 1), "")
        if double:
            raise ValueError(f"two lines are called {double}")
        return Source(
            product,
            tuple(lines),
            tuple(squeezed(one) for one in self._texts(refuse.get("cookies", []))),
            frozenset(squeezed(one) for one in headers if not one.endswith("*")),
            tuple(squeezed(one) for one in headers if one.endswith("*")),
            tuple(self._place(item) for item in self._tables("header")),
            {
                squeezed(name): self._value(str(value))
                for name, value in self._table(data.get("cookies", {})).items()
            },
        )

    def _place(self, item: dict[str, object]) -> HeaderLine:
        self.where = f"header {item.get('name')}"
        self._known(item, frozenset({"name", "under", "value"}))
        name = str(item["name"]).lower()
        return HeaderLine(squeezed(name), name, str(item["under"]), self._value(str(item["value"])))

    def _line(self, item: dict[str, object], mounts: list[str]) -> list[Line]:
        name = str(item["name"])
        self.where = f"line {name}"
        self._known(item, _LINE_KEYS)
        if not _NAME.fullmatch(name):
            raise ValueError("a name is lower-case letters, digits and hyphens")
        lane = Lane(str(item["lane"]))
        door = DoorKind(str(item["door"])) if "door" in item else None
        if (door is None) is (lane in (Lane.WEB, Lane.DEVICE)):
            raise ValueError("the lanes web and device have a door, the others none")
        local = str(item.get("local", ""))
        if lane is Lane.LOCAL and not local:
            raise ValueError("the lane local says in 'local' what is answered")
        methods = self._texts(item.get("methods", []))
        if not all(_METHOD.fullmatch(one) for one in methods) or (lane is not Lane.NEVER and not methods):
            raise ValueError("'methods' names HTTP methods in capital letters")
        idle = item.get("idle", IDLE)
        if not isinstance(idle, int | float) or not 1 <= idle <= MAX_IDLE:
            raise ValueError("'idle' is a number of seconds up to an hour")
        named, opened = self._parameters(self._texts(item.get("parameters", [])))
        query = str(item["query"]) if "query" in item else None
        found = []
        for mount in mounts if item.get("mounted", True) else [""]:
            for path in self._texts(item["path"]):
                pattern, exact, first = _path(mount + path)
                found.append(
                    Line(
                        name,
                        lane,
                        door,
                        frozenset(methods),
                        pattern,
                        exact,
                        first,
                        named,
                        opened,
                        tuple(self._texts(item.get("required", []))),
                        None if query is None else re.compile(query, re.ASCII),
                        tuple(self._texts(item.get("content", []))),
                        tuple(
                            (k.lower(), self._value(str(v)))
                            for k, v in self._table(item.get("need", {})).items()
                        ),
                        float(idle),
                        local,
                    )
                )
        return found

    def _parameters(
        self, said: list[str]
    ) -> tuple[dict[str, re.Pattern[str]], tuple[tuple[str, re.Pattern[str]], ...]]:
        named: dict[str, re.Pattern[str]] = {}
        opened: list[tuple[str, re.Pattern[str]]] = []
        for one in said:
            key, _, value = one.partition(":")
            pattern = self._value(value or "text")
            if key != key.lower():
                raise ValueError(f"the parameter {key} is written in lower case, as it is compared")
            if key.endswith("*"):
                opened.append((key[:-1], pattern))
            else:
                named[key] = pattern
        return named, tuple(opened)

    def _value(self, name: str) -> re.Pattern[str]:
        if name not in self._values:
            raise ValueError(f"no value is called {name}; known are {', '.join(sorted(self._values))}")
        return self._values[name]

    def _known(self, table: Mapping[str, object], keys: frozenset[str]) -> None:
        strange = sorted(set(table) - keys)
        if strange:
            raise ValueError(f"{strange[0]!r} is not known here")

    def _tables(self, key: str) -> list[dict[str, object]]:
        found = self._data.get(key, [])
        if not isinstance(found, list):
            raise ValueError(f"[[{key}]] is a list of tables")
        return [self._table(item) for item in found]

    @staticmethod
    def _table(value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise ValueError("a table is due here")
        return value

    @staticmethod
    def _texts(value: object) -> list[str]:
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValueError("a text or a list of texts is due here")
        return value


def _path(path: str) -> tuple[re.Pattern[str], str, str]:
    """The pattern, the exact path (empty where it has pieces), and the first segment (empty where that is open)."""
    if not path.startswith("/") or path != path.lower():
        raise ValueError(f"the path {path} begins with a slash and is in lower case")
    built, position = [], 0
    for piece in _PIECE.finditer(path):
        built.append(re.escape(path[position : piece.start()]))
        position = piece.end()
        if piece[0] == "**":  # one or more segments
            built.append(f"{SEGMENTS['name']}(?:/{SEGMENTS['name']}){{0,15}}/?")
        elif piece[1] == "files":  # directories and a file with one of these endings
            ends = "|".join((piece[2] or "").split(","))
            built.append(rf"(?:{_FOLDER}/){{0,12}}(?=[^/]*\.(?:{ends})\Z){SEGMENTS['file']}")
        else:
            built.append(SEGMENTS[piece[1]])
    built.append(re.escape(path[position:]))
    exact = path if position == 0 else ""
    first = path.split("/", 2)[1]
    return re.compile("".join(built), re.ASCII), exact, "" if _PIECE.search(first) else first
