"""A device's request that passed is not asked about again for a moment; whatever is another is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gambeson.guard.core.web.verdict import Answer, Verdict, WebClient
from gambeson.guard.edge.web import devices
from gambeson.guard.edge.web.gate import DeviceCall
from gambeson.model.access import DoorKind
from gambeson.model.asset import DeviceState
from gambeson.model.web import WebRequest
from guard.edge.web.gates import ALMA, MAIL, SOURCE, Gates, ask, basic, run, snapshot

PATH = "/Microsoft-Server-ActiveSync"
PHONE = WebClient(SOURCE, 40000, MAIL)


def sync(device: str = "ABC", command: str = "Sync", last: WebRequest | None = None) -> WebRequest:
    """A request of one connection; with ``last``, one that carries the same headers as that."""
    made = ask(
        f"{PATH}?Cmd={command}&User=alma&DeviceId={device}&DeviceType=iPhone",
        MAIL,
        "POST",
        content_type="application/vnd.ms-sync.wbxml",
        authorization=basic("alma@example.org", ALMA.text),
        body=True,
    )
    if last is not None:
        object.__setattr__(made, "memo", last.memo)
    return made


def counted(gates: Gates, answer: Verdict | None = None) -> list[str]:
    """The door's rule says ``answer``, else lets pass; the queries that it was asked about."""
    seen: list[str] = []

    def rule(call: DeviceCall) -> Verdict:
        seen.append(call.request.query)
        return answer or call.verdict

    gates.gate.device_rules[DoorKind.EAS] = rule
    return seen


def test_the_same_request_passes_without_another_question() -> None:
    async def talk(gates: Gates) -> None:
        seen = counted(gates)
        first = sync()
        passed = await gates.forward(first, PHONE)
        for _ in range(3):
            assert await gates.forward(sync(last=first), PHONE) is passed
        assert len(seen) == 1

    run(talk)


def test_another_query_another_connection_and_other_headers_are_asked_about() -> None:
    async def talk(gates: Gates) -> None:
        seen = counted(gates)
        first = sync()
        await gates.forward(first, PHONE)
        await gates.forward(sync("OTHER", last=first), PHONE)
        await gates.forward(sync("OTHER", "Ping", last=first), PHONE)
        assert len(seen) == 3
        await gates.forward(sync("OTHER", "Ping"), PHONE)  # other headers, though they say the same
        await gates.forward(sync("OTHER", "Ping", last=first), WebClient(SOURCE, 40001, MAIL))
        assert len(seen) == 5

    run(talk)


def test_after_a_moment_it_is_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(gates: Gates) -> None:
        seen = counted(gates)
        first = sync()
        await gates.forward(first, PHONE)
        began = devices.time.time()
        for seconds, times in ((9.0, 1), (11.0, 2), (12.0, 2), (22.0, 3)):
            monkeypatch.setattr(devices.time, "time", lambda now=began + seconds: now)
            await gates.forward(sync(last=first), PHONE)
            assert len(seen) == times
        monkeypatch.undo()

    run(talk)


def test_what_a_rule_refuses_is_refused_each_time() -> None:
    async def talk(gates: Gates) -> None:
        seen = counted(gates, Answer(403, reason="no"))
        first = sync()
        for _ in range(3):
            assert (await gates.answer(sync(last=first), PHONE)).status == 403
        assert len(seen) == 3

    run(talk)


def test_a_newer_snapshot_ends_it() -> None:
    async def talk(gates: Gates) -> None:
        counted(gates)
        first = sync()
        await gates.forward(first, PHONE)
        lost = tuple(replace(one, state=DeviceState.LOST) for one in snapshot().devices)
        gates.use(snapshot(2, devices=lost))
        assert (await gates.answer(sync(last=first), PHONE)).status == 401

    run(talk)
