"""What a recipe needs to know. Everything has a value that fits a machine of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_network

_WORD = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
_PATH = re.compile(r"/[A-Za-z0-9._/+-]{0,200}\Z")


class RecipeError(ValueError):
    """A fact that would not fit into somebody's settings file. One sentence."""


_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\Z")
_UPSTREAM = re.compile(r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-f:]{2,39}\])(?::[0-9]{1,5})?\Z")
_TCP = re.compile(r"(?:127\.[0-9.]{5,11}|\[::1\]):[0-9]{1,5}\Z")
_SECRET = re.compile(r"[!#%&()*+,./0-9:<=>?@A-Z\[\]^_a-z|~-]{16,512}\Z")  # nothing that ends a quoted word
PRODUCTS = ("exchange", "roundcube", "sogo")
PUT_THE_KEY_HERE = "PUT-THE-KEY-OF-decision_api-HERE"


@dataclass(frozen=True, slots=True)
class Engine:
    """What an engine needs that asks the decision API. ``api`` is where that listens (``127.0.0.1:PORT`` or
    ``unix:/PATH``), ``key`` what it must be shown, ``nonce`` goes into Dovecot's hashes. ``host``, ``upstream`` and
    ``product`` are the site's (nginx), ``certificate`` and ``private_key`` paths for its TLS, ``authority`` the path of
    the device authority (empty: no client certificates), ``upstream_ca`` of the authority that signed the upstream's
    certificate."""

    api: str = "127.0.0.1:9480"
    key: str = field(default=PUT_THE_KEY_HERE, repr=False)
    nonce: str = field(default="", repr=False)
    host: str = ""
    upstream: str = ""
    product: str = "exchange"
    listen: str = "443"
    certificate: str = "/etc/ssl/certs/mail.pem"
    private_key: str = "/etc/ssl/private/mail.key"
    authority: str = ""
    upstream_ca: str = "/etc/ssl/certs/ca-certificates.crt"

    def __post_init__(self) -> None:
        """Raises RecipeError."""
        path = self.api.removeprefix("unix:")
        if not (_PATH.match(path) if path != self.api else _TCP.match(self.api)):
            raise RecipeError("The decision API is at 127.0.0.1:PORT or unix:/PATH; correct --api.")
        if not _SECRET.match(self.key):
            raise RecipeError(
                "The key of the decision API holds characters that a settings file would read otherwise; make another "
                "with: openssl rand -hex 32"
            )
        if self.nonce and not _WORD.match(self.nonce):
            raise RecipeError("The nonce may hold letters, digits, dots, - and _ only.")
        if self.host and not _HOST.match(self.host):
            raise RecipeError(f"{self.host[:60]!a} is no host name in lower case; correct --host.")
        if self.host and not _UPSTREAM.match(self.upstream):
            raise RecipeError("The upstream must be https://HOST or https://HOST:PORT; correct --upstream.")
        if self.upstream.startswith("http:") and not re.match(r"http://(127\.|\[::1\])", self.upstream):
            raise RecipeError("The upstream leaves this machine without TLS; use https:// with --upstream.")
        if self.product not in PRODUCTS:
            raise RecipeError(f"The product must be one of {', '.join(PRODUCTS)}; correct --product.")
        if not re.match(r"(?:[0-9.]{7,15}:|\[[0-9a-f:]{2,39}\]:)?[0-9]{1,5}\Z", self.listen):
            raise RecipeError("nginx listens on PORT or ADDRESS:PORT; correct --listen.")
        for what in ("certificate", "private_key", "authority", "upstream_ca"):
            value = getattr(self, what)
            if (value or what != "authority") and not _PATH.match(value):
                raise RecipeError(f"The path {value[:60]!a} must be absolute and plain.")


@dataclass(frozen=True, slots=True)
class Facts:
    """``doors`` is the address (or network) that the doors connect from, ``audience`` and ``issuer`` what tokens say,
    ``kid`` and ``token_key`` (PEM) the key that signs them: empty where no installation was there to ask. ``etc`` is
    where the recipe's own files go, ``hostname`` the doors' name. ``engine``: for an engine that asks us. ``webmail``:
    a webmail signs in at Dovecot too, with tokens as passwords."""

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
    engine: Engine | None = None
    webmail: bool = False

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
