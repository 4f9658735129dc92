"""Registering devices: a device secret, a certificate of our authority, or a certificate the device already has.

The secret is shown once and stored only as the keeper's keyed hash. Everything that can be wrong is found before
anything is written.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from gambeson.console.office import RefusedError
from gambeson.console.operations import devices
from gambeson.console.operations.devices import Wish
from gambeson.model.access import DoorKind
from gambeson.model.asset import Account, CredentialKind, Device
from gambeson.store.errors import NotFound
from gambeson.store.tenant import OrganisationStore

from .installation import Installation

__all__ = ["EnrolmentError", "Given", "Wish", "adopt", "find", "with_certificate", "with_secret"]


class EnrolmentError(Exception):
    """It cannot be registered. One sentence; ``code`` is the exit status."""

    def __init__(self, sentence: str, code: int = 2) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Given:
    """What came of it: for machines and for people."""

    document: dict[str, Any] = field(repr=False)
    lines: list[str] = field(repr=False)


def with_secret(place: Installation, organisation: OrganisationStore, wish: Wish, now: float) -> Given:
    """Register a device with a device secret. Raises EnrolmentError."""
    try:
        made = devices.with_secret(
            organisation, place.keeper, wish, secrets.token_bytes, by=place.who, at=now
        )
    except RefusedError as error:
        raise _error(error) from None
    account, doors = made.account, made.device.doors
    document = _document(made.device, account) | {"secret": made.secret}
    lines = [
        f"{wish.name} of {account.address} is registered for {', '.join(doors)}.",
        f"User name      {account.address}",
        f"Device secret  {made.secret}",
        "Use it as the password in this one device's mail program. It is not shown again.",
    ]
    return Given(document, lines)


def _request(path: Path) -> bytes:
    """A certificate signing request, looked at before anything is made for it. Raises EnrolmentError."""
    request = _read(path)
    try:
        good = x509.load_pem_x509_csr(request).is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        good = False
    if not good:
        raise EnrolmentError(
            f"{path} is no signing request in PEM, or its signature does not fit; make it anew."
        )
    return request


def with_certificate(
    place: Installation,
    organisation: OrganisationStore,
    wish: Wish,
    now: float,
    out: str,
    months: int,
    csr: str | None,
    legacy: bool,
) -> Given:
    """Register a device with a certificate of the device authority; its files go to ``out``. Raises EnrolmentError."""
    account, doors = _checked(organisation, wish, now)
    request = _request(Path(csr)) if csr else b""
    folder = Path(out)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{account.address}-{wish.name}").strip("-.")[:80]
    targets = [folder / f"{stem}{suffix}" for suffix in (".pem", ".p12", "-ca.pem")]
    for target in targets:
        if target.exists():
            raise EnrolmentError(f"{target} is there already; name another folder with --out.")
    if not folder.is_dir():
        raise EnrolmentError(f"{folder} is no folder; make it, or name another with --out.", 3)
    device = _create(place, organisation, account, wish, doors, now)
    credential = f"cred-{secrets.token_hex(10)}"
    password = "" if request else secrets.token_urlsafe(12)
    try:
        given = place.keeper.issue_certificate(
            credential,
            wish.name,
            account.address,
            months=months,
            csr=request,
            password=password,
            legacy=legacy,
        )
        issued = x509.load_pem_x509_certificate(given.certificate_pem.encode())
        organisation.certificates.record(
            f"{issued.serial_number:x}",
            given.fingerprint,
            device.id,
            not_after=given.expires_at,
            by=place.who,
            at=now,
        )
        organisation.credentials.add(
            device.id,
            CredentialKind.CERTIFICATE,
            given.fingerprint,
            expires_at=given.expires_at,
            id=credential,
            by=place.who,
            at=now,
        )
        _write(targets[0], given.certificate_pem + given.key_pem)
        if given.pkcs12:
            _write(targets[1], given.pkcs12)
        _write(targets[2], given.authority_pem)
    except BaseException:
        organisation.devices.delete(device.id, by=place.who, at=now)
        raise
    files = {
        "pem": str(targets[0]),
        "pkcs12": str(targets[1]) if given.pkcs12 else None,
        "authority": str(targets[2]),
    }
    document = _document(device, account) | {
        "secret": None,
        "certificate": {
            "fingerprint": given.fingerprint,
            "files": files,
            "pkcs12_password": password or None,
        },
    }
    lines = [
        f"{wish.name} of {account.address} is registered for {', '.join(doors)} with a certificate.",
        *(f"{what:<10} {path}" for what, path in files.items() if path),
    ]
    if password:
        lines.append(f"Password of the PKCS#12 file: {password}  (not shown again)")
    return Given(document, lines)


def adopt(
    place: Installation, organisation: OrganisationStore, wish: Wish, now: float, certificate: str
) -> Given:
    """Register a device by the certificate it has already; it must be one of our authority's, since the doors ask
    for no other. Raises EnrolmentError."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes

    account, doors = _checked(organisation, wish, now)
    try:
        held = x509.load_pem_x509_certificate(_read(Path(certificate)))
        authority = x509.load_pem_x509_certificate(place.keeper.public_keys().authority_pem.encode())
        held.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        raise EnrolmentError(
            f"{certificate} is no certificate of this installation's device authority; enrol with --certificate "
            "or --csr instead."
        ) from None
    fingerprint = held.fingerprint(hashes.SHA256()).hex()
    device = _create(place, organisation, account, wish, doors, now)
    try:
        organisation.certificates.record(
            f"{held.serial_number:x}",
            fingerprint,
            device.id,
            not_after=held.not_valid_after_utc.timestamp(),
            by=place.who,
            at=now,
        )
        organisation.credentials.add(
            device.id,
            CredentialKind.CERTIFICATE,
            fingerprint,
            expires_at=held.not_valid_after_utc.timestamp(),
            by=place.who,
            at=now,
        )
    except BaseException:
        organisation.devices.delete(device.id, by=place.who, at=now)
        raise
    document = _document(device, account) | {"certificate": {"fingerprint": fingerprint}}
    return Given(document, [f"{wish.name} of {account.address} is registered by its certificate."])


def find(place: Installation, named: str, org: str | None) -> tuple[OrganisationStore, Device]:
    """The device of an id, or of ``ADDRESS/NAME``. Raises EnrolmentError."""
    if "@" in named:
        address, _, name = named.partition("/")
        organisation = place.organisation_of(address, org)
        account = organisation.accounts.find(address)
        for device in organisation.devices.list(account=account.id):
            if device.name.casefold() == name.casefold():
                return organisation, device
        raise EnrolmentError(f"{account.address} has no device named {name!a}; see gambeson device list.")
    stores = (
        [place.organisation(org)]
        if org
        else [place.store.organisation(o.id) for o in place.store.organisations()]
    )
    for organisation in stores:
        try:
            return organisation, organisation.devices.get(named)
        except NotFound:
            continue
    raise EnrolmentError(f"There is no device {named[:80]!a}; see gambeson device list.")


_IN_OPTIONS = {  # what the command line calls these things
    "past": "The end date lies in the past; give a later one with --expires.",
    "machine": "A machine needs --network (where it is), --owner (who answers for it) and --review (when it is looked "
    "at).",
    "personal": "--network, --sender, --hourly-limit, --owner and --review belong to --machine; add it.",
}


def _error(error: RefusedError) -> EnrolmentError:
    return EnrolmentError(_IN_OPTIONS.get(error.reason, error.sentence))


def _checked(organisation: OrganisationStore, wish: Wish, now: float) -> tuple[Account, tuple[DoorKind, ...]]:
    try:
        return devices.checked(organisation, wish, now)
    except RefusedError as error:
        raise _error(error) from None


def _create(
    place: Installation,
    organisation: OrganisationStore,
    account: Account,
    wish: Wish,
    doors: tuple[DoorKind, ...],
    now: float,
) -> Device:
    return devices.create(organisation, account, wish, doors, by=place.who, at=now)


def _document(device: Device, account: Account) -> dict[str, Any]:
    return {
        "device": device.id,
        "account": account.address,
        "login": account.address,
        "name": device.name,
        "kind": device.kind.value,
        "doors": [door.value for door in device.doors],
    }


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(65536)
    except OSError as error:
        raise EnrolmentError(f"{path} cannot be read: {error.strerror}.", 3) from None


def _write(path: Path, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise EnrolmentError(f"{path} cannot be written: {error.strerror}.", 3) from None
