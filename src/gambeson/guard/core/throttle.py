"""Throttling that an attacker cannot turn into a lock-out.

Invariants (proven in tests/guard/core/test_throttle*.py):

1. *A proven device always gets in.* An attempt that proved a device secret or certificate is never
   throttled and is counted nowhere: 140 bits cannot be guessed, so slowing its holder protects nobody, while
   whoever knows a public id, a name or a shared network could use it to shut the holder out.
2. *A known source has its own bucket.* A source prefix from which the account signed in within
   ``known_source_days`` is not affected by anything done from elsewhere, whatever the account.
3. *At most ``account_per_day`` (100) guesses for one account in any 24 hours from the unknown*, from all
   sources together, under all its aliases, and with all attempts in flight counted (NIST SP 800-63B
   section 5.2.2). This count is exact, kept for every account and never evicted.
4. *Unknown names count too* and take the same path: they share hashed slots, apart from those of accounts.
5. *Memory is bounded*, whatever is made up: accounts x small, plus fixed numbers of slots and buckets.
6. *A refused attempt is not counted*: a closed throttle opens again by time alone.

``check`` counts the attempt before its outcome is known (many may run at once); ``succeeded`` gives it back,
``failed`` lets it stand. What a directory sees is counted apart, in ``directory_budget``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b

from gambeson.model.snapshot import SnapshotIndex

from .counters import Buckets, Sliding, table
from .networks import source_prefix

_HOUR = (7, 600.0)  # slots, seconds: an hour in steps of ten minutes
_DAY = (25, 3600.0)
_MAX_PENDING = 100_000

# What check answers when closed: words for the record. To the client they are all the same.
ACCOUNT, PAIR, SOURCE, CREDENTIAL, KNOWN = "account", "account-source", "source", "credential", "known-source"


@dataclass(frozen=True, slots=True)
class ThrottleLimits:
    """Failed attempts allowed. ``buckets`` is how many keys each hashed kind keeps, ``unknown_slots`` how
    many counters all unknown names share, ``known_sources`` how many prefixes are remembered per account."""

    account_per_day: int = 100
    account_source_per_hour: int = 10
    source_per_hour: int = 60
    credential_per_hour: int = 30
    known_source_per_hour: int = 30
    known_source_days: int = 30
    known_sources: int = 16
    buckets: int = 50_000
    unknown_slots: int = 16_384


class Throttle:
    """The counters of one door process. See the module's docstring for what it promises."""

    def __init__(self, limits: ThrottleLimits | None = None, key: bytes = b"") -> None:
        """``key`` (up to 64 random octets) keeps strangers from choosing which unknown names collide."""
        self.limits = limits = limits if limits is not None else ThrottleLimits()
        self._key = key[:64]
        self._index: SnapshotIndex | None = None
        self._accounts: dict[str, Sliding] = {}  # by account id
        self._unknown: dict[int, Sliding] = {}  # by slot
        self._sources: dict[str, dict[str, float]] = {}  # account id -> prefix -> last sign-in
        self._pair = Buckets(limits.account_source_per_hour, limits.buckets, *_HOUR)
        self._source = Buckets(limits.source_per_hour, limits.buckets, *_HOUR)
        self._credential = Buckets(limits.credential_per_hour, limits.buckets, *_HOUR)
        self._known = Buckets(limits.known_source_per_hour, limits.buckets, *_HOUR)
        # Attempts in flight, and whether each was counted in a known source's bucket.
        self._pending: dict[tuple[str, str, str, bool], int] = {}

    def on_snapshot(self, index: SnapshotIndex, now: float) -> None:
        """Learn who exists, and take over failures that were counted before this process began."""
        self._index = index
        for gone in [a for a in self._accounts if a not in index.account]:
            del self._accounts[gone]
        for gone in [a for a in self._sources if a not in index.account]:
            del self._sources[gone]
        for who, many in index.failures.items():
            counter = self._counter(who if who in index.account else self._who(who))
            more = many - counter.total(now)
            if more > 0:
                counter.add(now, more)

    def check(self, source: str, claimed: str, credential: str, device_known: bool, now: float) -> str:
        """Empty where the attempt may go on, else the word of the throttle that is closed.

        ``source`` is the client's address, ``claimed`` the canonical name, ``credential`` the public id that
        was presented (``identify.presented``), ``device_known`` whether a device was *proven* (the
        identity has an account).
        """
        if device_known:
            return ""
        who, prefix, credential = self._who(claimed), source_prefix(source), credential[:128]
        closed = self._closed(who, prefix, credential, now)
        if not closed:
            known = self._charge(who, prefix, credential, now)
            if len(self._pending) >= _MAX_PENDING:
                self._pending.clear()  # nothing is given back any more: the stricter side
            key = (who, prefix, credential, known)
            self._pending[key] = self._pending.get(key, 0) + 1
        return closed

    def failed(self, source: str, claimed: str, credential: str, device_known: bool, now: float) -> None:
        """The attempt did not get in: what ``check`` counted stands. One that ``check`` had closed the door to
        counted nothing and counts nothing now."""
        if not device_known:
            self._settle(self._who(claimed), source_prefix(source), credential[:128])

    def succeeded(self, source: str, claimed: str, credential: str, device_known: bool, now: float) -> None:
        """The attempt got in: what ``check`` counted is given back, and the source is known from now on."""
        who, prefix, credential = self._who(claimed), source_prefix(source), credential[:128]
        counted_as_known = None if device_known else self._settle(who, prefix, credential)
        if counted_as_known is not None:
            self._refund(who, prefix, credential, counted_as_known)
        if not who.startswith("?"):
            self._remember(who, prefix, now)

    def is_known_source(self, source: str, claimed: str, now: float) -> bool:
        """True where this account signed in from this prefix within ``known_source_days``."""
        return self._known_source(self._who(claimed), source_prefix(source), now)

    def failures(self, claimed: str, now: float) -> int:
        """What counts against this account (or unknown name) from the unknown, in the last day."""
        return self._counter(self._who(claimed)).total(now)

    def standing(self, source: str, claimed: str, now: float) -> tuple[bool, int]:
        """``is_known_source`` and ``failures`` at once, for the risk of a sign-in."""
        who = self._who(claimed)
        counter = self._unknown.get(int(who[1:])) if who.startswith("?") else self._accounts.get(who)
        known = self._known_source(who, source_prefix(source), now)
        return known, counter.total(now) if counter is not None else 0

    def dump(self, newest: int = 0) -> dict[str, object]:
        """Everything as plain JSON values, for the next process; of each kind of bucket the ``newest`` (0: all)."""
        return {
            "key": self._key.hex(),
            "accounts": {k: c.dump() for k, c in self._accounts.items()},
            "unknown": {str(k): c.dump() for k, c in self._unknown.items()},
            "sources": {k: dict(v) for k, v in self._sources.items()},
            "pair": self._pair.dump(newest),
            "source": self._source.dump(newest),
            "credential": self._credential.dump(newest),
            "known": self._known.dump(newest),
        }

    def load(self, data: object, now: float = math.inf) -> None:
        """Take over what ``dump`` gave; nothing in it counts as later than ``now``. Raises ValueError (and then
        nothing was taken over)."""
        fresh = Throttle(self.limits)
        fresh._index = self._index
        key = data.get("key") if isinstance(data, dict) else None
        if not isinstance(key, str):
            raise ValueError("saved throttle counters have no key")
        fresh._key = bytes.fromhex(key)[:64]
        for name, value in table(data, "accounts").items():
            fresh._counter(name).load(value, now)
        for name, value in table(data, "unknown").items():
            if not (name.isdecimal() and int(name) < self.limits.unknown_slots):
                raise ValueError("a saved throttle counter has a slot that does not exist")
            fresh._counter(f"?{name}").load(value, now)
        for name, prefixes in table(data, "sources").items():
            for prefix, at in table({"": prefixes}, "").items():
                if not isinstance(at, float | int):
                    raise ValueError("a saved known source has no time")
                fresh._remember(name, prefix, min(float(at), now))
        for buckets, name in (
            (fresh._pair, "pair"),
            (fresh._source, "source"),
            (fresh._credential, "credential"),
            (fresh._known, "known"),
        ):
            buckets.load(table(data, name), now)
        for attribute in (
            "_key",
            "_accounts",
            "_unknown",
            "_sources",
            "_pair",
            "_source",
            "_credential",
            "_known",
        ):
            setattr(self, attribute, getattr(fresh, attribute))

    # --- who counts where

    def _who(self, claimed: str) -> str:
        """The account id behind a name, or ``?slot``. The hash is taken for both: one path for all."""
        digest = blake2b(claimed.encode("utf-8", "replace"), key=self._key, digest_size=8).digest()
        slot = int.from_bytes(digest) % self.limits.unknown_slots
        account = self._index.account_by_address.get(claimed) if self._index is not None else None
        return account.id if account is not None else f"?{slot}"

    def _counter(self, who: str) -> Sliding:
        if who.startswith("?"):
            slot = int(who[1:])
            counter = self._unknown.get(slot)
            if counter is None:
                counter = self._unknown[slot] = Sliding(*_DAY)
        else:
            counter = self._accounts.get(who)
            if counter is None:
                counter = self._accounts[who] = Sliding(*_DAY)
        return counter

    def _known_source(self, who: str, prefix: str, now: float) -> bool:
        at = self._sources.get(who, _NOTHING).get(prefix)
        return at is not None and now - at < self.limits.known_source_days * 86400

    def _remember(self, who: str, prefix: str, now: float) -> None:
        sources = self._sources.setdefault(who, {})
        sources[prefix] = max(now, sources.get(prefix, 0.0))
        if len(sources) > self.limits.known_sources:
            del sources[min(sources, key=sources.__getitem__)]

    # --- counting

    def _closed(self, who: str, prefix: str, credential: str, now: float) -> str:
        pair = f"{who} {prefix}"
        if self._known_source(who, prefix, now):
            return KNOWN if self._known.full(pair, now) else ""
        if self._counter(who).total(now) >= self.limits.account_per_day:
            return ACCOUNT
        if self._pair.full(pair, now):
            return PAIR
        if self._source.full(prefix, now):
            return SOURCE
        return CREDENTIAL if credential and self._credential.full(credential, now) else ""

    def _charge(self, who: str, prefix: str, credential: str, now: float) -> bool:
        """Count one attempt; True where it went into a known source's bucket."""
        pair = f"{who} {prefix}"
        if self._known_source(who, prefix, now):
            self._known.charge(pair, now)
            return True
        self._counter(who).add(now)
        self._pair.charge(pair, now)
        self._source.charge(prefix, now)
        if credential:
            self._credential.charge(credential, now)
        return False

    def _refund(self, who: str, prefix: str, credential: str, known: bool) -> None:
        """Give back where it was charged."""
        pair = f"{who} {prefix}"
        if known:
            self._known.refund(pair)
            return
        self._counter(who).take_back()
        self._pair.refund(pair)
        self._source.refund(prefix)
        if credential:
            self._credential.refund(credential)

    def _settle(self, who: str, prefix: str, credential: str) -> bool | None:
        """Take one attempt in flight off the list and say whether it was counted as from a known source;
        None where there is none. Where both kinds are in flight, the known goes first: that gives a
        stranger nothing back."""
        for known in (True, False):
            key = (who, prefix, credential, known)
            many = self._pending.get(key, 0)
            if many > 1:
                self._pending[key] = many - 1
            elif many:
                del self._pending[key]
            if many:
                return known
        return None


_NOTHING: dict[str, float] = {}
