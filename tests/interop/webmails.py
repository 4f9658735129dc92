"""An installation with a portal and web applications, and people who have a password and an authenticator app."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interop.sites import USERS, Debian, Site, table
from peers.browser import Browser, Codes, Page, bind, sign_in
from peers.gambeson import Gambeson

PORTAL, WEBMAIL = "login.example.org", "mail.example.org"


@dataclass
class Webmail:
    """The installation; ``passwords`` are what the people give the portal, ``codes`` their authenticator apps."""

    site: Site
    passwords: Mapping[str, str]
    codes: dict[str, Codes] = field(default_factory=dict)

    @property
    def gambeson(self) -> Gambeson:
        """The installation."""
        return self.site.gambeson

    def browser(self) -> Browser:
        """A browser that was never here."""
        return Browser(self.gambeson.port("https"), self.gambeson.ca)

    def bind(self, address: str) -> None:
        """The person's password, and an authenticator app, bound with a code of the administrator's."""
        self.gambeson.run(
            "account", "password", address, "--password-file", "-", stdin=self.passwords[address] + "\n"
        )
        code = str(self.gambeson.json("account", "code", address)["code"])
        self.codes[address] = bind(self.browser(), PORTAL, address, self.passwords[address], code)

    def enter(self, browser: Browser, address: str, target: str = "/") -> Page:
        """Sign in at the portal on the way to the webmail's page."""
        url = browser.url(WEBMAIL, target)
        return sign_in(browser, url, address, self.passwords[address], self.codes[address])


@contextlib.contextmanager
def webmail(
    peers: Debian, folder: Path, application: dict[str, object], people: Mapping[str, str]
) -> Iterator[Webmail]:
    """Gambeson with a portal, this application at ``WEBMAIL`` and the mail doors before the peers. ``people`` maps
    addresses to the passwords that the portal asks for."""
    settings = USERS if os.geteuid() == 0 else ""
    settings += f'[portal]\nhost = "{PORTAL}"\n'
    settings += table("site", application)
    settings += f'hosts = ["{WEBMAIL}"]\n'
    settings += peers.servers("implicit", name="debian", ca=peers.ca, trusts_us=True)
    with Gambeson(folder / "data", config=settings) as gambeson:
        peers.accept_tokens_of(gambeson)
        where = ("--domain", "example.org", "--enrolment-url", f"https://{PORTAL}/enrol")
        gambeson.run("org", "add", "example", *where)
        found = Webmail(Site(gambeson, folder, tuple(people), peers), people)
        for address in people:
            gambeson.run("account", "add", address)
            found.bind(address)
        yield found
