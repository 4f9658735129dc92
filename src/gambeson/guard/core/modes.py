"""How far a door holds for whom: observe, warn, enforce.

- The narrowest entry wins: the account's, else its groups', else the organisation's. Among entries equally
  narrow the strictest wins. No entry: enforce.
- Observe and warn end: once ``until`` has passed, or where it is missing, enforce has taken over. An entry
  that has ended still is the narrowest; it never gives way to a wider, laxer one.
- The mode softens only the rung floor and the rules. What protects other people (throttle, encryption,
  organisation) and what a presented credential says of itself (blocked, lost, revoked, wrong) holds in every
  mode: before Gambeson there were passwords, and passwords are what observe and warn let pass.
"""

from __future__ import annotations

from collections.abc import Iterable

from gambeson.model.access import DoorKind, Mode
from gambeson.model.rule import ModeEntry

_STRICTNESS = {Mode.OBSERVE: 0, Mode.WARN: 1, Mode.ENFORCE: 2}


def in_force(entry: ModeEntry, now: float) -> Mode:
    """The mode that this entry means at ``now``."""
    return entry.mode if entry.mode is Mode.ENFORCE or now < entry.until else Mode.ENFORCE


class Modes:
    """One organisation's mode entries, prepared for asking. Keys are account ids and group names."""

    __slots__ = ("_account", "_everyone", "_group")

    def __init__(self, entries: Iterable[tuple[ModeEntry, str]]) -> None:
        """``entries`` are pairs of an entry and the id of the account it names (empty: it names none)."""
        self._everyone: dict[DoorKind, tuple[ModeEntry, ...]] = {}
        self._group: dict[tuple[DoorKind, str], tuple[ModeEntry, ...]] = {}
        self._account: dict[tuple[DoorKind, str], tuple[ModeEntry, ...]] = {}
        for entry, account in entries:
            if entry.account:
                key = (entry.door, account)
                self._account[key] = (*self._account.get(key, ()), entry)
            elif entry.group:
                key = (entry.door, entry.group)
                self._group[key] = (*self._group.get(key, ()), entry)
            else:
                self._everyone[entry.door] = (*self._everyone.get(entry.door, ()), entry)

    def of(self, door: DoorKind, account: str, groups: tuple[str, ...], now: float) -> Mode:
        """The mode for this account id (empty: an unknown name) and its groups."""
        entries: tuple[ModeEntry, ...] = ()
        if self._account and account:
            entries = self._account.get((door, account), ())
        if not entries and self._group:
            for group in groups:
                entries += self._group.get((door, group), ())
        if not entries:
            entries = self._everyone.get(door, ())
        if not entries:
            return Mode.ENFORCE
        return max((in_force(e, now) for e in entries), key=_STRICTNESS.__getitem__)
