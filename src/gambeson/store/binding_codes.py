"""Binding codes: with one, a person binds the first second factor to an account.

An administrator makes it and tells it by another way than the mailbox that it opens. It is good once and for ten
minutes; only the keeper's verifier is kept. A new one takes the place of one that was not used.
"""

from __future__ import annotations

import hmac

from . import plain, schema
from .accounts import account_row
from .errors import BadValue, NotFound
from .scope import Scoped

GOOD_FOR = 600.0  # seconds
VERIFIER = 32  # octets


class BindingCodes(Scoped):
    """The binding codes of one organisation's accounts, at most one each."""

    def make(self, account: str, verifier: bytes, *, by: str, at: float) -> float:
        """Keeps a new one; gives when it ends. Raises NotFound, BadValue."""
        if len(verifier) != VERIFIER:
            raise BadValue(f"A binding code's verifier has {VERIFIER} octets.")
        ends = plain.moment(at + GOOD_FOR)
        table = schema.binding_codes
        with self._changing(by, at) as change:
            account_row(change, account)
            replaced = change.delete(table, table.c.account == account)
            change.insert(
                table, account=account, verifier=bytes(verifier), by=change.by, made_at=at, expires_at=ends
            )
            change.audit("binding-code.made", account, ends=ends, replaced=replaced)
        return ends

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
            change.audit("binding-code.used", account, made_by=row.by)

    def pending(self, account: str, at: float) -> float:
        """When the account's unused code ends; 0 where there is none."""
        table = schema.binding_codes
        with self._reading() as scope:
            row = scope.one(table, table.c.account == account, table.c.expires_at > at)
        return float(row.expires_at) if row is not None else 0.0
