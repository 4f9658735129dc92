"""*master*: one credential of ours that may act as anyone (Dovecot's master user).

SASL PLAIN with the account as authorization identity (RFC 4616): the mail server must allow it to
the master login. The master password never leaves keeper and door, and no client ever sees it.
"""

from __future__ import annotations

from gambeson.model.asset import Account
from gambeson.model.server import MailServer
from gambeson.wire.dialogue import UpstreamCredential


class NoMasterError(LookupError):
    """No master login, or no password for it, is set for the server. One sentence."""


def credential(account: Account, server: MailServer, passwords: dict[str, str]) -> UpstreamCredential:
    """The master login acting as ``account``. ``passwords`` are by server name. Raises NoMasterError."""
    password = passwords.get(server.name, "")
    if not server.master_login or not password:
        raise NoMasterError(f"server {server.name}: the way 'master' needs master_login and its password")
    return UpstreamCredential(
        "PLAIN", server.master_login, password, authzid=account.upstream_login or account.address
    )
