"""Notices from events to the mail server: journalled, sent once, tried again, given up with a reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from gambeson.guard.core.notice import KIND
from gambeson.guard.edge.notice_delivery import Fate, NoticePlan, Outcome, deliver
from gambeson.guard.edge.notices import LEASE_SECONDS, Notices
from gambeson.model.access import DoorKind
from gambeson.model.asset import Device, DeviceState
from gambeson.model.event import Event
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.store.control import Store
from gambeson.store.jobs import JobState
from gambeson.store.tenant import OrganisationStore

NOW = 1_800_014_400.0  # noon
ADMIN = "it@sample.example"
NOWHERE = NoticePlan(
    endpoint=Endpoint(DoorKind.SUBMISSION, "127.0.0.1", 1, tls=UpstreamTls.NONE), admins=(ADMIN,)
)


class World:
    """One organisation with a device in quarantine, and a mail server that answers as told."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.url = f"sqlite:///{folder / 'control.db'}"
        self.store = Store.open(self.url)
        self.organisation = self.store.create_organisation(
            "Sample", domains=["sample.example"], by="t", at=NOW
        )
        self.account = self.organisation.accounts.create("ann@sample.example", by="t", at=NOW)
        self.device = self.add("Phone")
        self.arrived: list[tuple[str, str]] = []
        self.answer: Outcome | BaseException = Outcome(Fate.SENT, "taken")
        self.chore = self.worker()

    def add(self, name: str) -> Device:
        state = DeviceState.QUARANTINED
        doors = [DoorKind.IMAP]
        return self.organisation.devices.create(
            self.account.id, name, doors=doors, state=state, by="t", at=NOW
        )

    def worker(self) -> Notices:
        return Notices(self.store, NOWHERE, clock=lambda: self.now, send=self._send)

    def _send(self, plan: NoticePlan, recipient: str, message: object) -> Outcome:
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer.fate is Fate.SENT:
            self.arrived.append((recipient, message["Message-ID"]))  # type: ignore[index]
        return self.answer

    def tries(self, device: Device | None = None, number: int = 1, **data: object) -> None:
        """The device proves itself at a door and is not served."""
        facts = {
            "reason": "device-quarantined",
            "rung": "device-secret",
            "credential": "c1",
            "failure": "",
            **data,
        }
        who = (device or self.device).id
        event = Event(
            f"doors.1.0/{who}{self.now}{number}", self.now, "door.login.refused",
            self.organisation.id, self.account.id, who, "imap", "192.0.2.1", facts,
        )  # fmt: skip
        self.store.events.append([event])

    def at_the_portal(self, kind: str, number: int = 1) -> None:
        """Something changed at the portal, as the worker's desk writes it."""
        event = Event(
            f"portal/1/{self.now}{kind}{number}", self.now, kind, self.organisation.id, self.account.id,
            door="portal", source="192.0.2.1", data={"claimed": self.account.address, "sentence": "App"},
        )  # fmt: skip
        self.store.events.append([event])

    def jobs(self) -> dict[str, JobState]:
        return {j.payload["recipient"]: j.state for j in self.organisation.jobs.list() if j.kind == KIND}  # type: ignore[index]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


def test_nothing_happened_nobody_is_told(world: World) -> None:
    assert world.chore.step() == 0
    world.tries(rung="nothing", credential="")
    assert world.chore.step() == 0
    assert world.jobs() == {}


def test_one_mail_for_each_recipient_a_day_whatever_the_device_does(world: World) -> None:
    for number in range(300):
        world.tries(number=number)
    assert world.chore.step() == 2
    assert sorted(r for r, _ in world.arrived) == ["ann@sample.example", ADMIN]
    world.tries(number=301)
    assert world.chore.step() == 0
    assert world.worker().step() == 0  # a new worker remembers nothing and need not
    world.now += 86400
    world.tries()
    assert world.chore.step() == 2
    assert len({message for _, message in world.arrived}) == 4


def test_every_device_has_its_own(world: World) -> None:
    world.tries()
    world.tries(world.add("Tablet"))
    assert world.chore.step() == 4


def test_a_phone_in_quarantine_by_its_device_id_is_told_of_until_the_decision_is_taken_back(
    world: World,
) -> None:
    accounts = world.organisation
    accounts.devices.set_state(world.device.id, DeviceState.REGISTERED, by="t", at=NOW)
    accounts.eas_devices.decide(world.account.id, "SEC17A", "quarantined", by="t", at=NOW)
    facts = {"why": "eas-quarantined", "rung": "device-secret", "credential": "c1", "device_id": "Sec17A"}

    def tries(name: str) -> None:
        event = Event(
            name, world.now, "door.eas.refused",
            accounts.id, world.account.id, world.device.id, "eas", "192.0.2.1", facts,
        )  # fmt: skip
        world.store.events.append([event])

    tries("doors.1.0/1")
    assert world.chore.step() == 2
    tries("doors.1.0/2")
    assert world.chore.step() == 0
    world.now += 86400
    tries("doors.1.0/3")
    world.answer = Outcome(Fate.LATER, "451 later")
    assert world.chore.step() == 0
    accounts.eas_devices.forget(world.account.id, "SEC17A", by="t", at=NOW)
    world.answer, world.now = Outcome(Fate.SENT, "taken"), world.now + 7200
    assert world.chore.step() == 0
    assert len(world.arrived) == 2


def test_what_was_tried_before_midnight_is_told_after_it(world: World) -> None:
    world.tries()
    world.now += 18 * 3600
    assert world.chore.step() == 2


def test_a_worker_that_dies_while_sending_loses_nothing_and_doubles_nothing(world: World) -> None:
    world.tries()
    world.answer = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.chore.step()
    world.answer = Outcome(Fate.SENT, "taken")
    assert world.worker().step() == 1  # the other one; the first is still the dead worker's
    world.now += LEASE_SECONDS + 1
    assert world.worker().step() == 1
    assert sorted(r for r, _ in world.arrived) == ["ann@sample.example", ADMIN]
    assert world.worker().step() == 0


def test_a_mail_server_with_trouble_is_asked_again_later_and_at_last_not_any_more(world: World) -> None:
    world.tries()
    world.answer = Outcome(Fate.LATER, "451 later")
    assert world.chore.step() == 0
    world.answer = Outcome(Fate.SENT, "taken")
    world.now += 61
    assert world.chore.step() == 2
    world.tries(world.add("Tablet"))
    world.answer = Outcome(Fate.LATER, "451 later")
    for _ in range(200):
        world.chore.step()
        world.now += 3601
    states = [j.state for j in world.organisation.jobs.list()]
    assert sorted(states) == [JobState.DONE, JobState.DONE, JobState.FAILED, JobState.FAILED]


def test_what_is_refused_for_good_is_kept_with_the_answer(world: World) -> None:
    world.tries()
    world.answer = Outcome(Fate.REFUSED, "550 no such user")
    assert world.chore.step() == 0
    assert set(world.jobs().values()) == {JobState.FAILED}
    assert {j.result for j in world.organisation.jobs.list()} == {"550 no such user"}


def test_who_was_let_in_meanwhile_is_told_nothing(world: World) -> None:
    world.tries()
    world.answer = Outcome(Fate.LATER, "451 later")
    world.chore.step()
    world.organisation.devices.set_state(world.device.id, DeviceState.REGISTERED, by="t", at=world.now)
    world.answer = Outcome(Fate.SENT, "taken")
    world.now += 61
    assert world.chore.step() == 0
    assert world.arrived == []


def test_another_organisations_claims_make_no_mail(world: World) -> None:
    """A lying door writes of a device under an organisation that is not its own."""
    other: OrganisationStore = world.store.create_organisation("Other", domains=["o.example"], by="t", at=NOW)
    facts = {"reason": "device-quarantined", "rung": "device-key", "credential": "c"}
    forged = Event(
        "doors.1.0/x", NOW, "door.login.refused", other.id, world.account.id, world.device.id, data=facts
    )
    world.store.events.append([forged])
    assert world.chore.step() == 0


def test_a_code_from_the_help_desk_is_told_to_its_owner(world: World) -> None:
    event = Event(
        "console-1", world.now, "console.help-desk.code", world.organisation.id, world.account.id,
        source="192.0.2.9", data={"sentence": "by video, with an identity card"},
    )  # fmt: skip
    world.store.events.append([event])
    assert world.chore.step() == 1
    assert [recipient for recipient, _ in world.arrived] == ["ann@sample.example"]
    assert world.chore.step() == 0


def test_what_changes_at_the_portal_is_told_once_an_hour(world: World) -> None:
    for number in range(30):
        world.at_the_portal("portal.factor.added", number)
    world.at_the_portal("portal.sign-in")
    assert world.chore.step() == 1
    assert [to for to, _ in world.arrived] == ["ann@sample.example"]
    world.now += 5
    world.at_the_portal("portal.factor.added", 31)
    assert world.chore.step() == 0
    assert world.worker().step() == 0  # a new worker remembers nothing and need not
    world.at_the_portal("portal.recovery.used")
    assert world.chore.step() == 2  # the administrators too
    world.now += 3600
    world.at_the_portal("portal.factor.added")
    assert world.chore.step() == 1
    assert len({message for _, message in world.arrived}) == 4


def test_a_notice_of_the_portal_outlives_a_mail_server_with_trouble(world: World) -> None:
    world.at_the_portal("portal.device.added")
    world.answer = Outcome(Fate.LATER, "451 later")
    assert world.chore.step() == 0
    world.answer, world.now = Outcome(Fate.SENT, "taken"), world.now + 7200
    assert world.worker().step() == 1
    assert world.worker().step() == 0


def test_what_is_written_late_is_still_told(world: World) -> None:
    world.now += 60
    assert world.chore.step() == 0
    world.now -= 60
    world.at_the_portal("portal.factor.removed")
    world.now += 65
    assert world.chore.step() == 1


def test_who_is_not_there_any_more_is_told_nothing(world: World) -> None:
    world.at_the_portal("portal.factor.added")
    world.answer = Outcome(Fate.LATER, "451 later")
    world.chore.step()
    world.organisation.accounts.delete(world.account.id, by="t", at=world.now)
    world.answer, world.now = Outcome(Fate.SENT, "taken"), world.now + 61
    assert world.chore.step() == 0
    assert world.arrived == []


# -- over real SMTP


class Handler:
    """aiosmtpd's hooks: remembers, and answers RCPT and DATA as told."""

    def __init__(self, rcpt: str, data: str) -> None:
        self.rcpt, self.data = rcpt, data
        self.seen: list[tuple[str | None, list[str], bytes]] = []

    async def handle_RCPT(self, server, session, envelope, address, options):  # type: ignore[no-untyped-def]
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server, session, envelope):  # type: ignore[no-untyped-def]
        self.seen.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return self.data


class Loopback(Controller):
    """On a port that the kernel chooses."""

    def factory(self) -> SMTP:
        return SMTP(self.handler, hostname="mail.test", enable_SMTPUTF8=True)


@pytest.mark.parametrize(
    ("rcpt", "data", "fate"),
    [
        ("250 ok", "250 taken", Fate.SENT),
        ("450 later", "", Fate.LATER),
        ("550 nobody", "", Fate.REFUSED),
        ("250 ok", "451 full", Fate.LATER),
        ("250 ok", "554 no", Fate.REFUSED),
        ("421 bye", "", Fate.LATER),
    ],
)
@pytest.mark.parametrize("recipient", ["ann@sample.example", "änn@sample.example"])
def test_over_smtp(rcpt: str, data: str, fate: Fate, recipient: str) -> None:
    from gambeson.guard.core.notice import Notice, compose
    from peers.process import free_port

    handler = Handler(rcpt, data)
    controller = Loopback(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        plan = NoticePlan(
            endpoint=Endpoint(DoorKind.SUBMISSION, "127.0.0.1", controller.port, tls=UpstreamTls.NONE)
        )
        notice = Notice("n1", "d1", "Phone", recipient, recipient, False, "imap", "::1", "", time.time())
        outcome = deliver(plan, recipient, compose(notice, "", "Sample"))
    finally:
        controller.stop()
    assert outcome.fate is fate, outcome
    if data.startswith("250"):
        ((sender, recipients, content),) = handler.seen
        assert (sender, recipients) == ("<>", [recipient])
        assert b"Auto-Submitted: auto-generated" in content


def test_nobody_there_is_for_later() -> None:
    from gambeson.guard.core.notice import Notice, compose

    notice = Notice("n1", "d1", "Phone", "a@b.example", "a@b.example", False, "imap", "::1", "", 0.0)
    assert deliver(NOWHERE, "a@b.example", compose(notice, "", "x")).fate is Fate.LATER


def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for() -> None:
    from gambeson.guard.core.notice import Notice, compose
    from peers.process import free_port

    handler = Handler("250 ok", "250 ok")
    controller = Loopback(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        plan = NoticePlan(
            endpoint=Endpoint(DoorKind.SUBMISSION, "127.0.0.1", controller.port, tls=UpstreamTls.STARTTLS)
        )
        notice = Notice("n1", "d1", "Phone", "a@b.example", "a@b.example", False, "imap", "::1", "", 0.0)
        assert deliver(plan, "a@b.example", compose(notice, "", "x")).fate is Fate.LATER
    finally:
        controller.stop()
    assert handler.seen == []
