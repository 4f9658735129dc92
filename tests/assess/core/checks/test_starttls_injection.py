"""TLS-007: a command sent together with STARTTLS."""

from __future__ import annotations

import pytest

from assess.door_cases import codes, door, facts, lines, unseen
from gambeson.assess.core.check import Light
from gambeson.assess.core.doors import DoorFacts, Protocol, StartTls


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (door(Protocol.SMTP, injection=True), ["obeyed"]),
        (door(Protocol.IMAP, injection=False), ["ok"]),
        (door(Protocol.POP3, injection=None), ["unknown"]),
        (door(Protocol.SIEVE, starttls=StartTls.NOT_OFFERED), []),
        (door(Protocol.SMTP, starttls=StartTls.FAILED), []),
        (door(Protocol.IMAPS), []),
        (unseen(Protocol.SMTP), []),
    ],
)
def test_a_door(seen: DoorFacts, found: list[str]) -> None:
    assert codes("starttls_injection", facts(seen)) == found


@pytest.mark.parametrize(
    ("injection", "light"), [(True, Light.AMBER), (False, Light.GREEN), (None, Light.UNKNOWN)]
)
def test_what_people_read(injection: bool | None, light: Light) -> None:
    [line] = lines("starttls_injection", facts(door(Protocol.SMTP, injection=injection)))
    assert line.light is light
