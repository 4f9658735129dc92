"""The tables that facts are judged by, with their dates: they age, and a look says how old they are."""

from __future__ import annotations

from dataclasses import dataclass

from .exchange import Tables
from .fingerprints import Fingerprint
from .lifecycles import Lifecycle
from .pages import Ask


@dataclass(frozen=True, slots=True)
class Reference:
    """``exchange`` is None only where nothing is to be judged by it."""

    exchange: Tables | None = None
    lifecycles: tuple[Lifecycle, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    pages: tuple[Ask, ...] = ()

    def lifecycle(self, component: str) -> Lifecycle | None:
        """The table of ``component``."""
        return next((table for table in self.lifecycles if table.component == component), None)

    def title(self, component: str) -> str:
        """How people name ``component``."""
        titles = {table.component: table.title for table in self.lifecycles}
        titles |= {found.component: found.title for found in self.fingerprints}
        return titles.get(component, component)
