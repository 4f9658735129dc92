"""The settings as a plan for the supervisor: who listens where, who runs as whom, what each process is told.

Parameters are plain JSON values in a memory file that only the child inherits. Secrets are read by the process that
needs them, while it still may; one in an environment variable is taken out here, so that no other inherits it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gambeson.guard.core.throttle import ThrottleLimits
from gambeson.guard.edge.directory import DirectoryPlan
from gambeson.guard.edge.door_settings import DoorLimits, DoorTimeouts
from gambeson.guard.edge.notice_delivery import NoticePlan
from gambeson.guard.edge.plan import CertificatePlan, DoorPlan
from gambeson.guard.edge.web.limits import WebLimits
from gambeson.guard.edge.web.portal import Portal as DoorPortal
from gambeson.model.access import DoorKind, Listener
from gambeson.model.server import Endpoint, MailServer, UpstreamTls
from gambeson.model.web import Site
from gambeson.playground import certificate as self_made
from gambeson.process.family import CONSOLE, DOORS, KEEPER, PLAYGROUND, PORTAL, WORKER
from gambeson.process.listen import Listen
from gambeson.process.supervisor import Plan
from gambeson.settings import Config, SecretRef
from gambeson.store.urls import sqlite_url

from .console_plan import console_facts, console_origin
from .edge import listener_settings
from .engines import asked_by_engines, decision_plan
from .mail_names import mail_names
from .place import Place
from .web_plan import (
    PortalPlace,
    door_share,
    portal_facts,
    portal_key,
    portal_place,
    portal_share,
    portal_socket,
)

NO_LIMIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Playground:
    """What the first run adds: the embedded server (``embedded``), or only its organisation."""

    instance: str
    embedded: bool = True


@dataclass(slots=True)
class Planner:
    """Makes plans from settings. Keeps secrets of the environment between reloads. ``config_file``: where the settings
    were read (empty: nowhere)."""

    place: Place
    config: Config
    listens: tuple[Listen, ...]
    playground: Playground | None = None
    users: Mapping[str, str] = field(default_factory=dict)
    instance: str = ""
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    config_file: str = ""
    _environment: dict[str, str] = field(default_factory=dict, repr=False)

    def plan(self) -> Plan:
        """The plan. Raises OSError where no certificate can be made."""
        certificates = self._certificates()
        return Plan(
            data=self.place.data,
            argv_for=lambda role: [sys.executable, "-m", "gambeson.app.children", role],
            listens=self.listens,
            parameters=lambda role: self._parameters(role, certificates),
            doors=self.config.doors.processes,
            users=self.users,
            extra=tuple(self._extra),
        )

    @property
    def _extra(self) -> Iterator[str]:
        if self.portal is not None:
            yield PORTAL
        if self.playground and self.playground.embedded:
            yield PLAYGROUND

    @property
    def servers(self) -> tuple[MailServer, ...]:
        """The mail servers behind the doors."""
        if self.playground and self.playground.embedded:
            from gambeson.playground.serve import mail_server

            return (mail_server(self.playground.instance),)
        return self.config.servers

    @property
    def sites(self) -> tuple[Site, ...]:
        """The web applications behind the https door."""
        if self.playground and self.playground.embedded:
            from gambeson.playground.serve import web_site

            return (web_site(self.playground.instance),)
        return self.config.sites

    @property
    def portal(self) -> PortalPlace | None:
        """Where people sign in with a browser; None without web doors."""
        return portal_place(self.config, self.listens, self.playground is not None)

    @property
    def enrolment_url(self) -> str:
        """Where a refused person is sent: the setting; in the playground the page that says how to register."""
        url = self.config.organisation.enrolment_url
        if not url and self.portal is not None:
            return f"{self.portal.origin}/"
        console = next((each for each in self.listens if each.role == CONSOLE and each.port), None)
        if url or console is None or self.playground is None:
            return url
        return f"https://localhost:{console.port}/"

    @property
    def hostname(self) -> str:
        """The name in greetings and in a self-made certificate."""
        if self.config.doors.hostname:
            return self.config.doors.hostname
        return "mail.localhost" if self.playground else socket.gethostname() or "localhost"

    @property
    def _web_names(self) -> tuple[str, ...]:
        """The host names of the web doors that no certificate of the settings is for."""
        hosts = [h for site in self.config.sites for h in (*site.hosts, *site.device_hosts)]
        return tuple(sorted({self.config.portal.host, *hosts} - {"", "localhost", self.hostname}))

    def _certificates(self) -> tuple[CertificatePlan, ...]:
        tls = self.config.tls
        if tls.certificate:
            default = CertificatePlan(tls.certificate, tls.key, ask=tls.client_certificates)
        else:
            names = self_made.NAMES if self.playground else ("localhost", self.hostname, *self._web_names)
            _, certificate, key = self_made.ensure(self.place.tls, datetime.now(UTC), names)
            default = CertificatePlan(str(certificate), str(key), ask=tls.client_certificates)
        more = (CertificatePlan(n.certificate, n.key, n.names, tls.client_certificates) for n in tls.name)
        return (default, *more)

    def _parameters(self, role: str, certificates: tuple[CertificatePlan, ...]) -> dict[str, Any]:
        match role:
            case "doors":
                return self._door_plan(certificates).plain()
            case "keeper":
                return self.keeper_parameters()
            case "worker":
                return {
                    "data": str(self.place.data),
                    "store": store_url(self.place, self.config),
                    "store_password": self._secret(self.config.store.password),
                    "servers": msgspec.to_builtins(self.servers),
                    "sites": msgspec.to_builtins(self.sites),
                    "enrolment_url": self.enrolment_url,
                    "warn_age": self._warn_age,
                    "notices": msgspec.to_builtins(self._notices()),
                    "weekly": self._weekly(),
                    "request_log_days": self.config.doors.request_log_days,
                    "request_log_max": self.config.doors.request_log_max,
                }
            case "portal":
                return self._portal_parameters(certificates)
            case "console":
                named = (c for c in certificates if self.config.console.host in c.names)
                shown = next(named, certificates[0])
                return {
                    "certificate": shown.certificate,
                    "key": shown.key,
                    "warn_age": self._warn_age,
                    "data": str(self.place.data),
                    "settings_file": self.config_file,
                    "store": store_url(self.place, self.config),
                    "store_password": self._secret(self.config.store.password),
                    "enrolment_url": self.enrolment_url,
                    "facts": console_facts(self),
                }
            case _:
                assert self.playground is not None
                return {
                    "instance": self.playground.instance,
                    "root": str(self.place.playground_mail),
                    "token_key": str(self.place.token_key),
                    "uids": [self._uid(DOORS)],
                    "notice_uids": [self._uid(WORKER)],
                    "passwords": dict(self.passwords),
                }

    @property
    def _warn_age(self) -> int:
        return self.config.snapshot.warn_age_s

    def _uid(self, role: str) -> int:
        from gambeson.process.privileges import user_ids

        user = self.users.get(role, "")
        return user_ids(user)[0] if user and os.geteuid() == 0 else os.geteuid()

    def keeper_parameters(self) -> dict[str, Any]:
        """What the keeper is told."""
        masters = {name: self._secret(ref) for name, ref in self.config.master_passwords.items()}
        keeper = self.config.keeper
        return {
            "folder": str(self.place.keeper),
            "key": self._secret(keeper.key),
            "passphrase": self._secret(keeper.passphrase),
            "masters": masters,
            "max_age": self.config.snapshot.max_age_s,
            "edges": bool(self.config.doors.edge_sockets),
        }

    def store_password(self) -> str:
        """The database's password; empty where there is none. Raises SettingsError."""
        return read_secret(self._secret(self.config.store.password))

    def _secret(self, ref: SecretRef | None) -> dict[str, str] | None:
        """How the process that needs it finds the secret."""
        if ref is None:
            return None
        if ref.kind != "env":
            return {"kind": ref.kind, "name": ref.name}
        if ref.name not in self._environment:
            self._environment[ref.name] = ref.read().decode("utf-8", "surrogateescape")
            os.environ.pop(ref.name, None)
        return {"kind": "value", "name": self._environment[ref.name]}

    def _notices(self) -> NoticePlan | None:
        """How the worker tells people something by mail; None where it does not."""
        origin = self.portal.origin if self.portal else ""
        if self.playground and self.playground.embedded:
            from gambeson.playground.notices import socket_name
            from gambeson.playground.sample import DOMAIN

            here = Endpoint(
                DoorKind.SUBMISSION, unix=socket_name(self.playground.instance), tls=UpstreamTls.NONE
            )
            return NoticePlan(endpoint=here, lmtp=True, admins=(f"office@{DOMAIN}",), portal=origin)
        notices = self.config.notices
        if notices.endpoint is None:
            return None
        return NoticePlan(
            endpoint=notices.endpoint,
            lmtp=notices.lmtp is not None,
            ca=notices.ca,
            hostname=self.hostname,
            sender=notices.from_,
            admins=notices.admins,
            portal=origin,
        )

    def _weekly(self) -> dict[str, Any] | None:
        """What the weekly mail needs besides; None where none is sent. The playground's people get none: what comes to
        their mailboxes is known."""
        notices = self.config.notices
        wanted = notices.weekly and notices.endpoint is not None and bool(notices.admins)
        if self.playground or not wanted or not console_origin(self):
            return None
        facts = console_facts(self)
        doors = dict.fromkeys(each["door"] for each in facts["listeners"])
        return {"origin": facts["origin"], "doors": list(doors)}

    def _directory(self, share: Callable[[int, bool], int]) -> DirectoryPlan | None:
        """For those who check passwords, with the way to the password of ``bind_dn``. ``share`` says how much of what
        the directory may see of wrong passwords is theirs."""
        ldap = self.config.ldap
        if not ldap.url:
            return None
        threshold = share(ldap.lockout_threshold, self.portal is not None)
        ldap = replace(ldap, lockout_threshold=threshold)
        secret = self._secret(ldap.bind_password) or {"kind": "", "name": ""}
        return DirectoryPlan(replace(ldap, bind_password=None), secret["kind"], secret["name"])

    def _portal_parameters(self, certificates: tuple[CertificatePlan, ...]) -> dict[str, Any]:
        """What the portal is told."""
        portal = self.portal
        assert portal is not None, "it is started only where there is one"
        signer = next((c for c in certificates if portal.host in c.names), certificates[0])
        directory = self._directory(portal_share)
        return {
            "settings": portal_facts(portal, self.sites, self.listens, self.hostname),
            "certificate": signer.certificate,
            "key": signer.key,
            "known_key": portal_key(self.place.portal_key).hex(),
            "uids": [self._uid(DOORS)],
            "directory": msgspec.to_builtins(directory) if directory is not None else None,
        }

    def _web_certificates(self, certificates: tuple[CertificatePlan, ...]) -> tuple[CertificatePlan, ...]:
        """For the https listeners: only where devices show their certificate is anybody asked for one."""
        devices = tuple(host for site in self.sites for host in site.device_hosts)
        quiet = tuple(msgspec.structs.replace(each, ask=False) for each in certificates)
        if not devices or not self.config.tls.client_certificates:
            return quiet
        asking = []
        for host in devices:
            fit = next((c for c in certificates if host in c.names), certificates[0])
            asking.append(msgspec.structs.replace(fit, names=(host,), ask=True))
        return (*quiet, *asking)

    @property
    def _authorities(self) -> tuple[str, ...]:
        """The CA files that mail servers' and sites' addresses name."""
        return (*(each.ca for each in self.config.server), *(each.ca for each in self.config.site))

    def _door_portal(self) -> DoorPortal | None:
        portal = self.portal
        if portal is None:
            return None
        endpoint = Endpoint(DoorKind.PORTAL, unix=portal_socket(self.instance), tls=UpstreamTls.NONE)
        return DoorPortal(portal.host, portal.origin, endpoint)

    def _door_plan(self, certificates: tuple[CertificatePlan, ...]) -> DoorPlan:
        config = self.config
        doors, throttle = config.doors, config.throttle
        # Each process counts for itself: together they must not allow more than the settings say.
        share = doors.processes
        mine = [each for each in self.listens if each.role == DOORS]
        listeners = tuple(listener_settings(each, config) for each in mine if not asked_by_engines(each))
        return DoorPlan(
            hostname=self.hostname,
            listeners=listeners,
            certificates=certificates,
            web_certificates=self._web_certificates(certificates),
            portal=self._door_portal(),
            mail_names=mail_names(mine, self.hostname),
            device_authority=str(self.place.authority) if config.tls.client_certificates else "",
            upstream_authorities=tuple(sorted({ca for ca in self._authorities if ca})),
            minimum_tls=str(config.tls.minimum_version),
            default_domain=doors.default_domain,
            sender_check=str(config.submission.sender_check),
            snapshot_max_age=config.snapshot.max_age_s,
            timeouts=DoorTimeouts(
                login=doors.login_timeout_s, connect=doors.connect_timeout_s, idle=doors.idle_timeout_s
            ),
            limits=DoorLimits(
                sessions=doors.max_sessions,
                sessions_per_source=-(-doors.max_sessions_per_source // share),
                message=config.submission.max_message_bytes,
                processes=share,
                hourly_messages=-(-config.submission.hourly_limit // share) or NO_LIMIT,
            ),
            throttle=ThrottleLimits(
                account_per_day=max(1, throttle.unknown_daily_limit // share),
                account_source_per_hour=throttle.account_source_limit,
                source_per_hour=throttle.source_limit,
                credential_per_hour=throttle.credential_limit,
                known_source_per_hour=throttle.known_source_limit,
            ),
            country_table=doors.country_table,
            clouds=doors.clouds,
            web=WebLimits(request_log=doors.request_log.value),
            decision_api=decision_plan(config, mine, self._secret),
            directory=self._directory(door_share),
        )


def store_url(place: Place, config: Config) -> str:
    """The store's address: the setting, else SQLite in the data directory."""
    return config.store.url or sqlite_url(place.data)


def configured_listens(config: Config) -> tuple[Listen, ...]:
    """The listeners of the settings file."""
    listens = []
    for listener, addresses in config.listen.doors().items():
        for number, address in enumerate(addresses):
            name = listener.value if number == 0 else f"{listener.value}#{number + 1}"
            listens.append(Listen(name, address.host, address.port))
    for number, address in enumerate(config.listen.console):
        name = CONSOLE if number == 0 else f"{CONSOLE}#{number + 1}"
        listens.append(Listen(name, address.host, address.port, CONSOLE))
    return tuple(listens)


# The order of --ports-from: the port of each is N plus its place.
PORT_ORDER = ("imap", "imaps", "pop3", "pop3s", "submission", "submissions", "sieve", "https", CONSOLE)


def loopback_listens(
    first_port: int, servers: Sequence[MailServer] = (), web: bool = False
) -> tuple[Listen, ...]:
    """Every door on 127.0.0.1, from ``first_port`` on (0: any free ports). With ``servers`` only those doors that
    something stands behind, https where ``web`` says so: no other keeps its promise."""
    behind = {endpoint.door for server in servers for endpoint in server.endpoints}
    return tuple(
        Listen(
            name, "127.0.0.1", first_port + place if first_port else 0, CONSOLE if name == CONSOLE else DOORS
        )
        for place, name in enumerate(PORT_ORDER)
        if not behind or name == CONSOLE or (name == "https" and web) or (Listener(name).door in behind)
    )


def configured_users(config: Config) -> dict[str, str]:
    """Whom each process becomes when started as root."""
    users = config.users
    return {
        DOORS: users.doors,
        KEEPER: users.keeper,
        WORKER: users.worker,
        PORTAL: users.console,
        CONSOLE: users.worker,
    }


# Without a settings file no user was made for us. A number needs none: nobody else has these, and they own nothing.
PLAYGROUND_USERS = {
    DOORS: "64110",
    KEEPER: "64111",
    WORKER: "64112",
    PORTAL: "64113",
    CONSOLE: "64112",
    PLAYGROUND: "64112",
}


def read_secret(plain: Mapping[str, str] | None) -> str:
    """The secret behind what :class:`Planner` passed on; empty for none. Raises SettingsError."""
    if plain is None:
        return ""
    if plain["kind"] == "value":
        return plain["name"]
    return SecretRef(plain["kind"], plain["name"]).read().decode("utf-8", "surrogateescape")


def path_of(plain: Mapping[str, str] | None) -> Path | None:
    """The path of a secret that lies in a file; None for any other."""
    return Path(plain["name"]) if plain is not None and plain["kind"] == "file" else None
