"""*sealed*: the account's own password on the mail server, unsealed for one login.

For servers that know no other way. The password lies in the database only as the keeper's sealed
box, bound to this account: moved to another account's row it does not open.
"""

from __future__ import annotations

from gambeson.model.asset import Account
from gambeson.process.sealing import Sealer, SealingError, account_context
from gambeson.wire.dialogue import UpstreamCredential


def credential(account: Account, sealer: Sealer) -> UpstreamCredential:
    """The account's login and password. Raises SealingError: none is sealed, or it does not open."""
    if not account.sealed_password:
        raise SealingError("no password is sealed for this account; it must be asked anew")
    box = sealer.open(account.sealed_password, account_context(account.organisation, account.id))
    try:
        password = box.decode()
    except UnicodeDecodeError:
        raise SealingError("the sealed password is no text; it must be asked anew") from None
    return UpstreamCredential("PLAIN", account.upstream_login or account.address, password)
