"""Shields: known attacks, called by their names.

The grammar (:mod:`.grammar`) already lets none of them through. A shield says which flaw somebody tried, stops it a
second time where a grammar was too wide, and changes answers where a flaw is in the browser. Conditions are matched on
the canonical forms of a request (:mod:`.canonical`), so that a disguise does not help.

:mod:`.replay` runs them over stored request logs: a new one tells whether the flaw was tried before anybody knew it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote_plus

from gambeson.guard.data import texts
from gambeson.model.access import DoorKind
from gambeson.model.web import Product, Site, WebRequest

from .canonical import Forms, forms, path_forms, plain, plain_path, squeezed
from .narrowing import Narrowed, narrowed
from .shield_source import Condition, Shield, ShieldError, read_shield
from .verdict import ResponseAction

__all__ = ["ShieldError", "ShieldHit", "ShieldSet", "load_shields", "parse_shield"]


@dataclass(frozen=True, slots=True)
class ShieldHit:
    """Which shield stopped a request. ``cve`` is the flaw that the request is the way in for, ``cves`` all
    that such a request is known for, ``sentence`` one for records and people who look at them; never for the client."""

    name: str
    cve: str
    sentence: str
    cves: tuple[str, ...] = ()


class ShieldSet:
    """All shields, in the order in which they are asked."""

    def __init__(self, shields: Iterable[Shield]) -> None:
        self.shields = tuple(sorted(shields, key=lambda one: (one.rank, one.id)))
        heads: dict[Product, list[tuple[Shield, Condition]]] = {}
        bodies: dict[Product, list[tuple[Shield, Condition]]] = {}
        for shield in self.shields:
            for condition in shield.conditions:
                table = heads if condition.body is None else bodies
                table.setdefault(shield.product, []).append((shield, condition))
        self._heads = {product: tuple(found) for product, found in heads.items()}
        self._bodies = {product: tuple(found) for product, found in bodies.items()}
        self._hits = {shield.id: _hit(shield) for shield in self.shields}
        # Of each condition the longest text that must be in the url.
        self._words = {
            id(table): tuple(max(one.contains, key=len, default="") for _, one in table)
            for table in (*self._heads.values(), *self._bodies.values())
        }
        self._alive: dict[frozenset[int], frozenset[int]] = {}
        self._paths: dict[tuple[Product, bool, str, str], Narrowed] = {}
        self._answers: dict[tuple[Product, str], tuple[ResponseAction, ...]] = {}

    def match(self, request: WebRequest, site: Site) -> ShieldHit | None:
        """The first shield of the site's product that knows ``request``; None for none. Total and pure."""
        table = self._heads.get(site.product)
        if table is None:
            return None
        open_ = self._open(request, site.product, table, False)
        if not open_:
            return None
        seen = forms(request)
        found = [table[number][0] for number in open_ if holds(table[number][1], request, seen)]
        if not found:
            return None
        return _hit(found[0], found[1:]) if len(found) > 1 else self._hits[found[0].id]

    def _open(
        self,
        request: WebRequest,
        product: Product,
        table: tuple[tuple[Shield, Condition], ...],
        body: bool,
    ) -> tuple[int, ...]:
        """The conditions that may hold, by number: what headers and cookies alone rule out is kept beside them, what
        method and path alone rule out is kept by these, and of the rest the texts that must be in the url are there."""
        mine = (self, product, body)
        alive: frozenset[int] | None = request.memo.get(mine)
        if alive is None:
            seen = forms(request)
            alive = frozenset(n for n, (_, one) in enumerate(table) if headers_hold(one, request, seen))
            if len(self._alive) >= _MAX_KEPT:
                self._alive.clear()
            # The same one for all connections alike, so that it is compared by identity.
            alive = request.memo[mine] = self._alive.setdefault(alive, alive)
        path = request.path
        key = (product, body, request.method, path)
        kept = self._paths.get(key)
        if kept is None or kept.alive is not alive:
            kept = narrowed(
                (
                    number
                    for number, (_, one) in enumerate(table)
                    if (not one.methods or request.method in one.methods)
                    and (one.path is None or any_of(one.path, path_forms(path)))
                ),
                alive,
                self._words[id(table)],
                path_forms(path),
            )
            if len(path) <= _KEPT_PATH:
                if len(self._paths) >= _MAX_KEPT:
                    self._paths.clear()
                self._paths[key] = kept
        query = request.query
        return kept.of_query(plain_path(query)) if query else kept.always

    def matches(self, request: WebRequest, product: Product | None = None) -> tuple[Shield, ...]:
        """Every shield that knows ``request``, of one product or of all."""
        seen = forms(request)
        return tuple(
            shield
            for shield in self.shields
            if product in (None, shield.product)
            and any(one.body is None and holds(one, request, seen) for one in shield.conditions)
        )

    def wants_body(self, request: WebRequest, site: Site) -> int:
        """How many octets of the body a shield wants to see before this request goes on; 0 for none."""
        if not request.body or site.product not in self._bodies:
            return 0
        table = self._bodies[site.product]
        open_ = self._open(request, site.product, table, True)
        if not open_:
            return 0
        seen = forms(request)
        return max((table[n][1].limit for n in open_ if holds(table[n][1], request, seen)), default=0)

    def match_body(
        self, request: WebRequest, site: Site, octets: bytes, whole: bool = True
    ) -> ShieldHit | None:
        """The shield that knows this body by its beginning; None for none. ``whole``: that is all of it."""
        table = self._bodies.get(site.product)
        if table is None:
            return None
        seen, read = forms(request), ""
        for shield, condition in table:
            if condition.body is not None and holds(condition, request, seen):
                read = read or plain(unquote_plus(octets.decode("latin-1"), "latin-1"))
                longer = not whole or len(octets) > condition.limit
                if (condition.whole and longer) or condition.body.search(read[: condition.limit]):
                    return self._hits[shield.id]
        return None

    def actions(
        self, request: WebRequest, site: Site, door: DoorKind | None = None
    ) -> tuple[ResponseAction, ...]:
        """What is to be done to the answers of ``request``. ``door`` is the route's, for shields to come."""
        key = (site.product, request.canonical)
        found = self._answers.get(key)
        if found is None:
            found = tuple(
                answering.action
                for shield in self.shields
                if shield.answers and shield.product is site.product
                for answering in shield.answers
                if answering.path.search(request.canonical)
            )
            if len(request.canonical) <= _KEPT_PATH:
                if len(self._answers) >= _MAX_KEPT:
                    self._answers.clear()
                self._answers[key] = found
        return found


_MAX_KEPT = 2048  # paths of which is kept what they rule out
_KEPT_PATH = 256  # characters; longer ones are looked at anew


def _hit(shield: Shield, others: Iterable[Shield] = ()) -> ShieldHit:
    """The first shield gives the name; chains share requests, so the flaws of the others are named too."""
    flaws = dict.fromkeys(shield.cve)
    for other in others:
        flaws.update(dict.fromkeys(other.cve))
    sentence = f"{shield.title} was tried ({', '.join(flaws)}) and stopped."
    return ShieldHit(shield.id, shield.cve[0], sentence, tuple(flaws))


def holds(condition: Condition, request: WebRequest, seen: Forms) -> bool:
    """All of the condition but the body. Cheap questions first."""
    if condition.methods and request.method not in condition.methods:
        return False
    if condition.contains and not any(all(text in url for text in condition.contains) for url in seen.urls):
        return False
    if condition.path and not any_of(condition.path, seen.paths):
        return False
    if condition.url and not any_of(condition.url, seen.urls):
        return False
    if condition.query and not condition.query.search(seen.query):
        return False
    if not headers_hold(condition, request, seen):
        return False
    return not condition.parameter or _parameter_holds(condition, seen.query)


def headers_hold(condition: Condition, request: WebRequest, seen: Forms) -> bool:
    """What the condition says of headers and cookies, and nothing else."""
    if condition.cookie and not condition.cookie.search(seen.cookies):
        return False
    if condition.cookie_names and not any(name in seen.bare for name in condition.cookie_names):
        return False
    if condition.cookie_twice and not _cookie_twice(condition.cookie_twice, request):
        return False
    if condition.agent and not condition.agent.search(plain(request.header("user-agent"))):
        return False
    if condition.header_names and seen.names.isdisjoint(condition.header_names):
        return False
    for name, pattern in condition.headers:
        if not any(pattern.search(plain(value)) for key, value in request.headers if key == name):
            return False
    return True


def any_of(pattern: re.Pattern[str], readings: tuple[str, ...]) -> bool:
    return any(pattern.search(one) for one in readings)


def _cookie_twice(names: tuple[str, ...], request: WebRequest) -> bool:
    found = [name for name, _ in request.cookies if len(name) < 64]
    if len(found) < 2:
        return False
    bare = [squeezed(name) for name in found]
    return any(bare.count(name) > 1 for name in names)


def _parameter_holds(condition: Condition, query: str) -> bool:
    """PHP reads ``.from`` and ``[from`` as ``_from`` too, so names are compared squeezed."""
    wanted = squeezed(condition.parameter)
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if squeezed(name) == wanted:
            value = value.replace("+", " ")
            if condition.like is not None and condition.like.search(value):
                return True
            if condition.unlike is not None and not condition.unlike.search(value):
                return True
    return False


def parse_shield(text: str, name: str) -> Shield:
    """The shield in a file's text; ``name`` is the file's. Raises ShieldError."""
    return read_shield(text, name)


@cache
def load_shields() -> ShieldSet:
    """The shields that come with Gambeson. Raises ShieldError where a file is damaged."""
    return ShieldSet(read_shield(text, name) for name, text in texts("shields").items())
