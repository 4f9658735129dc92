"""Gambeson's own doors as a stranger sees them: no fault, and no claim that cannot be seen from outside."""

from __future__ import annotations

import asyncio
from pathlib import Path

from assess.door_cases import codes, facts
from gambeson.assess.core.doors import DoorFacts, Protocol
from gambeson.assess.core.tls import TlsFacts
from gambeson.assess.edge.door_probe import probe_door
from gambeson.assess.edge.manners import Manners
from gambeson.assess.edge.tls_exchange import Opener
from peers.gambeson import Gambeson

MAIL = ("imap", "imaps", "pop3", "pop3s", "submission", "submissions", "sieve")


async def unswept(opener: Opener, host: str) -> TlsFacts:
    return TlsFacts()


def test_the_playground(tmp_path: Path) -> None:
    with Gambeson(tmp_path / "data") as gambeson:

        async def look() -> list[DoorFacts]:
            manners = Manners(40)
            return await asyncio.gather(
                *(
                    probe_door(
                        "localhost", "127.0.0.1", gambeson.port(name), Protocol(name), manners, unswept
                    )
                    for name in MAIL
                )
            )

        seen = facts(*asyncio.run(look()))
    assert all(door.unknown is None for door in seen.doors)
    assert set(codes("bare_password", seen)) == {"guarded"}
    assert len(codes("bare_password", seen)) == len(MAIL)
    for name, code in (("plaintext_signin", "ok"), ("legacy_doors", "ok"), ("starttls_injection", "ok")):
        assert set(codes(name, seen)) == {code}
    assert set(codes("version_disclosure", seen)) == {"quiet"}
