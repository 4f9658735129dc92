"""Unix listening sockets: where an edge that ended TLS hands connections over.

The socket belongs to the edge's user and nobody else may connect (0600); the door asks the kernel about every
connection's user once more. The folder must be safe from others, or somebody else's socket could stand there.
"""

from __future__ import annotations

import os
import socket
import stat
import struct

from .privileges import PrivilegeError, user_ids
from .run_directory import RunError

MAX_PATH = 107  # octets; Linux's sun_path less its final zero


def bind_unix(name: str, path: str, user: str, backlog: int) -> socket.socket:
    """The bound, listening, non-blocking socket of ``user``. What a crash left behind is replaced. Raises RunError."""
    where = f"{name} at {path}"
    if len(os.fsencode(path)) > MAX_PATH:
        raise RunError(f"{where}: the path is longer than {MAX_PATH} octets; choose a shorter directory")
    uid, gid = edge_ids(user)
    _check_folder(where, os.path.dirname(path))
    _clear(where, path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(path)
        if uid != os.geteuid():
            os.chown(path, uid, gid, follow_symlinks=False)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise RunError(f"{where}: {error.strerror}", 3) from None
    finally:
        os.umask(before)
    return sock


def bind_abstract(name: str, address: str, backlog: int) -> socket.socket:
    """A listening, non-blocking socket in the kernel's own namespace (``@name``): no file, no mode, so whoever serves
    it must ask who connects (:func:`peer_user`). The supervisor holds it as long as it runs: nobody else can take the
    name between two lives of the server. Raises RunError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind("\0" + address[1:])
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise RunError(f"{name} at {address}: {error.strerror}", 3) from None
    return sock


def peer_user(sock: socket.socket) -> int:
    """The user of the process at the other end of a connected Unix socket, as the kernel says. Raises OSError."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def edge_ids(user: str) -> tuple[int, int]:
    """User and group number of the edge. Raises RunError where there is no such user, or where only root could
    give it the socket."""
    try:
        uid, gid = user_ids(user)
    except PrivilegeError as error:
        raise RunError(f"doors.edge_user: {error}") from None
    if uid != os.geteuid() and os.geteuid() != 0:
        raise RunError(f"doors.edge_user: only root can give a socket to {user}; start as root or as {user}")
    return uid, gid


def _check_folder(where: str, folder: str) -> None:
    try:
        status = os.stat(folder)
    except OSError as error:
        raise RunError(f"{where}: {error.strerror}; make the directory first", 3) from None
    if not stat.S_ISDIR(status.st_mode):
        raise RunError(f"{where}: {folder} is no directory")
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise RunError(f"{where}: others may write to {folder}; make it root's with mode 0755")


def _clear(where: str, path: str) -> None:
    """Away with a socket that nobody serves any more; anything else is not ours to remove."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise RunError(f"{where}: something that is no socket is in the way; remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError as error:
            raise RunError(f"{where}: {error.strerror}", 3) from None
        else:
            raise RunError(f"{where}: another program listens there; stop it first", 3)
