"""TLS-006: STARTTLS where the world delivers mail."""

from __future__ import annotations

import pytest

from assess.door_cases import HOST, LATE, closed, codes, door, facts, lines, unseen
from gambeson.assess.core.check import Light
from gambeson.assess.core.doors import DoorFacts, Protocol, StartTls
from gambeson.assess.core.tls import TlsFacts
from gambeson.assess.core.unknown import Cause, Unknown

NO_HANDSHAKE = Unknown(Cause.TLS_FAILED, "no TLS handshake came about: wrong version number")


@pytest.mark.parametrize(
    ("seen", "mx", "elsewhere"),
    [
        (door(Protocol.SMTP), "ok", "ok"),
        (door(Protocol.SMTP, starttls=StartTls.NOT_OFFERED), "missing", "missing-elsewhere"),
        (door(Protocol.SMTP, starttls=StartTls.FAILED), "failed", "failed-elsewhere"),
        (door(Protocol.SMTP, starttls=StartTls.FAILED, unknown=NO_HANDSHAKE), "failed", "failed-elsewhere"),
        (door(Protocol.SMTP, starttls=StartTls.FAILED, unknown=LATE), "unknown", "unknown"),
        (door(Protocol.SMTP, starttls=StartTls.FAILED, tls=TlsFacts(unknown=LATE)), "unknown", "unknown"),
        (unseen(Protocol.SMTP), "unknown", "unknown"),
    ],
)
def test_a_door(seen: DoorFacts, mx: str, elsewhere: str) -> None:
    assert codes("smtp_starttls", facts(seen)) == [mx]
    assert codes("smtp_starttls", facts(seen, roles=("guess",))) == [elsewhere]


def test_other_doors_are_not_meant() -> None:
    others = [door(p, starttls=StartTls.NOT_OFFERED) for p in (Protocol.IMAP, Protocol.SUBMISSION)]
    assert codes("smtp_starttls", facts(*others, closed(Protocol.SMTP))) == []


def test_each_address_counts() -> None:
    good = door(Protocol.SMTP, address="192.0.2.1")
    bad = door(Protocol.SMTP, address="2001:db8::1", starttls=StartTls.NOT_OFFERED)
    [line] = lines("smtp_starttls", facts(good, bad))
    assert line.light is Light.RED
    assert line.assets == (f"{HOST}:25",)
    assert line.outcomes[0].evidence[0].source == "smtp at 2001:db8::1 port 25"


def test_a_refusal_is_told_in_the_servers_words() -> None:
    note = "it offers STARTTLS and refuses it: 454 TLS not available"
    [line] = lines("smtp_starttls", facts(door(Protocol.SMTP, starttls=StartTls.FAILED, notes=(note,))))
    assert note in line.sentence
