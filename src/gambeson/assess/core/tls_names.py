"""Whether a certificate is for a host (RFC 9525), from its names alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def is_for(host: str, names: Iterable[str]) -> bool:
    """Whether one of ``names`` (of subjectAltName) is ``host``, a name or an address. A wildcard stands for exactly one
    whole label, the first (RFC 9525 section 6.3); an address is only ever the same address (section 6.4)."""
    wanted = host.rstrip(".").lower()
    if (address := _address(wanted)) is not None:
        return any(_address(name) == address for name in names)
    first, _, rest = wanted.partition(".")
    if not first or not rest:
        return any(name.rstrip(".").lower() == wanted for name in names)
    accepted = {wanted}
    if "." in rest:  # a wildcard directly under a top-level domain is nobody's
        accepted.add(f"*.{rest}")
    return any(name.rstrip(".").lower() in accepted for name in names)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
