"""The immutable view of everything the hot path needs, published by the worker.

A snapshot has a number that only grows. Doors and keeper never open a database: they hold one
:class:`Snapshot`, wrapped once in a :class:`SnapshotIndex` for constant-time look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass

from .asset import Account, Credential, CredentialKind, Device
from .organisation import Organisation
from .rule import Policy
from .server import MailServer
from .web import Site


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``made_at`` is seconds since 1970, from the worker's clock. ``failures`` carries, per
    account id or canonical unknown address, the failed guesses from unknown sources of the
    last 24 hours, so that a restarted door goes on counting. ``bypass_until`` > now means that
    the emergency bypass (``guard open``) is on for that organisation. ``revoked`` has the serial
    number (lower-case hex) and the time of revocation of each revoked certificate that has not
    expired, whether its device is still there or not: for the revocation list, not for the doors.
    ``sites`` are the web applications. ``ended_sessions`` has the ids of portal sessions that were ended while their
    last token could still be in force. ``eas_devices`` says per (account id, DeviceId in lower case) what an
    administrator decided of an ActiveSync device: allowed, blocked or quarantined; ``eas_firsts`` the DeviceId (in
    lower case) that a credential (its id) came with first."""

    number: int
    made_at: float
    organisations: tuple[Organisation, ...] = ()
    accounts: tuple[Account, ...] = ()
    devices: tuple[Device, ...] = ()
    credentials: tuple[Credential, ...] = ()
    servers: tuple[MailServer, ...] = ()
    policies: tuple[Policy, ...] = ()
    failures: tuple[tuple[str, int], ...] = ()
    bypass_until: tuple[tuple[str, float], ...] = ()
    revoked: tuple[tuple[str, float], ...] = ()
    sites: tuple[Site, ...] = ()
    ended_sessions: tuple[str, ...] = ()
    eas_devices: tuple[tuple[str, str, str], ...] = ()
    eas_firsts: tuple[tuple[str, str], ...] = ()


class SnapshotIndex:
    """Look-ups over one snapshot. Built once per snapshot; never changed afterwards.

    ``memo`` keeps what pure functions derive from the snapshot on first use (a compiled policy), so that
    it is thrown away with the snapshot.
    """

    __slots__ = (
        "account",
        "account_by_address",
        "bypass_until",
        "certificate",
        "credential",
        "device",
        "eas_device",
        "eas_first",
        "ended_sessions",
        "failures",
        "memo",
        "organisation",
        "organisation_by_domain",
        "policy",
        "secret",
        "servers",
        "site",
        "site_by_host",
        "snapshot",
    )

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.memo: dict[str, object] = {}
        self.organisation = {o.id: o for o in snapshot.organisations}
        self.organisation_by_domain = {d: o for o in snapshot.organisations for d in o.domains}
        self.account = {a.id: a for a in snapshot.accounts}
        self.account_by_address: dict[str, Account] = {}
        for a in snapshot.accounts:
            for name in (a.address, *a.aliases):
                self.account_by_address[name] = a
        self.device: dict[str, Device] = {d.id: d for d in snapshot.devices}
        self.credential = {c.id: c for c in snapshot.credentials}
        self.secret = _by_public_id(snapshot, CredentialKind.DEVICE_SECRET)
        self.certificate = _by_public_id(snapshot, CredentialKind.CERTIFICATE)
        self.policy = {p.organisation: p for p in snapshot.policies}
        self.failures = dict(snapshot.failures)
        self.bypass_until = dict(snapshot.bypass_until)
        self.ended_sessions = frozenset(snapshot.ended_sessions)
        self.eas_device = {(account, device): word for account, device, word in snapshot.eas_devices}
        self.eas_first = dict(snapshot.eas_firsts)
        self.site = {s.name: s for s in snapshot.sites}
        self.site_by_host = {h: s for s in snapshot.sites for h in (*s.hosts, *s.device_hosts)}
        self.servers: dict[str, tuple[MailServer, ...]] = {}
        for o in snapshot.organisations:
            mine = [s for s in snapshot.servers if s.organisation in ("", o.id)]
            self.servers[o.id] = tuple(sorted(mine, key=lambda s: (s.priority, s.name)))


def _by_public_id(snapshot: Snapshot, kind: CredentialKind) -> dict[str, Credential]:
    return {c.public_id: c for c in snapshot.credentials if c.kind is kind}
