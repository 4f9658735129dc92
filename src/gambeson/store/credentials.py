"""What devices prove themselves with, and the certificates that the device authority issued."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gambeson.model.asset import Credential, CredentialKind

from . import plain, schema
from .devices import device_row
from .errors import BadValue, Conflict, NotFound
from .scope import Change, Scope, Scoped

_HEX = re.compile(r"[0-9a-f]{1,128}\Z")


@dataclass(frozen=True, slots=True)
class Certificate:
    """An issued client certificate: ``serial`` and ``fingerprint`` (SHA-256) in lower-case hex.
    ``revoked_at`` 0: good until ``not_after``."""

    organisation: str
    serial: str
    fingerprint: str
    device: str
    issued_at: float
    not_after: float
    revoked_at: float = 0.0
    revocation_reason: str = ""


_COLUMNS = tuple(Certificate.__dataclass_fields__)


class Credentials(Scoped):
    """The credentials of one organisation's devices."""

    def add(
        self,
        device: str,
        kind: CredentialKind,
        public_id: str,
        *,
        verifier: bytes = b"",
        expires_at: float = 0.0,
        id: str = "",
        by: str,
        at: float,
    ) -> Credential:
        """A new credential of ``device``. Raises NotFound, BadValue, Conflict (public id in use)."""
        kind = CredentialKind(kind)
        plain.text(public_id, "public id", 128, empty=False)
        if kind is CredentialKind.DEVICE_SECRET and len(verifier) != 32:
            raise BadValue("A device secret's verifier has 32 bytes.")
        if kind is CredentialKind.CERTIFICATE and (verifier or not _HEX.match(public_id)):
            raise BadValue(
                "A certificate is known by its fingerprint in lower-case hex, and by nothing else."
            )
        new = plain.text(id, "id", 64) or plain.new_id("cred")
        with self._changing(by, at) as change:
            device_row(change, device)
            change.insert(
                schema.credentials,
                taken="A credential with this public id is there already: make a new one.",
                id=new,
                device=device,
                kind=str(kind),
                public_id=public_id,
                verifier=bytes(verifier),
                created_at=at,
                expires_at=plain.moment(expires_at, "end of the credential"),
                revoked_at=0.0,
            )
            change.audit("credential.added", new, device=device, kind=str(kind), public_id=public_id)
            return _get(change, new)

    def get(self, id: str) -> Credential:
        """The credential. Raises NotFound."""
        with self._reading() as scope:
            return _get(scope, id)

    def find(self, kind: CredentialKind, public_id: str) -> Credential:
        """The credential of that public id. Raises NotFound."""
        table = schema.credentials
        with self._reading() as scope:
            row = scope.one(table, table.c.kind == str(kind), table.c.public_id == public_id)
        if row is None:
            raise NotFound("There is no such credential: see gambeson device list.")
        return credential_of(row)

    def list(self, *, device: str | None = None, limit: int = 100_000) -> Sequence[Credential]:
        """The credentials (of a device), oldest first."""
        table = schema.credentials
        where = [] if device is None else [table.c.device == device]
        with self._reading() as scope:
            rows = scope.rows(table, *where, order=[table.c.created_at, table.c.id], limit=limit)
        return [credential_of(row) for row in rows]

    def revoke(self, id: str, *, reason: str = "", by: str, at: float) -> Credential:
        """Revokes one credential for ever (a certificate's too). Raises NotFound."""
        why = plain.text(reason, "reason")
        with self._changing(by, at) as change:
            credential = _get(change, id)
            table, issued = schema.credentials, schema.certificates
            change.update(table, table.c.id == id, table.c.revoked_at == 0, revoked_at=at)
            if credential.kind is CredentialKind.CERTIFICATE:
                change.update(
                    issued,
                    issued.c.fingerprint == credential.public_id,
                    issued.c.revoked_at == 0,
                    revoked_at=at,
                    revocation_reason=why,
                )
            change.audit("credential.revoked", id, device=credential.device, reason=why)
            return _get(change, id)


class Certificates(Scoped):
    """The certificates issued to one organisation's devices; kept after the device is gone."""

    def record(
        self, serial: str, fingerprint: str, device: str, *, not_after: float, by: str, at: float
    ) -> Certificate:
        """Records an issued certificate. Raises NotFound, BadValue, Conflict (recorded, or revoked with an
        organisation that is gone)."""
        if not _HEX.match(serial) or not _HEX.match(fingerprint):
            raise BadValue("A certificate's serial number and fingerprint are written in lower-case hex.")
        with self._changing(by, at) as change:
            device_row(change, device)
            taken = f"A certificate with serial number {serial} is recorded already: enrol with a new one."
            if _forgotten(change, serial):
                raise Conflict(taken)
            change.insert(
                schema.certificates,
                taken=taken,
                serial=serial,
                fingerprint=fingerprint,
                device=device,
                issued_at=at,
                not_after=plain.moment(not_after, "end of the certificate"),
                revoked_at=0.0,
                revocation_reason="",
            )
            change.audit("certificate.issued", serial, device=device, fingerprint=fingerprint)
            return certificate_of(_certificate_row(change, serial))

    def list(self, *, device: str | None = None) -> Sequence[Certificate]:
        """The certificates (of a device), oldest first."""
        table = schema.certificates
        where = [] if device is None else [table.c.device == device]
        with self._reading() as scope:
            rows = scope.rows(table, *where, order=[table.c.issued_at, table.c.serial])
        return [certificate_of(row) for row in rows]

    def revoke(self, serial: str, *, reason: str = "", by: str, at: float) -> Certificate:
        """Revokes a certificate and the credential that stands on it. Raises NotFound."""
        why = plain.text(reason, "reason")
        with self._changing(by, at) as change:
            row = _certificate_row(change, serial)
            table, proofs = schema.certificates, schema.credentials
            change.update(
                table,
                table.c.serial == serial,
                table.c.revoked_at == 0,
                revoked_at=at,
                revocation_reason=why,
            )
            change.update(
                proofs,
                proofs.c.kind == str(CredentialKind.CERTIFICATE),
                proofs.c.public_id == row.fingerprint,
                proofs.c.revoked_at == 0,
                revoked_at=at,
            )
            change.audit("certificate.revoked", serial, device=row.device, reason=why)
            return certificate_of(_certificate_row(change, serial))


def credential_of(row: sa.Row[Any]) -> Credential:
    """The credential in a row."""
    return Credential(
        id=row.id,
        organisation=row.organisation,
        device=row.device,
        kind=CredentialKind(row.kind),
        public_id=row.public_id,
        verifier=row.verifier,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def certificate_of(row: sa.Row[Any]) -> Certificate:
    """The certificate in a row."""
    return Certificate(**row._mapping)


def revoked_by_serial(now: float) -> sa.CompoundSelect[Any]:
    """Reads the revoked certificates that have not expired at ``now``, also those of organisations that are gone: what
    the revocation list names."""
    parts = [
        sa.select(*(table.c[name] for name in _COLUMNS)).where(
            table.c.revoked_at > 0, table.c.not_after > now
        )
        for table in (schema.certificates, schema.forgotten_certificates)
    ]
    return sa.union_all(*parts).order_by("serial")


def forget(change: Change) -> int:
    """Before its organisation goes: every certificate that has not expired is kept for the revocation list, revoked now
    where it was not. Gives how many they are."""
    table, kept = schema.certificates, schema.forgotten_certificates
    values: dict[str, sa.ColumnElement[Any]] = {name: table.c[name] for name in _COLUMNS} | {
        "revoked_at": sa.case((table.c.revoked_at > 0, table.c.revoked_at), else_=change.at),
        "revocation_reason": sa.case(
            (table.c.revoked_at > 0, table.c.revocation_reason), else_="organisation removed"
        ),
    }
    mine = sa.select(*values.values()).where(
        table.c.organisation == change.organisation, table.c.not_after > change.at
    )
    return change.conn.execute(sa.insert(kept).from_select(list(values), mine)).rowcount


def prune_forgotten(conn: Connection, now: float) -> int:
    """Throws those away that have expired at ``now``; gives how many they were."""
    kept = schema.forgotten_certificates
    return conn.execute(sa.delete(kept).where(kept.c.not_after <= now)).rowcount


def _forgotten(change: Change, serial: str) -> bool:
    kept = schema.forgotten_certificates
    return change.conn.execute(sa.select(kept.c.serial).where(kept.c.serial == serial)).first() is not None


def _get(scope: Scope, id: str) -> Credential:
    row = scope.one(schema.credentials, schema.credentials.c.id == id)
    if row is None:
        raise NotFound(f"There is no credential {id[:80]}: see gambeson device list.")
    return credential_of(row)


def _certificate_row(scope: Scope, serial: str) -> sa.Row[Any]:
    row = scope.one(schema.certificates, schema.certificates.c.serial == serial)
    if row is None:
        raise NotFound(f"There is no certificate with serial number {serial[:80]}.")
    return row
