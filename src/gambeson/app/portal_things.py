"""What belongs to a person at the portal: devices, sessions, sign-ins; adding a device, and ending one.

A device of one's own opens mail doors and the doors of programs, never a browser's. "This wasn't me" blocks the device,
revokes everything that it proves itself with, and leaves a finding; a plain removal forgets the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from gambeson.guard.core.clouds import load_clouds
from gambeson.model.access import DEVICE_WEB_DOORS, MAIL_DOORS, DoorKind
from gambeson.model.asset import Account, CredentialKind, Device, DeviceKind, DeviceState
from gambeson.model.event import Event
from gambeson.model.finding import Evidence, Finding, Severity
from gambeson.process import portal_messages as p
from gambeson.store.errors import BadValue, StoreError
from gambeson.store.tenant import OrganisationStore
from gambeson.store.web_sessions import WebSession

OWN_DOORS = (*MAIL_DOORS, *DEVICE_WEB_DOORS)
MAX_DEVICES = 20  # that are served
MAX_ROWS = 100  # with those that were blocked
SIGN_INS = 20
NOT_ME = "portal.not-me"
SIGNED_IN = "portal.sign-in"
_PORTAL_SIGN_INS = (SIGNED_IN, "portal.password", "portal.second", "portal.passkey")
_DAYS_SHOWN = 30 * 86400.0
_SCANNED = 500  # newest refusals of the organisation, among which a person's own are looked for
_GONE = (DeviceState.BLOCKED, DeviceState.LOST)


class DeniedError(Exception):
    """The desk does not do that. ``reason`` is a stable word, ``sentence`` for the person."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason, self.sentence = reason, sentence


@dataclass(frozen=True, slots=True)
class Owner:
    """The account that acts, and the store of its organisation."""

    store: OrganisationStore
    account: Account

    @property
    def by(self) -> str:
        """For the audit log."""
        return f"portal:{self.account.address}"[:200]

    def device(self, id: str) -> Device:
        """A device of the account's own. Raises DeniedError."""
        for device in self.store.devices.list(account=self.account.id):
            if device.id == id:
                return device
        raise DeniedError("unknown", "You have no such device.")


def own(owner: Owner, now: float) -> p.Things:
    """Devices, live sessions and the last sign-ins."""
    devices = owner.store.devices.list(account=owner.account.id, limit=MAX_ROWS)
    names = {device.id: device.name for device in devices}
    return p.Things(
        devices=tuple(_device(owner, device) for device in devices),
        sessions=tuple(
            session_row(session, owner.account)
            for session in owner.store.web_sessions.list(owner.account.id, now)
        ),
        sign_ins=tuple(_line(event, names) for event in _sign_ins(owner, now)),
    )


def session_row(session: WebSession, account: Account) -> p.SessionRow:
    """A session as the portal is told of it."""
    return p.SessionRow(
        id=session.id,
        account=account.id,
        organisation=account.organisation,
        address=account.address,
        rung=session.rung,
        at=session.at,
        last_seen=session.last_seen,
        stepped_at=session.stepped_at,
        ends=session.ends,
        source=session.source,
        agent=session.agent,
        how=session.how,
    )


def add(owner: Owner, ask: p.DeviceAdd, now: float) -> p.OwnDevice:
    """A new device with a device secret, or with nothing yet. Raises DeniedError, StoreError."""
    known = {door.value for door in OWN_DOORS}
    if not ask.doors or not set(ask.doors) <= known:
        raise BadValue(f"A device opens some of {', '.join(sorted(known))}.")
    if bool(ask.public_id) != bool(ask.verifier):
        raise BadValue("A device secret has a public id and a verifier.")
    mine = owner.store.devices.list(account=owner.account.id)
    if sum(device.state not in _GONE for device in mine) >= MAX_DEVICES or len(mine) >= MAX_ROWS:
        raise DeniedError("taken", f"You have {MAX_DEVICES} devices already: remove one first.")
    device = owner.store.devices.create(
        owner.account.id,
        ask.name,
        doors=[DoorKind(word) for word in ask.doors],
        kind=DeviceKind.PERSONAL,
        by=owner.by,
        at=now,
    )
    try:
        if ask.public_id:
            owner.store.credentials.add(
                device.id,
                CredentialKind.DEVICE_SECRET,
                ask.public_id,
                verifier=ask.verifier,
                by=owner.by,
                at=now,
            )
    except StoreError:
        owner.store.devices.delete(device.id, by=owner.by, at=now)
        raise
    return _device(owner, device)


def certify(owner: Owner, ask: p.DeviceCertificate, now: float) -> None:
    """The certificate that the keeper issued for a device. Raises DeniedError, StoreError."""
    device = owner.device(ask.device)
    if device.state in _GONE or device.kind is not DeviceKind.PERSONAL:
        raise DeniedError("unknown", "You have no such device.")
    try:
        held = x509.load_pem_x509_certificate(ask.certificate)
        names = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        addresses = names.get_values_for_type(x509.RFC822Name)
    except (ValueError, TypeError, x509.ExtensionNotFound):
        raise BadValue("This is no certificate of a device.") from None
    if addresses != [owner.account.address]:
        raise BadValue("This certificate was issued to somebody else.")
    fingerprint, ends = held.fingerprint(SHA256()).hex(), held.not_valid_after_utc.timestamp()
    serial = f"{held.serial_number:x}"
    certificates, credentials = owner.store.certificates, owner.store.credentials
    certificates.record(serial, fingerprint, device.id, not_after=ends, by=owner.by, at=now)
    try:
        credentials.add(
            device.id,
            CredentialKind.CERTIFICATE,
            fingerprint,
            expires_at=ends,
            id=ask.credential,
            by=owner.by,
            at=now,
        )
    except StoreError:
        certificates.revoke(serial, reason="not registered", by=owner.by, at=now)
        raise


def end(owner: Owner, ask: p.DeviceEnd, now: float) -> None:
    """Ends a device of one's own, with a finding where it ``alarm``s. Raises DeniedError, StoreError."""
    device = owner.device(ask.device)
    if not ask.alarm and device.kind is DeviceKind.MACHINE:
        raise DeniedError(
            "unknown", "This is a machine's: ask your administrator, or say that it wasn't you."
        )
    if not ask.alarm:
        owner.store.devices.delete(device.id, by=owner.by, at=now)
        return
    # First what protects, then what is told: a fault in between leaves the device shut out.
    owner.store.devices.revoke(device.id, reason="the owner says: this wasn't me", by=owner.by, at=now)
    used = owner.store.events.query(device=device.id, limit=SIGN_INS)
    owner.store.findings.open(_not_me(owner, device, used, ask.session, now), by=owner.by, at=now)


def _not_me(owner: Owner, device: Device, used: Sequence[Event], session: str, now: float) -> Finding:
    name = f"{owner.account.address}/{device.name}"
    word = Evidence(
        "portal", f"session {session}" if session else "portal", excerpt="This wasn't me.", at=now
    )
    seen = [
        Evidence("events", event.id, excerpt=f"{event.kind} at {event.door} from {event.source}", at=event.at)
        for event in used
    ]
    doors = ", ".join(door.value for door in device.doors)
    return Finding(
        id="",
        organisation="",
        asset_kind="device",
        asset_name=name,
        rule=NOT_ME,
        title="A person says of a registered device: this wasn't me",
        severity=Severity.HIGH,
        reason=(
            f"{owner.account.address} does not know the device {device.name} ({device.id}), registered for {doors}."
            " It is shut out on every protocol."
        ),
        evidence=(word, *seen),
        remedy=(
            "Ask the person what they saw, and look at who registered the device: gambeson audit show.",
            "Read what it did: the evidence names its last uses, with their addresses.",
            "Have the account's password changed and its second factors bound anew: gambeson account factors.",
        ),
    )


def _device(owner: Owner, device: Device) -> p.OwnDevice:
    used = owner.store.events.query(kind="door.login.allowed", device=device.id, limit=1)
    last = used[0] if used else None
    certificate = any(
        c.kind is CredentialKind.CERTIFICATE and not c.revoked_at
        for c in owner.store.credentials.list(device=device.id)
    )
    return p.OwnDevice(
        id=device.id,
        name=device.name,
        state=device.state.value,
        doors=tuple(door.value for door in device.doors),
        created_at=device.created_at,
        expires_at=device.expires_at,
        last_used=last.at if last else 0.0,
        last_source=last.source if last else "",
        last_door=last.door if last else "",
        last_cloud=_cloud(last) if last else "",
        certificate=certificate,
    )


def _sign_ins(owner: Owner, now: float) -> list[Event]:
    """The newest: by the account, and refusals at the doors, which know none, by the names that they claimed."""
    account, events, since = owner.account, owner.store.events, now - _DAYS_SHOWN
    found = {
        event.id: event
        for kind in ("door.login", *_PORTAL_SIGN_INS)
        for event in events.query(kind=kind, account=account.id, since=since, limit=SIGN_INS)
    }
    names = {account.address, *account.aliases}
    for event in events.query(kind="door.login.refused", since=since, limit=_SCANNED):
        if not event.account and event.data.get("claimed") in names:
            found[event.id] = event
    return sorted(found.values(), key=lambda e: (e.at, e.id), reverse=True)[:SIGN_INS]


def _line(event: Event, names: dict[str, str]) -> p.SignInLine:
    def said(key: str) -> str:
        return str(event.data.get(key, ""))[:500]

    return p.SignInLine(
        at=event.at,
        door=event.door,
        outcome="allowed" if event.kind == SIGNED_IN else event.kind.rpartition(".")[2],
        source=event.source,
        device=names.get(event.device, ""),
        program=said("program"),
        sentence=said("sentence"),
        cloud=_cloud(event),
    )


def _cloud(event: Event) -> str:
    """The name of the cloud through which the program read; empty for none."""
    cloud = str(event.data.get("cloud", ""))[:100]
    return load_clouds().named(cloud) if cloud else ""
