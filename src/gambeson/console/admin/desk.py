"""What a page's handler gets: the office, the organisation of its path, the person's language and time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from gambeson.console.office import Office
from gambeson.console.web.texts import Catalogue
from gambeson.console.web.visit import Reply, Visit
from gambeson.model.organisation import Organisation
from gambeson.store.staff_sessions import StaffSession
from gambeson.store.tenant import OrganisationStore

from .services import Services


@dataclass(frozen=True, slots=True)
class Desk:
    """``organisation`` and ``org`` are those of the path, already allowed with the route's verb; asking for them on a
    page without one is an error of ours. ``session`` is None before the sign-in."""

    services: Services
    texts: Catalogue
    zone: ZoneInfo
    at: float
    session: StaffSession | None = None
    here: Office | None = None
    of: tuple[Organisation, OrganisationStore] | None = None
    path: str = "/"
    said: str = ""
    more: Mapping[str, object] = field(default_factory=dict)

    @property
    def office(self) -> Office:
        """Who asks and what they may. Only after the sign-in."""
        assert self.here is not None, "this page is open to anybody"
        return self.here

    @property
    def organisation(self) -> Organisation:
        """The organisation of the path."""
        assert self.of is not None, "this page is of no organisation"
        return self.of[0]

    @property
    def org(self) -> OrganisationStore:
        """Its store."""
        assert self.of is not None, "this page is of no organisation"
        return self.of[1]

    @property
    def base(self) -> str:
        """The beginning of the organisation's paths."""
        return f"/o/{self.organisation.id}"

    def t(self, key: str, **values: object) -> str:
        """A text in the person's language."""
        return self.texts(key, **values)

    def page(self, template: str, status: int = 200, **values: object) -> Reply:
        """The page ``templates/TEMPLATE.html``."""
        return Reply(status, template, {"desk": self, **values})


def whole(visit: Visit, name: str, default: int, most: int) -> int:
    """A whole number of the query or form, within 0 and ``most``; ``default`` where it is none."""
    text = visit.given(name, 20)
    return min(int(text), most) if text.isascii() and text.isdigit() else default
