"""What addresses a name has, as far as the domain name system said."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from .dns import Answers, DnsState, Question, Security
from .sender.ask import NEVER_SAID, every
from .unknown import Unknown

FAMILIES = ("A", "AAAA")

# IPv6 that Python takes for global and that is nobody's on the internet: local NAT64 (RFC 8215), addresses that stand
# for IPv4 (RFC 4291 section 2.5.5, RFC 2765), site-local (RFC 3879), documentation (RFC 9637), SRv6 (RFC 9602).
_NOBODYS = tuple(
    map(
        ipaddress.ip_network,
        (
            "64:ff9b:1::/48",
            "::/96",
            "::ffff:0:0:0/96",
            "::ffff:0:0/96",
            "fec0::/10",
            "3fff::/20",
            "5f00::/16",
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of ``name``: ``found`` in the order of the families, normalised. ``missing``: the name does not exist at all.
    ``unknown`` has the families that were not answered; ``aliases`` is the chain of CNAMEs; ``secure`` says whether all
    of it is proven by DNSSEC."""

    name: str
    found: tuple[str, ...] = ()
    missing: bool = False
    aliases: tuple[str, ...] = ()
    unknown: tuple[tuple[str, Unknown], ...] = ()
    secure: bool = False

    @property
    def lost(self) -> Unknown | None:
        """Why it cannot be said whether there are any; None where there are, or where there are none."""
        return self.unknown[0][1] if self.unknown and not self.found else None


def addresses(answers: Answers, names: Iterable[str]) -> dict[str, Addresses]:
    """The addresses of ``names``. Raises WantedError with every question that is missing."""
    wanted = tuple(dict.fromkeys(names))
    every(answers, *(Question(name, family) for name in wanted for family in FAMILIES))
    return {name: _of(answers, name) for name in wanted}


def _of(answers: Answers, name: str) -> Addresses:
    found: dict[str, None] = {}
    unknown: list[tuple[str, Unknown]] = []
    aliases: tuple[str, ...] = ()
    missing, secure = False, True
    for family in FAMILIES:
        answer = answers[Question(name, family)]
        aliases = answer.aliases or aliases
        if answer.state is DnsState.UNKNOWN:
            unknown.append((family, answer.unknown or NEVER_SAID))
            continue
        secure &= answer.security is Security.SECURE
        missing |= answer.state is DnsState.NO_NAME
        if answer.state is DnsState.RECORDS:
            found.update((text, None) for record in answer.records if (text := address(record)))
    # Some servers say that a name does not exist where only AAAA does not (RFC 4074 section 4.2), so one family's word
    # does not stand for a family that was not told.
    missing &= not found and not unknown
    return Addresses(name, tuple(found), missing, aliases, tuple(unknown), secure and not unknown)


def address(text: str) -> str:
    """``text`` as an address in its usual form; empty where it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def public(text: str, lab: bool = False) -> bool:
    """Whether an address is one that the whole internet can use. In a laboratory (``Facts.private``) loopback is the
    internet."""
    found = ipaddress.ip_address(text)
    if lab and found.is_loopback:
        return True
    if isinstance(found, ipaddress.IPv6Address):
        if any(found in network for network in _NOBODYS):
            return False
        # A gateway would bring us to what it carries; of 6to4 itself Python's versions think differently.
        if (carried := _carried(found)) is not None:
            return public(str(carried))
    return found.is_global and not found.is_multicast


def _carried(found: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address behind a gateway: NAT64 (RFC 6052 section 2.1), 6to4 (RFC 3056 section 2)."""
    return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else found.sixtofour


def network(text: str) -> str:
    """The network that an address is counted to: /24, with IPv6 /48."""
    found = ipaddress.ip_address(text)
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False))


def reverse(text: str) -> str:
    """The name under which an address says its own (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    return ipaddress.ip_address(text).reverse_pointer
