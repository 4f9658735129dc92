"""Short memory for what costs much to count and changes little: figures of past days, of the last week.

It hangs on the store, so that two consoles in one process share nothing, and it goes with it. What is remembered is an
answer that holds for a while, never a right: who may see it is asked anew every time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar
from weakref import WeakKeyDictionary

from gambeson.store.control import Store

MAX_KEPT = 20_000  # answers of one store; then all are forgotten
T = TypeVar("T")
_kept: WeakKeyDictionary[Store, dict[Hashable, tuple[float, object]]] = WeakKeyDictionary()
_lock = threading.Lock()


def remembered(store: Store, key: Hashable, now: float, seconds: float, make: Callable[[], T]) -> T:
    """What ``make`` gives, or what it gave for this key at most ``seconds`` ago."""
    with _lock:
        known = _kept.setdefault(store, {})
        found = known.get(key)
    if found is not None and 0 <= now - found[0] < seconds:
        return found[1]  # type: ignore[return-value]  # the key says what is kept under it
    made = make()
    with _lock:
        if len(known) >= MAX_KEPT:
            known.clear()
        known[key] = (now, made)
    return made
