"""Who is told that the ways into an account changed, how often, and in what words."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.notice_portal import KINDS, PortalNotice, compose, due
from gambeson.model.asset import Account
from gambeson.model.event import Event

NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
ANN, BRUNO = Account("a1", "o1", "ann@sample.example"), Account("a2", "o1", "bruno@sample.example")
ADMIN = "it@sample.example"
ORIGIN = "https://portal.sample.example"
DATA = {"claimed": "ann@sample.example", "sentence": "Authenticator app"}
EVENT = Event("portal/1/1", NOON, "portal.factor.added", "o1", "a1", "", "portal", "192.0.2.7", DATA)
ALARMS = {"portal.recovery.used", "portal.passkey.copied"}


def told(*events, admins=(ADMIN,), accounts=(ANN, BRUNO)):
    return due(events, {each.id: each for each in accounts}, admins)


def of(kind, **more):
    """An event of that kind, by who writes such."""
    return replace(EVENT, kind=kind, id="console-1" if kind.startswith("console.") else EVENT.id, **more)


def read(notice, origin=ORIGIN):
    message = email.message_from_bytes(
        compose(notice, "", "Sample", origin).as_bytes(), policy=email.policy.default
    )
    return message, message.get_content()


@pytest.mark.parametrize("kind", KINDS)
def test_the_owner_hears_of_everything_and_administrators_of_what_smells_of_theft(kind):
    found = [n.recipient for n in told(of(kind))]
    assert found == [ANN.address, *([ADMIN] if kind in ALARMS else [])]


def test_an_administrator_whose_own_account_it_is_gets_one_mail():
    (own,) = told(replace(EVENT, kind="portal.recovery.used"), admins=(ANN.address,))
    assert "If this was not you" in read(own)[1]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "portal.sign-in"},
        {"kind": "portal.second.refused"},
        {"kind": "portal.passkey.refused"},
        {"account": ""},
        {"account": "a9"},
        {"organisation": "o2"},
        {"id": "doors.1.0/1"},
    ],
)
def test_other_kinds_strangers_and_what_a_door_writes_make_no_mail(change):
    assert told(replace(EVENT, **change)) == []


def test_a_disabled_account_is_told_nothing():
    assert told(EVENT, accounts=(replace(ANN, enabled=False),)) == []


def test_one_mail_for_each_account_kind_and_hour_about_the_first():
    later = replace(EVENT, id="portal/1/2", at=NOON + 3599)
    (one,) = told(later, EVENT)
    assert one.at == NOON
    assert told(later)[0].id == one.id
    others = [
        replace(EVENT, at=NOON + 3600),
        replace(EVENT, account="a2"),
        replace(EVENT, kind="portal.factor.removed"),
    ]
    assert len({n.id for n in told(EVENT, *others)}) == 4


def test_what_it_says():
    message, text = read(told(EVENT)[0])
    assert message["Subject"] == "A second factor was added"
    assert message["To"] == ANN.address
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    for line in (
        "  account   ann@sample.example",
        "  factor    Authenticator app",
        "  when      2027-01-15 12:00 UTC",
        "  from      192.0.2.7",
        f"If this was not you: sign in at the portal, {ORIGIN}, or tell your administrator.",
    ):
        assert line in text.splitlines()


def test_without_a_known_portal_no_address_is_named():
    text = read(told(EVENT)[0], "")[1]
    assert "If this was not you: sign in at the portal or tell your administrator." in text
    assert "://" not in text


@pytest.mark.parametrize("kind", sorted(ALARMS))
def test_an_administrator_is_asked_to_ask_and_what_the_record_says_beside_is_left_out(kind):
    event = replace(EVENT, kind=kind, data={"sentence": "Check: counter. abcd-efgh"})
    for notice in told(event):
        assert "abcd" not in read(notice)[1]
    assert "Ask the account's owner" in read(told(event)[1])[1]


@given(st.text(max_size=300), st.text(max_size=64), st.sampled_from(sorted(KINDS)))
def test_whatever_a_thing_is_called_it_becomes_no_link_no_header_and_no_line(named, source, kind):
    event = of(kind, source=source, data={"sentence": named})
    usual = read(told(replace(event, source="::1", data={"sentence": "x"}))[0], "")
    message, text = read(told(event)[0], "")
    assert message.keys() == usual[0].keys()
    assert "://" not in text
    assert "@" not in text.replace(ANN.address, "")
    assert abs(len(text.splitlines()) - len(usual[1].splitlines())) <= 1


@pytest.mark.parametrize("source", ["fe80::1%https://evil.example", "evil.example", "", "1.2.3.4 evil"])
def test_a_source_that_is_more_than_an_address_is_not_shown(source):
    assert "evil" not in read(told(replace(EVENT, source=source))[0])[1]


def test_what_the_help_desk_gave_is_told_by_the_console_alone_and_without_its_address():
    kind = "console.help-desk.code"
    event = of(kind, source="192.0.2.99", data={"sentence": "by calling back"})
    message, text = read(told(event)[0])
    assert message["Subject"] == "The help desk gave a code for this account"
    assert "  checked   by calling back" in text
    assert "192.0.2.99" not in text
    for forged in (EVENT.id, "doors/1", "doors.1.0/console-1"):
        assert told(replace(event, id=forged)) == []
    assert told(replace(EVENT, id="console-1")) == []


def test_a_kind_that_has_no_words_is_a_declared_error():
    with pytest.raises(ValueError, match="there is no notice of"):
        compose(
            PortalNotice("n", "portal.sign-in", "a", "a@x.example", "a@x.example", "", "", NOON), "", "x", ""
        )
