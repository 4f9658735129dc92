"""One organisation's part of the store: the only way to its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from gambeson.model.address import canonical_domain
from gambeson.model.organisation import Organisation

from . import plain, schema
from .accounts import Accounts
from .actions import Actions
from .audit import AuditEntry, entry
from .audit_entries import AuditEntries
from .authenticators import Authenticators
from .binding_codes import BindingCodes
from .credentials import Certificates, Credentials
from .decisions import Decisions
from .devices import Devices
from .eas_devices import EasDevices
from .engine import Database
from .errors import BadValue, Conflict, NotFound
from .events import Events
from .findings import Findings
from .invitations import Invitations
from .jobs import Jobs
from .people import People
from .policy import Bypasses, Modes, Policies, SealedBoxes
from .scope import Change, Scope, Scoped
from .web_sessions import WebSessions

MAX_DOMAINS = 1_000
MAX_CLOUDS = 100
MAX_HOURS = 168.0  # a week has no more


class OrganisationStore(Scoped):
    """Everything of the organisation ``id``. Made by ``Store.organisation`` and nowhere else."""

    def __init__(self, control: Database, events: Database, id: str) -> None:
        super().__init__(control, id)
        self.id = id
        self.accounts = Accounts(control, id)
        self.people = People(control, id)
        self.devices = Devices(control, id)
        self.credentials = Credentials(control, id)
        self.certificates = Certificates(control, id)
        self.authenticators = Authenticators(control, id)
        self.binding_codes = BindingCodes(control, id)
        self.invitations = Invitations(control, id)
        self.web_sessions = WebSessions(control, id)
        self.eas_devices = EasDevices(control, id)
        self.policies = Policies(control, id)
        self.modes = Modes(control, id)
        self.bypass = Bypasses(control, id)
        self.sealed = SealedBoxes(control, id)
        self.findings = Findings(control, id)
        self.jobs = Jobs(control, id)
        self.actions = Actions(control, id)
        self.audit_entries = AuditEntries(control, id)
        self.events = Events(events, id)
        self.decisions = Decisions(events, id)

    def get(self) -> Organisation:
        """The organisation as it is now. Raises NotFound where it was deleted."""
        with self._reading() as scope:
            return organisation_of(scope)

    def update(
        self, *, name: str | None = None, enrolment_url: str | None = None, by: str, at: float
    ) -> Organisation:
        """Renames it, or changes the address of its enrolment page. Raises BadValue, Conflict."""
        values: dict[str, object] = {}
        if name is not None:
            values |= named(name)
        if enrolment_url is not None:
            values["enrolment_url"] = checked_url(enrolment_url)
        with self._changing(by, at) as change:
            organisation_of(change)
            if values:
                taken = f"An organisation named {name} is there already: choose another name."
                change.update(schema.organisations, taken=taken, **values)
            change.audit("organisation.changed", self.id, **values)
            return organisation_of(change)

    def hours(self) -> float:
        """The hours a week that somebody has for its mail. Raises NotFound."""
        with self._reading() as scope:
            row = scope.one(schema.organisations)
        if row is None:
            raise NotFound("The organisation is not there any more: see gambeson org list.")
        return float(row.hours_per_week)

    def set_hours(self, hours: float, *, by: str, at: float) -> float:
        """Sets them: 0 up to 168. Raises BadValue, NotFound."""
        if not 0 <= hours <= MAX_HOURS:  # not a number is neither
            raise BadValue(f"A week has between 0 and {MAX_HOURS:.0f} hours.")
        with self._changing(by, at) as change:
            organisation_of(change)
            change.update(schema.organisations, hours_per_week=float(hours))
            change.audit("organisation.hours-set", self.id, hours=float(hours))
        return float(hours)

    def add_domain(self, domain: str, *, by: str, at: float) -> Organisation:
        """Adds a mail domain. Raises BadValue, Conflict where an organisation has it already."""
        with self._changing(by, at) as change:
            organisation_of(change)
            insert_domain(change, domain)
            return organisation_of(change)

    def remove_domain(self, domain: str, *, by: str, at: float) -> Organisation:
        """Takes a domain away that no account has an address in. Raises NotFound, Conflict."""
        name = checked_domain(domain)
        addresses = schema.addresses
        with self._changing(by, at) as change:
            used = change.one(addresses, addresses.c.address.endswith("@" + name, autoescape=True))
            if used is not None:
                raise Conflict(f"{used.address} is still in {name}: remove or rename that account first.")
            if not change.delete(schema.domains, schema.domains.c.domain == name):
                raise NotFound(f"The organisation has no domain {name}.")
            change.audit("domain.removed", name)
            return organisation_of(change)

    def set_cloud(self, cloud: str, *, allowed: bool, by: str, at: float) -> Organisation:
        """Lets in, or refuses, the programs that read mail through this cloud service (its id). Raises BadValue."""
        name = plain.text(cloud, "cloud service's name", 32, empty=False)
        with self._changing(by, at) as change:
            before = organisation_of(change).clouds
            after = sorted({*before, name} if allowed else {*before} - {name})
            if len(after) > MAX_CLOUDS:
                raise BadValue(f"An organisation names at most {MAX_CLOUDS} cloud services.")
            change.update(schema.organisations, clouds=plain.dump(after))
            change.audit("organisation.cloud-allowed" if allowed else "organisation.cloud-refused", name)
            return organisation_of(change)

    def audit(self, *, limit: int = 1_000, before: int = 0) -> Sequence[AuditEntry]:
        """The organisation's audit entries, newest first; ``before`` a number to page on."""
        table = schema.audit
        where = [table.c.seq < before] if before else []
        with self._reading() as scope:
            return [entry(row) for row in scope.rows(table, *where, order=[table.c.seq.desc()], limit=limit)]


def organisation_of(scope: Scope) -> Organisation:
    """The organisation of a scope. Raises NotFound."""
    row = scope.one(schema.organisations)
    if row is None:
        raise NotFound("The organisation is not there any more: see gambeson org list.")
    domains = scope.rows(schema.domains, order=[schema.domains.c.domain])
    return organisation_in(row, tuple(d.domain for d in domains))


def organisation_in(row: sa.Row[Any], domains: tuple[str, ...]) -> Organisation:
    """The organisation in a row of its table."""
    return Organisation(row.id, row.name, domains, row.enrolment_url, plain.words(row.clouds))


def insert_domain(change: Change, domain: str) -> None:
    """Adds a domain to the organisation that is being changed, and audits it."""
    name = checked_domain(domain)
    if len(change.rows(schema.domains)) >= MAX_DOMAINS:
        raise BadValue(f"An organisation has at most {MAX_DOMAINS} domains.")
    change.insert(schema.domains, taken=f"The domain {name} belongs to an organisation already.", domain=name)
    change.audit("domain.added", name)


def named(name: str) -> dict[str, object]:
    """The columns of a name. Raises BadValue."""
    shown = plain.text(name, "organisation's name", 100, empty=False).strip()
    return {"name": shown, "name_key": shown.casefold()}


def checked_url(url: str) -> str:
    """An address for people: https, or http to this machine; or empty. Raises BadValue."""
    plain.text(url, "enrolment address", 500)
    if url and (not url.startswith(("https://", "http://localhost", "http://127.0.0.1")) or " " in url):
        raise BadValue("The enrolment address begins with https:// and has no blanks.")
    return url


def checked_domain(domain: str) -> str:
    """The domain in canonical form. Raises BadValue."""
    try:
        return canonical_domain(domain)
    except ValueError as error:
        raise BadValue(str(error)) from None
