"""Which resolvers this machine uses."""

from __future__ import annotations

import ipaddress
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
MAX_SERVERS = 3  # as the C library takes them
_LOCAL = ("127.0.0.1", 53)  # where none is named (resolv.conf(5))


def system_servers(path: Path = RESOLV_CONF) -> tuple[tuple[str, int], ...]:
    """The ``nameserver`` lines of ``path``, as address and port. What is no address is passed over."""
    try:
        text = path.read_bytes()[:65536].decode("ascii", "replace")
    except OSError:
        return (_LOCAL,)
    found: list[tuple[str, int]] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            ipaddress.ip_address(words[1])
        except ValueError:
            continue
        found.append((words[1], 53))
    return tuple(dict.fromkeys(found))[:MAX_SERVERS] or (_LOCAL,)
