"""The store's front: open it, find an organisation, load what a snapshot needs.

    store = Store.open("sqlite:////var/lib/gambeson/store/control.db")
    acme = store.organisation("Acme")
    acme.accounts.create("ann@acme.example", by="root", at=now)

What belongs to an organisation is reached through :meth:`Store.organisation` and nowhere else. What
the worker does for all of them (snapshot, queue, ingestion, revocation list, audit chain) is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType

import sqlalchemy as sa

from gambeson.model.organisation import Organisation

from . import migrate as migration
from . import plain, schema, snapshot, tokens
from .across import Across, checked_id
from .audit import AuditLog
from .audit_entries import AuditEntries
from .credentials import Certificate, certificate_of, forget, prune_forgotten, revoked_by_serial
from .engine import EVERYWHERE, Database, open_databases
from .errors import NotFound
from .events import EventLog
from .jobs import JobQueue
from .requests import RequestLog
from .scope import changing
from .snapshot import SnapshotParts
from .staff import StaffStore
from .staff_schema import staff_grants
from .tenant import OrganisationStore, checked_url, insert_domain, named, organisation_in
from .tokens import ApiTokens
from .urls import locate


class Store:
    """An open store. Threads may share it; open it after the process has forked."""

    def __init__(self, control: Database, events: Database) -> None:
        self.control = control
        self.event_database = events
        self.audit = AuditLog(control)
        self.audit_entries = AuditEntries(control, EVERYWHERE)
        self.events = EventLog(events)
        self.requests = RequestLog(events)
        self.jobs = JobQueue(control)
        self.staff = StaffStore(control)
        self.tokens = ApiTokens(control)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        migrate: bool = True,
        timeout: float = 5.0,
        more_migrations: Mapping[str, Path] = MappingProxyType({}),
    ) -> Store:
        """Opens (and where ``migrate``, makes or upgrades) the store at ``url``.

        ``timeout``: seconds that a writer waits for another. ``more_migrations``: a folder by lineage with further
        migrations, see :func:`gambeson.store.migrate.move`. Raises BadValue for the URL, and
        StoreUnreachable, StoreLocked, StoreDamaged, SchemaOlder, SchemaNewer.
        """
        control, events = open_databases(locate(url), create=migrate, timeout=timeout)
        store = cls(control, events)
        try:
            for lineage, database in (("control", control), ("events", events)):
                migration.ensure(database, lineage, migrate=migrate, more=more_migrations.get(lineage))
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Closes the connections."""
        self.control.close()
        self.event_database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def organisations(self) -> Sequence[Organisation]:
        """Every organisation, by name."""
        with self.control.read(EVERYWHERE) as conn:
            rows = conn.execute(sa.select(schema.organisations).order_by(schema.organisations.c.name_key))
            domains: dict[str, list[str]] = {}
            for row in conn.execute(sa.select(schema.domains).order_by(schema.domains.c.domain)):
                domains.setdefault(row.organisation, []).append(row.domain)
            return [organisation_in(o, tuple(domains.get(o.id, ()))) for o in rows]

    def organisation(self, name_or_id: str) -> OrganisationStore:
        """The store of one organisation, by its id or its name (in any case). Raises NotFound."""
        table = schema.organisations
        with self.control.read(EVERYWHERE) as conn:
            for column, value in ((table.c.id, name_or_id), (table.c.name_key, name_or_id.casefold())):
                found = conn.execute(sa.select(table.c.id).where(column == value)).scalar()
                if found is not None:
                    return OrganisationStore(self.control, self.event_database, found)
        raise NotFound(f"There is no organisation {name_or_id[:80]!a}: see gambeson org list.")

    def across(self, organisations: Iterable[str]) -> Across:
        """Reads over exactly these organisations (their ids). Raises BadValue for what cannot be an id."""
        return Across(self.control, self.event_database, organisations)

    def of(self, id: str) -> OrganisationStore:
        """The store of an organisation whose id is known to be one: nothing is asked. (Of any other it is empty.)"""
        return OrganisationStore(self.control, self.event_database, id)

    def create_organisation(
        self,
        name: str,
        *,
        domains: Iterable[str] = (),
        enrolment_url: str = "",
        id: str = "",
        by: str,
        at: float,
    ) -> OrganisationStore:
        """A new organisation. Raises BadValue, Conflict (name or domain in use)."""
        new = checked_id(id or plain.new_id("org"))
        values = named(name) | {"enrolment_url": checked_url(enrolment_url), "policy_version": 0}
        with changing(self.control, new, by, at) as change:
            taken = f"An organisation named {name} is there already: choose another name."
            change.insert(schema.organisations, taken=taken, **values)
            change.audit("organisation.created", new, name=values["name"])
            for domain in domains:
                insert_domain(change, domain)
        return OrganisationStore(self.control, self.event_database, new)

    def delete_organisation(self, id: str, *, by: str, at: float) -> None:
        """Deletes an organisation with everything it owns; its audit entries and events stay.

        Issued certificates go too: their credentials are gone, which is what the doors look at. Those that have not
        expired are revoked and stay on the revocation list, which is what others look at.
        """
        with changing(self.control, id, by, at) as change:
            row = change.one(schema.organisations)
            if row is None:
                raise NotFound(f"There is no organisation {id[:80]!a}: see gambeson org list.")
            revoked = forget(change)
            change.delete(staff_grants)
            tokens.forget_organisation(change)
            change.delete(schema.organisations)
            change.audit("organisation.deleted", id, name=row.name, certificates=revoked)

    def load_snapshot_parts(self, now: float) -> SnapshotParts:
        """Everything for a snapshot, consistent; see :mod:`gambeson.store.snapshot`."""
        return snapshot.load(self.control, self.events, now)

    def change_counter(self) -> int:
        """Grows with every change of control data: the worker polls it. One row is read."""
        with self.control.read(EVERYWHERE) as conn:
            counter: int = conn.execute(sa.select(schema.installation.c.change_counter)).scalar_one()
        return counter

    def installation(self) -> str:
        """The random name of this installation; signed audit heads carry it."""
        with self.control.read(EVERYWHERE) as conn:
            name: str = conn.execute(sa.select(schema.installation.c.name)).scalar_one()
        return name

    def revoked_certificates(self, now: float) -> Sequence[Certificate]:
        """The revoked certificates that have not expired: what the revocation list names."""
        with self.control.read(EVERYWHERE) as conn:
            return [certificate_of(row) for row in conn.execute(revoked_by_serial(now))]

    def prune_certificates(self, now: float) -> int:
        """Throws away what was kept of removed organisations' certificates and has expired; gives how many."""
        with self.control.write(EVERYWHERE) as conn:
            return prune_forgotten(conn, now)

    def row_security(self) -> bool:
        """True where the database itself holds each transaction to its organisation.

        False on SQLite, and on PostgreSQL where Gambeson's role is a superuser or may bypass
        row-level security (``doctor`` warns).
        """
        if not self.control.postgresql:
            return False
        roles = sa.table("pg_roles", sa.column("rolname"), sa.column("rolsuper"), sa.column("rolbypassrls"))
        query = sa.select(roles).where(roles.c.rolname == sa.func.current_user())
        with self.control.read(EVERYWHERE) as conn:
            row = conn.execute(query).one()
        return not (row.rolsuper or row.rolbypassrls)
