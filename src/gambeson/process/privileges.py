"""Giving up root, once and for good, in an order that can be read.

:func:`drop` is called by a child after it has imported everything and opened its files and sockets:
groups away, capability bounding set empty, group and user changed, ambient and effective
capabilities gone, no_new_privs (no set-uid program can give anything back), not dumpable (no other
process of the same user can look inside). Then every step is verified, and a step that did not take
raises :class:`PrivilegeError`: the child must end. Without root only the last two steps are taken.
Linux only; the calls that Python has no name for go through libc.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal

PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE = 1, 3, 4
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 38, 39
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
CAPABILITY_VERSION_3 = 0x20080522
MAX_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


class PrivilegeError(RuntimeError):
    """A right could not be given up; the process must not go on. One sentence."""


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _prctl(option: int, a: int = 0, b: int = 0) -> int:
    zero = ctypes.c_ulong(0)
    return int(_libc.prctl(option, ctypes.c_ulong(a), ctypes.c_ulong(b), zero, zero))


def user_ids(user: str) -> tuple[int, int]:
    """Numeric user and group of ``user``: a name, or a number that needs no entry (its group is the same
    number). Raises PrivilegeError where there is no such user."""
    if user.isascii() and user.isdecimal() and 0 < int(user) < 2**31:
        return int(user), int(user)
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise PrivilegeError(f"there is no user {user!r} to drop to; create it or name another") from None
    return entry.pw_uid, entry.pw_gid


def die_with_parent(parent: int) -> None:
    """Have the kernel kill us when the supervisor ends. To be called again after a change of user,
    which clears it. ``parent`` is the supervisor's process id: had it ended before, we end now."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise PrivilegeError("the supervisor is gone")


def drop(user: str, parent: int | None = None) -> None:
    """Become ``user`` ("" or not root: stay who we are) and lose every capability.

    Raises PrivilegeError where anything is left over.
    """
    root = os.geteuid() == 0
    uid, gid = (os.getuid(), os.getgid()) if not user or not root else user_ids(user)
    if root and user:
        if uid == 0:
            raise PrivilegeError(f"{user!r} is root itself; name a user without rights")
        for capability in range(MAX_CAPABILITY + 1):
            if _prctl(PR_CAPBSET_READ, capability) == 1 and _prctl(PR_CAPBSET_DROP, capability) != 0:
                raise PrivilegeError(f"capability {capability} could not be taken out of the bounding set")
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_DUMPABLE, 0)
    if parent is not None:
        die_with_parent(parent)
    _verify(uid, gid, changed=root and bool(user))


def _verify(uid: int, gid: int, changed: bool) -> None:
    if _prctl(PR_GET_NO_NEW_PRIVS) != 1:
        raise PrivilegeError("no_new_privs did not take")
    if _prctl(PR_GET_DUMPABLE) != 0:
        raise PrivilegeError("the process can still be looked into")
    if not changed:
        return
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid) or os.getgroups():
        raise PrivilegeError("user, group or groups did not change")
    if capabilities() != (0, 0, 0):
        raise PrivilegeError("capabilities are left over")
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise PrivilegeError("the way back to root is still open")


def capabilities() -> tuple[int, int, int]:
    """Effective, permitted and inheritable capabilities of this thread, as bit sets."""
    header = _CapHeader(CAPABILITY_VERSION_3, 0)
    data = (_CapData * 2)()
    if _libc.capget(ctypes.byref(header), ctypes.byref(data)) != 0:
        raise PrivilegeError("capabilities could not be read")
    low, high = data
    return (
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
    )
