"""How often anybody may ask: a token so many requests a minute, a network so many failures.

A token's allowance comes back evenly, so whoever used it up waits a moment and not a minute. Both tables are bounded;
what falls out was longest at rest.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

from gambeson.guard.core.networks import source_prefix

PER_MINUTE = 600
FAILURES, FAILURE_SECONDS = 30, 600.0
MAX_KNOWN = 10_000


class Allowance:
    """``most`` at once, and ``most`` in ``seconds``, for each name."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._rate = float(most), most / seconds
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str, now: float) -> int:
        """Takes one: 0, or after how many seconds there is one again."""
        with self._lock:
            left = self._now(name, now)
            wait = 0 if left >= 1.0 else math.ceil((1.0 - left) / self._rate)
            self._keep(name, left if wait else left - 1.0, now)
            return wait

    def spent(self, name: str, now: float) -> int:
        """Like :meth:`take`, and takes none."""
        with self._lock:
            left = self._now(name, now)
            return 0 if left >= 1.0 else math.ceil((1.0 - left) / self._rate)

    def _now(self, name: str, now: float) -> float:
        left, at = self._left.get(name, (self._most, now))
        return min(self._most, left + max(0.0, now - at) * self._rate)

    def _keep(self, name: str, left: float, now: float) -> None:
        self._left[name] = (left, now)
        self._left.move_to_end(name)
        while len(self._left) > MAX_KNOWN:
            self._left.popitem(last=False)


class Failures:
    """The failures of each network: the /24 of an IPv4 address, the /64 of an IPv6 one."""

    def __init__(self) -> None:
        self._allowance = Allowance(FAILURES, FAILURE_SECONDS)

    def wait(self, source: str, now: float) -> int:
        """0 where somebody there may try, else after how many seconds."""
        return self._allowance.spent(_network(source), now)

    def failed(self, source: str, now: float) -> None:
        """A try failed."""
        self._allowance.take(_network(source), now)


def _network(source: str) -> str:
    return source_prefix(source) if source else ""
