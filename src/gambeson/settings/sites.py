"""``[portal]`` and ``[[site]]``: where people sign in with a browser, and the web applications behind the doors.

A site's address is ``https://HOST`` or ``https://HOST:PORT``, ``http+plain://127.0.0.1:PORT`` (to this machine only) or
``http+unix:/PATH``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, SignIn, UpstreamTls
from gambeson.model.web import Product, Site, WebSignIn

from .declare import Kind, Problem, setting
from .kinds import HOST, PATH, TEXT, TEXTS, choice, host_name, quoted, whole
from .servers import PIN, address_text, endpoint_kind, loopback

_ANY = endpoint_kind("http", DoorKind.WEBMAIL, True, (443, 443))


def _read(value: Any, base: Path) -> Endpoint | None:
    endpoint = _ANY.read(value, base)
    if endpoint is not None and endpoint.tls is UpstreamTls.STARTTLS:
        raise ValueError("begins with http://, which would cross the network in the clear; use https://")
    if endpoint is not None and endpoint.tls is UpstreamTls.NONE and not loopback(endpoint):
        raise ValueError("leaves this machine without TLS; use https://")
    return endpoint


WEB_ADDRESS: Kind[Endpoint | None] = Kind(
    'an address such as "https://HOST:PORT", "http+plain://127.0.0.1:PORT" or "http+unix:/PATH"',
    _read,
    lambda value: quoted("" if value is None else address_text(value, "http")),
)
_DEVICE_WAYS = (SignIn.SEALED, SignIn.TOKEN, SignIn.AS_IS)


@dataclass(frozen=True, slots=True)
class Portal:
    """Where people sign in with a browser, and look after their devices."""

    host: str = setting(
        "",
        HOST,
        "The portal's own host name. It must lead to the https door, and be no application's name.",
        "Empty: there is no portal, and no web application behind the door.",
        example='"login.example.org"',
    )
    port: int = setting(
        0,
        whole(0, 65535),
        "The port in the portal's and the sites' addresses, as people's browsers see it.",
        "0: that of listen.https.",
    )


@dataclass(frozen=True, slots=True)
class Console:
    """Where those who look after organisations sign in. It listens at listen.console."""

    host: str = setting(
        "localhost",
        HOST,
        "The console's host name, as browsers write it. Passkeys are bound to it.",
        "Reached on this machine, or by SSH; give it a name where a private network leads to it.",
    )
    port: int = setting(
        0,
        whole(0, 65535),
        "The port in the console's address, as browsers see it.",
        "0: that of listen.console.",
    )


@dataclass(frozen=True, slots=True)
class WebSite:
    """A web application behind the https door."""

    name: str = setting(
        "", TEXT, "The name in reports and logs.", "Each needs its own.", example='"webmail"', required=True
    )
    product: Product = setting(
        Product.EXCHANGE,
        choice(Product),
        "What it is: only requests that this product's programs make are let through.",
        "A request that no program makes is an attack.",
    )
    organisation: str = setting(
        "", TEXT, "The organisation it serves, by name; empty: every organisation.", "Most have one."
    )
    hosts: tuple[str, ...] = setting(
        (),
        TEXTS,
        "Its public host names, for browsers and programs.",
        "Only you know them.",
        example='["mail.example.org"]',
        required=True,
    )
    device_hosts: tuple[str, ...] = setting(
        (),
        TEXTS,
        "Host names where devices show their certificate; people's pages are not there.",
        "A browser that is asked for a certificate shows a puzzling window.",
    )
    address: Endpoint | None = setting(
        None,
        WEB_ADDRESS,
        "Where it answers.",
        "Only you know it.",
        example='"https://mail.internal.example.org"',
        required=True,
    )
    sign_in: WebSignIn = setting(
        WebSignIn.AS_IS,
        choice(WebSignIn),
        "How the door signs people in there: not at all (as-is), with the password they gave at the portal (basic), "
        "with a fresh token as the password (token), or with a trusted header and a signature (header).",
        "It works with everything.",
    )
    device_sign_in: SignIn = setting(
        SignIn.SEALED,
        choice(SignIn),
        "How the door signs devices in there: the account's sealed password, a token, or what was typed beside a "
        "certificate (as-is).",
        "The password never lies on a phone.",
    )
    audience: str = setting(
        "gambeson", TEXT, "The audience of tokens and signatures.", "Any word the server agrees on."
    )
    header: str = setting(
        "x-remote-user", TEXT, "The trusted header (way header).", "Only the application knows its name."
    )
    ca: str = setting("", PATH, "A PEM file with the authorities to trust.", "Empty: the system's.")
    pin: str = setting("", PIN, "Trust exactly this certificate.", "Empty: an authority vouches.")
    server_name: str = setting(
        "", HOST, "The name its certificate must carry.", "Empty: the host in the address."
    )
    operations: tuple[str, ...] = setting(
        (),
        TEXTS,
        "EWS operations that are allowed besides those of the known programs.",
        "Most need none.",
        example='["GetRooms"]',
    )

    def model(self) -> Site:
        """The site as the rest of the program knows it. ``organisation`` is the name from the file."""
        assert self.address is not None
        return Site(
            name=self.name,
            product=self.product,
            hosts=self.hosts,
            endpoint=replace(
                self.address, ca=self.ca, pin=self.pin, server_name=self.server_name, trusts_us=True
            ),
            organisation=self.organisation,
            device_hosts=self.device_hosts,
            web_sign_in=self.sign_in,
            device_sign_in=self.device_sign_in,
            audience=self.audience,
            header=self.header.lower(),
            operations=self.operations,
        )

    def check(self) -> Iterator[Problem]:
        """What cannot work."""
        if self.address is None:
            yield Problem("address", "is empty; say where the application answers")
            return
        if not self.hosts:
            yield Problem("hosts", "is empty; list the public host names")
        for setting_name in ("hosts", "device_hosts"):
            for host in getattr(self, setting_name):
                if host != host.lower() or not host_name(host):
                    yield Problem(
                        setting_name, f"holds {host!r}, which is no host name in lower case; correct it"
                    )
        if self.product is Product.PORTAL:
            yield Problem("product", "is portal, which is Gambeson's own; name the application's product")
        if self.device_sign_in not in _DEVICE_WAYS:
            yield Problem("device_sign_in", "cannot be master at a web application; choose sealed or token")
        if self.address.tls is UpstreamTls.NONE:
            for name in ("ca", "pin", "server_name"):
                if getattr(self, name):
                    yield Problem(
                        name, "checks a certificate, but the address has no TLS; remove one of the two"
                    )
        if not self.header or not all(c.isalnum() or c in "-" for c in self.header) or len(self.header) > 64:
            yield Problem("header", "is no header's name; letters, digits and - only")
