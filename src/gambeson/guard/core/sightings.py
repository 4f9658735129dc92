"""Where accounts and credentials were seen, for the risk of the next sign-in: small, bounded, in memory.

Per account the countries of its sign-ins (at most ``COUNTRIES``, the latest stay), per credential where and when it
was last used. Only sign-ins that got in are remembered: whoever is refused can make nothing look usual. What is kept
belongs to accounts and credentials of the snapshot, so its size is theirs; it goes with them, and travels to the next
door like the throttle's counters. A clock that is set back makes nothing older.
"""

from __future__ import annotations

import math
import re
from itertools import islice
from typing import NamedTuple, TypeVar

from gambeson.model.snapshot import SnapshotIndex

from .counters import table

_V = TypeVar("_V")

COUNTRIES = 16
_COUNTRY = re.compile(r"[A-Z]{2}\Z")
_NOTHING: dict[str, float] = {}
_NOWHERE = ("", 0.0)


class Seen(NamedTuple):
    """What is known of an account and a credential. ``used`` is False where the credential was never used; ``used_in``
    and ``used_at`` tell where and when it was last used in a known country."""

    countries: frozenset[str]
    last_country: str
    used: bool
    used_in: str
    used_at: float


class Sightings:
    """The memory of one door process. ids are those of the snapshot."""

    def __init__(self) -> None:
        self._accounts: dict[
            str, dict[str, float]
        ] = {}  # account -> country -> last seen; the latest stands last
        self._credentials: dict[
            str, tuple[str, float]
        ] = {}  # credential -> where, when; the latest stands last

    def on_snapshot(self, index: SnapshotIndex) -> None:
        """Forget who is gone."""
        for gone in [a for a in self._accounts if a not in index.account]:
            del self._accounts[gone]
        for gone in [c for c in self._credentials if c not in index.credential]:
            del self._credentials[gone]

    def of(self, account: str, credential: str) -> Seen:
        """What is known; an empty id is nobody's."""
        countries = self._accounts.get(account, _NOTHING)
        used = self._credentials.get(credential)
        where, at = used if used is not None else _NOWHERE
        return Seen(
            frozenset(countries) if countries else _NO_COUNTRIES,
            next(reversed(countries), ""),
            used is not None,
            where,
            at,
        )

    def saw(self, account: str, credential: str, country: str, now: float) -> None:
        """A sign-in that got in. An unknown country replaces none that is known."""
        if account and country:
            self._remember(account, country, now)
        if credential:
            where, at = self._credentials.pop(credential, _NOWHERE)
            self._credentials[credential] = (country, max(now, at)) if country else (where, at)

    def dump(self, newest: int = 0) -> dict[str, object]:
        """Everything as plain JSON values, for the next process; of each kind the ``newest`` (0: all)."""
        return {
            "accounts": {a: dict(c) for a, c in _newest(self._accounts, newest)},
            "credentials": {c: list(seen) for c, seen in _newest(self._credentials, newest)},
        }

    def load(self, data: object, now: float = math.inf) -> None:
        """Take over what ``dump`` gave; nothing in it counts as later than ``now``. Raises ValueError (and then nothing
        was taken over)."""
        fresh = Sightings()
        for account, countries in table(data, "accounts").items():
            found = sorted(table({"": countries}, "").items(), key=lambda each: _time(each[1]))
            for country, at in found:
                fresh._remember(account, _country(country), min(_time(at), now))
        for credential, seen in table(data, "credentials").items():
            match seen:
                case [str(where), at]:
                    fresh._credentials[credential] = (where and _country(where), min(_time(at), now))
                case _:
                    raise ValueError("a saved credential's last use does not have the shape of one")
        self._accounts, self._credentials = fresh._accounts, fresh._credentials

    def _remember(self, account: str, country: str, now: float) -> None:
        # Taken out and put in again: the latest accounts and countries stand last.
        countries = self._accounts.pop(account, None)
        if countries is None:
            countries = {}
        self._accounts[account] = countries
        countries[country] = max(now, countries.pop(country, 0.0))
        if len(countries) > COUNTRIES:
            del countries[next(iter(countries))]


_NO_COUNTRIES: frozenset[str] = frozenset()


def _newest(of: dict[str, _V], newest: int) -> list[tuple[str, _V]]:
    return list(islice(of.items(), max(0, len(of) - newest) if newest else 0, None))


def _country(text: str) -> str:
    if not _COUNTRY.match(text):
        raise ValueError("a saved country is none")
    return text


def _time(at: object) -> float:
    if not isinstance(at, int | float) or math.isnan(at):
        raise ValueError("a saved sighting has no time")
    return float(at)
