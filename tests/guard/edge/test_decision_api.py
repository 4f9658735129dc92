"""The decision API on a socket: who may ask, what nginx and Dovecot hear, and what no client can do to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.guard.core.decision_api import MOST_SECONDS, SPRAY_NAMES
from gambeson.guard.core.policy_toml import parse_policy
from gambeson.guard.data import default_policy_text
from gambeson.guard.edge import decision_listener
from gambeson.guard.edge.decision_plan import DecisionPlan, DecisionPlanError, open_decision_plan
from gambeson.model.snapshot import Snapshot
from guard.edge.engines import KEY, Api, Client, with_api
from guard.edge.web.gates import ALMA, BOB, PORTAL, SOURCE, WEBMAIL, Gates, basic, run, snapshot

POLL = "/Microsoft-Server-ActiveSync?Cmd=Ping&User=alma&DeviceId=D1&DeviceType=T"
EWS = "/EWS/Exchange.asmx"
ALLOW = {"login": "alma@example.org", "remote": SOURCE, "protocol": "imap", "pwhash": "0831", "tls": True}


def allow(session: str, **changes: object) -> dict[str, object]:
    return ALLOW | {"session_id": session} | changes


PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /command/allow HTTP/1.1\r\n",
        f"X-API-Key: {KEY}\r\n".encode(),
        b"Content-Length: 5\r\n",
        b"Content-Length: 99999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"5\r\nabcde\r\n",
        b"0\r\n\r\n",
        b"{}",
    ]
)


class TestKey:
    @pytest.mark.parametrize("key", ["", "x", KEY[:-1], KEY + "x", KEY.upper()])
    @pytest.mark.parametrize("target", ["/?command=ping", "/auth_request", "/openapi.json", "/nothing"])
    def test_nothing_is_answered_without_it(
        self, key: str, target: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gambeson.guard.edge.decision_api._WRONG_KEY_SECONDS", 0.0)

        async def conversation(api: Api) -> None:
            client = await api.client()
            reply = await client.request("GET", target, key=key)
            assert reply.status == 401
            assert KEY.encode() not in reply.body
            assert bool(reply.header("www-authenticate")) is (target != "/auth_request")
            assert api.listener.turned_away["wrong key"] == 1
            assert await client.ended() == b""

        with_api(conversation)

    def test_basic_is_for_dovecot_and_weakforced_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gambeson.guard.edge.decision_api._WRONG_KEY_SECONDS", 0.0)
        given = "Authorization:  Basic " + base64.b64encode(f"wforce:{KEY}".encode()).decode()

        async def conversation(api: Api) -> None:
            client = await api.client()
            assert (await client.request("GET", "/command/ping", given, key="")).status == 200
            assert (await client.request("GET", "/auth_request", given, key="")).status == 401

        with_api(conversation)

    @pytest.mark.parametrize("key", ["short", "with a blank in it 0123", "k\u00e4se" * 8])
    def test_a_key_that_is_none(self, key: str) -> None:
        with pytest.raises(DecisionPlanError, match=r"decision_api\.key"):
            open_decision_plan(DecisionPlan(("x",), "value", key))
        assert "secret" not in repr(DecisionPlan(("x",), "value", "secret"))


class TestNginx:
    def test_a_device_passes_and_its_secret_goes_no_further(self) -> None:
        async def conversation(api: Api) -> None:
            client = await api.client()
            given = basic("alma@example.org", ALMA.text)
            reply = await client.sub_request(
                POLL, f"Authorization: {given}", "X-Gambeson-Length: 9", method="POST"
            )
            assert reply.status == 204, reply
            assert reply.header("x-gambeson-user") == "alma@example.org"
            assert reply.header("x-gambeson-rung") == "device-secret"
            upstream = reply.header("x-gambeson-authorization")
            assert upstream.startswith("Basic ")
            assert ALMA.text not in base64.b64decode(upstream[6:]).decode()
            assert reply.body == b""

        with_api(conversation)

    @pytest.mark.parametrize(
        ("target", "headers", "method", "status"),
        [
            (POLL, (), "POST", 401),
            (POLL, ("Authorization: Basic YTpi",), "POST", 401),
            (POLL, ("Authorization: NTLM TlRMTVNTUAABAAAA",), "POST", 401),
            ("/powershell/", (), "GET", 403),
            ("/autodiscover/autodiscover.json?@evil.test/mapi/nspi", (), "GET", 403),
            ("/owa/..%2fecp/", (), "GET", 403),
            ("/nothing-of-exchange", (), "GET", 403),
        ],
    )
    def test_whoever_proves_nothing_does_not_pass(
        self, target: str, headers: tuple[str, ...], method: str, status: int
    ) -> None:
        async def conversation(api: Api) -> None:
            reply = await (await api.client()).sub_request(target, *headers, method=method)
            assert reply.status == status, reply
            assert "location" not in dict(reply.headers)
            assert sum(api.listener.turned_away.values()) == (status == 403)

        with_api(conversation)

    def test_one_names_the_others_device(self) -> None:
        async def conversation(api: Api) -> None:
            given = basic("alma@example.org", BOB.text)
            reply = await (await api.client()).sub_request(POLL, f"Authorization: {given}", method="POST")
            assert reply.status == 401
            assert reply.header("www-authenticate").startswith("Basic")

        with_api(conversation)

    def test_a_browser_is_led_to_the_portal(self) -> None:
        async def conversation(api: Api) -> None:
            reply = await (await api.client()).sub_request(
                "/?_task=mail", "Accept: text/html", "Sec-Fetch-Mode: navigate", host=WEBMAIL
            )
            assert reply.status == 401
            assert reply.header("x-gambeson-location").startswith(f"https://{PORTAL}:8443/enter?host=")
            assert "__Host-gambeson-state=" in reply.header("x-gambeson-set-cookie-1")

        with_api(conversation)

    @pytest.mark.parametrize(("unbound", "status"), [(False, 403), (True, 204)])
    def test_people_pass_only_where_the_settings_take_the_risk(self, unbound: bool, status: int) -> None:
        async def conversation(api: Api) -> None:
            token = api.gates.console.token(host=WEBMAIL)
            reply = await (await api.client()).sub_request(
                "/?_task=mail", f"Cookie: __Host-gambeson-session={token}; roundcube_sessid=x", host=WEBMAIL
            )
            assert reply.status == status, reply
            if unbound:
                assert reply.header("x-gambeson-upstream-cookie") == "roundcube_sessid=x"
                assert reply.header("x-gambeson-authorization").startswith("Basic ")
            else:
                assert reply.header("x-gambeson-reason") == "not-through-nginx cookies-not-bound"

        with_api(conversation, unbound_cookies=unbound)

    def test_the_doors_own_pages_come_whole(self) -> None:
        async def conversation(api: Api) -> None:
            client = await api.client()
            reply = await client.sub_request(
                "/.gambeson/leave", "Accept: text/html", host=WEBMAIL, path="/own"
            )
            assert reply.status == 200
            assert b"<form" in reply.body
            reply = await client.sub_request("/?_task=mail", host=WEBMAIL, path="/own")
            assert reply.status == 401  # and never what would be forwarded
            token = api.gates.console.token(host=WEBMAIL)
            reply = await client.sub_request(
                "/?_task=mail", f"Cookie: __Host-gambeson-session={token}", host=WEBMAIL, path="/own"
            )
            assert reply.status == 503

        with_api(conversation)

    def test_a_revoked_device_is_refused_at_its_next_request(self) -> None:
        async def conversation(api: Api) -> None:
            client = await api.client()
            given = f"Authorization: {basic('alma@example.org', ALMA.text)}"
            assert (await client.sub_request(POLL, given, method="POST")).status == 204
            made = snapshot(2)
            gone = tuple(replace(c, revoked_at=1.0) if c.id == "c-d1" else c for c in made.credentials)
            api.gates.use(replace(made, credentials=gone))
            assert (await client.sub_request(POLL, given, method="POST")).status == 401

        with_api(conversation)


class TestDovecot:
    def test_a_sign_in_is_asked_twice_and_reported_once(self) -> None:
        async def conversation(api: Api) -> None:
            ask = allow("s1")
            assert await api.ask("allow", **ask) == {"status": 0, "msg": "", "r_attrs": {}}
            assert (await api.ask("allow", **ask))["status"] == 0
            door = api.gates.door
            assert door.throttle.failures("alma@example.org", door.counting()) == 1  # under way, counted once
            assert await api.ask("report", **ask, success=True) == {"status": "ok"}
            assert door.throttle.failures("alma@example.org", door.counting()) == 0
            (event,) = api.gates.events("door.login.allowed")
            assert (event.door, event.source, event.data["engine"]) == ("imap", SOURCE, "dovecot")
            assert event.data["rung"] == "knowledge"
            assert "0831" not in json.dumps(event.data)

        with_api(conversation)

    def test_failures_make_it_wait_and_then_close(self) -> None:
        async def conversation(api: Api) -> None:
            waits = []
            for number in range(12):
                ask = allow(f"s{number}", pwhash=f"{number:04x}")
                reply = await api.ask("allow", **ask)
                waits.append(reply["status"])
                await api.ask("report", **ask, success=False, policy_reject=reply["status"] < 0)
            assert waits[:3] == [0, 0, 0]
            assert waits[3:10] == sorted(waits[3:10])
            assert max(waits) <= MOST_SECONDS
            assert waits[10:] == [-1, -1]  # ten an hour for one name from one network
            reply = await api.ask("allow", **allow("s99"))
            assert "Too many failed sign-ins" in reply["msg"]
            refused = api.gates.events("door.login.refused")
            assert {e.data["reason"] for e in refused} == {"password-refused-by-server", "throttled"}

        with_api(conversation)

    def test_where_the_account_signed_in_lately_nobody_waits(self) -> None:
        async def conversation(api: Api) -> None:
            await api.ask("report", **allow("s0"), success=True)
            for number in range(8):
                ask = allow(f"t{number}", remote="198.51.100.9", pwhash=f"{number:04x}")
                await api.ask("allow", **ask)
                await api.ask("report", **ask, success=False)
            assert (await api.ask("allow", **allow("x", remote="198.51.100.9")))["status"] > 0
            assert (await api.ask("allow", **allow("y")))["status"] == 0

        with_api(conversation)

    def test_one_source_that_tries_many_names_waits_at_each(self) -> None:
        async def conversation(api: Api) -> None:
            for number in range(SPRAY_NAMES):
                ask = allow(f"s{number}", login=f"guess{number}@example.org")
                assert (await api.ask("allow", **ask))["status"] == 0
                await api.ask("report", **ask, success=False)
            assert (await api.ask("allow", **allow("new", login="never@example.org")))[
                "status"
            ] == MOST_SECONDS
            assert len(api.gates.events("door.spray")) == 1

        with_api(conversation)

    def test_reports_alone_count_too(self) -> None:
        async def conversation(api: Api) -> None:
            for number in range(5):
                await api.ask("report", **allow(f"s{number}"), success=False)
            door = api.gates.door
            assert door.throttle.failures("alma@example.org", door.counting()) == 5

        with_api(conversation)

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"protocol": "imap"}, 0),
            ({"protocol": "lmtp"}, -1),
            ({"protocol": ""}, -1),
            ({"remote": ""}, -1),
            ({"tls": False}, -1),
            ({"tls": False, "remote": "127.0.0.1"}, 0),
            (
                {"login": "nobody@example.org"},
                0,
            ),  # Dovecot will refuse it; we tell nobody that it is not there
            ({"login": "alma@unknown.test"}, -1),
            ({"login": ""}, -1),
            ({"login": "bob@example.org"}, -1),  # switched off
            ({"login": "alma@example.org", "attrs": {"mech": "EXTERNAL", "cert": "valid"}}, 0),
        ],
    )
    def test_floors(self, change: dict[str, object], status: int) -> None:
        made = snapshot()
        accounts = tuple(replace(a, enabled=a.address != "bob@example.org") for a in made.accounts)

        async def conversation(api: Api) -> None:
            reply = await api.ask("allow", **allow("s", **change))
            assert reply["status"] == status
            if change.get("login") == "bob@example.org":
                assert reply["msg"] == ""  # nobody has proven to be Bob

        with_api(conversation, replace(made, accounts=accounts))

    def test_a_rule_that_refuses_a_network(self) -> None:
        async def conversation(api: Api) -> None:
            assert (await api.ask("allow", **allow("s1")))["status"] == -1
            assert (await api.ask("allow", **allow("s2", remote="198.51.100.1")))["status"] == 0

        with_api(conversation, refusing("203.0.113.0/24"))

    def test_every_other_command(self) -> None:
        async def conversation(api: Api) -> None:
            client = await api.client()
            assert (await client.request("GET", "/command/ping")).status == 200
            assert (await client.post("/command/reset", {"login": "alma@example.org"})).status == 403
            assert (await client.post("/command/allow", allow("s"))).status == 200
            assert (await client.request("GET", "/command/allow")).status == 405
            assert (await client.post("/command/nothing", {})).status == 404
            assert (await client.request("POST", "/command/allow", body=b"{")).status == 400
            assert (await client.request("GET", "/openapi.json")).status == 200
            api.gates.door.index = None
            assert (await client.post("/command/allow", allow("s"))).status == 503
            assert (await client.request("GET", "/command/ping")).status == 503

        with_api(conversation)


def refusing(network: str) -> Snapshot:
    declared = f'[[network]]\nname = "bad"\ncidrs = ["{network}"]\n\n'
    rule = '[[rule]]\nname = "no"\nopinion = "deny"\nnetworks = ["bad"]\n\n'
    text = default_policy_text().replace("[[rule]]", declared + rule + "[[rule]]", 1)
    return snapshot(policies=tuple(parse_policy(text, o) for o in ("o", "x")))


class TestSocket:
    """HTTP of the least kind, with limits on everything."""

    @pytest.mark.parametrize(
        ("octets", "status"),
        [
            (b"NONSENSE\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"a" * 40000, 431),
            (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
            (b"GET /" + b"a" * 40000, 431),
            (b"POST /command/allow HTTP/1.1\r\nContent-Length: 20000\r\n\r\n" + b"a" * 20000, 413),
            (
                b"POST /command/allow HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"4e20\r\n"
                + b"a" * 20000
                + b"\r\n0\r\n\r\n",
                413,
            ),
            (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", 417),
            (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
        ],
    )
    def test_refused_and_closed(self, octets: bytes, status: int) -> None:
        async def conversation(api: Api) -> None:
            for size in (len(octets), 1000):
                client = await api.client()
                for at in range(0, len(octets), size):
                    client.writer.write(octets[at : at + size])
                reply = await client.reply()
                assert reply.status == status
                assert await client.ended() == b""

        with_api(conversation)

    def test_requests_in_a_row_are_answered_in_a_row(self) -> None:
        async def conversation(api: Api) -> None:
            client = await api.client()
            one = f"GET /command/ping HTTP/1.1\r\nX-API-Key: {KEY}\r\n\r\n".encode()
            two = f"GET /nothing HTTP/1.1\r\nX-API-Key: {KEY}\r\n\r\n".encode()
            client.writer.write(one + two + one)
            assert [(await client.reply()).status for _ in range(3)] == [200, 404, 200]
            for octet in one:
                client.writer.write(bytes([octet]))
                await asyncio.sleep(0)
            assert (await client.reply()).status == 200

        with_api(conversation)

    def test_a_wrong_request_is_not_forgotten_for_a_right_one(self) -> None:
        async def conversation(api: Api) -> None:
            client = await api.client()
            long = b"POST /command/allow HTTP/1.1\r\nContent-Length: 17000\r\n\r\n" + b"a" * 17000
            client.writer.write(long + f"GET /command/ping HTTP/1.1\r\nX-API-Key: {KEY}\r\n\r\n".encode())
            assert (await client.reply()).status == 413
            assert await client.ended() == b""

        with_api(conversation)

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.lists(st.binary(max_size=60) | PIECES, max_size=6), min_size=1, max_size=6))
    def test_any_octets_in_any_pieces_trouble_nobody(self, conversations: list[list[bytes]]) -> None:
        async def conversation(api: Api) -> None:
            trouble: list[object] = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: trouble.append(context))
            for pieces in conversations:
                client = await api.client()
                with contextlib.suppress(RuntimeError):  # it was closed for what came
                    for piece in pieces:
                        client.writer.write(piece)
                        await asyncio.sleep(0)
                    client.writer.write_eof()
                client.close()
            good = await api.client()
            assert (await good.request("GET", "/command/ping")).status == 200
            assert trouble == []

        with_api(conversation)

    def test_slow_and_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(decision_listener, "HEAD_SECONDS", 0.2)
        monkeypatch.setattr(decision_listener, "MAX_CONNECTIONS", 3)

        async def conversation(api: Api) -> None:
            slow = await api.client()
            slow.writer.write(b"GET / HT")
            assert await slow.ended() == b""
            kept = [await api.client() for _ in range(3)]
            for client in kept:
                assert (await client.request("GET", "/command/ping")).status == 200
            extra = await api.client()
            assert await extra.ended() == b""

        with_api(conversation)

    def test_the_rate_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(decision_listener, "MAX_RATE", 2)

        async def conversation(api: Api) -> None:
            client = await api.client()
            api.listener._credit = 4.0
            statuses = [(await client.request("GET", "/command/ping")).status for _ in range(8)]
            assert statuses[:4] == [200] * 4
            assert 503 in statuses

        with_api(conversation)

    @pytest.mark.parametrize("mine", [True, False])
    def test_a_unix_socket_is_for_one_user(self, mine: bool) -> None:
        async def conversation(gates: Gates) -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = str(Path(folder) / "api.sock")
                sock = socket.socket(socket.AF_UNIX)
                sock.bind(path)
                sock.listen(8)
                api = Api(gates, sock=sock, uid=os.geteuid() + (0 if mine else 1))
                client = Client(*await asyncio.open_unix_connection(path))
                if mine:
                    assert (await client.request("GET", "/command/ping")).status == 200
                else:
                    assert await client.ended() == b""
                api.close()

        run(conversation)

    def test_a_draining_door_ends_its_connections(self) -> None:
        async def conversation(api: Api) -> None:
            client = await api.client()
            assert (await client.request("GET", "/command/ping")).status == 200
            api.listener.stop()
            assert await client.ended() == b""

        with_api(conversation)
