"""What a recipe needs to know. Everything has a value that fits a machine of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network

_WORD = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
_PATH = re.compile(r"/[A-Za-z0-9._/+-]{0,200}\Z")


class RecipeError(ValueError):
    """A fact that would not fit into somebody's settings file. One sentence."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``doors`` is the address (or network) that the doors connect from, ``audience`` and ``issuer`` what tokens say,
    ``kid`` and ``token_key`` (PEM) the key that signs them: empty where no installation was there to ask. ``etc`` is
    where the recipe's own files go, ``hostname`` the doors' name."""

    hostname: str = "mail.example.org"
    doors: str = "127.0.0.1"
    audience: str = "gambeson"
    issuer: str = "gambeson"
    kid: str = ""
    token_key: str = ""
    etc: str = "/etc/dovecot/gambeson"
    program: str = "/opt/gambeson/gambeson"
    data: str = "/var/lib/gambeson"
    config: str = "/etc/gambeson/gambeson.toml"

    def __post_init__(self) -> None:
        """Raises RecipeError."""
        try:
            ip_network(self.doors, strict=False)
        except ValueError:
            raise RecipeError(
                f"{self.doors[:60]!a} is no IP address or network; correct --doors-at."
            ) from None
        for what in ("hostname", "audience", "issuer"):
            if not _WORD.match(getattr(self, what)):
                raise RecipeError(f"The {what} may hold letters, digits, dots, - and _ only.")
        for what in ("etc", "program", "data", "config"):
            if not _PATH.match(getattr(self, what)):
                raise RecipeError(f"The path {getattr(self, what)[:60]!a} must be absolute and plain.")

    @property
    def key_files(self) -> dict[str, str]:
        """The public key where Dovecot looks for it: AZP/ALG/KID below ``keys``."""
        if not self.token_key:
            return {}
        return {f"keys/{self.audience}/ES256/{self.kid or 'default'}": self.token_key}
