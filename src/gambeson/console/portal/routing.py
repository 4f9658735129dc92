"""What a page is to the application: a method, a path and a function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gambeson.console.web.visit import Reply, Visit

from .services import Services

Handler = Callable[[Services, Visit], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """``path`` in the framework's notation: ``/devices/{device:str}``."""

    method: str
    path: str
    handler: Handler


def get(path: str, handler: Handler) -> PageRoute:
    """A page that shows something and changes nothing."""
    return PageRoute("GET", path, handler)


def post(path: str, handler: Handler) -> PageRoute:
    """A form."""
    return PageRoute("POST", path, handler)
