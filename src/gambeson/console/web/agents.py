"""A browser's User-Agent in a person's words: "Firefox on Windows". What a browser says of itself proves nothing; it
only helps to recognise one's own (RFC 9110 section 10.1.5)."""

from __future__ import annotations

import re

from .texts import Catalogue

MAX_SHOWN = 60
# The first that is found counts: newer browsers name older ones too.
_BROWSERS = (
    (r"Edg(?:e|A|iOS)?/", "Edge"),
    (r"OPR/", "Opera"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"(?:Firefox|FxiOS)/", "Firefox"),
    (r"(?:Chrome|HeadlessChrome|CriOS)/", "Chrome"),
    (r"Version/[0-9.]+ .*Safari/", "Safari"),
)
_SYSTEMS = (
    (r"iPhone", "iPhone"),
    (r"iPad", "iPad"),
    (r"Android", "Android"),
    (r"Windows", "Windows"),
    (r"Mac OS X|Macintosh", "Mac"),
    (r"CrOS", "ChromeOS"),
    (r"Linux", "Linux"),
)


def browser(agent: str, texts: Catalogue) -> str:
    """The browser and its system; what it said itself, cut, where that names neither."""
    name, system = _first(_BROWSERS, agent), _first(_SYSTEMS, agent)
    if name and system:
        return texts("agent.on", browser=name, system=system)
    return name or " ".join(agent.split())[:MAX_SHOWN] or texts("agent.unknown")


def _first(known: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((name for pattern, name in known if re.search(pattern, agent)), "")
