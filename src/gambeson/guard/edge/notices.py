"""The worker's chore that tells people of devices in quarantine.

What is to be sent is found in the recorded events and put into the journalled queue under the notice's own id: a
second one of that id is refused by the store, so neither a crash nor a second look makes it twice. Sending takes a job
with a lease; a worker that dies leaves the job to be done again. One window is left, as with all mail: where the server
took the message and we died before that was written down, it is sent again, with the same Message-ID.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, cast

from gambeson.guard.core.notice import (
    CAUSE,
    EAS_CAUSE,
    KIND,
    Notice,
    compose,
    due,
    notice_id,
    phone_of,
)
from gambeson.model.asset import Device, DeviceState
from gambeson.model.event import Event
from gambeson.store.control import Store
from gambeson.store.eas_devices import QUARANTINED
from gambeson.store.errors import Conflict, NotFound
from gambeson.store.jobs import Job
from gambeson.store.tenant import OrganisationStore

from .chores import repeat
from .notice_delivery import Fate, NoticePlan, Outcome, deliver

EVERY_SECONDS = 5.0
LEASE_SECONDS = 300.0
MAX_ATTEMPTS = 40  # with the waits below: about a day and a half
FIRST_WAIT, LAST_WAIT = 60.0, 3600.0
MAX_SENDINGS = 100  # of one round
_DAY = 86400.0
_LOOKED_AT = 200  # newest refusals of one device and day
BY = "worker"


class Notices:
    """Finds, journals and sends. ``step`` blocks; :meth:`run` has it on a thread."""

    def __init__(
        self,
        store: Store,
        plan: NoticePlan,
        *,
        clock: Callable[[], float] = time.time,
        send: Callable[[NoticePlan, str, Any], Outcome] = deliver,
    ) -> None:
        self._store, self._plan, self._clock, self._send = store, plan, clock, send

    async def run(self) -> None:
        """For ever."""
        await repeat("telling people of devices in quarantine", EVERY_SECONDS, self._step)

    async def _step(self) -> None:
        await asyncio.to_thread(self.step)

    def step(self) -> int:
        """One round. Returns how many were sent. Raises what the store raises; nothing is lost then."""
        for organisation in self._store.organisations():
            self._find(self._store.organisation(organisation.id))
        return self._send_all()

    # -- finding

    def _find(self, organisation: OrganisationStore) -> None:
        devices = {d.id: d for d in organisation.devices.list(state=DeviceState.QUARANTINED)}
        phones = {
            (e.account, e.device_id) for e in organisation.eas_devices.list() if e.decision == QUARANTINED
        }
        held = {account for account, _ in phones}
        for account in held:
            devices |= {
                d.id: d for d in organisation.devices.list(account=account, state=DeviceState.REGISTERED)
            }
        if not devices:
            return
        now = self._clock()
        accounts = {a: organisation.accounts.get(a) for a in {d.account for d in devices.values()}}
        for device in devices.values():
            owner = accounts[device.account]
            kind = CAUSE if device.state is DeviceState.QUARANTINED else EAS_CAUSE
            events = list(self._refusals(organisation, kind, device.id, now))
            tries = {(time.strftime("%Y-%m-%d", time.gmtime(e.at)), phone_of(e)) for e in events}
            wanted = {
                notice_id(device.id, day, to, phone)
                for day, phone in tries
                for to in (owner.address, *self._plan.admins)
            }
            sent = {name for name in wanted if _there(organisation, name)}
            for notice in due(events, devices, accounts, self._plan.admins, sent, phones):
                self._journal(organisation, notice, now)

    def _refusals(
        self, organisation: OrganisationStore, kind: str, device: str, now: float
    ) -> Iterable[Event]:
        """The device's newest of today and of yesterday, which may have come late."""
        today = now - now % _DAY
        for begin in (today - _DAY, today):
            yield from organisation.events.query(
                kind=kind, device=device, since=begin, until=begin + _DAY, limit=_LOOKED_AT
            )

    def _journal(self, organisation: OrganisationStore, notice: Notice, now: float) -> None:
        try:
            organisation.jobs.add(
                KIND, asdict(notice), id=notice.id, max_attempts=MAX_ATTEMPTS, by=BY, at=now
            )
        except Conflict:
            return  # another worker was quicker

    # -- sending

    def _send_all(self) -> int:
        sent = 0
        for _ in range(MAX_SENDINGS):
            job = self._store.jobs.claim((KIND,), worker=BY, lease=LEASE_SECONDS, at=self._clock())
            if job is None:
                break
            outcome = self._send_one(job)
            now = self._clock()
            match outcome.fate:
                case Fate.SENT:
                    self._store.jobs.done(job, outcome.text, at=now)
                    sent += 1
                case Fate.REFUSED:
                    self._store.jobs.failed(job, outcome.text, at=now)
                case Fate.LATER:
                    wait = min(LAST_WAIT, FIRST_WAIT * 2 ** min(job.attempts - 1, 10))
                    self._store.jobs.failed(job, outcome.text, retry_at=now + wait, at=now)
                    break  # the server has trouble: the others wait for the next round
        return sent

    def _send_one(self, job: Job) -> Outcome:
        try:
            notice = Notice(**cast("dict[str, Any]", job.payload))
            organisation = self._store.organisation(job.organisation)
            device = organisation.devices.get(notice.device)
            name = organisation.get().name
        except NotFound:
            return Outcome(Fate.REFUSED, "not sent: the device is not there any more")
        if notice.phone and not _still_held(organisation, device, notice.phone):
            return Outcome(Fate.REFUSED, "not sent: the phone is not in quarantine any more")
        if not notice.phone and device.state is not DeviceState.QUARANTINED:
            return Outcome(Fate.REFUSED, f"not sent: the device is {device.state} by now")
        try:
            message = compose(notice, self._plan.sender, name)
        except ValueError as error:
            return Outcome(Fate.REFUSED, f"not sent: {error}"[:300])
        return self._send(self._plan, notice.recipient, message)


def _still_held(organisation: OrganisationStore, device: Device, phone: str) -> bool:
    if device.state is not DeviceState.REGISTERED:
        return False
    decided = organisation.eas_devices.list(account=device.account)
    return any((each.device_id, each.decision) == (phone, QUARANTINED) for each in decided)


def _there(organisation: OrganisationStore, name: str) -> bool:
    try:
        organisation.jobs.get(name)
    except NotFound:
        return False
    return True
