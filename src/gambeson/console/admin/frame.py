"""What is around every page: the side bar, who is signed in, what is open; and the small questions of every request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from gambeson.model.finding import Severity
from gambeson.model.organisation import Organisation
from gambeson.store.tenant import OrganisationStore

from .desk import Desk
from .routing import Nav
from .templating import LANGUAGES

MAX_BACK = 512


def local(path: str) -> str:
    """``path`` where it is one of this very host, else the first page: nobody is sent elsewhere."""
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and len(path) <= MAX_BACK
    plain = path.isascii() and path.isprintable() and "\\" not in path  # it becomes a header
    return path if good and plain else "/"


def quoted(path: str) -> str:
    """A path as a value in a query."""
    return quote(path, safe="/")


def parent(path: str) -> str:
    """The page that a form's path lies under: where its button was."""
    return path.rpartition("/")[0] or "/"


def language(chosen: str, accepted: str) -> str:
    """The person's language: what they chose, else the first of the browser's that there is (RFC 9110 section 12.5.4;
    weights are passed over: browsers list by preference)."""
    wanted = [chosen, *(each.partition(";")[0].strip() for each in accepted.split(","))]
    tags = [each.partition("-")[0].lower() for each in wanted]
    return next((tag for tag in tags if tag in LANGUAGES), LANGUAGES[0])


def at_organisation(desk: Desk, organisation: Organisation, store: OrganisationStore) -> Desk:
    """The desk, at an organisation."""
    return replace(desk, of=(organisation, store))


def values(desk: Desk, navs: Sequence[Nav]) -> dict[str, Any]:
    """For every template."""
    signed_in = desk.here is not None
    organisations = desk.here.organisations() if desk.here is not None else ()
    return {
        "t": desk.texts,
        "word": desk.texts.word,
        "language": desk.texts.language,
        "zone": desk.zone,
        "now": desk.at,
        "texts": desk.texts,
        "signed_in": signed_in,
        "me": desk.here.access.staff if desk.here is not None else None,
        "break_glass": desk.here is not None and desk.here.access.break_glass,
        "many": len(organisations) > 1,
        "organisations": organisations[:12],
        "here": desk.of[0] if desk.of is not None else None,
        "base": desk.base if desk.of is not None else "",
        "nav": _side_bar(desk, navs),
        "alarm": _alarm(desk),
        "said": f"said.{desk.said}" if desk.said else "",
        "path": desk.path,
    }


def _side_bar(desk: Desk, navs: Sequence[Nav]) -> list[tuple[str, str, bool]]:
    """Path, text, whether it is this page; of the organisation's pages first."""
    if desk.here is None:
        return []
    office, bar = desk.here, []
    for nav in navs:
        if nav.organisation and desk.of is not None and office.may(nav.verb, desk.of[0].id):
            bar.append((f"{desk.base}/{nav.name}", nav.text or nav.name))
        elif not nav.organisation and (
            office.may(nav.verb)
            or nav.name in ("organisations", "me")
            or (nav.anywhere and office.organisations(nav.verb))
        ):
            bar.append((f"/{nav.name}", nav.text or nav.name))
    lying = [path for path, _ in bar if desk.path == path or desk.path.startswith(path + "/")]
    here = max(lying, key=len, default="")  # /staff/tokens is its own page, not that of /staff
    return [(path, desk.t(f"nav.{name}"), path == here) for path, name in bar]


def _alarm(desk: Desk) -> tuple[str, int]:
    """What the page's mark shows: the word of its state, and how many findings are open that cannot wait."""
    if desk.of is None:
        return "ok", 0
    counts = desk.org.findings.counts()
    grave = sum(n for severity, n in counts.items() if severity >= Severity.HIGH)
    if counts.get(Severity.CRITICAL):
        return "danger", grave
    return ("attention", grave) if grave else ("ok", 0)
