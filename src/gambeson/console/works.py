"""Long work of the console: what takes longer than a page may, shown while it goes on, and cancelled when asked.

Rules:

- One piece of work at a time, on one thread of its own. An organisation has one that waits or runs; at most
  ``MAX_WAITING`` wait. More is refused at once, with a sentence.
- Work belongs to one organisation and to a verb: who may not do it there does not see it either.
- A function is told that it was cancelled when it reports its next step. It keeps nothing of what it did until then, or
  says so in its result.
- Results live in memory only: for ``KEPT_SECONDS``, and ``MAX_OCTETS`` of them together, the oldest going first. A
  console that is started anew has forgotten all of it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gambeson.model.staff import Verb
from gambeson.store.errors import StoreError

from .office import RefusedError

KEPT_SECONDS = 3600.0
MAX_OCTETS = 64 * 1024 * 1024
MAX_WAITING = 4
MAX_KNOWN = 1_000
MAX_TEXT = 1_000
_log = logging.getLogger("gambeson.console")


class CancelledError(Exception):
    """Somebody cancelled the work: end it, and undo what should not be half done."""


class WorkState(StrEnum):
    """Where a piece of work is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it: one sentence, and perhaps a file with its name and media type."""

    text: str = ""
    octets: bytes = field(default=b"", repr=False)
    kind: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work as it is now. ``kind`` is a word that pages have a text for, ``number`` of ``total`` steps are
    done, ``text`` says what is being done, or in one sentence why it failed."""

    id: str
    organisation: str
    by: str
    verb: Verb
    kind: str
    total: int
    made_at: float
    state: WorkState = WorkState.WAITING
    number: int = 0
    text: str = ""
    ended_at: float = 0.0
    result: Result = Result()

    @property
    def live(self) -> bool:
        """Whether it waits or runs."""
        return self.state in (WorkState.WAITING, WorkState.RUNNING)


class Progress:
    """What a function reports to."""

    def __init__(self, works: Works, id: str) -> None:
        self._works, self._id = works, id

    def step(self, number: int, text: str = "") -> None:
        """``number`` steps are done; ``text`` is what comes next. Raises CancelledError."""
        self._works._step(self._id, number, text)


Function = Callable[[Progress], Result]


class Works:
    """All of the console's. ``random`` gives octets for ids, ``clock`` seconds since 1970. Threads use it together."""

    def __init__(self, random: Callable[[int], bytes], clock: Callable[[], float]) -> None:
        self._random, self._clock = random, clock
        self._lock = threading.Lock()
        self._known: dict[str, Work] = {}
        self._waiting: deque[tuple[str, Function]] = deque()
        self._cancelled: set[str] = set()
        self._thread: threading.Thread | None = None

    def start(
        self, organisation: str, *, by: str, verb: Verb, kind: str, total: int, function: Function
    ) -> Work:
        """Has ``function`` done when its turn comes. Raises RefusedError where there is too much to do already."""
        with self._lock:
            self._forget()
            if any(w.live and w.organisation == organisation for w in self._known.values()):
                raise RefusedError(
                    "busy",
                    "Something long is going on for this organisation: wait for its end, or cancel it.",
                )
            if len(self._waiting) >= MAX_WAITING:
                raise RefusedError(
                    "busy", "The console has much to do for other organisations: try again in a minute.", 503
                )
            id = f"work-{self._random(12).hex()}"
            work = Work(id, organisation, by, verb, kind, max(1, total), self._clock())
            self._known[id] = work
            self._waiting.append((id, function))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="works", daemon=True)
                self._thread.start()
        return work

    def get(self, organisation: str, id: str) -> Work | None:
        """That piece of work of this organisation. None where there is none, or not any more."""
        with self._lock:
            self._forget()
            found = self._known.get(id)
        return found if found is not None and found.organisation == organisation else None

    def of(self, organisation: str) -> tuple[Work, ...]:
        """All that is known of an organisation's, the newest first."""
        with self._lock:
            self._forget()
            found = [work for work in self._known.values() if work.organisation == organisation]
        return tuple(sorted(found, key=lambda work: work.made_at, reverse=True))

    def cancel(self, organisation: str, id: str) -> bool:
        """Ends it before its turn, or at its next step. False where it is over already, or there is none."""
        with self._lock:
            work = self._known.get(id)
            if work is None or work.organisation != organisation or not work.live:
                return False
            if work.state is WorkState.WAITING:
                self._waiting = deque(each for each in self._waiting if each[0] != id)
                self._end(id, WorkState.CANCELLED)
            else:
                self._cancelled.add(id)
        return True

    def close(self, seconds: float = 10.0) -> None:
        """Cancels everything and waits for the thread, but not longer than that."""
        with self._lock:
            for id, _ in self._waiting:
                self._end(id, WorkState.CANCELLED)
            self._waiting.clear()
            self._cancelled |= {id for id, work in self._known.items() if work.live}
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def join(self, seconds: float = 30.0) -> None:
        """Waits until nothing is to do, but not longer than that."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    # -- the thread

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                id, function = self._waiting.popleft()
                self._known[id] = replace(self._known[id], state=WorkState.RUNNING)
            self._one(id, function)

    def _one(self, id: str, function: Function) -> None:
        state, text, result = WorkState.FAILED, "", Result()
        try:
            result = function(Progress(self, id))
            if len(result.octets) > MAX_OCTETS:
                result, text = Result(), "The result is larger than the console keeps: ask for less."
            else:
                state = WorkState.DONE
        except CancelledError:
            state = WorkState.CANCELLED
        except RefusedError as error:
            text = error.sentence
        except StoreError as error:
            text = str(error)
        except Exception as error:
            _log.error("long work of the console failed: %s", type(error).__name__, exc_info=error)
            text = "Something went wrong here. It was written to the log; try again."
        with self._lock:
            self._cancelled.discard(id)
            self._end(id, state, text, result)

    def _step(self, id: str, number: int, text: str) -> None:
        with self._lock:
            if id in self._cancelled:
                raise CancelledError
            work = self._known[id]
            done = max(work.number, min(number, work.total))
            self._known[id] = replace(work, number=done, text=text[:MAX_TEXT])

    # -- with the lock held

    def _end(self, id: str, state: WorkState, text: str = "", result: Result = Result()) -> None:
        work = self._known[id]
        number = work.total if state is WorkState.DONE else work.number
        self._known[id] = replace(
            work, state=state, number=number, text=text[:MAX_TEXT], ended_at=self._clock(), result=result
        )
        self._forget()

    def _forget(self) -> None:
        """Drops what is over for too long, and of too much the oldest."""
        now = self._clock()
        over = sorted((w for w in self._known.values() if not w.live), key=lambda w: w.ended_at)
        octets = sum(len(w.result.octets) for w in over)
        for index, work in enumerate(over):
            if now - work.ended_at < KEPT_SECONDS and octets <= MAX_OCTETS and len(over) - index <= MAX_KNOWN:
                break
            octets -= len(work.result.octets)
            del self._known[work.id]
