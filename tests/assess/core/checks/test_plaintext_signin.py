"""TLS-005: a password before TLS."""

from __future__ import annotations

import pytest

from assess.door_cases import (
    CHALLENGE,
    COMMAND,
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


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (door(Protocol.IMAP, plain=PASSWORD), "open"),
        (door(Protocol.IMAP, plain=COMMAND), "open"),
        (door(Protocol.IMAP, plain=TOKENS), "open"),
        (door(Protocol.IMAP, plain=CHALLENGE), "challenge"),
        (door(Protocol.IMAP, plain=NOTHING, secured=PASSWORD), "ok"),
        (door(Protocol.IMAP, plain=PASSWORD, starttls=StartTls.NOT_OFFERED), "open"),
        (door(Protocol.POP3, plain=Offer(("USER",), ("XOAUTH2",), True)), "open"),
        (door(Protocol.POP3, plain=UNTOLD, starttls=StartTls.NOT_OFFERED), "unknown"),
        (door(Protocol.POP3, plain=Offer((), ("APOP",)), starttls=StartTls.NOT_OFFERED), "challenge"),
        (door(Protocol.SMTP, plain=UNTOLD, starttls=StartTls.NOT_OFFERED), "ok"),
        (door(Protocol.SUBMISSION, plain=PASSWORD), "open"),
        (door(Protocol.SIEVE, plain=PASSWORD), "open"),
        (door(Protocol.IMAPS, secured=PASSWORD), "ok"),
        (unseen(Protocol.IMAP), "unknown"),
        (unseen(Protocol.IMAPS), "unknown"),
    ],
)
def test_a_door(seen: DoorFacts, code: str) -> None:
    assert codes("plaintext_signin", facts(seen)) == [code]


def test_a_closed_door_is_none() -> None:
    assert codes("plaintext_signin", facts(closed(Protocol.IMAP))) == []


@pytest.mark.parametrize(
    ("plain", "light"), [(PASSWORD, Light.RED), (CHALLENGE, Light.AMBER), (NOTHING, Light.GREEN)]
)
def test_what_people_read(plain: Offer, light: Light) -> None:
    for doors in ((Protocol.IMAP,), (Protocol.IMAP, Protocol.POP3)):
        [line] = lines("plaintext_signin", facts(*(door(p, plain=plain) for p in doors)))
        assert line.light is light
        assert str(len(doors)) in line.sentence or "mail.example.org:143" in line.sentence
