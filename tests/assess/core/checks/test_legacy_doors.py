"""TLS-016: mailbox protocols without encryption."""

from __future__ import annotations

import pytest

from assess.door_cases import LATE, closed, codes, door, facts, lines, unseen
from gambeson.assess.core.check import Light
from gambeson.assess.core.doors import DoorFacts, Protocol, StartTls

PLAIN_FIRST = (Protocol.IMAP, Protocol.POP3, Protocol.SIEVE, Protocol.SUBMISSION)


@pytest.mark.parametrize("protocol", PLAIN_FIRST)
def test_doors(protocol: Protocol) -> None:
    for seen, code in (
        (door(protocol), "ok"),
        (door(protocol, starttls=StartTls.NOT_OFFERED), "no-tls"),
        (door(protocol, starttls=StartTls.FAILED), "failed"),
        (door(protocol, starttls=StartTls.FAILED, unknown=LATE), "unknown"),
        (unseen(protocol), "unknown"),
    ):
        assert codes("legacy_doors", facts(seen)) == [code]
    assert codes("legacy_doors", facts(closed(protocol))) == []


@pytest.mark.parametrize("seen", [door(Protocol.IMAPS), door(Protocol.SMTP, starttls=StartTls.NOT_OFFERED)])
def test_others_are_not_meant(seen: DoorFacts) -> None:
    assert codes("legacy_doors", facts(seen)) == []


@pytest.mark.parametrize(
    ("starttls", "light"),
    [(StartTls.NOT_OFFERED, Light.RED), (StartTls.FAILED, Light.RED), (StartTls.OFFERED, Light.GREEN)],
)
def test_what_people_read(starttls: StartTls, light: Light) -> None:
    [line] = lines("legacy_doors", facts(door(Protocol.IMAP, starttls=starttls)))
    assert line.light is light
    assert "(IMAP)" in line.sentence
    [line] = lines("legacy_doors", facts(*(door(p, starttls=starttls) for p in PLAIN_FIRST)))
    assert line.sentence.startswith(("4 ", "The 4 "))
