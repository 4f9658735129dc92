"""The worker's chore that tells people of devices in quarantine, of what changed about their account at the portal, and
of a broken glass at the console.

What is to be sent is found in the recorded events and put into the journalled queue under the notice's own id: a
second one of that id is refused by the store, so neither a crash nor a second look makes it twice. Sending takes a job
with a lease; a worker that dies leaves the job to be done again. One window is left, as with all mail: where the server
took the message and we died before that was written down, it is sent again, with the same Message-ID.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from email.message import EmailMessage
from typing import Any, cast

from gambeson.guard.core import notice_glass, notice_portal
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
from gambeson.guard.core.notice_glass import GlassNotice
from gambeson.guard.core.notice_portal import PortalNotice
from gambeson.model.asset import Account, Device, DeviceState
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
_OVERLAP = 600.0  # of two looks at the portal's events: some may be written late
_PORTAL_LOOKED_AT = 1_000  # newest events of one kind
BY = "worker"
KINDS = (KIND, notice_portal.KIND, notice_glass.KIND)
_GLASS_LOOKED_AT = 100  # newest uses of break-glass codes


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
        self._looked: float | None = None  # when the portal's events were last gone through

    async def run(self) -> None:
        """For ever."""
        await repeat("telling people by mail", EVERY_SECONDS, self._step)

    async def _step(self) -> None:
        await asyncio.to_thread(self.step)

    def step(self) -> int:
        """One round. Returns how many were sent. Raises what the store raises; nothing is lost then."""
        now = self._clock()
        since = now - _DAY if self._looked is None else min(now, self._looked) - _OVERLAP
        organisations = self._store.organisations()
        for each in organisations:
            organisation = self._store.organisation(each.id)
            self._find(organisation)
            self._find_portal(organisation, max(0.0, since), now)
        self._find_glass(sorted(each.id for each in organisations), max(0.0, since), now)
        self._looked = now
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

    def _find_portal(self, organisation: OrganisationStore, since: float, now: float) -> None:
        events = [
            event
            for kind in notice_portal.KINDS
            for event in organisation.events.query(kind=kind, since=since, limit=_PORTAL_LOOKED_AT)
        ]
        owners = {name: _account(organisation, name) for name in {e.account for e in events}}
        accounts = {name: owner for name, owner in owners.items() if owner is not None}
        for notice in notice_portal.due(events, accounts, self._plan.admins):
            if not _there(organisation, notice.id):
                self._journal(organisation, notice, now)

    def _find_glass(self, organisations: Sequence[str], since: float, now: float) -> None:
        """It concerns the installation; the mail is journalled with the first organisation, so that it is made once."""
        events = self._store.events.recent(notice_glass.CAUSE, since, _GLASS_LOOKED_AT)
        if not events or not organisations:
            return
        staff = [each.address for each in self._store.staff.list() if each.enabled and each.address]
        first = self._store.organisation(organisations[0])
        for notice in notice_glass.due(events, (*self._plan.admins, *staff)):
            if not _there(first, notice.id):
                self._journal(first, notice, now)

    def _refusals(
        self, organisation: OrganisationStore, kind: str, device: str, now: float
    ) -> Iterable[Event]:
        """The device's newest of today and of yesterday, which may have come late."""
        today = now - now % _DAY
        for begin in (today - _DAY, today):
            yield from organisation.events.query(
                kind=kind, device=device, since=begin, until=begin + _DAY, limit=_LOOKED_AT
            )

    def _journal(
        self, organisation: OrganisationStore, notice: Notice | PortalNotice | GlassNotice, now: float
    ) -> None:
        kind = {Notice: KIND, PortalNotice: notice_portal.KIND, GlassNotice: notice_glass.KIND}[type(notice)]
        try:
            organisation.jobs.add(
                kind, asdict(notice), id=notice.id, max_attempts=MAX_ATTEMPTS, by=BY, at=now
            )
        except Conflict:
            return  # another worker was quicker

    # -- sending

    def _send_all(self) -> int:
        sent = 0
        for _ in range(MAX_SENDINGS):
            job = self._store.jobs.claim(KINDS, worker=BY, lease=LEASE_SECONDS, at=self._clock())
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
        made = {KIND: self._quarantined, notice_portal.KIND: self._portal, notice_glass.KIND: self._glass}
        composed = made[job.kind](job)
        if isinstance(composed, Outcome):
            return composed
        recipient, message = composed
        return self._send(self._plan, recipient, message)

    def _quarantined(self, job: Job) -> tuple[str, EmailMessage] | Outcome:
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
            return notice.recipient, compose(notice, self._plan.sender, name)
        except ValueError as error:
            return Outcome(Fate.REFUSED, f"not sent: {error}"[:300])

    def _portal(self, job: Job) -> tuple[str, EmailMessage] | Outcome:
        notice = PortalNotice(**cast("dict[str, Any]", job.payload))
        try:
            organisation = self._store.organisation(job.organisation)
            organisation.accounts.get(notice.account)
            name = organisation.get().name
        except NotFound:
            return Outcome(Fate.REFUSED, "not sent: the account is not there any more")
        try:
            return notice.recipient, notice_portal.compose(notice, self._plan.sender, name, self._plan.portal)
        except ValueError as error:
            return Outcome(Fate.REFUSED, f"not sent: {error}"[:300])

    def _glass(self, job: Job) -> tuple[str, EmailMessage] | Outcome:
        notice = GlassNotice(**cast("dict[str, Any]", job.payload))
        try:
            return notice.recipient, notice_glass.compose(notice, self._plan.sender)
        except ValueError as error:
            return Outcome(Fate.REFUSED, f"not sent: {error}"[:300])


def _account(organisation: OrganisationStore, id: str) -> Account | None:
    try:
        return organisation.accounts.get(id)
    except NotFound:
        return None


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
