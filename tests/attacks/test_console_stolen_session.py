"""What a stolen cookie may do without the passkey, and what a session by break-glass leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.lab import Browser, Lab
from gambeson.console import glass
from gambeson.console.core import glass as core
from gambeson.console.works import Result
from gambeson.model.access import DoorKind, Mode
from gambeson.model.staff import EVERY, Grant, Role, Verb
from gambeson.store.findings import LIVE
from gambeson.store.tenant import OrganisationStore

DAY = 86400.0
OWNER = Grant(EVERY, Role.OWNER)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as made:
        yield made


@pytest.fixture
def acme(lab: Lab) -> OrganisationStore:
    return lab.organisation("Acme", "acme.example")


@pytest.fixture
def stolen(lab: Lab) -> Browser:
    """A session whose passkey was shown long ago."""
    return lab.browser(lab.staff("Ann", OWNER), fresh=False)


def steps_up(answer: object) -> bool:
    return getattr(answer, "location", "").startswith("/step-up")


def test_sheets_full_of_codes_take_a_passkey_to_have_as_they_took_one_to_make(
    lab: Lab, acme: OrganisationStore, stolen: Browser
) -> None:
    work = lab.world.works.start(
        acme.id,
        by="Ann (console)",
        verb=Verb.PEOPLE,
        kind="invitations",
        total=1,
        function=lambda progress: Result("done", b"%PDF codes", "application/pdf", "invitations.pdf"),
    )
    lab.world.works.join()
    path = f"/o/{acme.id}/progress/{work.id}/file"
    assert steps_up(stolen.get(path))
    assert lab.browser(lab.staff("Bea", OWNER)).get(path).body == b"%PDF codes"


def test_a_device_that_reads_a_mailbox_takes_a_passkey(
    lab: Lab, acme: OrganisationStore, stolen: Browser
) -> None:
    """Its secret opens the mailbox for ever, which is more than a code of ten minutes does."""
    account = acme.accounts.create("ann@acme.example", **lab.act)
    page = f"/o/{acme.id}/people/{account.id}/device"
    assert steps_up(stolen.get(page)), "nobody types a form and loses it"
    assert steps_up(stolen.post(page, name="Mine", **{"door-imap": "yes"}))
    assert acme.devices.count() == 0


def test_a_door_that_only_observes_does_so_no_longer_without_a_passkey(
    lab: Lab, acme: OrganisationStore, stolen: Browser
) -> None:
    acme.modes.set(DoorKind.IMAP, Mode.OBSERVE, until=lab.clock.now + 3600, reason="a test", **lab.act)
    answer = stolen.post(f"/o/{acme.id}/doors/modes/set", door="imap", mode="observe", days="30", reason="x")
    assert steps_up(answer)
    assert [each.until for each in acme.modes.list()] == [lab.clock.now + 3600]


def test_who_is_held_by_their_group_is_not_let_off_without_a_passkey(
    lab: Lab, acme: OrganisationStore, stolen: Browser
) -> None:
    """The whole organisation observes, one group is enforced. An entry for a member of it makes them weaker."""
    acme.accounts.create("boss@acme.example", groups=("admins",), **lab.act)
    until = lab.clock.now + 40 * DAY
    acme.modes.set(DoorKind.IMAP, Mode.OBSERVE, until=until, reason="a test", **lab.act)
    acme.modes.set(DoorKind.IMAP, Mode.ENFORCE, group="admins", **lab.act)
    form = {"door": "imap", "mode": "observe", "days": "7", "account": "boss@acme.example", "reason": "x"}
    assert steps_up(stolen.post(f"/o/{acme.id}/doors/modes/set", **form))
    assert not [each for each in acme.modes.list() if each.account]


def test_a_stricter_or_shorter_mode_takes_no_passkey(
    lab: Lab, acme: OrganisationStore, stolen: Browser
) -> None:
    acme.modes.set(DoorKind.IMAP, Mode.OBSERVE, until=lab.clock.now + 20 * DAY, reason="a test", **lab.act)
    path = f"/o/{acme.id}/doors/modes/set"
    shorter = stolen.post(path, door="imap", mode="warn", days="5", reason="x")
    assert shorter.location.startswith(f"/o/{acme.id}/doors")
    assert stolen.post(path, door="imap", mode="enforce", reason="x").location.startswith(
        f"/o/{acme.id}/doors"
    )


@pytest.mark.parametrize("how", ["passkey", "break-glass"])
def test_nobody_accepts_for_a_year_that_the_glass_is_broken(
    lab: Lab, acme: OrganisationStore, how: str
) -> None:
    """Whoever came in with a code would waive the alarm, and each later use would raise none."""
    ann = lab.staff("Ann", OWNER)
    guest = lab.browser(how="break-glass")
    browser = lab.browser(ann) if how == "passkey" else guest
    assert glass.settle(lab.store, "worker", lab.clock.now)
    (finding,) = acme.findings.list(rule=core.RULE)
    form = {"pick.0": finding.id, "until": "2026-12-01", "reason": "nothing to see"}
    assert browser.post(f"/o/{acme.id}/findings/many/waive", **form).status == 409
    assert acme.findings.get(finding.id).state in LIVE
    count = lab.store.audit.head()[0]
    lab.later(5)
    assert glass.settle(lab.store, "worker", lab.clock.now)
    assert lab.store.audit.head()[0] == count
