"""Listening sockets: bound once by the supervisor, inherited by every generation of doors."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass

from .run_directory import RunError
from .unix_listen import bind_abstract, bind_unix

BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Listen:
    """One listener: its name (``imaps``; a name may be used for several addresses by adding ``#2``),
    the role that inherits it, a literal address (not a name) and a port; port 0 takes any. With ``unix``, a path,
    it is a Unix socket of the user ``user`` instead; ``@name`` is an abstract one, whose server asks the kernel who
    connects."""

    name: str
    host: str
    port: int
    role: str = "doors"
    unix: str = ""
    user: str = ""


def bind(listen: Listen) -> socket.socket:
    """The bound, listening, non-blocking socket. Raises RunError: code 2 for what is wrong with the
    settings or rights, 3 where the address is taken or not there."""
    if listen.unix.startswith("@"):
        return bind_abstract(listen.name, listen.unix, BACKLOG)
    if listen.unix:
        return bind_unix(listen.name, listen.unix, listen.user, BACKLOG)
    where = f"{listen.name} on {listen.host} port {listen.port}"
    try:
        address = ipaddress.ip_address(listen.host)
    except ValueError:
        raise RunError(f"{where}: {listen.host!r} is no address; write it in numbers") from None
    if not 0 <= listen.port <= 65535:
        raise RunError(f"{where}: ports go from 1 to 65535")
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((listen.host, listen.port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise RunError(
                f"{where}: another program listens there; stop it or choose another port", 3
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise RunError(
                f"{where}: only root may listen there; start as root or use a port over 1023"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise RunError(f"{where}: this machine has no such address", 3) from None
        raise RunError(f"{where}: {error.strerror}", 3) from None
    return sock
