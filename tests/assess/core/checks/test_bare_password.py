"""ACC-003: doors that open to a password alone, and those of which that cannot be said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assess.door_cases import (
    CHALLENGE,
    COMMAND,
    LATE,
    NOTHING,
    PASSWORD,
    TOKENS,
    UNTOLD,
    closed,
    codes,
    door,
    facts,
    lines,
    unseen,
)
from gambeson.assess.core.check import Light
from gambeson.assess.core.doors import DoorFacts, Offer, Protocol, StartTls
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.model.finding import Severity

BROKEN = {"starttls": StartTls.FAILED, "unknown": Unknown(Cause.TLS_FAILED, "no handshake")}


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (door(Protocol.IMAPS, secured=PASSWORD), "open"),
        (door(Protocol.IMAPS, secured=COMMAND), "open"),
        (door(Protocol.IMAPS, secured=CHALLENGE), "open"),
        (door(Protocol.IMAPS, secured=TOKENS), "strong"),
        (door(Protocol.IMAPS, secured=Offer(("X",), ("OAUTHBEARER", "PLAIN"), False)), "open"),
        (door(Protocol.IMAP, plain=PASSWORD, secured=NOTHING), "open"),
        (door(Protocol.IMAP, plain=NOTHING, secured=PASSWORD), "open"),
        (door(Protocol.IMAP, plain=NOTHING, secured=TOKENS), "strong"),
        (door(Protocol.IMAP, plain=NOTHING, starttls=StartTls.NOT_OFFERED), "no-sign-in"),
        (door(Protocol.IMAP, plain=NOTHING, **BROKEN), "unknown"),
        (door(Protocol.IMAP, plain=PASSWORD, **BROKEN), "open"),
        (door(Protocol.IMAP, starttls=StartTls.FAILED), "unknown"),
        (door(Protocol.IMAP, secured=None, unknown=LATE), "unknown"),
        (
            door(Protocol.IMAP, notes=("it signs in whoever connects (PREAUTH)",)),
            "nothing",
        ),
        (door(Protocol.POP3S, secured=Offer(("USER",), (), True)), "open"),
        # Dovecot without PLAIN and LOGIN still says USER
        (door(Protocol.POP3S, secured=Offer(("USER",), ("XOAUTH2",), True)), "perhaps"),
        (door(Protocol.POP3S, secured=UNTOLD), "unknown"),
        (door(Protocol.POP3S, secured=Offer((), ("APOP",))), "open"),
        (door(Protocol.SMTP), "no-sign-in"),
        (door(Protocol.SMTP, plain=UNTOLD, starttls=StartTls.NOT_OFFERED), "no-sign-in"),
        (door(Protocol.SMTP, secured=PASSWORD), "open"),
        (door(Protocol.SUBMISSION, secured=PASSWORD), "open"),
        (door(Protocol.SUBMISSIONS, secured=Offer(("X",), ("EXTERNAL",))), "strong"),
        (door(Protocol.SIEVE, secured=PASSWORD), "open"),
        (door(Protocol.IMAPS, secured=PASSWORD, identity=(("name", "Gambeson"),)), "guarded"),
        (door(Protocol.POP3S, secured=PASSWORD, banner="mail.example.org Gambeson POP3 ready"), "guarded"),
        (unseen(Protocol.IMAP), "unknown"),
    ],
)
def test_a_door(seen: DoorFacts, code: str) -> None:
    assert codes("bare_password", facts(seen)) == [code]


def test_a_closed_door_is_none() -> None:
    assert codes("bare_password", facts(closed(Protocol.IMAP))) == []


def test_without_consent_it_is_not_known() -> None:
    [line] = lines("bare_password", replace(facts(), probed=False))
    assert line.light is Light.UNKNOWN
    assert "no door was knocked at" in line.sentence


def test_our_own_submission_door_is_known_by_what_stands_beside_it() -> None:
    imap = door(Protocol.IMAPS, secured=PASSWORD, identity=(("name", "Gambeson"),))
    ours = door(Protocol.SUBMISSIONS, secured=PASSWORD, banner="mail.example.org ESMTP ready")
    other = door(Protocol.SMTP, secured=PASSWORD, banner="mail.example.org ESMTP Postfix")
    assert codes("bare_password", facts(imap, ours, other)) == ["open", "guarded", "guarded"]
    assert codes("bare_password", facts(ours)) == ["open"]


def test_what_people_read() -> None:
    doors = (
        door(Protocol.IMAPS, secured=PASSWORD),
        door(Protocol.POP3S, secured=COMMAND),
        door(Protocol.SMTP),
    )
    [line] = lines("bare_password", facts(*doors))
    assert (line.light, line.severity) == (Light.RED, Severity.CRITICAL)
    assert line.sentence.startswith("2 mail doors offer to let people in with a password and nothing more")
    assert line.assets == ("mail.example.org:993", "mail.example.org:995")
    assert line.outcomes[0].evidence[0].source == "imaps at 192.0.2.1 port 993"
    assert "AUTH PLAIN" in line.outcomes[0].evidence[0].excerpt


def test_all_is_well() -> None:
    [line] = lines("bare_password", facts(door(Protocol.IMAPS, secured=TOKENS)))
    assert line.light is Light.GREEN


def test_unreachable_is_neither_pass_nor_fail() -> None:
    found = lines("bare_password", facts(unseen(Protocol.IMAP), unseen(Protocol.POP3)))
    assert [line.light for line in found] == [Light.UNKNOWN]
    assert "it sends no greeting" in found[0].sentence
