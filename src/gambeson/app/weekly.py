"""The worker's chore that sends the weekly mail: Today, to those who get notices, once for each organisation and week.

It is put into the journalled queue under its own name, and a second one of that name is refused by the store: neither
a restart nor a second worker makes it twice. What it says is made when it is sent. It needs nothing of the web: the
console's words are read, its pages are not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

from gambeson.console.core import weekly
from gambeson.console.operations.gather import Around
from gambeson.console.operations.week import view
from gambeson.console.web.texts import Catalogue, read_catalogue
from gambeson.guard.edge.chores import repeat
from gambeson.guard.edge.notice_delivery import Fate, NoticePlan, Outcome, deliver
from gambeson.guard.edge.notices import FIRST_WAIT, LAST_WAIT, LEASE_SECONDS, MAX_ATTEMPTS, MAX_SENDINGS
from gambeson.model.event import Event
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.store.control import Store
from gambeson.store.errors import Conflict, NotFound
from gambeson.store.jobs import Job
from gambeson.store.tenant import OrganisationStore

EVERY_SECONDS = 60.0
SENT = "console.weekly.sent"
LANGUAGE = "en"
BY = "worker"


@dataclass(frozen=True, slots=True)
class Letters:
    """How the mail is written: the console's origin, the doors that listen, the words."""

    origin: str
    listening: tuple[str, ...]
    texts: Catalogue


def prepare(parameters: Mapping[str, Any]) -> Letters | None:
    """While files can still be read; None where no weekly mail is sent. Raises OSError."""
    given = parameters.get("weekly")
    if not given:
        return None
    folder = files("gambeson.console.admin").joinpath("texts").joinpath(LANGUAGE)
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    texts = read_catalogue(found, LANGUAGE)
    return Letters(str(given["origin"]), tuple(given["doors"]), texts)


class Weekly:
    """Finds what is due, journals, sends. ``snapshot()`` gives the newest that was built, ``lagging()`` how many
    processes lack it; both are asked on the loop. ``step`` blocks; :meth:`run` has it on a thread."""

    def __init__(
        self,
        store: Store,
        plan: NoticePlan,
        letters: Letters,
        snapshot: Callable[[], Snapshot | None],
        lagging: Callable[[], int] = lambda: 0,
        *,
        clock: Callable[[], float] = time.time,
        send: Callable[[NoticePlan, str, Any], Outcome] = deliver,
    ) -> None:
        self._store, self._plan, self._letters = store, plan, letters
        self._snapshot, self._lagging = snapshot, lagging
        self._clock, self._send = clock, send

    async def run(self) -> None:
        """For ever, beginning a little later: just after the start nothing was measured yet."""
        await asyncio.sleep(EVERY_SECONDS)
        await repeat("the weekly mail", EVERY_SECONDS, self._step)

    async def _step(self) -> None:
        snapshot, lagging = self._snapshot(), self._lagging()
        if snapshot is not None:
            await asyncio.to_thread(self.step, snapshot, lagging)

    def step(self, snapshot: Snapshot, lagging: int = 0) -> int:
        """One round. Returns how many were sent. Raises what the store raises; nothing is lost then."""
        now = self._clock()
        if weekly.due(now):
            for organisation in snapshot.organisations:
                if any(a.organisation == organisation.id for a in snapshot.accounts):
                    self._find(organisation.id, now)
        return self._send_all(snapshot, lagging)

    def _find(self, organisation: str, now: float) -> None:
        try:
            store = self._store.organisation(organisation)
        except NotFound:
            return  # it was removed since the snapshot was made
        for recipient in self._plan.admins:
            name = weekly.letter_id(organisation, now, recipient)
            if not _there(store, name):
                payload = {"recipient": recipient, "week": weekly.due_at(now)}
                try:
                    store.jobs.add(weekly.KIND, payload, id=name, max_attempts=MAX_ATTEMPTS, by=BY, at=now)
                except Conflict:
                    continue  # another worker was quicker

    def _send_all(self, snapshot: Snapshot, lagging: int) -> int:
        sent, index = 0, None
        for _ in range(MAX_SENDINGS if self._waiting() else 0):
            job = self._store.jobs.claim((weekly.KIND,), worker=BY, lease=LEASE_SECONDS, at=self._clock())
            if job is None:
                break
            index = index or SnapshotIndex(snapshot)
            outcome = self._send_one(job, index, lagging)
            now = self._clock()
            match outcome.fate:
                case Fate.SENT:
                    self._store.jobs.done(job, outcome.text, at=now)
                    self._store.events.append([Event(f"weekly/{job.id}", now, SENT, job.organisation)])
                    sent += 1
                case Fate.REFUSED:
                    self._store.jobs.failed(job, outcome.text, at=now)
                case Fate.LATER:
                    wait = min(LAST_WAIT, FIRST_WAIT * 2 ** min(job.attempts - 1, 10))
                    self._store.jobs.failed(job, outcome.text, retry_at=now + wait, at=now)
                    break  # the server has trouble: the others wait for the next round
        return sent

    def _waiting(self) -> bool:
        """Only in these days: the claim alone takes the store's write lock."""
        return self._clock() - weekly.due_at(self._clock()) <= 2 * weekly.LATEST

    def _send_one(self, job: Job, index: SnapshotIndex, lagging: int) -> Outcome:
        payload = cast("dict[str, Any]", job.payload)
        recipient, now = str(payload["recipient"]), self._clock()
        if recipient not in self._plan.admins:
            return Outcome(Fate.REFUSED, "not sent: the settings name this recipient no longer")
        if payload["week"] != weekly.due_at(now):
            return Outcome(Fate.REFUSED, "not sent: the week is over")
        try:
            store = self._store.organisation(job.organisation)
            about = Around(self._letters.listening, lagging)
            found = view(self._store, store, store.get(), about, index, now)
        except NotFound:
            return Outcome(Fate.REFUSED, "not sent: the organisation is not there any more")
        letter = weekly.Letter(
            recipient=recipient,
            sender=self._plan.sender,
            organisation=job.organisation,
            name=found.organisation.name,
            origin=self._letters.origin,
            at=now,
            today=found.today,
            up=found.up.whole.up_of_measured,
        )
        try:
            message = weekly.compose(letter, self._letters.texts)
        except ValueError as error:
            return Outcome(Fate.REFUSED, f"not sent: {error}"[:300])
        return self._send(self._plan, recipient, message)


def _there(store: OrganisationStore, name: str) -> bool:
    try:
        store.jobs.get(name)
    except NotFound:
        return False
    return True
