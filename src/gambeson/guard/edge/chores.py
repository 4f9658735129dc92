"""How the worker's chores run: again and again, on a thread, and no fault of one ends it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable


async def repeat(name: str, seconds: float, step: Callable[[], Awaitable[object]]) -> None:
    """Run ``step`` every so many seconds for ever. A fault (a locked database, say) is told once per kind of fault
    until it has worked again, and does not end the chore."""
    said = ""
    while True:
        try:
            await step()
            said = ""
        except Exception as error:
            sentence = f"{name} did not work ({type(error).__name__}: {error}); it is tried again"
            if type(error).__name__ != said:
                said = type(error).__name__
                print(f"gambeson: {' '.join(sentence.split())[:500]}", file=sys.stderr, flush=True)
        await asyncio.sleep(seconds)
