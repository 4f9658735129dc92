"""Who is told of a device in quarantine, how often, and that nothing in the mail can be turned into something else."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.notice import Notice, causes, compose, due, notice_id, plain_words
from gambeson.model.asset import Account, Device, DeviceState
from gambeson.model.event import Event

NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
DAY = 86400.0
ACCOUNT = Account("a1", "o1", "bruno@sample.example")
DEVICE = Device("d1", "o1", "a1", "Bruno's tablet", state=DeviceState.QUARANTINED)
ADMIN = "it@sample.example"
DATA = {
    "reason": "device-quarantined",
    "rung": "device-secret",
    "credential": "c1",
    "failure": "",
    "program": "Mail",
}
EVENT = Event("doors.1.0/1", NOON, "door.login.refused", "o1", "a1", "d1", "imap", "192.0.2.7", DATA)


def told(events, sent=(), admins=(ADMIN,), device=DEVICE):
    return due(events, {"d1": device}, {"a1": ACCOUNT}, admins, sent)


def test_owner_and_administrator_are_told():
    own, admin = told([EVENT])
    assert (own.recipient, own.admin) == ("bruno@sample.example", False)
    assert (admin.recipient, admin.admin) == (ADMIN, True)
    assert own.id != admin.id


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "door.login.allowed"},
        {"account": ""},
        {"device": ""},
        {"organisation": "o2"},
        {"data": {**DATA, "reason": "no-rule"}},
        {"data": {**DATA, "rung": "nothing"}},
        {"data": {**DATA, "rung": "knowledge"}},
        {"data": {**DATA, "credential": ""}},
        {"data": {**DATA, "failure": "secret-wrong"}},
        {"data": {}},
    ],
)
def test_whatever_proved_nothing_makes_no_mail(change):
    assert told([replace(EVENT, **change)]) == []


@pytest.mark.parametrize(
    "device",
    [
        replace(DEVICE, state=DeviceState.REGISTERED),
        replace(DEVICE, state=DeviceState.BLOCKED),
        replace(DEVICE, account="a2"),
        replace(DEVICE, organisation="o2"),
    ],
)
def test_nor_does_a_device_that_is_not_this_accounts_and_in_quarantine(device):
    assert told([EVENT], device=device) == []
    assert not causes(EVENT, DEVICE, replace(ACCOUNT, enabled=False))


PHONE = replace(
    EVENT,
    kind="door.eas.refused",
    door="eas",
    data={"why": "eas-quarantined", "rung": "device-secret", "credential": "c1", "device_id": "Sec17A{1}"},
)
REGISTERED = replace(DEVICE, state=DeviceState.REGISTERED)
PHONES = frozenset({("a1", "sec17a{1}")})


def told_of_phones(events, device=REGISTERED, phones=PHONES, sent=()):
    return due(events, {"d1": device}, {"a1": ACCOUNT}, (ADMIN,), sent, phones)


def test_a_phone_that_an_administrator_put_into_quarantine_is_told_of_although_its_device_is_registered():
    own, admin = told_of_phones([PHONE, replace(PHONE, id="e2")])
    assert (own.device, own.phone, own.door) == ("d1", "sec17a{1}", "eas")
    assert "DeviceId  sec17a" in parsed(own)[1].get_content()
    text = parsed(admin)[1].get_content()
    assert "gambeson device eas allow bruno@sample.example 'sec17a{1}'" in text
    assert "gambeson device approve" not in text
    other = replace(PHONE, id="e3", data={**PHONE.data, "device_id": "OTHER"})
    assert len(told_of_phones([PHONE, other], phones={*PHONES, ("a1", "other")})) == 4
    assert told_of_phones([PHONE], sent=(own.id, admin.id)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "door.eas.device"},
        {"account": ""},
        {"organisation": "o2"},
        {"data": {**PHONE.data, "why": "eas-blocked"}},
        {"data": {**PHONE.data, "rung": "knowledge"}},
        {"data": {**PHONE.data, "credential": ""}},
        {"data": {**PHONE.data, "device_id": "other"}},
        {"data": {**PHONE.data, "device_id": 7}},
    ],
)
def test_no_other_refusal_of_a_phone_makes_mail(change):
    assert told_of_phones([replace(PHONE, **change)]) == []


def test_nor_does_one_whose_decision_was_taken_back_or_whose_device_is_not_registered():
    assert told_of_phones([PHONE], phones=()) == []
    for state in (DeviceState.QUARANTINED, DeviceState.BLOCKED):
        assert told_of_phones([PHONE], device=replace(DEVICE, state=state)) == []


def test_once_a_day_for_a_device_and_recipient():
    later = [replace(EVENT, id=f"e{n}", at=NOON + n, door="submission") for n in range(50)]
    first = told([EVENT, *later])
    assert len(first) == 2
    sent = {n.id for n in first}
    assert told(later, sent) == []
    tomorrow = replace(EVENT, at=NOON + DAY)
    assert len(told([tomorrow], sent)) == 2
    assert notice_id("d1", "2027-01-15", ADMIN) in sent


def test_an_administrator_who_is_the_owner_gets_one():
    assert [n.admin for n in told([EVENT], admins=("bruno@sample.example",))] == [True]


def parsed(notice, sender="", organisation="Sample"):
    raw = compose(notice, sender, organisation).as_bytes()
    return raw, email.message_from_bytes(raw, policy=email.policy.default)


def test_the_mail_says_that_it_is_automatic_and_what_to_do():
    raw, own = parsed(told([EVENT])[0])
    assert own["Auto-Submitted"] == "auto-generated"
    assert own["From"] == "Mail doors of Sample <postmaster@sample.example>"
    assert own["To"] == "bruno@sample.example"
    text = own.get_content()
    assert "192.0.2.7" in text
    assert "2027-01-15 12:00 UTC" in text
    assert "Is it yours?" in text
    assert "gambeson device" not in text
    assert raw.count(b"\r\n") == raw.count(b"\n")
    _, admin = parsed(told([EVENT])[1], sender=ADMIN)
    assert "gambeson device approve d1" in admin.get_content()
    assert admin["From"].addresses[0].addr_spec == ADMIN


def test_the_same_notice_has_the_same_message_id():
    assert parsed(told([EVENT])[0])[0] == parsed(told([EVENT])[0])[0]


HOSTILE = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            "x\r\nBcc: all@sample.example",
            "x\n\nhttps://evil.example/approve",
            "www.evil.example",
            "=?utf-8?q?evil?=",
            "\u2028Bcc: a@b.example",
            "<script>",
            "a@evil.example",
            "x\x00y",
        ]
    ),
)
HEADERS = {
    "from", "to", "subject", "date", "message-id", "auto-submitted", "precedence", "content-type",
    "content-transfer-encoding", "mime-version",
}  # fmt: skip


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_name_becomes_a_header_a_link_or_a_second_part(name, program, source, organisation):
    base = told(
        [replace(EVENT, source=source, data={**DATA, "program": program})], device=replace(DEVICE, name=name)
    )
    for notice in base:
        _, message = parsed(notice, organisation=organisation)
        assert {k.lower() for k in message} == HEADERS
        assert not message.is_multipart()
        assert len(message["To"].addresses) == 1
        text = message.get_content()
        for link in ("://", "www.", "evil.example", "<", "\x00"):
            assert link not in text


@given(HOSTILE)
def test_plain_words_are_one_short_line(text):
    out = plain_words(text)
    assert 0 < len(out) <= 60
    assert out.isprintable()
    assert "@" not in out
    assert ":" not in out
    assert "/" not in out


def test_version_numbers_stay():
    assert plain_words("iPhone 15, iOS 17.5.1") == "iPhone 15, iOS 17.5.1"


@pytest.mark.parametrize("address", ["nobody", "", "a\r\nb@c.example"])
def test_what_is_no_address_is_no_mail(address):
    with pytest.raises(ValueError, match=r"no mail address|cannot"):
        compose(Notice("n", "d", "n", "a@b.example", address, False, "imap", "", "", NOON), "", "x")
