"""``[decision_api]``: for those who keep their own engine (nginx, Dovecot) and only ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from .declare import Problem, setting
from .kinds import ADDRESSES, PATH, SECRET, TRUTH, USER, Address
from .secret import SecretRef


@dataclass(frozen=True, slots=True)
class DecisionApi:
    """Where nginx (auth_request) and Dovecot (auth_policy) of the same machine ask for decisions. docs/engines.md."""

    listen: tuple[Address, ...] = setting(
        (),
        ADDRESSES,
        "Where it listens: addresses of loopback only.",
        "Empty: nobody asks. Dovecot can ask over TCP only.",
        example='"127.0.0.1:9480"',
    )
    socket: str = setting(
        "",
        PATH,
        "A Unix socket besides, for nginx.",
        "Only one user's processes can connect there.",
        example='"/run/gambeson-edge/decision.sock"',
    )
    socket_user: str = setting(
        "",
        USER,
        "The engine's user: only its processes may connect to socket.",
        "Goes with socket.",
        example='"www-data"',
    )
    key: SecretRef | None = setting(
        None,
        SECRET,
        "Where the key is that every question must bring: 16 characters or more, made by a machine.",
        "Other programs of the machine can reach loopback too.",
        example='"file:/etc/gambeson/decision-api.key"',
    )
    unbound_cookies: bool = setting(
        False,
        TRUTH,
        "Let people at browsers pass through nginx too. It cannot keep the application's cookies of one person from "
        "the next at the same browser, which the https door can.",
        "Devices need no cookies; people are safer at the https door.",
    )

    @property
    def on(self) -> bool:
        """Whether anybody can ask."""
        return bool(self.listen or self.socket)

    def check(self) -> Iterator[Problem]:
        """Loopback only, never without a key, socket and user together."""
        for address in self.listen:
            if not ip_address(address.host).is_loopback:
                yield Problem(
                    "listen", f"is {address}, which other machines can reach; use 127.0.0.1 or a socket"
                )
        if self.on and self.key is None:
            yield Problem("key", "is missing, and nobody may ask without one; name a file: or env: reference")
        if bool(self.socket) != bool(self.socket_user):
            given, missing = ("socket", "socket_user") if self.socket else ("socket_user", "socket")
            yield Problem(given, f"is given without decision_api.{missing}; add it")
