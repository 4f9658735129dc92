"""The weekly mail: on Monday, once, in plain words, and with nothing of the web in the worker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

import gambeson
from gambeson.app.publishing import build_snapshot
from gambeson.app.weekly import SENT, Letters, Weekly, prepare
from gambeson.console.core import weekly
from gambeson.guard.edge.notice_delivery import Fate, NoticePlan, Outcome
from gambeson.model.access import DoorKind
from gambeson.model.finding import Finding, Severity
from gambeson.model.server import Endpoint, MailServer
from gambeson.model.snapshot import Snapshot
from gambeson.store.control import Store

MONDAY = 1_789_974_000.0  # 2026-09-21 07:00 UTC
HOUR, DAY = 3600.0, 86400.0
ADMINS = ("it@acme.example", "boss@acme.example")
PLAN = NoticePlan(endpoint=Endpoint(DoorKind.SUBMISSION, "127.0.0.1", 1), admins=ADMINS)
SERVERS = (MailServer("mail", "", (Endpoint(DoorKind.IMAP, "127.0.0.1", 9),)),)
PARAMETERS = {"weekly": {"origin": "https://console.acme.example", "doors": ["imap"]}}


class World:
    def __init__(self, folder: Path) -> None:
        self.now = MONDAY
        self.store = Store.open(f"sqlite:///{folder / 'control.db'}")
        self.acme = self.store.create_organisation("Acme", domains=["acme.example"], by="t", at=self.now)
        self.store.create_organisation("Nobody", by="t", at=self.now)
        self.account = self.acme.accounts.create("ann@acme.example", by="t", at=self.now)
        self.arrived: list[tuple[str, EmailMessage]] = []
        self.answers: list[Outcome] = []
        self.chore = self.worker()

    def worker(self, plan: NoticePlan = PLAN) -> Weekly:
        letters = prepare(PARAMETERS)
        assert isinstance(letters, Letters)
        return Weekly(self.store, plan, letters, self.snapshot, clock=lambda: self.now, send=self._send)

    def snapshot(self) -> Snapshot:
        made, _ = build_snapshot(self.store.load_snapshot_parts(self.now), SERVERS, 1, self.now, "", ())
        return made

    def round(self, chore: Weekly | None = None) -> int:
        return (chore or self.chore).step(self.snapshot())

    def _send(self, plan: NoticePlan, recipient: str, message: Any) -> Outcome:
        outcome = self.answers.pop(0) if self.answers else Outcome(Fate.SENT, "taken")
        if outcome.fate is Fate.SENT:
            self.arrived.append((recipient, message))
        return outcome


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    with made.store:
        yield made


@pytest.mark.parametrize(
    ("after", "sent"),
    [(-1, 0), (0, 2), (HOUR, 2), (2 * DAY, 2), (2 * DAY + 1, 0), (6 * DAY, 0), (7 * DAY, 2)],
)
def test_when_it_goes(world: World, after: float, sent: int) -> None:
    world.now = MONDAY + after
    assert world.round() == sent
    assert {recipient for recipient, _ in world.arrived} == (set(ADMINS) if sent else set())


def test_it_goes_once_a_week_whoever_asks(world: World) -> None:
    assert world.round() == 2
    for minutes in range(1, 60):
        world.now = MONDAY + 60 * minutes
        assert world.round(world.worker()) == 0  # as after a restart
    world.now = MONDAY + 7 * DAY
    assert world.round() == 2
    assert len({message["message-id"] for _, message in world.arrived}) == 4
    events = world.acme.events.query(kind=SENT)
    assert len(events) == 4


def test_it_is_remembered_when_the_old_jobs_are_gone(world: World) -> None:
    """Jobs are forgotten after thirty days; a week lasts two."""
    world.round()
    world.now = MONDAY + 31 * DAY
    world.store.jobs.prune(world.now - 30 * DAY)
    assert world.round() == 0


def test_a_server_with_trouble_is_tried_again_and_not_twice(world: World) -> None:
    world.answers = [Outcome(Fate.LATER, "451 later")]
    assert world.round() == 0
    world.now += 30
    assert world.round() == 1  # the other one
    world.now += 61
    assert world.round() == 1
    world.now += 3600
    assert world.round() == 0
    assert sorted(recipient for recipient, _ in world.arrived) == sorted(ADMINS)


def test_what_could_not_be_sent_in_its_week_is_not_sent_in_the_next(world: World) -> None:
    world.answers = [Outcome(Fate.LATER, "451 later")]
    world.round()
    world.now = MONDAY + 7 * DAY
    assert world.round() == 2
    weeks = {message["message-id"].partition("@")[0] for _, message in world.arrived}
    assert weeks == {f"<{weekly.letter_id(world.acme.id, world.now, admin)}" for admin in ADMINS}


def test_who_is_no_admin_any_more_gets_none(world: World) -> None:
    world.answers = [Outcome(Fate.LATER, "451 later")]
    world.round()
    world.now += 120
    only = NoticePlan(endpoint=PLAN.endpoint, admins=ADMINS[1:])
    world.round(world.worker(only))
    assert [recipient for recipient, _ in world.arrived] == [ADMINS[1]]


def test_what_it_says(world: World) -> None:
    finding = Finding(
        "", world.acme.id, "server", "mx", "r", "See http://evil.example/now", Severity.HIGH, "why"
    )
    world.acme.findings.open(finding, by="t", at=world.now)
    world.round()
    text = world.arrived[0][1].get_content()
    assert "Make break-glass codes" in text
    assert "https://console.acme.example/staff/break-glass" in text
    assert "http://evil" not in text
    assert "evil.example" not in text
    assert "Nobody measures right now" in text  # the doors were never probed
    assert "Nothing needs you" not in text


def test_no_weekly_mail_where_the_settings_say_so() -> None:
    assert prepare({"weekly": None}) is None
    assert prepare({}) is None


def test_the_worker_does_not_carry_the_web() -> None:
    code = "import sys, gambeson.app.worker_child; print(*[m for m in sys.modules])"
    source = {"PYTHONPATH": str(Path(gambeson.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, env=source).stdout
    assert "gambeson.app.weekly" in loaded.split()
    assert not {"litestar", "jinja2", "uvicorn"} & set(loaded.split())
