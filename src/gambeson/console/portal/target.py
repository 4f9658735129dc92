"""Where a person came from and wants to go back to: an application's page. Never an address that somebody made up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from .settings import PortalSettings

MAX_PATH = 2048
_STATE = re.compile(r"[0-9a-f]{64}\Z")
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*\Z")  # printable ASCII, one slash first, no backslash


@dataclass(frozen=True, slots=True)
class Target:
    """``host`` is one of the applications, with its port; ``state`` the SHA-256 (hex) of the browser's cookie there;
    ``to`` a path with its query."""

    host: str
    state: str
    to: str

    def query(self) -> str:
        """As it stands behind a question mark."""
        return urlencode({"host": self.host, "state": self.state, "to": self.to})

    def back(self, code: str) -> str:
        """The application's address that redeems a code."""
        return f"https://{self.host}/.gambeson/enter?{urlencode({'code': code, 'to': self.to})}"


def safe_path(path: str) -> bool:
    """Whether a path stays on its host, however a browser reads it."""
    return len(path) <= MAX_PATH and _PATH.match(path) is not None


def read_target(settings: PortalSettings, host: str, state: str, to: str) -> Target | None:
    """The target; None where it is not one that a door of ours sends."""
    if settings.application(host) is None or _STATE.match(state) is None:
        return None
    return Target(host, state, to) if safe_path(to or "/") and to else None
