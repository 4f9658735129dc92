"""What a page is to the console: a method, a path, a function, and what may be done by whoever opens it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gambeson.console.web.visit import Reply, Visit
from gambeson.model.staff import Verb

if TYPE_CHECKING:
    from .desk import Desk

Handler = Callable[["Desk", Visit], Reply]


class Who(StrEnum):
    """Who may open a page at all."""

    ANYBODY = "anybody"  # before the sign-in
    STAFF = "staff"  # signed in; the page itself asks the office for more


@dataclass(frozen=True, slots=True)
class PageRoute:
    """``path`` in the framework's notation. One with ``{org:str}`` is an organisation's: ``verb`` is asked there,
    before the handler runs; else ``verb`` is asked of the whole installation. ``fresh``: a passkey must have been
    shown just now. ``long``: the form may bring a file."""

    method: str
    path: str
    handler: Handler
    verb: Verb | None = None
    fresh: bool = False
    who: Who = Who.STAFF
    long: bool = False

    @property
    def of_organisation(self) -> bool:
        """Whether the path names an organisation."""
        return "{org:str}" in self.path


@dataclass(frozen=True, slots=True)
class Nav:
    """A page's place in the side bar. ``name`` is the last part of its path and its text (``nav.NAME``). Pages of one
    organisation lie under it; the others (``organisation`` false) at the top. Shown to who has ``verb`` there;
    ``anywhere``: in one organisation or another. ``text``: another text than its name's."""

    name: str
    order: int
    verb: Verb = Verb.READ
    organisation: bool = True
    anywhere: bool = False
    text: str = ""


def get(path: str, handler: Handler, verb: Verb | None = Verb.READ, *, who: Who = Who.STAFF) -> PageRoute:
    """A page that shows something and changes nothing. ``verb`` None: every member of staff."""
    return PageRoute("GET", path, handler, verb, who=who)


def post(
    path: str,
    handler: Handler,
    verb: Verb | None,
    *,
    fresh: bool = False,
    who: Who = Who.STAFF,
    long: bool = False,
) -> PageRoute:
    """A form."""
    return PageRoute("POST", path, handler, verb, fresh, who, long)
