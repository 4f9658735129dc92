"""Time-outs of the login path.

The same promise as :func:`asyncio.timeout`, at a fifth of its cost: a login waits four times, and what the
general tool asks of the loop each time was a tenth of a login's work.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any


class Within:
    """``with Within(loop, seconds): await ...`` raises TimeoutError when that takes longer.

    Not to be used again, and only inside a task. A cancellation from outside stays one, also when it
    comes together with the time-out.
    """

    __slots__ = ("_cancelling", "_handle", "_late", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("Within is for tasks")
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        self._late = False
        self._handle = loop.call_later(seconds, self._time_out)

    def __enter__(self) -> None:
        """It counts from the making on."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        if self._late and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _time_out(self) -> None:
        self._late = True
        self._task.cancel()
