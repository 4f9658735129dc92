"""How unusual a sign-in is, as a number from 0 to 100 that rules may ask for (``risk_at_least``).

A fixed table: each signal has one weight and one reason, the risk is their sum, at most 100. Nothing learns, so the
same facts give the same number, and the record names what made it up. A risk proves nothing and opens nothing: it can
only make a rule harder. Invariants (tests/guard/core/test_risk.py):

1. *Nobody's guessing shuts out somebody else*: what a stranger can cause (failed guesses) weighs so little that with
   all of a traveller's signals it stays below ``HIGH``.
2. *Without countries* (no table) the risk is at most ``MOST_WITHOUT_COUNTRIES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gambeson.model.rule import PolicyRule

HIGH = 70  # from here on the documents advise to act
GUESSES = 10  # failed guesses in 24 hours that count as a signal; a person's own slips stay below
TRAVEL = 2 * 3600.0  # seconds in which nobody gets from one country's network to another's by plane

NEW_NETWORK, NEW_COUNTRY, OTHER_COUNTRY = "new-network", "new-country", "other-country"
FIRST_USE, GUESSED, TRAVELLED = "first-use", "guessed-at", "impossible-travel"

# Each signal: its weight, and why it has that. docs/policy.md shows the same table.
WEIGHTS: dict[str, tuple[int, str]] = {
    NEW_NETWORK: (15, "the account did not sign in from this network in the last 30 days"),
    NEW_COUNTRY: (30, "the account was never seen in this country"),
    OTHER_COUNTRY: (10, "the account was last seen in another country, though it knows this one"),
    FIRST_USE: (10, "this credential is used for the first time"),
    GUESSED: (10, f"{GUESSES} or more failed guesses at this account in 24 hours"),
    TRAVELLED: (45, "this credential was used in another country less than 2 hours ago"),
}
MOST_WITHOUT_COUNTRIES = sum(WEIGHTS[each][0] for each in (NEW_NETWORK, FIRST_USE, GUESSED))


def needs_countries(rule: PolicyRule) -> bool:
    """True where a rule can hold only if the door knows countries: it asks for one, or for a risk too high without."""
    return bool(rule.countries) or (rule.risk_at_least or 0) > MOST_WITHOUT_COUNTRIES


class Signals(NamedTuple):  # made at every sign-in, and made four times as fast as a frozen dataclass
    """What a door knows about one sign-in. ``country`` is empty where it is not known; ``countries`` are those where
    the account was seen, ``last_country`` the latest of them; ``used_in`` and ``used_ago`` (seconds) tell where and
    when the credential was last used in a known country, empty where it was not. ``failures`` as the throttle counts
    them."""

    known_network: bool
    failures: int = 0
    first_use: bool = False
    country: str = ""
    countries: frozenset[str] = frozenset()
    last_country: str = ""
    used_in: str = ""
    used_ago: float = 0.0


@dataclass(frozen=True, slots=True)
class Risk:
    """``score`` 0 to 100, ``reasons`` the signals that made it up, in the table's order."""

    score: int = 0
    reasons: tuple[str, ...] = ()


NONE = Risk()


def assess(signals: Signals) -> Risk:
    """The risk of this sign-in."""
    reasons = []
    if not signals.known_network:
        reasons.append(NEW_NETWORK)
    country = signals.country
    # An account that was never seen anywhere has no country that would be unusual.
    if country and signals.countries:
        if country not in signals.countries:
            reasons.append(NEW_COUNTRY)
        elif signals.last_country and country != signals.last_country:
            reasons.append(OTHER_COUNTRY)
    if signals.first_use:
        reasons.append(FIRST_USE)
    if signals.failures >= GUESSES:
        reasons.append(GUESSED)
    if country and signals.used_in and country != signals.used_in and signals.used_ago < TRAVEL:
        reasons.append(TRAVELLED)
    if not reasons:
        return NONE
    return Risk(min(100, sum(WEIGHTS[each][0] for each in reasons)), tuple(reasons))
