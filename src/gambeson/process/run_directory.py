"""``DIR/run``: who runs here, whether it is ready, and how the command line reaches it.

``up.lock`` is held (flock) by the one supervisor of a data directory; ``ready.json`` appears when
everything answers and goes at the stop; ``worker.sock`` and ``keeper.sock`` are the command line's.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RunError(RuntimeError):
    """``up`` cannot start here. One sentence; ``code`` is the exit status."""

    def __init__(self, sentence: str, code: int = 2) -> None:
        super().__init__(sentence)
        self.code = code


def own_folder(path: Path, give_to: tuple[int, int] | None = None) -> None:
    """Make ``path`` (0700) and see that it is a folder of ours, or of ``give_to`` (user and group), which then gets it.

    The data directory of an earlier version belonged to the worker's user: whoever took that process over could put a
    link, or a folder of its own, where root is about to write or to give away. Raises RunError, and OSError where it
    cannot be made.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise RunError(f"{path} is a link or no folder; move it away") from None
    try:
        owner = os.fstat(folder).st_uid
        if owner not in (os.geteuid(), give_to[0] if give_to is not None else os.geteuid()):
            raise RunError(f"{path} belongs to somebody else; move it away, or give it back with chown")
        if give_to is not None and os.geteuid() == 0:
            os.fchown(folder, *give_to)
    finally:
        os.close(folder)


def close_folder(path: Path, let_through: tuple[int, int] | None = None) -> None:
    """Close a folder of ours to everybody else (0700). As root: make it root's, and let the group of ``let_through``
    (user and group) pass to what it owns below, but neither look nor write (0710). Raises OSError."""
    wanted = 0o700 if let_through is None else 0o710
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.geteuid() == 0:
            os.fchown(folder, 0, let_through[1] if let_through is not None else -1)
        if (os.fstat(folder).st_mode ^ wanted) & 0o077:
            os.fchmod(folder, wanted)
    finally:
        os.close(folder)


def held(data: Path) -> bool:
    """Whether a supervisor runs on this data directory. Raises OSError where its lock cannot be looked at."""
    try:
        lock = os.open(data / "run" / "up.lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def read_ready(data: Path) -> dict[str, Any]:
    """What ``run/ready.json`` of a data directory says; empty where nothing runs there. One that a killed supervisor
    left behind says nothing: its process is gone, or its lock is free. Raises OSError and ValueError where it cannot
    be read."""
    try:
        read = json.loads((data / "run" / "ready.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    document: dict[str, Any] = read if isinstance(read, dict) else {}
    pid = document.get("pid")
    if not isinstance(pid, int) or pid <= 0 or not _lives(pid):
        return {}
    try:
        return document if held(data) else {}
    except OSError:  # another user's, whose lock is not ours to look at
        return document


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def give_file(path: Path, to: tuple[int, int]) -> None:
    """As root: give a file that root has just made to the user and group that work with it. Anything else (a link, a
    file with a second name, somebody's) stays as it is. Raises OSError."""
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        about = os.fstat(file)
        if stat.S_ISREG(about.st_mode) and about.st_uid == 0 and about.st_nlink == 1:
            os.chown(f"/proc/self/fd/{file}", *to)
    finally:
        os.close(file)


class RunDirectory:
    """Made and locked by the supervisor; ``owner`` is the user who may command besides root: whoever started it.
    Raises RunError where another one holds it."""

    def __init__(self, data: Path) -> None:
        self.path = data / "run"
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            own_folder(self.path)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._lock = os.open(self.path / "up.lock", flags, 0o600)
            self.owner = os.geteuid()
        except OSError as error:
            raise RunError(
                f"the data directory {data} cannot be used: {error.strerror}; name another with --data"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise RunError(
                f"gambeson already runs on {data} (process {holder}); stop it first or name another --data"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        self._sockets: list[Path] = []
        (self.path / "ready.json").unlink(missing_ok=True)

    def command_socket(self, name: str) -> socket.socket:
        """A listening SEQPACKET socket ``name`` (0600). Raises RunError."""
        path = self.path / name
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        before = os.umask(0o177)
        try:
            # Through the folder's descriptor, because a socket address holds only 108 octets of path.
            sock.bind(f"/proc/self/fd/{folder}/{name}")
        except OSError as error:
            raise RunError(f"the socket {path} cannot be made: {error.strerror}", 3) from None
        finally:
            os.umask(before)
            os.close(folder)
        sock.listen(16)
        sock.setblocking(False)
        self._sockets.append(path)
        return sock

    def write_ready(self, document: Mapping[str, object]) -> Path:
        """Write ``ready.json`` in one step, 0600."""
        path = self.path / "ready.json"
        beside = self.path / "ready.json.new"
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(fd)
        os.rename(beside, path)
        return path

    def unready(self) -> None:
        """Take ``ready.json`` away."""
        (self.path / "ready.json").unlink(missing_ok=True)

    def close(self) -> None:
        """Leave nothing behind that looks as if we still ran."""
        self.unready()
        for path in self._sockets:
            path.unlink(missing_ok=True)
        os.ftruncate(self._lock, 0)
        os.close(self._lock)
