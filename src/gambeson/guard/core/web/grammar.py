"""Which requests a legitimate client makes: everything else is *never*.

One grammar a product, as data. A request is compared in the form in which it is forwarded
(:attr:`WebRequest.canonical`); the first line that fits says lane and door. This is the guard that needs to know no
flaw: a request that no program of the vendor makes does not reach the mail server, signed in or not. Shields
(:mod:`.shields`) only give it a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from gambeson.guard.data import texts
from gambeson.model.web import Lane, Product, Route, Site, WebRequest

from .canonical import squeezed
from .grammar_source import IDLE, GrammarError, Line, Source, read_grammar

__all__ = ["IDLE", "Grammar", "GrammarError", "load_grammars", "parse_grammar"]

MAX_PARAMETERS = 100
MAX_MEMO = 1024  # header and cookie names whose answer is kept
MAX_PATHS = 2048  # paths whose lines are kept
KEPT_PATH = 256  # characters; longer ones are compared anew
_NEVER = Lane.NEVER
_OF_PEOPLE = (Lane.WEB, Lane.PUBLIC)
_NEVER_UNLISTED = Route(Lane.NEVER, None, "unlisted")
_NEVER_HEADER = Route(Lane.NEVER, None, "refused-header")
_NEVER_COOKIE = Route(Lane.NEVER, None, "refused-cookie")
_NEVER_HOST = Route(Lane.NEVER, None, "device-host")


class Grammar:
    """A product's grammar, compiled: exact paths in a dictionary, patterns under their first segment."""

    def __init__(self, source: Source) -> None:
        self.product: Product = source.product
        self.lines: tuple[Line, ...] = source.lines
        self._source = source
        self._routes: list[tuple[Line, Route]] = [
            (line, Route(line.lane, line.door, line.name, line.local)) for line in source.lines
        ]
        self._idle: Mapping[str, float] = {line.name: line.idle for line in source.lines}
        self._exact: dict[str, list[tuple[Line, Route]]] = {}
        self._under: dict[str, list[tuple[Line, Route]]] = {}
        for path in {line.exact for line in source.lines if line.exact}:
            self._exact[path] = [pair for pair in self._routes if pair[0].path.fullmatch(path)]
        for first in {line.first for line in source.lines} | {""}:
            self._under[first] = [
                pair for pair in self._routes if not pair[0].exact and pair[0].first in ("", first)
            ]
        self._names: dict[str, bool] = {}
        self._paths: dict[str, tuple[tuple[Line, Route], ...]] = {}
        self._places = {place.name: place for place in source.places}

    def classify(self, request: WebRequest, site: Site) -> Route:
        """Where ``request`` belongs. Total and pure; what no line allows is *never*."""
        needs: frozenset[str] | None = request.memo.get(self)
        if needs is None:
            if not self._headers_fit(request):
                return _NEVER_HEADER
            if self._source.cookies:
                good = request.cookie_memo.get(self)
                if good is None:
                    good = request.cookie_memo[self] = self._cookies_fit(request)
                if not good:
                    return _NEVER_COOKIE
            needs = frozenset(line.name for line in self.lines if line.need and _needs_fit(line, request))
            # Where no header is good in some places only, the next request with these headers fits too.
            if all(self._names.get(name) for name, _ in request.headers):
                request.memo[self] = needs
        path = request.canonical
        candidates = self._paths.get(path)
        if candidates is None:
            candidates = self._candidates(path)
        for line, route in candidates:
            if (not line.need or line.name in needs) and _fits(line, request):
                if site.device_hosts and route.lane in _OF_PEOPLE and request.host in site.device_hosts:
                    return _NEVER_HOST
                return route
        return _NEVER_UNLISTED

    def _candidates(self, path: str) -> tuple[tuple[Line, Route], ...]:
        """The lines that a canonical path fits, in their order."""
        lines = self._exact.get(path)
        if lines is None:
            open_lines = self._under.get(path[1 : path.find("/", 1)] if path.count("/") > 1 else path[1:])
            lines = self._under[""] if open_lines is None else open_lines
        found = tuple(pair for pair in lines if pair[0].exact == path or pair[0].path.fullmatch(path))
        if len(path) <= KEPT_PATH:
            if len(self._paths) >= MAX_PATHS:
                self._paths.clear()
            self._paths[path] = found
        return found

    def idle(self, route: Route) -> float:
        """How many seconds the mail server may keep silent on such a request."""
        return self._idle.get(route.rule, IDLE)

    def _headers_fit(self, request: WebRequest) -> bool:
        names = self._names
        for name, value in request.headers:
            good = names.get(name)
            if good is None:
                good = self._header_good(name)
                if len(names) < MAX_MEMO:
                    names[name] = good
            if not good and not self._in_place(name, value, request):
                return False
        return True

    def _header_good(self, name: str) -> bool:
        bare = squeezed(name)
        source = self._source
        return not (
            bare in source.headers
            or bare in self._places
            or any(bare.startswith(prefix) for prefix in source.prefixes)
            or any(cookie in bare for cookie in source.cookies)
        )

    def _in_place(self, name: str, value: str, request: WebRequest) -> bool:
        place = self._places.get(squeezed(name))
        if place is None or name != place.spelt or not place.value.fullmatch(value):
            return False
        return (
            request.canonical.startswith(place.under)
            and sum(squeezed(other) == place.name for other, _ in request.headers) == 1
        )

    def _cookies_fit(self, request: WebRequest) -> bool:
        """The whole text of the Cookie headers is looked at: what is a name there depends on who reads it."""
        for name, value in request.headers:
            if name == "cookie" and not self._cookie_good(value):
                return False
        return not self._source.cookie_values or self._cookie_values_fit(request)

    def _cookie_values_fit(self, request: WebRequest) -> bool:
        known = self._source.cookie_values
        seen: set[str] = set()
        for name, value in request.cookies:
            bare = squeezed(name) if len(name) < 64 else ""
            pattern = known.get(bare)
            if pattern is not None:
                if bare in seen or not pattern.fullmatch(value):
                    return False
                seen.add(bare)
            elif "," in value and any(f"{one}=" in value.replace(" ", "").lower() for one in known):
                return False  # old readers split at commas too
        return True

    def _cookie_good(self, text: str) -> bool:
        good = self._names.get("cookie " + text) if len(text) < 64 else None
        if good is None:
            bare = squeezed(text)
            good = not any(cookie in bare for cookie in self._source.cookies)
            if len(text) < 64 and len(self._names) < MAX_MEMO:
                self._names["cookie " + text] = good
        return good


def _fits(line: Line, request: WebRequest) -> bool:
    """What the line asks besides the path and its ``need``."""
    if line.lane is _NEVER:
        return not line.methods or request.method in line.methods
    if request.method not in line.methods or (request.body and request.method in ("GET", "HEAD")):
        return False
    if request.body and not _form_readable(request):
        return False
    if line.query is not None:
        if not line.query.fullmatch(request.query):
            return False
    elif not _parameters_fit(line, request):
        return False
    if line.content and (request.body or request.header("content-type")):
        kind = request.header("content-type").partition(";")[0].strip().lower()
        if kind not in line.content:
            return False
    return True


def _form_readable(request: WebRequest) -> bool:
    """Whether a form is written as browsers write it. ASP.NET reads one in any charset that its Content-Type names, so
    in UTF-7 or EBCDIC it would say something else to shields; and nothing is known of one that is compressed."""
    kind, _, rest = request.header("content-type").lower().partition(";")
    if kind.strip() not in _FORMS:
        return True
    if rest.count("charset") > (1 if _CHARSET(f";{rest}") else 0):
        return False
    return all(
        value.lower() in ("", "identity") for name, value in request.headers if name == "content-encoding"
    )


_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_CHARSET = re.compile(r';\s*charset="?(?:utf-8|us-ascii|iso-8859-1)"?\s*(?:;|\Z)').search


def _needs_fit(line: Line, request: WebRequest) -> bool:
    return all(
        sum(key == name for key, _ in request.headers) == 1 and pattern.fullmatch(request.header(name))
        for name, pattern in line.need
    )


def _parameters_fit(line: Line, request: WebRequest) -> bool:
    parameters = request.parameters
    if not parameters:
        # A query without pairs ("?", "?&") says nothing; one that is not empty must have been read as something.
        return not line.required and not request.query.strip("&")
    if len(parameters) > MAX_PARAMETERS:
        return False
    seen = set()
    named = line.parameters
    for name, value in parameters:
        pattern = named.get(name)
        if pattern is None:
            # PHP makes a list of "_from[]" under the name "_from": a named parameter has no brackets.
            if name.partition("[")[0] not in named and _NAME(name):
                pattern = next((one for prefix, one in line.open if name.startswith(prefix)), None)
            if pattern is None:
                return False
        if pattern.fullmatch(value) is None or (name in seen and not name.endswith("[]")):
            return False
        seen.add(name)
    return not line.required or seen.issuperset(line.required)


_NAME = re.compile(r"[a-z0-9_-]{1,60}(?:\[[a-z0-9_-]{0,40}\])?").fullmatch


def parse_grammar(text: str, name: str) -> Grammar:
    """The grammar in a file's text; ``name`` is the file's, for sentences. Raises GrammarError."""
    return Grammar(read_grammar(text, name))


@cache
def load_grammars() -> Mapping[Product, Grammar]:
    """The grammars that come with Gambeson, by product. The portal has none: it answers for itself.
    Raises GrammarError where a file is damaged."""
    found = (parse_grammar(text, name) for name, text in texts("grammar").items())
    return {grammar.product: grammar for grammar in found}
