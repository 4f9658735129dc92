"""The Exchange lanes at the gate: DeviceIds, programs, operations, Autodiscover. Octets are in the next file."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from gambeson.guard.core.clouds import with_files
from gambeson.guard.core.notice import causes
from gambeson.guard.core.web import eas as eas_core
from gambeson.guard.core.web.clients import load_clients
from gambeson.guard.core.web.verdict import Answer, Forward
from gambeson.guard.edge.web.exchange import install
from gambeson.model import device_secret
from gambeson.model.access import DoorKind, Mode
from gambeson.model.asset import Credential, CredentialKind, Device, DeviceState
from gambeson.model.rule import ModeEntry
from gambeson.playground.exchange import autodiscover as emulator
from gambeson.process.sealing import account_context
from gambeson.wire.autodiscover import MOBILESYNC, OUTLOOK, MailServerName
from gambeson.wire.soap import AUTODISCOVER, MESSAGES, SOAP_11
from gambeson.wire.wbxml import read
from guard.edge.web.gates import (
    ALL,
    ALMA,
    BOB,
    DEVICES,
    MAIL,
    SEALED,
    Gates,
    ask,
    basic,
    basic_of,
    keys,
    run,
    snapshot,
)

PHONE, OUTLOOK_AGENT = "Apple-iPhone15C2/2109.300", "MapiHttpClient"
MAC = "AppleExchangeWebServices/814 exchangesyncd/116"
CLOUD = "Outlook-iOS-Android/1.0"
GOOD = basic("alma@example.org", ALMA.text)
SERVERS = (MailServerName("imap", "imap.example.org", 993),)


def lanes(talk, made=None) -> None:
    async def main(gates: Gates) -> None:
        install(gates.gate, gates.door, load_clients(), "Example", SERVERS)
        await talk(gates)

    run(main, made)


def eas(
    command: str = "FolderSync",
    device: str = "SEC1",
    *,
    who: str = GOOD,
    user: str = "alma",
    version: str = "14.1",
    agent: str = PHONE,
    key: str = "",
    query: str = "",
):
    more = {"x_ms_policykey": key} if key else {}
    return ask(
        "/Microsoft-Server-ActiveSync?"
        + (query or f"Cmd={command}&User={user}&DeviceId={device}&DeviceType=iPhone"),
        MAIL,
        "POST",
        authorization=who,
        content_type="application/vnd.ms-sync.wbxml",
        ms_asprotocolversion=version,
        user_agent=agent,
        body=True,
        **more,
    )


def changed(what: str, name: str, **values: object):
    rows = tuple(replace(r, **values) if r.id == name else r for r in getattr(snapshot(), what))
    return snapshot(2, **{what: rows})


def test_the_first_device_id_is_pinned_and_another_one_refused() -> None:
    async def talk(gates: Gates) -> None:
        await gates.forward(eas())
        await gates.forward(eas("Sync", "sec1"))
        answer = await gates.answer(eas(device="OTHER"))
        assert (answer.status, answer.reason) == (403, "eas-other-device")
        await gates.forward(eas())
        seen = gates.events("door.eas.device")
        assert [(e.account, e.device, e.data["device_id"], e.data["program"]) for e in seen] == [
            ("a1", "d1", "SEC1", "iOS Mail, Exchange account")
        ]
        (refused,) = gates.events("door.eas.refused")
        assert (refused.data["device_id"], refused.data["why"]) == ("OTHER", "eas-other-device")

    lanes(talk)


def test_the_first_device_id_is_the_snapshots_where_it_has_one() -> None:
    async def talk(gates: Gates) -> None:
        # Another door saw SEC1 first, or this one before it was started anew.
        assert (await gates.answer(eas(device="OTHER"))).reason == "eas-other-device"
        await gates.forward(eas())
        gates.use(snapshot(2))  # an administrator forgot it: whoever comes next is the first
        await gates.forward(eas(device="OTHER"))
        assert (await gates.answer(eas())).reason == "eas-other-device"

    lanes(talk, snapshot(1, eas_firsts=(("c-d1", "sec1"),)))


def test_two_doors_that_saw_different_ones_agree_with_the_snapshot() -> None:
    async def talk(gates: Gates) -> None:
        await gates.forward(eas(device="OTHER"))  # this door's first, while SEC1 came to another one
        (seen,) = gates.events("door.eas.device")
        assert (seen.data["credential"], seen.data["device_id"]) == ("c-d1", "OTHER")
        gates.use(snapshot(2, eas_firsts=(("c-d1", "sec1"),)))
        assert (await gates.answer(eas(device="OTHER"))).reason == "eas-other-device"
        await gates.forward(eas())

    lanes(talk)


def test_twenty_device_ids_of_an_account_count_over_all_doors() -> None:
    """Nineteen of other credentials and one that was allowed: one more is too many, those before are served."""
    many, of = snapshot().credentials[0], range(eas_core.MAX_DEVICES - 1)
    devices = tuple(Device(f"e{n}", "o", "a1", f"phone {n}", doors=ALL) for n in of)
    credentials = tuple(replace(many, id=f"ce{n}", device=f"e{n}", public_id=f"p{n}") for n in of)
    made = snapshot(
        1,
        devices=(*snapshot().devices, *devices),
        credentials=(*snapshot().credentials, *credentials),
        eas_devices=(("a1", "spare", "allowed"),),
        eas_firsts=tuple((f"ce{n}", f"old{n}") for n in of),
    )

    async def talk(gates: Gates) -> None:
        answer = await gates.answer(eas())
        assert (answer.reason, read(answer.body).value("Status")) == ("eas-too-many-devices 177", "177")
        gates.use(replace(made, number=2, eas_firsts=(*made.eas_firsts, ("c-d1", "sec1"))))
        await gates.forward(eas())
        gates.use(replace(made, number=3, eas_firsts=made.eas_firsts[1:]))  # one of them was revoked
        await gates.forward(eas())

    lanes(talk, made)


def test_a_password_pins_no_device_id() -> None:
    """While a door observes, two people with passwords have a phone each."""
    modes = tuple(ModeEntry(DoorKind.EAS, Mode.OBSERVE, time.time() + 60) for _ in range(1))
    base = snapshot()
    policies = tuple(replace(p, modes=modes) for p in base.policies)

    async def talk(gates: Gates) -> None:
        for who, name, phone in (("alma@example.org", "alma", "AAA1"), ("bob@example.org", "bob", "BBB1")):
            verdict = await gates.judge(eas(device=phone, who=basic(who, "a password"), user=name))
            assert isinstance(verdict, Forward), verdict

    lanes(talk, replace(base, policies=policies))


def test_an_administrators_word_on_a_device_id() -> None:
    async def talk(gates: Gates) -> None:
        await gates.forward(eas())
        gates.use(snapshot(2, eas_devices=(("a1", "other", "allowed"), ("a1", "sec1", "blocked"))))
        await gates.forward(eas(device="Other"))
        answer = await gates.answer(eas())
        assert (answer.status, read(answer.body).value("Status")) == (200, "129")
        assert (await gates.answer(eas(version="12.1"))).status == 403
        gates.use(snapshot(3, eas_devices=(("a1", "sec1", "quarantined"),)))
        answer = await gates.answer(eas())
        assert read(answer.body).value("Status") == "142"
        refused = gates.events("door.eas.refused")[-1]
        device, account = snapshot().devices[0], snapshot().accounts[0]
        assert device.state is DeviceState.REGISTERED
        assert causes(refused, device, account, {("a1", "sec1")})  # its people are told of this phone too
        gates.use(snapshot(4, eas_devices=(("a2", "sec1", "blocked"),)))
        await gates.forward(eas())

    lanes(talk)


def test_a_device_in_quarantine_is_answered_and_its_people_are_told() -> None:
    async def talk(gates: Gates) -> None:
        request = ask("/Microsoft-Server-ActiveSync", MAIL, "OPTIONS", authorization=GOOD)
        options = await gates.answer(request)
        assert options.status == 200
        assert "14.1" in dict(options.headers)["ms-asprotocolversions"]
        answer = await gates.answer(eas())
        assert read(answer.body).value("Status") == "142"
        assert answer.wait == 0.8
        assert (await gates.answer(eas(version="2.5"))).status == 449
        refused = gates.events("door.login.refused")
        assert {(e.data["reason"], e.device, e.data["rung"]) for e in refused} == {
            ("device-quarantined", "d1", "device-secret")
        }
        assert not gates.keeper_asked

    lanes(talk, changed("devices", "d1", state=DeviceState.QUARANTINED))


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"state": DeviceState.BLOCKED}, "129"),
        ({"state": DeviceState.LOST}, "129"),
        ({"doors": (DoorKind.IMAP,)}, "126"),
    ],
)
def test_a_proven_device_that_may_not_is_told_so_in_its_protocol(values, status: str) -> None:
    async def talk(gates: Gates) -> None:
        answer = await gates.answer(eas())
        assert (answer.status, read(answer.body).value("Status")) == (200, status)
        assert (await gates.answer(eas(who=basic("alma@example.org", "wrong")))).status == 401

    lanes(talk, changed("devices", "d1", **values))


def test_an_account_has_so_many_device_ids_and_no_more() -> None:
    secrets = [device_secret.make(bytes([i]) * 23) for i in range(100, 122)]
    base = snapshot()
    made = snapshot(
        devices=(*base.devices, *(Device(f"n{i}", "o", "a1", f"Phone {i}", doors=ALL) for i in range(22))),
        credentials=(
            *base.credentials,
            *(
                Credential(
                    f"c-n{i}",
                    "o",
                    f"n{i}",
                    CredentialKind.DEVICE_SECRET,
                    s.public_id,
                    device_secret.verifier(s, keys().device),
                )
                for i, s in enumerate(secrets)
            ),
        ),
    )

    async def talk(gates: Gates) -> None:
        for number, secret in enumerate(secrets[:20]):
            await gates.forward(eas(device=f"P{number}", who=basic("alma@example.org", secret.text)))
        late = basic("alma@example.org", secrets[20].text)
        answer = await gates.answer(eas(device="LATE", who=late))
        assert read(answer.body).value("Status") == "177"
        await gates.forward(eas(device="P3", who=late))  # one that is known already
        await gates.forward(eas(device="P0", who=basic("alma@example.org", secrets[0].text)))

    lanes(talk, made)


@pytest.mark.parametrize(
    ("reason", "request_"),
    [
        ("user-differs", eas(user="bob")),
        (
            "parameter-unknown",
            eas(query="Cmd=Sync&User=alma&DeviceId=A&DeviceType=P&CollectionName=x&Unknown=y"),
        ),
        ("command-unknown", eas(query="jAUJBAp2MTQwRGV2aWNlAApTbWFydFBob25l", version="14.0")),
        ("version-differs", eas(query="jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l", version="14.1")),
    ],
)
def test_a_query_that_can_be_read_in_two_ways(reason: str, request_) -> None:
    async def talk(gates: Gates) -> None:
        answer = await gates.answer(request_)
        assert answer.status in (400, 404)  # the grammar may have refused it before
        assert answer.status == 404 or answer.reason == reason

    lanes(talk)


# -- EWS and clouds


def ews(operation: str, agent: str, header: str = ""):
    request = ask(
        "/EWS/Exchange.asmx",
        MAIL,
        "POST",
        authorization=GOOD,
        content_type="text/xml; charset=utf-8",
        user_agent=agent,
        body=True,
    )
    body = (
        f'<s:Envelope xmlns:s="{SOAP_11}" xmlns:m="{MESSAGES}"><s:Header>{header}</s:Header><s:Body>'
        f"<m:{operation}/></s:Body></s:Envelope>"
    ).encode()
    return request, body


def test_a_program_gets_its_operations_and_a_fault_for_others() -> None:
    async def talk(gates: Gates) -> None:
        good, body = ews("GetItem", MAC)
        assert isinstance(await gates.judge(good, body=body), Forward)
        for operation, agent in (("GetItem", OUTLOOK_AGENT), ("GetItem", "curl/8"), ("ExportItems", MAC)):
            request, body = ews(operation, agent)
            answer = await gates.answer(request, body=body)
            assert answer.status == 403
            assert b"Fault" in answer.body
        events = gates.events("door.ews.refused")
        assert {e.data["why"] for e in events} == {"ews-operation GetItem", "ews-operation ExportItems"}
        assert {e.device for e in events} == {"d1"}

    lanes(talk)


def test_a_program_that_names_ever_new_things_does_not_fill_the_record() -> None:
    async def talk(gates: Gates) -> None:
        for number in range(60):
            name = "Op" + "".join(chr(97 + int(digit)) for digit in str(number))
            request, body = ews(name, MAC)
            assert (await gates.answer(request, body=body)).status == 403
            assert isinstance(await gates.judge(eas(device=f"D{number}")), Forward) is (number == 0)
        assert len(gates.events("door.ews.refused")) == 20
        assert len(gates.events("door.eas.refused")) == 20

    lanes(talk)


def test_without_a_credential_ews_never_gets_so_far() -> None:
    async def talk(gates: Gates) -> None:
        request, body = ews("GetMailTips", OUTLOOK_AGENT)
        bare = replace(request, headers=tuple(p for p in request.headers if p[0] != "authorization"))
        assert (await gates.answer(bare, body=body)).status == 401

    lanes(talk)


OWN_CLOUD = """name = "A test's cloud"
source = "this test"
dated = "2026-01-01"
networks = ["198.51.100.0/24"]
"""
FROM_CLOUD, FROM_HOME = "198.51.100.9", "203.0.113.77"


def letting_in(*clouds: str, number: int = 1):
    first, *others = snapshot().organisations
    return snapshot(number, organisations=(replace(first, clouds=clouds), *others))


@pytest.mark.parametrize(
    ("agent", "source", "evidence"),
    [
        (CLOUD, FROM_HOME, "agent"),
        (PHONE, FROM_CLOUD, "network"),
        (CLOUD, FROM_CLOUD, "both"),
        (PHONE, FROM_HOME, ""),
    ],
)
@pytest.mark.parametrize("allowed", [False, True])
def test_programs_through_a_cloud_are_the_organisations_to_allow(
    agent: str, source: str, evidence: str, allowed: bool
) -> None:
    async def talk(gates: Gates) -> None:
        clouds = with_files({"microsoft.toml": OWN_CLOUD})
        gates.door.settings = replace(gates.door.settings, clouds=clouds)
        verdict = await gates.judge(replace(eas(agent=agent), source=source))
        welcome = allowed or not evidence
        assert isinstance(verdict, Forward) is welcome
        if not welcome:
            assert isinstance(verdict, Answer)
            assert (verdict.status, verdict.reason) == (403, "cloud-client")
            assert b"maker" in verdict.body
        (event,) = gates.events("door.login.allowed" if welcome else "door.login.refused")
        assert event.data.get("cloud_evidence", "") == evidence
        assert event.data.get("cloud", "") == ("microsoft" if evidence else "")
        assert evidence == "" or welcome or event.data["reason"] == "cloud-client"

    lanes(talk, letting_in(*(("microsoft",) if allowed else ("another",))))


def test_a_program_that_changes_its_name_on_a_connection_is_looked_at_anew() -> None:
    async def talk(gates: Gates) -> None:
        await gates.forward(eas())
        assert (await gates.answer(eas(agent=CLOUD))).reason == "cloud-client"
        gates.use(letting_in("microsoft", number=2))
        await gates.forward(eas(agent=CLOUD))
        gates.use(letting_in(number=3))
        assert (await gates.answer(eas(agent=CLOUD))).reason == "cloud-client"
        await gates.forward(eas())

    lanes(talk)


# -- Autodiscover


def pox(schema: str, address: str = "alma@example.org", who: str = "", host: str = MAIL):
    more = {"authorization": who} if who else {}
    request = ask("/Autodiscover/Autodiscover.xml", host, "POST", content_type="text/xml", body=True, **more)
    body = (
        f"<Autodiscover><Request><EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}"
        "</AcceptableResponseSchema></Request></Autodiscover>"
    ).encode()
    return request, body


def test_what_is_the_same_for_everybody() -> None:
    async def talk(gates: Gates) -> None:
        bodies = set()
        for who in ("alma@example.org", "nobody@example.org", "x@nowhere.test"):
            name = who.replace("@", "%40")
            v2 = await gates.answer(
                ask(f"/autodiscover/autodiscover.json?Email={name}&Protocol=ActiveSync", MAIL)
            )
            request, body = pox(MOBILESYNC, who)
            phone = await gates.answer(request, body=body)
            config = await gates.answer(
                ask(f"/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress={name}", MAIL)
            )
            assert (v2.status, phone.status, config.status) == (200, 200, 200)
            domain = who.rpartition("@")[2].encode()
            named = config.body.replace(b'"%b"' % domain, b"").replace(b">%b<" % domain, b"")
            bodies.add((v2.body, phone.body.replace(who.encode(), b""), named))
        assert len(bodies) == 1
        assert json.loads(v2.body)["Url"] == f"https://{MAIL}/Microsoft-Server-ActiveSync"
        assert not gates.keeper_asked

    lanes(talk)


def test_outlooks_answer_needs_a_device_and_is_rewritten() -> None:
    async def talk(gates: Gates) -> None:
        request, body = pox(OUTLOOK)
        assert (await gates.answer(request, body=body)).status == 401
        request, body = pox(OUTLOOK, who=basic("alma@example.org", "her password"))
        assert (await gates.answer(request, body=body)).status == 401
        request, body = pox(OUTLOOK, who=GOOD)
        forward = await gates.judge(request, body=body)
        assert isinstance(forward, Forward)
        assert basic_of(forward) == ("alma@example.org", SEALED)
        assert forward.access is not None
        assert forward.access.door is DoorKind.AUTODISCOVER
        assert ("accept-encoding", "identity") in forward.headers
        assert forward.rewrite is not None
        answer = emulator._outlook("alma@example.org").encode()
        made = forward.rewrite(200, (("content-type", "text/xml; charset=utf-8"),), answer)
        assert made is not None
        assert b"emulator01" not in made
        assert f"https://{MAIL}/EWS/Exchange.asmx".encode() in made

    lanes(talk)


def test_at_the_device_host_programs_are_sent_to_the_device_host() -> None:
    async def talk(gates: Gates) -> None:
        request, body = pox(MOBILESYNC, host=DEVICES)
        assert f"https://{DEVICES}/Microsoft".encode() in (await gates.answer(request, body=body)).body

    lanes(talk)


def soap(operation: str, who: str = ""):
    more = {"authorization": who} if who else {}
    request = ask("/autodiscover/autodiscover.svc", MAIL, "POST", content_type="text/xml", body=True, **more)
    body = (
        f'<s:Envelope xmlns:s="{SOAP_11}" xmlns:a="{AUTODISCOVER}"><s:Body><a:{operation}/></s:Body></s:Envelope>'
    ).encode()
    return request, body


def test_soap_is_for_devices_and_for_two_operations() -> None:
    async def talk(gates: Gates) -> None:
        request, body = soap("GetUserSettingsRequestMessage")
        assert (await gates.answer(request, body=body)).status == 401
        request, body = soap("GetFederationInformationRequestMessage", GOOD)
        assert (await gates.answer(request, body=body)).status == 403
        request, body = soap("GetUserSettingsRequestMessage", GOOD)
        forward = await gates.judge(request, body=body)
        assert isinstance(forward, Forward)
        assert forward.rewrite is not None

    lanes(talk)


@pytest.mark.parametrize("body", [b"", b"<x/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"x" * 70000])
def test_bombs_and_nonsense_are_refused_before_anybody_is_asked(body: bytes) -> None:
    async def talk(gates: Gates) -> None:
        for request, _ in (pox(OUTLOOK, who=GOOD), soap("x", GOOD)):
            answer = await gates.answer(request, body=body)
            assert answer.status == 400
            assert answer.close
        assert not gates.keeper_asked

    lanes(talk)


def test_without_names_there_is_no_autoconfig() -> None:
    async def main(gates: Gates) -> None:
        install(gates.gate, gates.door, load_clients())
        assert (await gates.answer(ask("/mail/config-v1.1.xml", MAIL))).status == 404

    run(main)


def test_bob_is_not_kept_out_by_almas_phone() -> None:
    async def talk(gates: Gates) -> None:
        await gates.forward(eas())
        await gates.forward(eas(user="bob", who=basic("bob@example.org", BOB.text)))
        assert {e.account for e in gates.events("door.eas.device")} == {"a1", "a2"}

    sealed = keys().sealer.seal(b"bob's", account_context("o", "a2"))
    lanes(talk, changed("accounts", "a2", sealed_password=sealed))
