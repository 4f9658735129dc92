"""How often anybody may try, so that nobody guesses and nobody is locked out.

* Passwords and second factors have a :class:`~gambeson.guard.core.throttle.Throttle` each: whoever sprays passwords
  closes no door to somebody with the right one at the second step.
* A *known browser* (one that finished a sign-in of this very account, and has the cookie for it) has a bucket of its
  own: what strangers do to the account does not touch it, and what it does itself is bounded. Its cookie is a random
  word, an end, and a keyed hash of both with the account: it proves nothing but that.
* From everywhere else, an account has at most ``account_per_day`` guesses in a day, whichever door or process counted
  them (``Person.failures``, from the record).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import blake2b

from gambeson.console.web.visit import KNOWN, Visit, cookie
from gambeson.guard.core.counters import Buckets
from gambeson.guard.core.networks import source_prefix
from gambeson.guard.core.throttle import Throttle, ThrottleLimits
from gambeson.model.asset import Account
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.process.portal_messages import Person

from .settings import PortalSettings

KNOWN_SECONDS = 180 * 86400.0
_PERSON = b"gam-known-brows"  # 16 octets at most
MAX_LEARNT = 200_000
TOLD_PER_HOUR = (
    30  # events about one network that nobody proved anything in: the record is no place to write at will
)


class _Learnt(SnapshotIndex):
    """An index that grows: the console holds no snapshot, and learns of an account when somebody names it."""

    __slots__ = ()

    def learn(self, person: Person, claimed: str) -> None:
        account = Account(id=person.account, organisation=person.organisation, address=person.address)
        if person.account in self.account or len(self.account) < MAX_LEARNT:
            self.account[person.account] = account
            self.account_by_address[claimed] = account
            self.account_by_address[person.address] = account


class Throttling:
    """``random`` gives octets. One for the whole process."""

    def __init__(
        self, settings: PortalSettings, random: Callable[[int], bytes], limits: ThrottleLimits | None = None
    ) -> None:
        self._random = random
        self._key = settings.known_key or _derived(settings.signing_key) or random(32)
        self._limits = limits if limits is not None else ThrottleLimits()
        self._index = _Learnt(Snapshot(number=0, made_at=0.0))
        self.passwords = Throttle(self._limits, random(32))
        self.factors = Throttle(self._limits, random(32))
        self._browsers = Buckets(self._limits.known_source_per_hour, self._limits.buckets, 7, 600.0)
        self._tellings = Buckets(TOLD_PER_HOUR, self._limits.buckets, 7, 600.0)
        for throttle in (self.passwords, self.factors):
            throttle.on_snapshot(self._index, 0.0)

    def known_browser(self, visit: Visit, person: Person) -> bool:
        """Whether the browser's cookie says that it finished a sign-in of this account. Takes the same way for
        somebody unknown."""
        parts = visit.cookies.get(KNOWN, "").split(".")
        if len(parts) != 3 or not parts[1].isdecimal() or len(parts[1]) > 12 or len(parts[0]) > 64:
            return False
        expected = self._tag(parts[0], parts[1], person.account)
        return (
            hmac.compare_digest(expected.encode(), parts[2].encode("utf-8", "replace"))
            and person.known
            and visit.at < int(parts[1])
        )

    def know(self, visit: Visit, person: Person) -> str:
        """The cookie for a browser that just finished a sign-in."""
        word, ends = self._random(16).hex(), str(int(visit.at + KNOWN_SECONDS))
        tag = self._tag(word, ends, person.account)
        return cookie(KNOWN, f"{word}.{ends}.{tag}", strict=True, seconds=KNOWN_SECONDS)

    def _tag(self, word: str, ends: str, account: str) -> str:
        message = f"{word}.{ends}.{account}".encode("utf-8", "replace")
        return blake2b(message, key=self._key, digest_size=32, person=_PERSON).hexdigest()

    def may_try(self, throttle: Throttle, visit: Visit, claimed: str, person: Person, known: bool) -> bool:
        """Whether this attempt may go on; it is counted at once. ``claimed`` is the canonical address."""
        if person.known:
            self._index.learn(person, claimed)
        if known:
            key = self._browser(throttle, visit)
            if self._browsers.full(key, visit.at):
                return False
            self._browsers.charge(key, visit.at)
            return True
        if person.failures >= self._limits.account_per_day:
            return False
        return not throttle.check(visit.source, claimed, "", False, visit.at)

    def may_tell(self, visit: Visit) -> bool:
        """Whether the record hears of one more refusal of a stranger from this network."""
        prefix = source_prefix(visit.source)
        if self._tellings.full(prefix, visit.at):
            return False
        self._tellings.charge(prefix, visit.at)
        return True

    def failed(self, throttle: Throttle, visit: Visit, claimed: str, known: bool) -> None:
        """It was wrong: what was counted stands."""
        if not known:
            throttle.failed(visit.source, claimed, "", False, visit.at)

    def succeeded(self, throttle: Throttle, visit: Visit, claimed: str, known: bool) -> None:
        """It was right: what was counted is given back."""
        if known:
            self._browsers.refund(self._browser(throttle, visit))
        else:
            throttle.succeeded(visit.source, claimed, "", False, visit.at)

    def _browser(self, throttle: Throttle, visit: Visit) -> str:
        which = "p" if throttle is self.passwords else "f"
        return f"{which} {visit.cookies.get(KNOWN, '').partition('.')[0]}"


def _derived(pem: bytes) -> bytes:
    return blake2b(pem, digest_size=32, person=_PERSON).digest() if pem else b""
