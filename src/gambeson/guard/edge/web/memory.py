"""Memory that idle connections have let go of, given back to the system.

The allocator keeps what is freed between what is still in use, for whoever asks next. After a morning on which
thousands came at once that would be for nobody, so now and then it is asked to give whole free pages back. The GNU C
library can do so; with another one nothing happens.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

MANY = 200  # connections that have let go before it is worth the walk through the heap


def _found() -> Callable[[int], object] | None:
    """``malloc_trim`` of the library that this process has loaded anyway; no file is opened."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


class Heap:
    """One a process. ``rested`` counts who has let go since pages were given back."""

    def __init__(self) -> None:
        self._trim = _found()
        self.rested = 0

    def give_back(self) -> None:
        """Give free pages back where many have let go. Takes a few milliseconds then."""
        if self.rested >= MANY and self._trim is not None:
            self._trim(0)
            self.rested = 0


HEAP = Heap()
