"""The settings file as a whole. Every setting of Gambeson is declared once, in this package.

To add one: one field in its section (``doors``, ``servers``, ``data``, ``ldap``) and ``./dev docs``. The names are
what stands in the TOML file. Durations are whole seconds and end in ``_s``, sizes are octets and end in ``_bytes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gambeson.model.server import Endpoint, MailServer
from gambeson.model.web import Site, WebSignIn

from .data import Keeper, OrganisationDefaults, SnapshotAge, Store, Submission, Throttle
from .decision_api import DecisionApi
from .declare import Problem, section, setting, tables
from .doors import Doors, Listen, Tls, Users
from .kinds import PATH
from .ldap import Ldap
from .notices import Notices
from .secret import SecretRef
from .servers import Server, loopback
from .sites import Console, Portal, WebSite

# The least lock-out threshold of which two can have a part: two are kept back, and each needs one.
SHARED_THRESHOLD = 4


@dataclass(frozen=True, slots=True)
class Config:
    """The settings file. Every section may be left out."""

    data: str = setting(
        "",
        PATH,
        "The data directory, where --data and GAMBESON_DATA name none.",
        "Empty: $XDG_STATE_HOME/gambeson, else ~/.local/state/gambeson.",
        example='"/var/lib/gambeson"',
    )
    listen: Listen = section(Listen)
    tls: Tls = section(Tls)
    doors: Doors = section(Doors)
    users: Users = section(Users)
    server: tuple[Server, ...] = tables(Server)
    portal: Portal = section(Portal)
    console: Console = section(Console)
    site: tuple[WebSite, ...] = tables(WebSite)
    decision_api: DecisionApi = section(DecisionApi)
    organisation: OrganisationDefaults = section(OrganisationDefaults)
    submission: Submission = section(Submission)
    store: Store = section(Store)
    keeper: Keeper = section(Keeper)
    snapshot: SnapshotAge = section(SnapshotAge)
    ldap: Ldap = section(Ldap)
    throttle: Throttle = section(Throttle)
    notices: Notices = section(Notices)

    @property
    def servers(self) -> tuple[MailServer, ...]:
        """The mail servers as the rest of the program knows them."""
        return tuple(each.model() for each in self.server)

    @property
    def sites(self) -> tuple[Site, ...]:
        """The web applications as the rest of the program knows them."""
        return tuple(each.model() for each in self.site)

    @property
    def master_passwords(self) -> dict[str, SecretRef]:
        """Where each server's master password is, by the server's name."""
        return {each.name: each.master_password for each in self.server if each.master_password is not None}

    def check(self) -> Iterator[Problem]:
        """Names are used once, and no door leads to itself."""
        seen: set[str] = set()
        for number, server in enumerate(self.server):
            if not server.name.strip():
                yield Problem(f"server.{number}.name", "is empty; give the server a name")
            if server.name in seen:
                yield Problem(
                    f"server.{number}.name", f"is {server.name!r}, which another server has; change one"
                )
            seen.add(server.name)
            for name in ("imap", "pop3", "submission", "sieve"):
                yield from self._check_loop(f"server.{number}.{name}", getattr(server, name))
        yield from self._check_sites(seen)
        for name in ("smtp", "lmtp"):
            yield from self._check_loop(f"notices.{name}", getattr(self.notices, name))
        if self.decision_api.on and self.doors.processes > 1:
            yield Problem(
                "doors.processes",
                "is more than 1, but with [decision_api] one process must count what engines ask and report; leave it "
                "at 1",
            )
        if self.ldap.url and self.doors.processes > 1:
            yield Problem(
                "doors.processes",
                "is more than 1, but with ldap.url one process must count what the directory sees of wrong passwords; "
                "leave it at 1",
            )
        if self.doors.processes > 1 and any(each.sign_in is WebSignIn.BASIC for each in self.site):
            yield Problem(
                "doors.processes",
                "is more than 1, but with sign_in = \"basic\" a person's password lies sealed in one process's memory, "
                "where another could not use it; leave it at 1, or sign in at the site another way",
            )
        if self.ldap.url and self.portal.host and self.ldap.lockout_threshold < SHARED_THRESHOLD:
            yield Problem(
                "ldap.lockout_threshold",
                f"is {self.ldap.lockout_threshold}, but doors and portal share what the directory sees of wrong "
                f"passwords; let the directory lock after {SHARED_THRESHOLD} or more, and say so here",
            )

    def _check_sites(self, servers: set[str]) -> Iterator[Problem]:
        """Names and hosts are used once, and people can sign in."""
        hosts = {self.portal.host: "portal.host"} if self.portal.host else {}
        names = set(servers)
        for number, site in enumerate(self.site):
            if not site.name.strip():
                yield Problem(f"site.{number}.name", "is empty; give the site a name")
            if site.name in names:
                yield Problem(
                    f"site.{number}.name", f"is {site.name!r}, which another server or site has; change one"
                )
            names.add(site.name)
            for host in (*site.hosts, *site.device_hosts):
                if host in hosts:
                    yield Problem(
                        f"site.{number}.hosts", f"holds {host}, which {hosts[host]} has too; change one"
                    )
                hosts[host] = f"site.{site.name}"
            yield from self._check_loop(f"site.{number}.address", site.address)
        if self.site and not self.portal.host:
            yield Problem(
                "portal.host",
                "is empty, but a [[site]] needs a portal to sign in at; give it a host name of its own",
            )

    def _check_loop(self, name: str, endpoint: Endpoint | None) -> Iterator[Problem]:
        if endpoint is None or endpoint.unix:
            return
        for listener, addresses in self.listen.doors().items():
            for address in addresses:
                wild = address.host in ("0.0.0.0", "::") and loopback(endpoint)  # noqa: S104 - compared, not bound
                if address.port == endpoint.port and (wild or address.host == endpoint.host):
                    yield Problem(
                        name, f"leads back to our own door (listen.{listener.value}); change one of the two"
                    )
