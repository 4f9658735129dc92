"""What every page works with: whom to ask, what is in memory, the clock and randomness. One per process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gambeson.console.web.texts import Catalogue

from .backend import Backend
from .box import Boxes
from .codes import Codes
from .links import Links
from .settings import PortalSettings
from .steps import Steps
from .throttling import Throttling


@dataclass(frozen=True, slots=True)
class Services:
    """``random`` gives that many octets."""

    backend: Backend
    settings: PortalSettings
    texts: Catalogue
    random: Callable[[int], bytes]
    steps: Steps
    boxes: Boxes
    throttling: Throttling
    codes: Codes
    links: Links


class ElsewhereError(Exception):
    """The person must go to another page of the portal first."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location
