"""Second factors of accounts: passkeys, one-time codes (TOTP) and lists of recovery codes.

1. A proof is used once: a time step, a recovery code or a passkey's counter that was taken already is refused in the
   transaction that would take it, however many ask at the same moment.
2. An account has at most ``MAX_PASSKEYS`` passkeys, one TOTP secret and one recovery list; a new list or secret
   replaces the one before.
3. Nothing here opens anything by itself: TOTP secrets are the keeper's boxes, recovery codes its verifiers, passkeys
   public keys.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from . import plain, schema
from .accounts import account_row
from .errors import BadValue, Conflict, NotFound
from .scope import Change, Scope, Scoped

MAX_PASSKEYS = 20
MAX_CODES = 32
MAX_KEY, MAX_CREDENTIAL_ID, MAX_BOX = 4096, 1023, 4096  # octets; WebAuthn level 2, section 4 has the 1023
MAX_TRANSPORTS = 10
VERIFIER = 32  # octets


class AuthenticatorKind(StrEnum):
    """What a person has beside the password."""

    PASSKEY = "passkey"
    TOTP = "totp"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class StoredAuthenticator:
    """One second factor. ``public_id`` is a passkey's credential id, ``public_key`` its COSE octets; ``sealed`` the
    keeper's box of a TOTP secret and ``last_step`` the newest time step that was used; ``verifiers`` (32 octets each)
    what is left of a recovery list. ``last_used`` 0: never."""

    id: str
    organisation: str
    account: str
    kind: AuthenticatorKind
    name: str = ""
    public_id: bytes = b""
    public_key: bytes = field(default=b"", repr=False)
    sign_count: int = 0
    backup_eligible: bool = False
    backed_up: bool = False
    transports: tuple[str, ...] = ()
    sealed: bytes = field(default=b"", repr=False)
    last_step: int = -1
    verifiers: tuple[bytes, ...] = field(default=(), repr=False)
    created_at: float = 0.0
    last_used: float = 0.0


class UsedAlready(Conflict):
    """The time step, recovery code or counter was taken before."""


class Authenticators(Scoped):
    """The second factors of one organisation's accounts."""

    def list(self, account: str) -> Sequence[StoredAuthenticator]:
        """Those of an account, oldest first. Empty for an account that is not there."""
        table = schema.authenticators
        with self._reading() as scope:
            rows = scope.rows(table, table.c.account == account, order=[table.c.created_at, table.c.id])
        return [authenticator_of(row) for row in rows]

    def holders(self) -> frozenset[str]:
        """The accounts that have one."""
        table = schema.authenticators
        with self._reading() as scope:
            return frozenset(row.account for row in scope.rows(table))

    def named(self, beginning: str) -> Sequence[StoredAuthenticator]:
        """Those of all accounts whose name begins so, oldest first."""
        table = schema.authenticators
        with self._reading() as scope:
            where = table.c.name.startswith(beginning, autoescape=True)
            rows = scope.rows(table, where, order=[table.c.created_at, table.c.id])
        return [authenticator_of(row) for row in rows]

    def add(
        self,
        account: str,
        kind: AuthenticatorKind,
        *,
        name: str = "",
        public_id: bytes = b"",
        public_key: bytes = b"",
        sign_count: int = 0,
        backup_eligible: bool = False,
        backed_up: bool = False,
        transports: Iterable[str] = (),
        sealed: bytes = b"",
        last_step: int = -1,
        verifiers: Iterable[bytes] = (),
        id: str = "",
        by: str,
        at: float,
    ) -> StoredAuthenticator:
        """Keeps a new one. Raises NotFound, BadValue, Conflict (that passkey is known, or there are too many)."""
        kind = AuthenticatorKind(kind)
        codes, ways = tuple(verifiers), tuple(transports)
        _check(kind, public_id, public_key, sealed, codes, ways)
        new = plain.text(id, "id", 64) or plain.new_id("auth")
        with self._changing(by, at) as change:
            account_row(change, account)
            replaced = _make_room(change, account, kind)
            change.insert(
                schema.authenticators,
                taken="This passkey is registered already: use it, or take another one.",
                id=new,
                account=account,
                kind=str(kind),
                name=plain.text(name, "name", 100),
                locator=public_id.hex() if kind is AuthenticatorKind.PASSKEY else new,
                public_key=bytes(public_key),
                sign_count=counter(sign_count),
                backup_eligible=bool(backup_eligible),
                backed_up=bool(backed_up),
                transports=plain.dump([plain.text(w, "transport", 40) for w in ways]),
                sealed=bytes(sealed),
                last_step=_step(last_step),
                verifiers=plain.dump([code.hex() for code in codes]),
                created_at=at,
                last_used=0.0,
            )
            change.audit("authenticator.added", new, account=account, kind=str(kind), replaced=replaced)
            return authenticator_of(_row(change, account, new))

    def use(
        self,
        account: str,
        id: str,
        *,
        sign_count: int = 0,
        backed_up: bool = False,
        last_step: int = -1,
        spent: bytes = b"",
        by: str,
        at: float,
    ) -> StoredAuthenticator:
        """One was used. Raises UsedAlready (nothing is changed then), NotFound, BadValue.

        A passkey whose counter does not grow is refused, unless it never counted (WebAuthn section 6.1.1: both 0);
        a TOTP step must be later than the last one (RFC 6238 section 5.2); a recovery code must be on the list still.
        """
        with self._changing(by, at) as change:
            found = authenticator_of(_row(change, account, id))
            values: dict[str, Any] = {"last_used": at}
            match found.kind:
                case AuthenticatorKind.PASSKEY:
                    if (found.sign_count or sign_count) and counter(sign_count) <= found.sign_count:
                        raise UsedAlready("This passkey's counter went back: it may be a copy.")
                    values |= {"sign_count": sign_count, "backed_up": bool(backed_up)}
                case AuthenticatorKind.TOTP:
                    if _step(last_step) <= found.last_step:
                        raise UsedAlready("This code was used already: wait for the next one.")
                    values["last_step"] = last_step
                case AuthenticatorKind.RECOVERY:
                    left = [v for v in found.verifiers if not hmac.compare_digest(v, spent)]
                    if len(left) == len(found.verifiers):
                        raise UsedAlready("This recovery code is not on the list any more: take another.")
                    values["verifiers"] = plain.dump([v.hex() for v in left])
            change.update(schema.authenticators, schema.authenticators.c.id == id, **values)
            change.audit("authenticator.used", id, account=account, kind=str(found.kind))
            return authenticator_of(_row(change, account, id))

    def remove(self, account: str, id: str, *, keep_one: bool = False, by: str, at: float) -> None:
        """Forgets one of the account's. Raises NotFound; with ``keep_one`` Conflict for the last that signs in."""
        table = schema.authenticators
        with self._changing(by, at) as change:
            found = authenticator_of(_row(change, account, id))
            codes = str(AuthenticatorKind.RECOVERY)
            left = change.rows(table, table.c.account == account, table.c.kind != codes, table.c.id != id)
            if keep_one and not left:
                raise Conflict("This is the last second factor: add another one first.")
            change.delete(schema.authenticators, schema.authenticators.c.id == id)
            change.audit("authenticator.removed", id, account=account, kind=str(found.kind), name=found.name)

    def remove_all(self, account: str, *, by: str, at: float) -> int:
        """Forgets all of an account; gives how many there were. Raises NotFound (no such account)."""
        with self._changing(by, at) as change:
            account_row(change, account)
            table = schema.authenticators
            kinds = [row.kind for row in change.rows(table, table.c.account == account)]
            change.delete(table, table.c.account == account)
            change.audit("authenticator.all-removed", account, kinds=kinds)
        return len(kinds)


def authenticator_of(row: sa.Row[Any]) -> StoredAuthenticator:
    """The second factor in a row."""
    kind = AuthenticatorKind(row.kind)
    return StoredAuthenticator(
        id=row.id,
        organisation=row.organisation,
        account=row.account,
        kind=kind,
        name=row.name,
        public_id=bytes.fromhex(row.locator) if kind is AuthenticatorKind.PASSKEY else b"",
        public_key=row.public_key,
        sign_count=row.sign_count,
        backup_eligible=row.backup_eligible,
        backed_up=row.backed_up,
        transports=plain.words(row.transports),
        sealed=row.sealed,
        last_step=row.last_step,
        verifiers=tuple(bytes.fromhex(code) for code in plain.words(row.verifiers)),
        created_at=row.created_at,
        last_used=row.last_used,
    )


def _make_room(change: Change, account: str, kind: AuthenticatorKind) -> int:
    """Takes away what a new one replaces; gives how many. Raises Conflict where there are too many passkeys."""
    table = schema.authenticators
    same = (table.c.account == account, table.c.kind == str(kind))
    if kind is not AuthenticatorKind.PASSKEY:
        return change.delete(table, *same)
    if len(change.rows(table, *same)) >= MAX_PASSKEYS:
        raise Conflict(f"An account has at most {MAX_PASSKEYS} passkeys: remove one first.")
    return 0


def _row(scope: Scope, account: str, id: str) -> sa.Row[Any]:
    table = schema.authenticators
    row = scope.one(table, table.c.id == id, table.c.account == account)
    if row is None:
        raise NotFound(f"The account has no second factor {id[:80]}: see gambeson account factors.")
    return row


def _check(
    kind: AuthenticatorKind,
    public_id: bytes,
    public_key: bytes,
    sealed: bytes,
    codes: tuple[bytes, ...],
    transports: tuple[str, ...],
) -> None:
    """Each kind has its own fields and no other's. Raises BadValue."""
    passkey, totp, recovery = (kind is k for k in AuthenticatorKind)
    if bool(public_id) != passkey or bool(public_key) != passkey or (transports and not passkey):
        raise BadValue("A passkey has a credential id and a public key, and nothing else has.")
    if bool(sealed) != totp:
        raise BadValue("A TOTP secret is a sealed box, and nothing else is.")
    if bool(codes) != recovery or any(len(code) != VERIFIER for code in codes):
        raise BadValue(f"A recovery list has verifiers of {VERIFIER} octets, and nothing else has.")
    if len(public_id) > MAX_CREDENTIAL_ID or len(public_key) > MAX_KEY or len(sealed) > MAX_BOX:
        raise BadValue("The passkey or the sealed box is too long.")
    if len(codes) > MAX_CODES or len(set(codes)) != len(codes) or len(transports) > MAX_TRANSPORTS:
        raise BadValue(f"A recovery list has at most {MAX_CODES} codes, each once.")


def counter(value: int) -> int:
    """``value`` where a passkey can have counted so far. Raises BadValue."""
    if not 0 <= value < 2**32:  # WebAuthn section 6.1: 32 bits
        raise BadValue("A passkey's counter has 32 bits.")
    return value


def _step(value: int) -> int:
    if not -1 <= value < 2**48:
        raise BadValue("This is no time step.")
    return value
