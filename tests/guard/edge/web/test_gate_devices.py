"""The device lane as a table: lane, credential, state; and refusals that tell nothing."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gambeson.guard.core.web.verdict import Answer, Forward, WebClient
from gambeson.guard.edge.web.gate import DeviceCall
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import DeviceState
from gambeson.model.decision import Opinion
from gambeson.model.rule import ModeEntry
from gambeson.model.server import SignIn
from gambeson.process.keeper_messages import CredentialAsk
from guard.edge.web.gates import (
    ALMA,
    BOB,
    DEVICES,
    EVE,
    FINGERPRINT,
    MAIL,
    SEALED,
    SOURCE,
    Gates,
    ask,
    basic,
    basic_of,
    exchange,
    run,
    snapshot,
)

CERTIFICATE = WebClient(SOURCE, 4000, DEVICES, b"", FINGERPRINT)


def eas(authorization: str = "", host: str = MAIL, **more: str):
    if authorization:
        more["authorization"] = authorization
    return ask(
        "/Microsoft-Server-ActiveSync?Cmd=Ping&User=alma&DeviceId=ABC&DeviceType=iPhone",
        host,
        "POST",
        content_type="application/vnd.ms-sync.wbxml",
        body=True,
        **more,
    )


def mapi(authorization: str = "", host: str = MAIL):
    more = {"authorization": authorization} if authorization else {}
    return ask(
        "/mapi/emsmdb/?MailboxId=5f1e4d1c-0000-4000-8000-000000000000@example.org",
        host,
        "POST",
        content_type="application/mapi-http",
        x_requesttype="Connect",
        body=True,
        **more,
    )


def ews(authorization: str = ""):
    more = {"authorization": authorization} if authorization else {}
    return ask("/EWS/Exchange.asmx", MAIL, "POST", content_type="text/xml", body=True, **more)


def oab(authorization: str = ""):
    more = {"authorization": authorization} if authorization else {}
    return ask("/OAB/5f1e4d1c-0000-4000-8000-000000000000/oab.xml", MAIL, **more)


GOOD = basic("alma@example.org", ALMA.text)


@pytest.mark.parametrize("made", [eas, ews, mapi, oab])
def test_a_device_secret_opens_and_the_server_gets_the_sealed_password(made):
    async def talk(gates: Gates) -> None:
        forward = await gates.forward(made(GOOD))
        assert forward.access is not None
        identity = forward.access.identity
        assert (identity.account, identity.device, identity.rung) == ("a1", "d1", Rung.DEVICE_SECRET)
        assert basic_of(forward) == ("alma@example.org", SEALED)
        assert not forward.authorization
        assert ALMA.text not in repr(forward)
        assert SEALED not in repr(forward)
        (event,) = gates.events("door.login.allowed")
        assert event.device == "d1"
        assert ALMA.text not in repr(event)

    run(talk)


@pytest.mark.parametrize("made", [eas, ews, mapi, oab])
def test_whoever_shows_nothing_is_asked_for_basic_alone(made):
    async def talk(gates: Gates) -> None:
        answer = await gates.answer(made())
        assert answer.status == 401
        challenges = [value for name, value in answer.headers if name == "www-authenticate"]
        assert [c.partition(" ")[0] for c in challenges] == ["Basic"]
        assert answer.wait == 0.0
        assert gates.keeper_asked == []

    run(talk)


ALL_REFUSED = [
    basic("alma@example.org", "her password"),
    basic("alma@example.org", "gam-wrong"),
    basic("alma@example.org", ALMA.text[:-1] + ("x" if ALMA.text[-1] != "x" else "y")),
    basic("nobody@example.org", ALMA.text),
    basic("nobody@nowhere.test", "x"),
    basic("bob@example.org", ALMA.text),
    basic("alma@example.org", BOB.text),
    basic("eve@other.test", EVE.text),  # her own, at another organisation's site
    basic("nobody", "x"),
    basic("EXAMPLE\\nobody", ALMA.text),
    basic("A\\B\\alma", ALMA.text),
    basic("alma@example.org", ""),
    "Basic !!!",
    "Basic " + "A" * 9000,
    "NTLM TlRMTVNTUAABAAAA",
    "Negotiate YII=",
    "Bearer token",
]


@pytest.mark.parametrize("authorization", ALL_REFUSED)
def test_refusals_are_the_same_in_octets_and_time(authorization):
    async def talk(gates: Gates) -> None:
        answer = await gates.answer(eas(authorization))
        first = await gates.answer(eas(basic("somebody@example.org", "else")))
        assert (answer.status, answer.headers, answer.body, answer.wait, answer.close) == (
            first.status,
            first.headers,
            first.body,
            first.wait,
            first.close,
        )
        assert answer.wait == 0.8
        assert not [a for a in gates.keeper_asked if isinstance(a, CredentialAsk)]
        refused = gates.events("door.login.refused")
        assert refused
        for secret in ("her password", ALMA.text, "YII=", "TlRMTVNT"):
            assert secret not in repr(refused)

    run(talk)


@pytest.mark.parametrize("name", ["alma", "ALMA", "EXAMPLE\\alma", "al@example.org", "Alma@Example.org"])
def test_names_as_programs_write_them(name):
    async def talk(gates: Gates) -> None:
        forward = await gates.forward(eas(basic(name, ALMA.text)))
        assert forward.access is not None
        assert forward.access.identity.account == "a1"

    run(talk)


def changed(what: str, name: str, **values: object):
    made = snapshot(2)
    rows = tuple(replace(r, **values) if r.id == name else r for r in getattr(made, what))
    return {what: rows}


@pytest.mark.parametrize(
    "changes",
    [
        changed("credentials", "c-d1", revoked_at=1.0),
        changed("credentials", "c-d1", expires_at=1.0),
        changed("devices", "d1", expires_at=1.0),
        changed("devices", "d1", state=DeviceState.BLOCKED),
        changed("devices", "d1", state=DeviceState.LOST),
        changed("devices", "d1", state=DeviceState.QUARANTINED),
        changed("devices", "d1", doors=(DoorKind.IMAP,)),
        changed("devices", "d1", account="a2"),
        changed("accounts", "a1", enabled=False),
        {"credentials": ()},
        {"policies": ()},
    ],
)
def test_a_newer_snapshot_holds_on_the_same_connection(changes):
    async def talk(gates: Gates) -> None:
        await gates.forward(eas(GOOD))
        gates.use(snapshot(2, **changes))
        answer = await gates.answer(eas(GOOD))
        assert answer.status == 401
        assert answer.wait == 0.8

    run(talk)


def test_a_busy_connection_asks_the_keeper_once():
    async def talk(gates: Gates) -> None:
        for _ in range(20):
            await gates.forward(eas(GOOD))
        assert len(gates.keeper_asked) == 1
        assert len(gates.events("door.login.allowed")) == 1
        # Another password on the same connection is another question, and no answer of the one before.
        assert (await gates.answer(eas(basic("alma@example.org", "wrong")))).status == 401
        # Another connection too.
        await gates.forward(eas(GOOD), WebClient(SOURCE, 40001, MAIL))
        assert len(gates.keeper_asked) == 2
        # And so is a newer snapshot.
        gates.use(snapshot(2))
        await gates.forward(eas(GOOD))
        assert len(gates.keeper_asked) == 3

    run(talk)


def test_a_session_of_a_browser_opens_no_device_door():
    async def talk(gates: Gates) -> None:
        cookie = f"__Host-gambeson-session={gates.console.token(host=MAIL)}"
        assert (await gates.answer(eas(cookies=cookie))).status == 401

    run(talk)


# -- certificates


def test_a_certificate_alone_opens_where_programs_can_show_one():
    async def talk(gates: Gates) -> None:
        gates.core._edges = True  # the keeper takes a door's word for the fingerprint
        forward = await gates.forward(eas(host=DEVICES), CERTIFICATE)
        assert forward.access is not None
        assert forward.access.identity.rung is Rung.DEVICE_KEY
        assert basic_of(forward) == ("alma@example.org", SEALED)
        # Outlook cannot show one over MAPI: there it counts for nothing.
        assert (await gates.answer(mapi(host=DEVICES), CERTIFICATE)).status == 401
        assert (
            await gates.forward(mapi(GOOD, DEVICES), CERTIFICATE)
        ).access.identity.rung is Rung.DEVICE_SECRET
        unknown = replace(CERTIFICATE, fingerprint="cd" * 32)
        assert (await gates.answer(eas(host=DEVICES), unknown)).status == 401
        # Somebody else's name beside it.
        assert (await gates.answer(eas(basic("bob@example.org", "x"), DEVICES), CERTIFICATE)).status == 401
        # The account's own device secret beside it is as good as nothing beside it.
        assert isinstance(await gates.judge(eas(GOOD, DEVICES), CERTIFICATE), Forward)

    run(talk)


def test_as_is_passes_on_the_password_beside_a_certificate_and_nothing_else():
    async def talk(gates: Gates) -> None:
        forward = await gates.forward(eas(basic("al@example.org", "her password"), DEVICES), CERTIFICATE)
        assert basic_of(forward) == ("alma@example.org", "her password")
        for authorization, client in (
            ("", CERTIFICATE),
            (GOOD, CERTIFICATE),  # a device secret never leaves the door
            (GOOD, WebClient(SOURCE, 1, MAIL)),
            (basic("alma@example.org", "her password"), WebClient(SOURCE, 1, MAIL)),
        ):
            assert (await gates.answer(eas(authorization, client.sni), client)).status == 401
        assert gates.keeper_asked == []

    run(talk, snapshot(sites=(exchange(device_sign_in=SignIn.AS_IS),)))


def test_a_token_as_the_password():
    async def talk(gates: Gates) -> None:
        name, password = basic_of(await gates.forward(eas(GOOD)))
        assert name == "alma@example.org"
        assert password.count(".") == 2

    run(talk, snapshot(sites=(exchange(device_sign_in=SignIn.TOKEN),)))


# -- trouble of ours


def test_trouble_behind_the_door_is_no_refusal():
    async def talk(gates: Gates) -> None:
        answer = await gates.answer(eas(basic("bob@example.org", BOB.text)))  # nothing is sealed for Bob
        assert answer.status == 503
        gates.keeper.close()
        assert (await gates.answer(eas(GOOD))).status == 503

    run(talk)


# -- hooks


def test_a_rule_sees_a_quarantined_device_and_may_answer_in_its_protocol():
    async def talk(gates: Gates) -> None:
        seen: list[DeviceCall] = []

        def rule(call: DeviceCall) -> Answer | Forward:
            seen.append(call)
            return (
                Answer(200, body=b"wait")
                if call.judgement.decision.opinion is Opinion.QUARANTINE
                else call.verdict
            )

        gates.gate.device_rules[DoorKind.EAS] = rule
        assert (await gates.answer(eas(GOOD))).body == b"wait"
        assert isinstance(seen[0].verdict, Answer)
        assert seen[0].judgement.identity.account == "a1"

    run(talk, snapshot(2, **changed("devices", "d1", state=DeviceState.QUARANTINED)))


# -- observe


def observing():
    until = time.time() + 3600
    return tuple(
        replace(p, modes=(ModeEntry(DoorKind.EAS, Mode.OBSERVE, until),)) for p in snapshot().policies
    )


def test_where_the_door_only_observes_passwords_pass_as_they_came():
    async def talk(gates: Gates) -> None:
        typed = basic("alma@example.org", "her password")
        forward = await gates.forward(eas(typed))
        assert forward.authorization
        assert "authorization" not in dict(forward.headers)
        assert gates.keeper_asked == []
        assert forward.answered is not None
        forward.answered(200)
        known, failures = gates.door.throttle.standing(SOURCE, "alma@example.org", gates.door.counting())
        assert (known, failures) == (True, 0)
        # Device secrets do not pass, right or wrong.
        for password in (ALMA.text[:-1] + ("x" if ALMA.text[-1] != "x" else "y"), BOB.text):
            assert (await gates.answer(eas(basic("alma@example.org", password)))).status == 401
        # Nor does whoever shows nothing.
        assert (await gates.answer(eas())).status == 401

    run(talk, snapshot(policies=observing()))


def test_guesses_are_counted_and_repetitions_are_none():
    async def talk(gates: Gates) -> None:
        for port in range(60):
            client = WebClient(SOURCE, 2000 + port, MAIL)
            forward = await gates.forward(eas(basic("bob@example.org", "the same")), client)
            assert forward.answered is not None
            forward.answered(401)
        assert gates.door.throttle.failures("bob@example.org", gates.door.counting()) == 1
        verdicts = []
        for n in range(40):
            verdict = await gates.judge(eas(basic("bob@example.org", f"guess {n}")))
            verdicts.append(isinstance(verdict, Forward))
            if isinstance(verdict, Forward) and verdict.answered is not None:
                verdict.answered(401)
        assert True in verdicts
        assert verdicts[-1] is False
        # A proven device is never throttled.
        await gates.forward(eas(GOOD))

    run(talk, snapshot(policies=observing()))


def test_an_exploit_in_the_body_is_stopped_before_anybody_signs_in():
    async def talk(gates: Gates) -> None:
        shields = gates.gate._rules.shields
        for made in (ews(), eas()):
            if shields.wants_body(made, exchange()):
                assert (await gates.answer(made, body=b"x")).status == 401

    run(talk)
