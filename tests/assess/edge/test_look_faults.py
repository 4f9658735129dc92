"""What one peer provokes in us does not end the look at the others."""

from __future__ import annotations

import asyncio

import pytest

from assess.dns_zone import Zone
from gambeson.assess.core.dns import DnsAnswer, Question
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.unknown import Cause
from gambeson.assess.edge import look as module
from gambeson.assess.edge.authorities import Authorities
from gambeson.assess.edge.checks import all_checks
from gambeson.assess.edge.look import Look, Progress, Request

RECORDS: dict[str, list[str] | str] = {
    "example.org MX": "10 mail.example.org",
    "mail.example.org A": "1.1.1.1",
}


class Names:
    """A resolver that reads from a table."""

    async def ask(self, question: Question) -> DnsAnswer:
        return Zone(RECORDS).answer(question)


def looked() -> Facts:
    async def run() -> Facts:
        request = Request("example.org", probe=True, seconds=5.0)
        authorities = Authorities.__new__(Authorities)
        return await Look(
            request, all_checks(), Names(), authorities, 1.8e9, Progress(lambda progress: None)
        ).run()  # type: ignore[arg-type]

    return asyncio.run(run())


@pytest.mark.parametrize(
    "error", [ValueError("odd"), ExceptionGroup("several", [RecursionError("deep")]), UnicodeError("x")]
)
def test_a_fault_at_one_door_is_that_doors(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def probe(host: str, address: str, port: int, protocol: Protocol, *_: object) -> DoorFacts:
        if protocol is Protocol.IMAP:
            raise error
        return DoorFacts(host, address, port, protocol, PortState.CLOSED)

    async def web(self: Look, knock: module.Knock) -> DoorFacts:
        return DoorFacts(knock.host, knock.address, knock.port, knock.protocol, PortState.CLOSED)

    monkeypatch.setattr(module, "probe_door", probe)
    monkeypatch.setattr(Look, "_web", web)
    doors = looked().doors
    broken = [door for door in doors if door.state is PortState.UNKNOWN]
    assert [door.protocol for door in broken] == [Protocol.IMAP]
    assert broken[0].unknown is not None
    assert broken[0].unknown.cause is Cause.DEFECT
    assert len(doors) == len(Protocol)


def test_nothing_is_asked_of_addresses_of_private_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        RECORDS, "mail.example.org A", ["127.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1"]
    )
    monkeypatch.setitem(
        RECORDS, "mail.example.org AAAA", ["64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1", "fec0::1"]
    )
    facts = looked()
    assert facts.doors == ()
    (host,) = [host for host in facts.hosts if host.name == "mail.example.org"]
    assert host.addresses == ()
    assert {why.cause for _, why in host.left_out} >= {Cause.PRIVATE}
