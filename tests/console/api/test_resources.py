"""What the operations do, as a program sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.api.client import BASE, Client, Things, bad, body_of, furnish, good, owner, path_of, token
from console.lab import Lab
from console.worker import Worker
from gambeson.console.api.operation import operations
from gambeson.model import device_secret
from gambeson.model.asset import DeviceState
from gambeson.model.event import Event
from gambeson.model.finding import Finding, Severity
from gambeson.model.staff import Grant, Role
from gambeson.process.messages import KillAsk, SessionInfo

TABLE = operations()


@pytest.fixture
def things(lab: Lab) -> Things:
    return furnish(lab, "acme")


@pytest.fixture
def client(lab: Lab) -> Client:
    return Client(lab.app, token(lab, owner(lab)))


def base(things: Things) -> str:
    return f"/organisations/{things.org.id}"


def all_of(client: Client, path: str, limit: int, **query: Any) -> list[Any]:
    """A whole list, a part at a time."""
    found: list[Any] = []
    after: dict[str, str] = {}
    for _ in range(100):
        part = good(client.get(path, limit=limit, **query, **after))
        assert len(part["items"]) <= limit
        found += part["items"]
        if part["next"] is None:
            return found
        assert len(part["items"]) == limit
        after = {"after": part["next"]}
    raise AssertionError("the list has no end")


def test_an_organisation_from_its_beginning(lab: Lab, client: Client) -> None:
    made = good(client.post("/organisations", {"name": "New", "domains": ["new.example"]}), 201)
    id = made["organisation"]["id"]
    assert made["told"]["missing"] == ["worker"]
    bad(client.post("/organisations", {"name": "New"}), 409, "conflict")
    changed = good(client.patch(f"/organisations/{id}", {"name": "Newer", "hours_per_week": 3}))
    assert changed["organisation"]["name"] == "Newer"
    assert lab.store.organisation(id).hours() == 3
    bad(client.patch(f"/organisations/{id}", {}), 422)
    bad(client.patch(f"/organisations/{id}", {"nam": "x"}), 422)
    account = good(client.post(f"/organisations/{id}/accounts", {"address": "Bo@NEW.example"}), 201)
    assert account["address"] == "bo@new.example"


def test_a_phone_from_registering_to_revoking(lab: Lab, client: Client, things: Things) -> None:
    path = base(things) + "/devices"
    wish = {
        "account": things.ids["account"],
        "name": "Tablet",
        "doors": ["imap"],
        "expires": "2027-01-31T00:00:00Z",
    }
    made = good(client.post(path, wish), 201)
    assert device_secret.parse(made["secret"]) is not None
    device = made["device"]
    assert (device["state"], device["expires"]) == ("registered", "2027-01-31T00:00:00Z")
    assert "secret" not in good(client.get(f"{path}/{device['id']}"))
    good(client.post(f"{path}/{device['id']}/block", {"lost": True}))
    assert good(client.get(path, state="lost"))["items"][0]["id"] == device["id"]
    good(client.post(f"{path}/{device['id']}/approve", {"doors": ["imap", "pop3"]}))
    again = good(client.get(f"{path}/{device['id']}"))
    assert (again["state"], again["doors"]) == ("registered", ["imap", "pop3"])
    good(client.post(f"{path}/{device['id']}/revoke"))
    bad(client.post(f"{path}/{device['id']}/approve"), 409, "revoked")
    assert all(c.revoked_at for c in things.org.credentials.list(device=device["id"]))


def test_the_quarantine_has_devices_and_phones(client: Client, things: Things) -> None:
    found = all_of(client, base(things) + "/quarantine", 1)
    assert [(w["device"], w["phone"]) for w in found if w["device"]] == [(things.ids["device"], "")]
    assert {w["phone"] for w in found if w["phone"]} == {"phoneacme", "otheracme"}
    good(client.post(f"{base(things)}/devices/{things.ids['device']}/approve"))
    assert things.org.devices.get(things.ids["device"]).state is DeviceState.REGISTERED


def test_people_are_found_and_leave(lab: Lab, client: Client, things: Things) -> None:
    for n in range(7):
        things.org.accounts.create(f"user{n}@acme.example", groups=["sales"], **lab.act)
    path = base(things) + "/accounts"
    assert [a["address"] for a in all_of(client, path, 3, search="user")] == [
        f"user{n}@acme.example" for n in range(7)
    ]
    assert len(all_of(client, path, 50, group="sales")) == 7
    id = things.ids["account"]
    good(client.patch(f"{path}/{id}", {"groups": ["sales"], "enabled": False}))
    account = good(client.get(f"{path}/{id}"))
    assert (account["enabled"], account["groups"]) == (False, ["sales"])
    left = good(client.post(f"{path}/{id}/leave"))
    assert "block-device" in left["steps"]
    assert "block-phone phoneacme" in left["steps"]
    assert left["sessions"] is None
    assert things.org.devices.get(things.ids["device"]).state is DeviceState.BLOCKED
    assert not things.org.authenticators.list(id)


def test_who_contains_takes_away_and_gives_nothing(lab: Lab, things: Things) -> None:
    owner(lab)
    eve = lab.staff("Eve", Grant(things.org.id, Role.RESPONDER, lab.clock.now + 3600))
    client = Client(lab.app, token(lab, eve))
    account = f"{base(things)}/accounts/{things.ids['account']}"
    device = f"{base(things)}/devices/{things.ids['device']}"
    good(client.patch(account, {"enabled": False}))
    bad(client.patch(account, {"enabled": True}), 403)
    bad(client.patch(account, {"groups": []}), 403)
    good(client.post(f"{device}/revoke"))
    bad(client.post(f"{device}/approve"), 403)


def test_sessions_are_the_organisations_own(lab: Lab, client: Client, things: Things) -> None:
    other = furnish(lab, "zyx")
    with Worker(lab) as worker:
        mine = SessionInfo(
            id="s1",
            door="imap",
            organisation=things.org.id,
            account=things.ids["account"],
            since=lab.clock.now,
        )
        worker.sessions = (
            mine,
            SessionInfo(id="s2", door="imap", organisation=other.org.id, account=other.ids["account"]),
        )
        found = good(client.get(base(things) + "/sessions"))
        assert [s["id"] for s in found["items"]] == ["s1"]
        assert good(client.get(base(things) + "/sessions", account="acc-none"))["items"] == []
        end = base(things) + "/sessions/end"
        assert good(client.post(end, {"session": "s1"}))["count"] == 1
        assert worker.killed == [KillAsk(session="s1", organisation=things.org.id)]
        bad(client.post(end, {}), 422)
        bad(client.post(end, {"account": other.ids["account"]}), 404)
        bad(client.post(end, {"device": other.ids["device"]}), 404)
        assert len(worker.killed) == 1


def test_findings_are_filtered_and_worked_on(lab: Lab, client: Client, things: Things) -> None:
    for n, severity in enumerate(Severity):
        things.org.findings.open(
            Finding("", "", "Door", f"d{n}", f"r.{n}", f"T{n}", severity, "x"), **lab.act
        )
    path = base(things) + "/findings"
    assert [f["severity"] for f in all_of(client, path, 2)] == [
        "critical", "high", "high", "medium", "low", "info",
    ]  # fmt: skip
    assert len(all_of(client, path, 50, at_least="high")) == 3
    id = things.ids["finding"]
    assert good(client.post(f"{path}/{id}/acknowledge"))["state"] == "acknowledged"
    bad(client.post(f"{path}/{id}/acknowledge"), 409, "not-so")
    person = lab.store.staff.list()[0]
    assert good(client.post(f"{path}/{id}/assign", {"staff": person.id}))["assignee"] == person.id
    bad(client.post(f"{path}/{id}/assign", {"staff": "staff-none"}), 422, "not-a-reader")
    waived = good(client.post(f"{path}/{id}/waive", {"until": "2026-12-01T00:00:00Z", "reason": "known"}))
    assert (waived["state"], waived["waived_until"]) == ("waived", "2026-12-01T00:00:00Z")
    bad(client.post(f"{path}/{id}/waive", {"until": "2020-12-01T00:00:00Z", "reason": "known"}), 422)


def test_an_action_from_plan_to_undo(lab: Lab, client: Client, things: Things) -> None:
    path = base(things) + "/actions"
    lab.later(1)
    made = good(client.post(path, {"kind": "account.disable", "target": "ann-acme@acme.example"}), 201)
    assert (made["state"], bool(made["sentences"])) == ("planned", True)
    one = f"{path}/{made['id']}"
    bad(client.post(f"{one}/run"), 409)
    assert good(client.post(f"{one}/approve"))["state"] == "approved"
    assert good(client.post(f"{one}/run"))["state"] == "done"
    assert not things.org.accounts.get(things.ids["account"]).enabled
    bad(client.post(f"{one}/verify"), 409, "not-verified")  # no worker: nobody acts on it
    assert good(client.post(f"{one}/undo"))["state"] == "undone"
    whole = good(client.get(one))
    assert whole["journal"][0]["state"] == "planned"
    assert whole["may"] == []
    bad(client.post(path, {"kind": "no.such", "target": ""}), 422)
    assert [a["id"] for a in all_of(client, path, 1)] == [made["id"], things.ids["action"]]
    assert len(all_of(client, path, 1, state="undone")) == 1


def test_decisions_are_paged_by_time_and_id(lab: Lab, client: Client, things: Things) -> None:
    at = lab.clock.now - 10
    lab.events(
        Event(
            f"same/{n:03}",
            at,
            "door.login.refused",
            things.org.id,
            "",
            "",
            "pop3",
            "192.0.2.4",
            {"claimed": "x@y"},
        )
        for n in range(25)
    )
    path = base(things) + "/decisions"
    found = all_of(client, path, 4, outcome="refused", door="pop3")
    assert [d["id"] for d in found] == [f"same/{n:03}" for n in reversed(range(25))]
    assert found[0]["claimed"] == "x@y"
    assert [d["outcome"] for d in all_of(client, path, 50, account=things.ids["account"])] == [
        "allowed",
        "refused",
    ]
    assert len(all_of(client, path, 50, since="2026-09-21T14:13:10Z")) == 25
    assert all_of(client, path, 50, until="2000-01-01T00:00:00Z") == []


def test_doors_and_modes(lab: Lab, client: Client, things: Things) -> None:
    path = base(things) + "/doors"
    found = good(client.get(path))
    imap = next(d for d in found["items"] if d["door"] == "imap")
    assert (imap["mode"], imap["refused"], imap["allowed"]) == ("observe", 1, 1)
    assert found["bypass_until"] is None
    bad(client.put(f"{path}/imap/mode", {"mode": "warn"}), 422, "no-reason")
    made = good(client.put(f"{path}/imap/mode", {"mode": "warn", "days": 2, "reason": "trial"}))
    assert {(m["door"], m["mode"], m["group"]) for m in made["modes"]} == {
        ("imap", "warn", ""),
        ("imap", "observe", "group-acme"),
    }
    bad(client.put(f"{path}/nowhere/mode", {"mode": "enforce"}), 404)
    bad(client.put(f"{path}/imap/mode", {"mode": "off"}), 422)


def test_the_policy(lab: Lab, client: Client, things: Things) -> None:
    path = base(things) + "/policy"
    assert good(client.get(path))["version"] == 1
    assert good(client.get(f"{path}/versions/0"))["toml"]
    for wrong in ("2", "-1", "x", "99999999999"):
        bad(client.get(f"{path}/versions/{wrong}"), 404)
    checked = good(client.post(f"{path}/check", {"toml": "[[rule]]\nname = 1\n"}))
    assert not checked["good"]
    assert checked["problems"][0]["line"] >= 1
    bad(client.post(f"{path}/versions", {"toml": "x = 1"}), 422, "bad-policy")
    bad(client.post(f"{path}/versions", {"toml": "", "expected": 7}), 409, "changed")
    assert good(client.post(f"{path}/versions", {"toml": "", "expected": 1}), 201)["version"] == 2
    assert [(v["version"], v["in_force"]) for v in all_of(client, f"{path}/versions", 1)] == [
        (2, True),
        (1, False),
    ]
    assert good(client.put(f"{path}/in-force", {"version": 1}))["version"] == 1
    assert good(client.put(f"{path}/in-force", {"version": 0}))["version"] == 0
    bad(client.put(f"{path}/in-force", {"version": 9}), 404)
    said = good(client.post(f"{path}/explain", {"door": "imap", "account": "ann-acme@acme.example"}))
    assert said["now"]["decision"] == "challenge"
    assert said["proposed"] is None
    bad(client.post(f"{path}/explain", {"door": "imap", "account": "no address"}), 422, "unasked")


def test_the_audit_log(client: Client, things: Things) -> None:
    path = base(things) + "/audit"
    found = all_of(client, path, 3)
    assert [e["seq"] for e in found] == sorted((e["seq"] for e in found), reverse=True)
    assert all(e["organisation"] == things.org.id for e in found)
    assert all_of(client, path, 50, action="device.")[0]["subject"] == things.ids["device"]
    for where in (path, "/audit"):
        verified = good(client.post(f"{where}/verify"))
        assert verified["whole"]
    assert good(client.get("/audit/head"))["count"] == 0
    assert len(all_of(client, "/audit", 50)) > len(found)


@pytest.mark.parametrize(
    "after",
    ["x", "bm8", "W10", "WyJvcmdhbmlzYXRpb25zLmxpc3QiLC0xXQ", "A" * 512, "WyJvcmdhbmlzYXRpb25zLmxpc3QiLDFd="],
)
def test_a_cursor_is_one_that_was_given(client: Client, after: str) -> None:
    problem = bad(client.get("/organisations", after=after), 400)
    assert problem.get("parameter", "after") == "after"


def test_a_cursor_belongs_to_its_list(lab: Lab, client: Client, things: Things) -> None:
    furnish(lab, "zyx")
    after = good(client.get("/organisations", limit=1))["next"]
    bad(client.get(base(things) + "/devices", after=after), 400, "bad-cursor")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=", "nothing=1", "after=" + "x" * 513]
)
def test_a_query_is_as_described(client: Client, query: str) -> None:
    problem = bad(client.send("GET", f"{BASE}/organisations?{query}"), 422, "bad-query")
    assert problem["detail"]


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=%00", "limit=%ff", "a=1&" * 40])
def test_a_query_can_be_read(client: Client, query: str) -> None:
    bad(client.send("GET", f"{BASE}/organisations?{query}"), 400, "bad-query")


@pytest.mark.parametrize("word", ["null", "Null", "0", "1.5"])
def test_a_word_for_nothing_is_no_filter(client: Client, things: Things, word: str) -> None:
    bad(client.get(base(things) + "/decisions", until=word), 422, "bad-query")
    bad(client.get(base(things) + "/devices", state=word), 422, "bad-query")
    assert good(client.get(base(things) + "/devices", account=word))["items"] == []


def test_what_is_wrong_with_a_body_is_pointed_at(client: Client, things: Things) -> None:
    path = f"{BASE}{base(things)}/devices"
    wish = {"account": things.ids["account"], "name": "x", "doors": ["imap", "gate"]}
    assert bad(client.send("POST", path, wish), 422, "bad-body")["pointer"] == "/doors/1"
    assert bad(client.send("POST", path, {**wish, "doors": []}), 422)["pointer"] == "/doors"
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"name":"\\ud800"}', b"[" * 5000, b"{} x"):
        bad(client.send("POST", path, body), 422)
    bad(client.send("POST", path, wish, [("content-type", "text/plain")]), 415, "not-json")
    bad(client.send("POST", path, wish, [("content-type", "application/json; charset=latin-1")]), 415)
    bad(
        client.send("POST", path, wish, [("content-type", "application/json"), ("content-encoding", "gzip")]),
        415,
    )
    good(
        client.send(
            "POST", path, {**wish, "doors": ["imap"]}, [("content-type", 'Application/JSON; charset="UTF-8"')]
        ),
        201,
    )
    assert client.send("POST", path, b" " * 70_000).status == 413


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/*", 200),
        ("text/html, application/json;q=0.1", 200),
        ("", 200),
        ("text/html", 406),
        ("application/json;q=0, */*", 406),
        ("application/json;q=2", 406),
        ("*/*;q=0", 406),
    ],
)
def test_the_client_takes_json(client: Client, accept: str, status: int) -> None:
    answer = client.send("GET", f"{BASE}/organisations", headers=[("accept", accept)])
    assert answer.status == status
    if status == 406:
        bad(answer, 406, "not-acceptable")


@pytest.mark.parametrize("path", ["/organisations", "/organisations/org-x", "/audit/head"])
def test_a_method_that_is_not_there(client: Client, path: str) -> None:
    answer = client.send("DELETE", BASE + path)
    bad(answer, 405, "bad-method")
    assert answer.header("allow").startswith("GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/api/api/v1/organisations",
        "/api/v1//organisations",
        "/api/v1/organisations/",
        "/api/v1/organisations/%00",
        "/api/v1/organisations/a%2Fb/devices",
        "/api/v1/x",
    ],
)
def test_there_is_one_path_for_each_thing(client: Client, path: str) -> None:
    bad(client.send("GET", path), 404, "not-found")


def test_head_is_get_without_a_body(client: Client) -> None:
    answer = client.send("HEAD", f"{BASE}/organisations")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.header("content-length")) > 2


def test_a_store_that_is_away_is_said(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from gambeson.store.errors import StoreUnreachable

    def away(*_: object) -> object:
        raise StoreUnreachable("The store at /var/secret cannot be opened.")

    monkeypatch.setattr(lab.store.tokens, "find", away)
    answer = client.get("/organisations")
    bad(answer, 503, "store")
    assert answer.header("retry-after")
    assert b"/var/secret" not in answer.body


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=12,
)
TAKING = [o for o in TABLE if o.body is not None and not o.name.startswith("sessions.")]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_body_breaks_anything(lab: Lab, data: st.DataObject) -> None:
    """Any octets, any JSON, and what fits with one field made anything."""
    if not lab.store.organisations():
        lab.world.memo["fuzz"] = (furnish(lab, "acme"), token(lab, owner(lab)))
    things, text = lab.world.memo["fuzz"]
    lab.later(1)
    operation = data.draw(st.sampled_from(TAKING))
    fitting = body_of(operation, things, lab)
    field = st.sampled_from(sorted(fitting)) if fitting else st.just("x")
    body = data.draw(
        st.binary(max_size=60)
        | JSON_VALUES.map(lambda v: json.dumps(v).encode())
        | st.tuples(field, JSON_VALUES).map(lambda f: json.dumps({**fitting, f[0]: f[1]}).encode())
    )
    answer = Client(lab.app, text).send(operation.method, path_of(operation, things.ids), body)
    assert answer.status < 500, (operation.name, body, answer.text)
    kind = answer.header("content-type")
    assert kind == ("application/json" if answer.status < 300 else "application/problem+json")
