"""One-time links by which a phone or program is set up: they work without a session, once, for ten minutes."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

MAX_LINKS = 5_000
MAX_LINKS_OF_ACCOUNT = 5
TOKEN_OCTETS = 32


@dataclass(frozen=True, slots=True)
class Setup:
    """What the link gives: ``program`` is the id of the mail program, ``doors`` what the device may open,
    ``clouds`` the cloud services that the organisation let in.
    ``identity`` is PKCS#12 (with its password) where the device has a certificate. repr hides the secrets."""

    program: str
    account: str
    device: str
    name: str
    address: str
    ends: float
    secret: str = field(repr=False)
    identity: bytes = field(default=b"", repr=False)
    identity_password: str = field(default="", repr=False)
    doors: tuple[str, ...] = ()
    clouds: tuple[str, ...] = ()


class Links:
    """All of them, by the SHA-256 of their token."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._links: OrderedDict[bytes, Setup] = OrderedDict()

    def __len__(self) -> int:
        return len(self._links)

    def make(self, setup: Setup, now: float) -> str:
        """A token for it; the account's oldest links end where it has many."""
        self._sweep(now)
        mine = [k for k, s in self._links.items() if s.account == setup.account]
        for oldest in mine[: max(0, len(mine) - MAX_LINKS_OF_ACCOUNT + 1)]:
            del self._links[oldest]
        if len(self._links) >= MAX_LINKS:
            self._links.popitem(last=False)
        token = urlsafe_b64encode(self._random(TOKEN_OCTETS)).rstrip(b"=").decode()
        self._links[_hash(token)] = setup
        return token

    def look(self, token: str, now: float) -> Setup | None:
        """What the link is for; it stays good."""
        self._sweep(now)
        return self._links.get(_hash(token))

    def take(self, token: str, now: float) -> Setup | None:
        """What the link gives; it is used up."""
        self._sweep(now)
        return self._links.pop(_hash(token), None)

    def forget_device(self, device: str) -> None:
        """The device was ended: its link opens nothing any more."""
        for key in [k for k, s in self._links.items() if s.device == device]:
            del self._links[key]

    def _sweep(self, now: float) -> None:
        while self._links and now >= next(iter(self._links.values())).ends:
            self._links.popitem(last=False)


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()
