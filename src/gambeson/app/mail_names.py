"""The mail doors as autoconfig names them: host, port and how TLS begins, from where they listen."""

from __future__ import annotations

from collections.abc import Iterable

from gambeson.process.listen import Listen
from gambeson.wire.autodiscover import MailServerName

# In the order in which programs should try them: TLS from the first octet before STARTTLS.
_KINDS = {
    "imaps": ("imap", "SSL"),
    "imap": ("imap", "STARTTLS"),
    "pop3s": ("pop3", "SSL"),
    "pop3": ("pop3", "STARTTLS"),
    "submissions": ("smtp", "SSL"),
    "submission": ("smtp", "STARTTLS"),
}


def mail_names(listens: Iterable[Listen], host: str) -> tuple[MailServerName, ...]:
    """One line for each mail listener of the network, the first address of each; none for edges' sockets and ports
    that nobody knows beforehand."""
    ports = {each.name: each.port for each in listens if each.port and not each.unix}
    return tuple(
        MailServerName(kind, host, ports[name], socket)
        for name, (kind, socket) in _KINDS.items()
        if name in ports
    )
