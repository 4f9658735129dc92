"""The doors' settings as plain JSON values, the form in which they travel to a door process.

``app`` makes a :class:`DoorPlan` from the settings file and passes ``plan.plain()`` as the process's
parameters; there ``DoorPlan.from_plain(...).load()`` opens the certificates, while files can still be opened,
and gives the :class:`~gambeson.guard.edge.door_settings.DoorSettings`.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gambeson.guard.core.clouds import CloudError
from gambeson.guard.core.throttle import ThrottleLimits
from gambeson.wire.autodiscover import MailServerName

from .clouds import read_clouds
from .countries import CountryTable, CountryTableError
from .decision_plan import DecisionPlan, DecisionPlanError, open_decision_plan
from .directory import DirectoryPlan, OpenError, open_directory
from .door_settings import DoorLimits, DoorSettings, DoorTimeouts, ListenerSettings
from .networks import Networks
from .tls import DoorTls, TlsError, client_context, server_context
from .web.limits import WebLimits
from .web.portal import Portal

_TLS_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
SENDER_CHECKS = ("off", "envelope", "both")


class PlanError(ValueError):
    """The settings don't make a door. One sentence for a person."""


class CertificatePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate chain and key (paths of PEM files) for the server ``names`` (``*.example.org`` for one label;
    none: the default). ``ask``: whether clients are asked for a device's certificate here."""

    certificate: str
    key: str
    names: tuple[str, ...] = ()
    ask: bool = True


class DoorPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See :class:`DoorSettings` for the fields of the same name. ``device_authority`` is the path of the
    authority's PEM file, empty for no client certificates. ``upstream_authorities`` are the paths of CA files
    that mail servers' endpoints name: they are read here, because later no file is opened any more. So is
    ``country_table``, the path of an MMDB file (empty: no country is known), and ``clouds``, a folder with files of
    cloud services (empty: what comes with Gambeson).
    ``minimum_tls`` is ``1.2`` or ``1.3``. ``web_certificates`` are those of https listeners, where only the names of
    devices may ask for a certificate (a browser that is asked shows its owner a puzzle); none: ``certificates``."""

    hostname: str
    listeners: tuple[ListenerSettings, ...]
    certificates: tuple[CertificatePlan, ...] = ()
    web_certificates: tuple[CertificatePlan, ...] = ()
    device_authority: str = ""
    upstream_authorities: tuple[str, ...] = ()
    minimum_tls: str = "1.2"
    default_domain: str = ""
    sender_check: str = "both"
    exempt: tuple[str, ...] = ()
    snapshot_max_age: float = 3600.0
    server_down_for: float = 10.0
    timeouts: DoorTimeouts = DoorTimeouts()
    limits: DoorLimits = DoorLimits()
    web: WebLimits = WebLimits()
    portal: Portal | None = None
    mail_names: tuple[MailServerName, ...] = ()
    throttle: ThrottleLimits = ThrottleLimits()
    country_table: str = ""
    clouds: str = ""
    directory: DirectoryPlan | None = None
    decision_api: DecisionPlan | None = None

    @staticmethod
    def from_plain(parameters: Mapping[str, Any]) -> DoorPlan:
        """The plan that ``plain`` gave. Raises PlanError."""
        try:
            return msgspec.convert(parameters, DoorPlan)
        except msgspec.ValidationError as error:
            raise PlanError(f"the doors' settings don't fit: {error}") from None

    def plain(self) -> dict[str, Any]:
        """JSON values for the process's parameters."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def check(self) -> None:
        """Raises PlanError for what can't work, without opening a file."""
        if not self.listeners:
            raise PlanError("no listener is set")
        if self.sender_check not in SENDER_CHECKS:
            known = ", ".join(SENDER_CHECKS)
            raise PlanError(f"sender_check is {self.sender_check!r}; it must be one of {known}")
        if self.minimum_tls not in _TLS_VERSIONS:
            raise PlanError(f"minimum_tls is {self.minimum_tls!r}; it must be 1.2 or 1.3")
        for listener in self.listeners:
            try:
                Networks(listener.proxy_from)
            except ValueError as error:
                raise PlanError(f"listener {listener.name}: proxy_from: {error}") from None
        try:
            Networks(self.exempt)
        except ValueError as error:
            raise PlanError(f"exempt networks: {error}") from None
        if not self.certificates and not all(listener.edge for listener in self.listeners):
            raise PlanError("no certificate is set, and there are listeners that need one")

    def load(self) -> DoorSettings:
        """Open certificates, keys and the country table. Raises PlanError."""
        self.check()
        try:
            directory = open_directory(self.directory) if self.directory is not None else None
            countries = CountryTable(self.country_table) if self.country_table else None
            clouds = read_clouds(self.clouds)
            api = open_decision_plan(self.decision_api) if self.decision_api is not None else None
        except (OpenError, CountryTableError, CloudError, DecisionPlanError) as error:
            raise PlanError(str(error)) from None
        return DoorSettings(
            hostname=self.hostname,
            listeners=self.listeners,
            tls=self.load_tls(),
            web_tls=self._contexts(self.web_certificates),
            default_domain=self.default_domain,
            sender_check=self.sender_check,
            exempt=self.exempt,
            snapshot_max_age=self.snapshot_max_age,
            timeouts=self.timeouts,
            limits=self.limits,
            web=self.web,
            portal=self.portal,
            mail_names=self.mail_names,
            throttle=self.throttle,
            throttle_key=secrets.token_bytes(32),
            server_down_for=self.server_down_for,
            upstream_roots=client_context(),
            upstream_authorities={path: _read(path) for path in self.upstream_authorities},
            countries=countries,
            clouds=clouds,
            directory=directory,
            decision_api=api,
        )

    def load_tls(self) -> DoorTls | None:
        """The certificates: the first without names, else the first of all, is the default. Raises PlanError."""
        return self._contexts(self.certificates)

    def _contexts(self, certificates: tuple[CertificatePlan, ...]) -> DoorTls | None:
        if not certificates:
            return None
        authority = _read(self.device_authority) if self.device_authority else ""
        try:
            loaded = [
                (c, server_context(c.certificate, c.key, authority if c.ask else "")) for c in certificates
            ]
        except TlsError as error:
            raise PlanError(str(error)) from None
        for _, context in loaded:
            context.minimum_version = _TLS_VERSIONS[self.minimum_tls]
        default = next((context for plan, context in loaded if not plan.names), loaded[0][1])
        return DoorTls(default, {n.lower(): context for plan, context in loaded for n in plan.names})


def _read(path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no PEM"
        raise PlanError(f"the authority's file {path} can't be read ({why}); correct its path.") from None
