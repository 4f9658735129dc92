"""The sockets of an edge: a proxy of the same machine that ended TLS and hands mail connections over.

What is trusted there, and how far: the kernel says that the peer is the edge's user; the PROXY header says who the
client is, that its side is under TLS, and the SHA-256 of its certificate. That fingerprint counts only where it is
a live certificate's of our own table. With such sockets the keeper takes a door's word for a certificate's
fingerprint (it has no certificate to look at): a hijacked door could then sign in as any account that has a
certificate. Without them the keeper refuses fingerprints. So nobody should have these sockets who has no edge.
"""

from __future__ import annotations

from pathlib import Path

from gambeson.guard.edge.door_settings import ListenerSettings
from gambeson.model.access import MAIL_DOORS, Listener
from gambeson.process.listen import Listen
from gambeson.process.unix_listen import edge_ids
from gambeson.settings import Config


def edge_listens(config: Config) -> tuple[Listen, ...]:
    """imap.sock, pop3.sock, submission.sock and sieve.sock in the directory of the settings; none without one."""
    doors = config.doors
    if not doors.edge_sockets:
        return ()
    folder = Path(doors.edge_sockets)
    return tuple(
        Listen(f"{door.value}#edge", "", 0, unix=str(folder / f"{door.value}.sock"), user=doors.edge_user)
        for door in MAIL_DOORS
    )


def listener_settings(listen: Listen, config: Config) -> ListenerSettings:
    """What the door is told of one of its listening sockets. Raises RunError."""
    kind = Listener(listen.name.partition("#")[0])
    if listen.unix:
        return ListenerSettings(listen.name, kind, edge_uid=edge_ids(listen.user)[0])
    return ListenerSettings(listen.name, kind, config.doors.proxy_protocol_from)
