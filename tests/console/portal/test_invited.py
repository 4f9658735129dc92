"""A printed code from the console at the real portal: days later, with the password, once; and a code of the help desk
in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.lab import Browser as Staff
from console.lab import Lab
from console.portal.browser import ORIGIN, Browser, app_code, key_of
from console.portal.test_real_desk import ADDRESS, PASSWORD, Real
from gambeson.console import sheets
from gambeson.console.portal import PortalSettings, make_portal
from gambeson.model.staff import EVERY, Grant, Role

DAY = 86400.0


class Both:
    """A console and a portal over one store and one keeper's keys, with one clock. ``printed`` are the sheets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lab = Lab(folder)
        self.real = Real(self.lab.store, folder / "keys")
        self.lab.clock = self.real.clock  # type: ignore[assignment]
        self.lab.world.clock = self.real.clock
        self.lab.world.works._clock = self.real.clock
        self.org = self.real.org
        self.printed: list[sheets.Sheet] = []
        render = sheets.render

        def printing(papers: Any, **more: Any) -> bytes:
            self.printed += papers
            return render(papers, **more)

        monkeypatch.setattr(sheets, "render", printing)

    def staff(self, name: str = "Owner") -> Staff:
        return self.lab.browser(self.lab.staff(name, Grant(EVERY, Role.OWNER)))

    def invite(self) -> str:
        answer = self.staff(f"Owner {len(self.printed)}").post(
            f"/o/{self.org.id}/invitations", among="no-factor"
        )
        assert answer.status == 303, answer.text
        self.lab.world.works.join()
        assert self.printed[-1].address == ADDRESS
        return self.printed[-1].code

    def portal(self) -> Browser:
        return Browser(make_portal(self.real, PortalSettings(ORIGIN), clock=self.real.clock))


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    made = Both(tmp_path, monkeypatch)
    with made.lab:
        yield made
        made.real.answer_desk.close()


def enrol(browser: Browser, code: str, password: str = PASSWORD) -> int:
    return browser.post("/enrol", address=ADDRESS, password=password, code=code).status


def test_a_printed_code_works_days_later_with_the_password_and_once(both: Both) -> None:
    code = both.invite()
    both.real.clock.now += 13 * DAY
    assert enrol(both.portal(), code, "wrong password") == 403  # whoever finds the sheet has nothing
    browser = both.portal()
    answer = browser.post("/enrol", address=ADDRESS, password=PASSWORD, code=code.upper().replace("-", " "))
    assert answer.location == "/factors/new"
    browser.post("/factors/totp", code=app_code(both.real.clock.now, key_of(browser.follow(answer))))
    assert enrol(both.portal(), code) == 403
    ((row,), _) = both.org.invitations.list(at=both.real.clock.now)
    assert (row.factor, row.used_at, row.code_until) == (True, both.real.clock.now, 0)
    assert row.first_sign_in == both.real.clock.now


def test_it_is_over_after_two_weeks(both: Both) -> None:
    code = both.invite()
    both.real.clock.now += 14 * DAY
    assert enrol(both.portal(), code) == 403


def test_one_who_is_invited_again_needs_the_newer_sheet(both: Both) -> None:
    first = both.invite()
    both.real.clock.now += 14 * DAY
    second = both.invite()
    assert first != second
    assert enrol(both.portal(), first) == 403
    assert enrol(both.portal(), second) == 303


def test_the_help_desks_code_takes_the_sheets_place_for_ten_minutes(both: Both) -> None:
    paper = both.invite()
    answer = both.staff("Desk").post(f"/o/{both.org.id}/people/acc-1/help-desk", method="in-person")
    found = re.search(r'class="figure secret"[^>]*>([0-9a-z-]{19})<', answer.text)
    assert found is not None
    assert enrol(both.portal(), paper) == 403
    both.real.clock.now += 599
    assert enrol(both.portal(), found[1]) == 303
    assert enrol(both.portal(), found[1]) == 403
