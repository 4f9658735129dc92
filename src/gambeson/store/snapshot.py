"""Everything that the worker puts into a snapshot, read in one transaction and in few statements.

Only here (and in the worker's queue, ingestion and portal desk) the store is read over all organisations; the
parts say of each thing whose it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa

from gambeson.model.asset import Account, Credential, Device
from gambeson.model.organisation import Organisation
from gambeson.model.rule import ModeEntry

from . import plain, schema
from .accounts import account_of, aliases_by_account
from .credentials import credential_of, revoked_by_serial
from .devices import device_of
from .eas_devices import firsts_in_use
from .engine import EVERYWHERE, Database
from .events import EventLog
from .policy import PolicySource, mode_of, policy_of
from .web_sessions import ended


@dataclass(frozen=True, slots=True)
class SnapshotParts:
    """``policies`` are the active versions as text, ``modes`` pairs of organisation and entry,
    ``bypass_until`` those still running at ``now``, ``revoked`` (serial number in hex, when) of revoked
    certificates not expired by then; ``ended_sessions`` the ids of those ended so shortly before that a token may be in
    force, ``eas_devices`` account id, DeviceId and decision, ``eas_firsts`` the id of a credential that was not
    revoked and the DeviceId it came with first; ``change_counter`` is the store's at that moment."""

    organisations: tuple[Organisation, ...] = ()
    accounts: tuple[Account, ...] = ()
    devices: tuple[Device, ...] = ()
    credentials: tuple[Credential, ...] = ()
    policies: tuple[PolicySource, ...] = ()
    modes: tuple[tuple[str, ModeEntry], ...] = ()
    failures: tuple[tuple[str, int], ...] = ()
    bypass_until: tuple[tuple[str, float], ...] = ()
    revoked: tuple[tuple[str, float], ...] = ()
    ended_sessions: tuple[str, ...] = ()
    eas_devices: tuple[tuple[str, str, str], ...] = ()
    eas_firsts: tuple[tuple[str, str], ...] = ()
    change_counter: int = 0


def load(control: Database, log: EventLog, now: float) -> SnapshotParts:
    """Reads the parts; ``now`` (seconds since 1970) decides which failures, bypasses and revocations still count."""
    with control.read(EVERYWHERE) as conn:

        def rows(table: sa.Table, *order: sa.Column[object]) -> list[sa.Row[tuple[object, ...]]]:
            return list(conn.execute(sa.select(table).order_by(*order)))

        s = schema
        active = sa.select(s.policies).join(
            s.organisations,
            sa.and_(
                s.organisations.c.id == s.policies.c.organisation,
                s.organisations.c.policy_version == s.policies.c.version,
            ),
        )
        domains: dict[str, list[str]] = {}
        for row in rows(s.domains, s.domains.c.domain):
            domains.setdefault(row.organisation, []).append(row.domain)
        aliases = aliases_by_account(conn.execute(sa.select(s.addresses).where(s.addresses.c.alias)))
        hashes = {row.account: str(row.hash) for row in conn.execute(sa.select(s.passwords))}
        running = sa.select(s.bypasses).where(s.bypasses.c.until > now)
        return SnapshotParts(
            organisations=tuple(
                Organisation(
                    o.id, o.name, tuple(domains.get(o.id, ())), o.enrolment_url, plain.words(o.clouds)
                )
                for o in rows(s.organisations, s.organisations.c.id)
            ),
            accounts=tuple(
                replace(account_of(a, aliases.get(a.id, ())), password_hash=hashes.get(a.id, ""))
                for a in rows(s.accounts, s.accounts.c.id)
            ),
            devices=tuple(device_of(d) for d in rows(s.devices, s.devices.c.id)),
            credentials=tuple(credential_of(c) for c in rows(s.credentials, s.credentials.c.id)),
            policies=tuple(policy_of(p) for p in conn.execute(active)),
            modes=tuple((m.organisation, mode_of(m)) for m in rows(s.modes, s.modes.c.organisation)),
            failures=tuple(log.failures(now)),
            bypass_until=tuple((b.organisation, b.until) for b in conn.execute(running)),
            revoked=tuple((c.serial, c.revoked_at) for c in conn.execute(revoked_by_serial(now))),
            ended_sessions=tuple(str(row.id) for row in conn.execute(ended(now))),
            eas_devices=tuple(
                (e.account, e.device_id, e.decision)
                for e in rows(s.eas_devices, s.eas_devices.c.account, s.eas_devices.c.device_id)
            ),
            eas_firsts=tuple((row.credential, row.device_id) for row in conn.execute(firsts_in_use())),
            change_counter=conn.execute(sa.select(s.installation.c.change_counter)).scalar_one(),
        )
