"""``[ldap]``: the directory that knows the accounts' passwords."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .declare import Problem, setting
from .kinds import PATH, SECRET, TEXT, TEXTS, TRUTH, whole
from .secret import SecretRef

_URL = re.compile(r"(ldaps?)://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?/?")
_LDAPI = re.compile(r"ldapi://%2[Ff][^/?\s]+/?")


@dataclass(frozen=True, slots=True)
class Ldap:
    """An LDAP directory or Active Directory. It is asked only about a password beside a valid device certificate."""

    url: tuple[str, ...] = setting(
        (),
        TEXTS,
        "ldaps://HOST or ldap://HOST, with a port where it is not the usual one, or ldapi://%2FPATH for a Unix "
        "socket; or a list of them, asked in this order.",
        "Empty: passwords are local.",
        example='"ldaps://ad.example.org"',
    )
    start_tls: bool = setting(
        True, TRUTH, "With ldap://: begin TLS before anything else.", "Passwords cross the network."
    )
    ca: str = setting("", PATH, "A PEM file with the authorities to trust.", "Empty: the system's.")
    bind_dn: str = setting(
        "", TEXT, "Who searches.", "Empty: anonymous search.", example='"cn=gambeson,dc=example,dc=org"'
    )
    bind_password: SecretRef | None = setting(
        None,
        SECRET,
        "Where that one's password is.",
        "Goes with bind_dn.",
        example='"file:/etc/gambeson/ldap-password"',
    )
    base: str = setting(
        "", TEXT, "Where the search begins.", "Needed with url.", example='"dc=example,dc=org"'
    )
    filter: str = setting(
        "(mail={address})",
        TEXT,
        "Finds exactly one entry; {address} and {name} (the part before @) are put in, escaped (RFC 4515).",
        "The usual attribute.",
    )
    timeout_s: int = setting(5, whole(1, 60), "For one answer.", "A person waits.")
    lockout_threshold: int = setting(
        5,
        whole(3, 1000),
        "After how many failures the directory locks an account. It never sees more than that less two.",
        "Nobody outside can lock a person out. Active Directory's guides say 5 to 10.",
    )
    lockout_window_s: int = setting(
        1800,
        whole(60, 7 * 86400),
        "How long without a failure until the directory sets its count of an account back to nought.",
        "Active Directory's default. Longer is always safe.",
    )

    def check(self) -> Iterator[Problem]:
        """Address, search and bind go together, and passwords do not cross a network in the clear."""
        if not self.url:
            if self.bind_dn or self.bind_password or self.base:
                name = "bind_dn" if self.bind_dn else "base" if self.base else "bind_password"
                yield Problem(name, "is given without ldap.url; add it or remove this")
            return
        for url in self.url:
            parts = _URL.fullmatch(url)
            if _LDAPI.fullmatch(url):
                continue
            if not parts or int(parts[3] or 1) not in range(1, 65536):
                yield Problem(
                    "url", "must be ldaps://HOST or ldap://HOST, with :PORT where needed, or ldapi://%2FPATH"
                )
                return
            if parts[1] == "ldap" and not self.start_tls and not _loopback(parts[2]):
                yield Problem(
                    "start_tls",
                    "is false, but ldap.url leaves this machine without TLS; use ldaps:// or start_tls = true",
                )
                break
        if not self.base:
            yield Problem("url", "needs ldap.base, where the search begins; add it")
        if bool(self.bind_dn) != bool(self.bind_password):
            given, missing = ("bind_dn", "bind_password") if self.bind_dn else ("bind_password", "bind_dn")
            yield Problem(
                given, f"is given without ldap.{missing}; a bind without a password proves nothing, add it"
            )
        yield from self._check_filter()

    def _check_filter(self) -> Iterator[Problem]:
        bare = re.sub(r"\{(address|name)\}", "x", self.filter)
        if bare == self.filter:
            yield Problem("filter", "does not hold {address} or {name}, so it would find anybody; put one in")
        elif "{" in bare or "}" in bare:
            yield Problem("filter", "holds braces that are neither {address} nor {name}; correct it")
        elif not (self.filter.startswith("(") and self.filter.endswith(")")) or bare.count("(") != bare.count(
            ")"
        ):
            yield Problem("filter", "must be an LDAP filter in balanced parentheses (RFC 4515); correct it")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
