"""What all pages of the console share: the world, catalogues, templates, challenges, and how often anybody may try."""

from __future__ import annotations

import hmac
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from gambeson.console.office import World
from gambeson.console.web.texts import Catalogue
from gambeson.console.web.visit import ProblemError
from gambeson.guard.core.networks import source_prefix

from .templating import Pages

CHALLENGE_SECONDS = 300.0
MAX_TRIES, TRY_SECONDS = 30, 600.0  # of one network
MAX_NETWORKS = 10_000


class Challenges:
    """What a browser was asked, kept by the browser: the cookie has challenge, purpose and end under a keyed hash, so
    that strangers who ask for ever fill no memory here. A challenge that was answered rightly is kept until its end, so
    that it works once (W3C Web Authentication Level 3, section 13.4.3)."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._used: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def make(self, challenge: bytes, purpose: str, now: float) -> str:
        """A cookie's value. ``purpose`` has no blank."""
        said = f"{urlsafe_b64encode(challenge).decode()} {purpose} {int(now + CHALLENGE_SECONDS)}"
        return urlsafe_b64encode(f"{said} {self._hash(said)}".encode()).decode().rstrip("=")

    def read(self, value: str, purpose: str, now: float) -> bytes:
        """The challenge; empty where it is not ours, not for this, over, or was answered."""
        try:
            said, _, mark = urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode("ascii").rpartition(" ")
            challenge, meant, ends = said.split(" ")
            fits = hmac.compare_digest(mark, self._hash(said)) and meant == purpose and now < float(ends)
            octets = urlsafe_b64decode(challenge)
        except ValueError:
            return b""
        with self._lock:
            return octets if fits and octets not in self._used else b""

    def spend(self, challenge: bytes, now: float) -> bool:
        """It was answered rightly: nobody answers it again. False where somebody did already."""
        with self._lock:
            self._used = {c: end for c, end in self._used.items() if end > now}
            if challenge in self._used:
                return False
            self._used[challenge] = now + CHALLENGE_SECONDS
            return True

    def _hash(self, said: str) -> str:
        return hmac.new(self._key, said.encode(), sha256).hexdigest()


class Tries:
    """How often a network may fail to sign in: ``MAX_TRIES`` times in ``TRY_SECONDS``.

    What is right is let in all the same. Nothing here can be guessed (signatures, links of 256 bits, codes of 125), so
    this spares the record and not the secret; and a stranger, or a hostile page with a picture from our address in it,
    must not be able to lock out whoever comes from the same network."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def may(self, source: str, now: float) -> bool:
        """Whether somebody there may try now."""
        with self._lock:
            failed = self._failed.get(source_prefix(source) if source else "", [])
            return sum(at > now - TRY_SECONDS for at in failed) < MAX_TRIES

    def wrong(self, source: str, now: float) -> None:
        """A try failed. Raises ProblemError(429) where there were too many: then nobody records it."""
        if not self.may(source, now):
            raise ProblemError(429)
        self.failed(source, now)

    def failed(self, source: str, now: float) -> None:
        """A try failed."""
        network = source_prefix(source) if source else ""
        with self._lock:
            kept = [at for at in self._failed.pop(network, []) if at > now - TRY_SECONDS]
            self._failed[network] = [*kept[-MAX_TRIES:], now]
            while len(self._failed) > MAX_NETWORKS:
                self._failed.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Services:
    """One for the process. ``idle`` and ``absolute`` bound a session, in seconds."""

    world: World
    catalogues: Mapping[str, Catalogue]
    pages: Pages
    challenges: Challenges
    tries: Tries = field(default_factory=Tries)
    idle: float = 3600.0
    absolute: float = 12 * 3600.0
    break_glass: float = 3600.0
    started: float = field(default_factory=time.time)

    @property
    def rp_id(self) -> str:
        """The relying party of passkeys: the console's host name."""
        return self.world.facts.origin.removeprefix("https://").partition(":")[0]
