"""The gate's order: what is answered before anybody signs in, and which lane is where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gambeson.guard.core.web.grammar import parse_grammar
from gambeson.guard.core.web.shields import load_shields
from gambeson.guard.core.web.verdict import Answer, Forward, Peek, WebClient
from gambeson.guard.edge.web.gate import DeviceCall, WebRules
from gambeson.model.access import DoorKind
from gambeson.model.web import Lane, Product
from guard.edge.web.gates import (
    ALMA,
    DEVICES,
    FINGERPRINT,
    MAIL,
    PORTAL,
    SOURCE,
    WEBMAIL,
    Gates,
    ask,
    basic,
    browse,
    run,
    snapshot,
)

PUBLIC = parse_grammar(
    'product = "roundcube"\n[[line]]\nname = "style"\nlane = "public"\nmethods = ["GET"]\npath = "/style.css"\n',
    "test.toml",
)


def test_the_portals_host_goes_to_the_portal():
    async def talk(gates: Gates) -> None:
        forward = await gates.forward(browse("/sign-in", PORTAL, x_gambeson_source="192.0.2.66"))
        assert forward.site.product is Product.PORTAL
        assert forward.site.endpoint.unix == "@portal"
        assert forward.access is None
        assert dict(forward.headers)["x-gambeson-source"] == SOURCE

    run(talk)


def test_without_a_portal_its_host_is_nobodys():
    async def talk(gates: Gates) -> None:
        assert (await gates.answer(browse("/", PORTAL))).status == 421

    run(talk, portal=False)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/installer/", WEBMAIL),
        ("/config/config.inc.php", WEBMAIL),
        ("/powershell", MAIL),
        ("/rpc/rpcproxy.dll", MAIL),
        ("/ecp/default.aspx", MAIL),
        ("/owa/healthcheck.htm", MAIL),
        ("/anything", MAIL),
        ("/owa/", DEVICES),  # people's pages are not where certificates are asked for
        ("/.gambeson/enter?code=x", DEVICES),
        ("/.gambeson/", WEBMAIL),
        ("/.gambeson/anything", WEBMAIL),
    ],
)
def test_never_is_no_redirect_whoever_asks(target, host):
    async def talk(gates: Gates) -> None:
        for cookies in ("", f"__Host-gambeson-session={gates.console.token(host=host)}"):
            answer = await gates.answer(browse(target, host, cookies=cookies))
            assert answer.status in (403, 404)
            assert "location" not in dict(answer.headers)

    run(talk)


def test_a_known_exploit_is_stopped_before_sign_in_and_recorded_with_its_name():
    async def talk(gates: Gates) -> None:
        made = ask(
            "/autodiscover/autodiscover.json?@evil.test/mapi/nspi/?&Email=autodiscover/autodiscover.json%3f@evil.test",
            MAIL,
        )
        answer = await gates.answer(made)
        assert answer.status == 403
        assert answer.close
        assert "location" not in dict(answer.headers)
        (event,) = gates.events("door.request.shielded")
        assert event.data["cve"].startswith("CVE-")
        # The same again, and again: one line a round for one source.
        for _ in range(20):
            await gates.answer(made)
        assert len(gates.events("door.request.shielded")) == 1

    run(talk)


def test_nobody_knows_a_host_that_no_site_has():
    async def talk(gates: Gates) -> None:
        assert (await gates.answer(browse("/", "unknown.example.org"))).status == 421

    run(talk)


def test_without_a_snapshot_or_a_key_nobody_comes_in():
    async def talk(gates: Gates) -> None:
        cookie = f"__Host-gambeson-session={gates.console.token()}"
        gates.gate.people.sessions.key = None
        assert (await gates.answer(browse("/", cookies=cookie))).status == 503
        gates.door.device_key = b""
        signed = ask(
            "/Microsoft-Server-ActiveSync?Cmd=Ping&User=a&DeviceId=b&DeviceType=c",
            MAIL,
            "POST",
            authorization=basic("alma@example.org", ALMA.text),
            content_type="application/vnd.ms-sync.wbxml",
        )
        assert (await gates.answer(signed)).status == 503
        gates.door.index = None
        assert (await gates.answer(browse("/", cookies=cookie))).status == 503

    run(talk)


def test_the_trusted_header_in_disguise_is_no_request():
    async def talk(gates: Gates) -> None:
        made = browse("/")
        disguised = (*made.headers, ("x_remote_user", "admin"))
        assert (await gates.answer(replace(made, headers=disguised))).status == 404

    run(talk)


def test_local_answers_are_a_table():
    async def talk(gates: Gates) -> None:
        made = ask("/autodiscover/autodiscover.json?Email=a@example.org&Protocol=ActiveSync", MAIL)
        assert (await gates.answer(made)).status == 404
        seen = []

        def answer(request, client, site, route):
            seen.append((route.lane, site.name))
            return Answer(200, body=b"here")

        gates.gate.answer_local["autodiscover-v2"] = answer
        assert (await gates.answer(made)).body == b"here"
        assert seen == [(Lane.LOCAL, "exchange")]

    run(talk)


def test_a_doors_rule_sees_proven_devices_only():
    async def talk(gates: Gates) -> None:
        calls: list[DeviceCall] = []

        def rule(call: DeviceCall) -> Forward | Answer | Peek:
            calls.append(call)
            return Peek(100, lambda octets, whole: Answer(200, body=octets) if whole else call.verdict)

        gates.gate.device_rules[DoorKind.EWS] = rule
        made = {"host": MAIL, "method": "POST", "content_type": "text/xml", "body": True}
        refused = await gates.answer(
            ask("/EWS/Exchange.asmx", **made, authorization=basic("alma@example.org", "wrong"))
        )
        assert refused.status == 401
        assert calls == []
        answer = await gates.answer(
            ask("/EWS/Exchange.asmx", **made, authorization=basic("alma@example.org", ALMA.text)),
            body=b"<soap/>",
        )
        assert answer.body == b"<soap/>"
        assert isinstance(calls[0].verdict, Forward)
        assert calls[0].judgement.identity.account == "a1"

    run(talk)


def test_the_public_lane_carries_nobodys_cookies():
    async def talk(gates: Gates) -> None:
        gates.gate._rules = WebRules({Product.ROUNDCUBE: PUBLIC}, load_shields())
        made = ask("/style.css", cookies="a=b", authorization=basic("a", "b"))
        forward = await gates.forward(made)
        assert forward.access is None
        assert forward.headers == (("cookie", ""),)
        assert any("set-cookie" in action.drop for action in forward.actions)
        assert not forward.authorization
        assert (await gates.answer(ask("/style.css", MAIL))).status == 404  # a product without a grammar

    run(talk)


def test_a_fault_of_ours_lets_nobody_in(caplog):
    async def talk(gates: Gates) -> None:
        def broken(*_):
            raise RuntimeError("boom")

        async def broken_later(*_):
            raise RuntimeError("boom")

        for each in (broken, broken_later):
            gates.gate.answer_local["autodiscover-v2"] = each
            made = ask("/autodiscover/autodiscover.json?Email=a@example.org&Protocol=ActiveSync", MAIL)
            assert (await gates.answer(made)).status == 503

    run(talk)


def test_a_certificate_host_serves_devices():
    async def talk(gates: Gates) -> None:
        client = WebClient(SOURCE, 4000, DEVICES, b"", FINGERPRINT)
        made = ask(
            "/Microsoft-Server-ActiveSync?Cmd=Ping&User=a&DeviceId=b&DeviceType=c",
            DEVICES,
            "POST",
            content_type="application/vnd.ms-sync.wbxml",
        )
        # The keeper takes a fingerprint's word only behind an edge: here it does not, and nothing is let through.
        assert (await gates.answer(made, client)).status == 503

    run(talk, snapshot())
