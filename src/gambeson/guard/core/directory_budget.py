"""What a directory may see of wrong passwords, so that it never locks anybody out.

Active Directory and its like lock an account after ``threshold`` wrong passwords and set the count back
only after ``window`` seconds *without* another one, or after a right one. The budget per account stays two under the
threshold (other ways in have misses of their own). Invariants (tests/guard/core/test_directory_budget.py):

1. The directory's own count, as far as it comes from here, never exceeds ``threshold - 2``, whatever runs at
   once and in whatever order answers arrive. An unanswered question counts as a wrong password.
2. Half of the budget belongs to known devices and sources: what strangers send cannot use it up, so a
   person at home with the right password is asked about even while the account is being sprayed.
3. Where the budget is spent, nothing is sent until a full window of quiet has passed: the count at the
   directory is nought by then.

A right answer clears only the misses that had been *answered* before its question was sent: those alone the
directory surely counted before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .counters import table

MARGIN = 2
SMALLEST_THRESHOLD = MARGIN + 1


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to ask the directory once about one account. Give it back through ``answered``, always."""

    account: str
    known: bool
    misses_before: tuple[int, int]


class _Account:
    """Counts of one account; index 0 is the unknown's share, 1 the known's."""

    __slots__ = ("cleared", "last", "misses", "pending")

    def __init__(self) -> None:
        self.misses = [0, 0]  # ever
        self.cleared = [0, 0]  # of these, no longer counted by the directory
        self.pending = [0, 0]
        self.last = 0.0

    def used(self, share: int) -> int:
        return self.misses[share] - self.cleared[share] + self.pending[share]


class DirectoryBudget:
    """Budgets of all accounts at one directory. Ask only for accounts of the snapshot."""

    def __init__(self, threshold: int, window: float, capacity: int = 100_000) -> None:
        """``threshold`` is the directory's lock-out threshold, ``window`` the seconds after which it sets
        its count back. Raises ValueError for a threshold that leaves no room."""
        if threshold < SMALLEST_THRESHOLD:
            raise ValueError(
                f"a lock-out threshold of {threshold} leaves no room for a mistyped password; "
                f"the directory must allow at least {SMALLEST_THRESHOLD}"
            )
        total = threshold - MARGIN
        self._shares = (total // 2, total - total // 2)
        self.window = window
        self._capacity = capacity
        self._accounts: dict[str, _Account] = {}

    def ask(self, account: str, known: bool, now: float) -> Ticket | None:
        """Leave to send one password of this account to the directory, or None: do not send it."""
        entry = self._accounts.get(account)
        if entry is None:
            if len(self._accounts) >= self._capacity and not self._make_room(now):
                return None
            entry = self._accounts[account] = _Account()
        self._set_back(entry, now)
        share = int(known)
        if entry.used(share) >= self._shares[share]:
            return None
        entry.pending[share] += 1
        entry.last = max(entry.last, now)
        return Ticket(account, known, (entry.misses[0], entry.misses[1]))

    def answered(self, ticket: Ticket, right: bool, now: float) -> None:
        """The directory's answer. No answer (a time-out, a broken line) is ``right=False``."""
        entry = self._accounts.get(ticket.account)
        if entry is None:
            return
        share = int(ticket.known)
        # Before the count of misses changes: a quiet window that ended before this answer is still one.
        entry.pending[share] = max(0, entry.pending[share] - 1)
        entry.last = max(entry.last, now)
        if right:
            for i, before in enumerate(ticket.misses_before):
                entry.cleared[i] = max(entry.cleared[i], before)
        else:
            entry.misses[share] += 1

    def used(self, account: str, now: float) -> int:
        """How many wrong passwords the directory may be counting for this account because of us."""
        entry = self._accounts.get(account)
        if entry is None:
            return 0
        self._set_back(entry, now)
        return entry.used(0) + entry.used(1)

    def dump(self) -> dict[str, object]:
        """Plain values for ``load``; what is in flight is counted as missed."""
        return {
            "accounts": {
                account: [e.used(0), e.used(1), e.last] for account, e in self._accounts.items() if e.last
            }
        }

    def load(self, data: object, now: float = math.inf) -> None:
        """Add what ``dump`` gave to what was counted here meanwhile; nothing in it counts as later than ``now``.
        Raises ValueError (and then nothing was taken over)."""
        loaded: list[tuple[str, list[int], float]] = []
        for account, value in table(data, "accounts").items():
            match value:
                case [int(unknown), int(known), float(last)] if unknown >= 0 and known >= 0 and last >= 0:
                    loaded.append((account, [unknown, known], min(last, now)))
                case _:
                    raise ValueError("saved directory counters do not have the shape of such")
        if len(loaded) + len(self._accounts) > self._capacity:
            raise ValueError("saved directory counters are of more accounts than there may be")
        for account, misses, last in loaded:
            entry = self._accounts.setdefault(account, _Account())
            entry.misses = [a + b for a, b in zip(entry.misses, misses, strict=True)]
            entry.last = max(entry.last, last)

    def _set_back(self, entry: _Account, now: float) -> None:
        if now - entry.last >= self.window and not any(entry.pending):
            entry.cleared = list(entry.misses)

    def _make_room(self, now: float) -> bool:
        """Forget accounts that have been quiet for a window: their count is nought anyway."""
        quiet = [a for a, e in self._accounts.items() if now - e.last >= self.window and not any(e.pending)]
        for account in quiet:
            del self._accounts[account]
        return bool(quiet)
