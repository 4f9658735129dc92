"""What the weekly mail says, to the letter, and when it is due."""

from __future__ import annotations

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.console.core.availability import Up
from gambeson.console.core.chores import DoorFact, Facts
from gambeson.console.core.today import Alone, today
from gambeson.console.core.weekly import DAY, LATEST, WEEK, Letter, compose, due, due_at, letter_id
from gambeson.console.core.wording import percent
from gambeson.console.web.texts import Catalogue, read_catalogue
from gambeson.model.access import DoorKind, Mode
from gambeson.model.finding import Finding, Severity

MONDAY = 1_789_974_000.0  # 2026-09-21 07:00 UTC
WELL = {"accounts": 10, "audit_verified_at": MONDAY - DAY, "backup_at": MONDAY - 3600}


@pytest.fixture(scope="module", params=["en", "de"])
def texts(request: pytest.FixtureRequest) -> Catalogue:
    return catalogue(request.param)


def catalogue(language: str) -> Catalogue:
    folder = files("gambeson.console.admin").joinpath("texts").joinpath(language)
    wanted = [folder.joinpath(name) for name in ("frame.toml", "today.toml", "weekly.toml")]
    return read_catalogue(wanted, language)


def letter(facts: Facts, up: float = 1.0, now: Up = Up.UP, alone: Alone | None = None) -> Letter:
    name = "Acme, http://evil.example"
    found = today(facts, 1, (now,), alone)
    return Letter("it@acme.example", "", "org1", name, "https://c.example", MONDAY, found, up)


BUSY = """The mail doors of Acme, http evil example, 2026-09-21

Exposure: critical. Doors: up. All doors were up for 99.99 % of the measured time.

What to do first: the most risk taken away for a minute of yours. These take 58 of your 60 minutes.

  1. Close the emergency bypass: until 2026-09-21 08:00 UTC every door lets passwords through (5 min, now)
     https://c.example/o/org1/doors/modes
  2. A door only watches: IMAP, until 2026-09-22 07:00 UTC. See who would be stopped, and enforce (13 min)
     https://c.example/o/org1/doors/modes
  3. High: Old TLS at mx evil example (25 min)
     https://c.example/o/org1/findings/f1
  4. 2 devices wait in quarantine: approve or block them (7 min)
     https://c.example/o/org1/people/quarantine
  5. 3 accounts have no device: invite their owners (8 min)
     https://c.example/o/org1/people?only=without-device

What Gambeson did alone in the last seven days:

  - 12 sign-ins and requests refused that proved too little or that the policy keeps out
  - 1 finding measured again and closed

The console: https://c.example/o/org1/today
This comes once a week. weekly = false under [notices] in the settings ends it.
"""
WELL_TEXT = """The mail doors of Acme, http evil example, 2026-09-21

Exposure: none known. Doors: up. All doors were up for 100 % of the measured time.

Nothing needs you.
Everything that Gambeson measures is as it should be. Come back when a mail calls you.

What Gambeson did alone in the last seven days:

  - Nothing yet: nobody was refused, and nothing had to be ended.

The console: https://c.example/o/org1/today
This comes once a week. weekly = false under [notices] in the settings ends it.
"""


def test_a_busy_week() -> None:
    finding = Finding("f1", "org1", "server", "mx", "tls", "Old TLS at mx.evil.example", Severity.HIGH, "why")
    facts = Facts(
        MONDAY,
        **WELL,
        bypass_until=MONDAY + 3600,
        doors=(DoorFact(DoorKind.IMAP, Mode.OBSERVE, MONDAY + DAY),),
        quarantined=2,
        without_device=3,
        findings=(finding,),
    )
    alone = Alone(refused=12, findings_closed=1)
    message = compose(letter(facts, 0.999999, alone=alone), catalogue("en"))
    assert message["subject"] == "5 things for your hour this week"
    assert message["from"] == '"Mail doors of Acme, http evil example" <postmaster@acme.example>'
    assert message["to"] == "it@acme.example"
    assert message["auto-submitted"] == "auto-generated"
    assert message["date"] == "Mon, 21 Sep 2026 07:00:00 +0000"
    assert message.get_content_type() == "text/plain"
    assert message.get_content() == BUSY


def test_a_week_in_which_all_is_well() -> None:
    message = compose(letter(Facts(MONDAY, **WELL)), catalogue("en"))
    assert message["subject"] == "Nothing needs you this week"
    assert message.get_content() == WELL_TEXT


@pytest.mark.parametrize("blind", ["doors", "audit", "findings"])
def test_blind_is_never_told_as_well(texts: Catalogue, blind: str) -> None:
    facts = {
        "doors": Facts(MONDAY, **WELL, blind=("imap",)),
        "audit": Facts(MONDAY, **{**WELL, "audit_verified_at": None}),
        "findings": Facts(MONDAY, **WELL, findings=None),
    }[blind]
    message = compose(letter(facts, 0.5, Up.BLIND if blind == "doors" else Up.UP), texts)
    assert message["subject"] != texts("weekly.subject-nothing")
    assert texts("today.nothing") + "." not in message.get_content()
    assert texts("today.blind-now") in message.get_content()


def test_nothing_is_left_to_fill_in(texts: Catalogue) -> None:
    facts = Facts(
        MONDAY, accounts=9, codes_used_at=5.0, lagging=1, eas_waiting=1, stopped=3, unused_devices=1
    )
    assert "{" not in compose(letter(facts, 0.0, Up.DOWN), texts).get_content()


@given(st.floats(0, 4e9))
def test_due_on_monday_at_seven(now: float) -> None:
    at = due_at(now)
    assert 0 <= now - at < WEEK or now < 5 * DAY
    assert (at - 4 * DAY - 7 * 3600) % WEEK == 0
    assert due(now) == (now - at <= LATEST)


def test_the_name_is_of_week_organisation_and_recipient() -> None:
    names = {
        letter_id(organisation, at, recipient)
        for organisation in ("a", "b")
        for at in (MONDAY, MONDAY + 3 * DAY, MONDAY + WEEK)
        for recipient in ("x@y.z", "u@v.w")
    }
    assert len(names) == 8
    assert letter_id("a", MONDAY, "x") == letter_id("a", MONDAY + 6 * DAY, "x")


@pytest.mark.parametrize(
    ("share", "said"),
    [(1, "100 %"), (0.999999, "99.99 %"), (0.5, "50.00 %"), (1e-9, "0.01 %"), (0, "0 %"), (1.2, "100 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, said: str) -> None:
    assert percent(share) == said.replace(" ", "\u00a0")
