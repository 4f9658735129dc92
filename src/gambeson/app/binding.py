"""Binding codes as an administrator makes them: shown once, told by another way than the mailbox that they open."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from gambeson.model.asset import Account
from gambeson.model.device_secret import ALPHABET
from gambeson.process.portal_messages import BINDING_CONTEXT
from gambeson.store.tenant import OrganisationStore

from .installation import Installation, InstallationError

LENGTH, GROUP = (
    16,
    4,
)  # characters of 5 bits each: 80 bits, of which three tries a second find none in ten minutes


@dataclass(frozen=True, slots=True)
class BindingCode:
    """``text`` in groups, and when it ends (seconds since 1970)."""

    text: str = field(repr=False)
    ends: float = 0.0


def make_code(
    place: Installation, organisation: OrganisationStore, account: Account, now: float
) -> BindingCode:
    """A new code for the account, in place of one that was not used. Raises InstallationError, StoreError."""
    if not account.enabled:
        raise InstallationError(
            f"{account.address} is shut out: let it in first with gambeson account enable."
        )
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    text = "-".join(drawn[i : i + GROUP] for i in range(0, LENGTH, GROUP))
    verifier = place.keeper.code_verifier(text, BINDING_CONTEXT + account.id)
    return BindingCode(text, organisation.binding_codes.make(account.id, verifier, by=place.who, at=now))
