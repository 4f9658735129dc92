"""Binding codes: with one, a person binds the first second factor to an account.

An administrator makes it and tells it by another way than the mailbox that it opens. It is good once; only the
keeper's verifier is kept. A new one takes the place of one that was not used. One that is told lives ten minutes, one
that is printed and handed out up to two weeks: neither opens anything without the account's password.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from . import plain, schema
from .accounts import account_row
from .errors import BadValue, NotFound
from .scope import Change, Scoped

GOOD_FOR = 600.0  # seconds
LONGEST = 14 * 86400.0
VERIFIER = 32  # octets


class BindingCodes(Scoped):
    """The binding codes of one organisation's accounts, at most one each."""

    def make(
        self,
        account: str,
        verifier: bytes,
        *,
        good_for: float = GOOD_FOR,
        details: Mapping[str, object] | None = None,
        by: str,
        at: float,
    ) -> float:
        """Keeps a new one for ``good_for`` seconds, at most ``LONGEST``; gives when it ends. ``details`` are told to
        the audit log: how somebody was recognised, say. Raises NotFound, BadValue."""
        with self._changing(by, at) as change:
            return keep(change, account, verifier, good_for, details or {})

    def spend(self, account: str, verifier: bytes, *, by: str, at: float) -> None:
        """Uses the account's code up. Raises NotFound where there is none, it is another, or its time is over: the same
        words for all. A wrong try leaves the code: it cannot be guessed, and a stranger must not take it away."""
        table = schema.binding_codes
        with self._changing(by, at) as change:
            row = change.one(table, table.c.account == account)
            stored = row.verifier if row is not None else bytes(VERIFIER)
            good = hmac.compare_digest(stored, bytes(verifier))
            if row is None or not good or not row.made_at <= at < row.expires_at:
                raise NotFound("This code is not right or not good any more: ask for a new one.")
            change.delete(table, table.c.account == account)
            invited = schema.invitations
            change.update(invited, invited.c.account == account, invited.c.used_at == 0, used_at=at)
            change.audit("binding-code.used", account, made_by=row.by)

    def void(self, account: str, *, by: str, at: float) -> bool:
        """Takes the account's code away; whether there was one. Raises NotFound (no such account)."""
        table = schema.binding_codes
        with self._changing(by, at) as change:
            account_row(change, account)
            gone = change.delete(table, table.c.account == account) > 0
            change.audit("binding-code.voided", account, was_there=gone)
        return gone

    def pending(self, account: str, at: float) -> float:
        """When the account's unused code ends; 0 where there is none."""
        table = schema.binding_codes
        with self._reading() as scope:
            row = scope.one(table, table.c.account == account, table.c.expires_at > at)
        return float(row.expires_at) if row is not None else 0.0


def keep(
    change: Change, account: str, verifier: bytes, good_for: float, details: Mapping[str, object]
) -> float:
    """Keeps the account's new code within a change; gives when it ends. Raises NotFound, BadValue."""
    if len(verifier) != VERIFIER:
        raise BadValue(f"A binding code's verifier has {VERIFIER} octets.")
    if not 0 < good_for <= LONGEST:  # not a number is neither
        raise BadValue(f"A binding code is good for at most {LONGEST / 86400:.0f} days.")
    ends, table = plain.moment(change.at + good_for), schema.binding_codes
    account_row(change, account)
    replaced = change.delete(table, table.c.account == account)
    change.insert(
        table, account=account, verifier=bytes(verifier), by=change.by, made_at=change.at, expires_at=ends
    )
    change.audit("binding-code.made", account, **{**details, "ends": ends, "replaced": replaced})
    return ends
