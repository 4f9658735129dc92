"""Sent twice, done once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from console.api.client import Client, bad, furnish, good, owner, token
from console.lab import Lab
from gambeson.console.office import RefusedError


def device(account: str, name: str = "Laptop") -> dict[str, object]:
    return {"account": account, "name": name, "doors": ["imap"]}


def test_the_same_request_gets_the_same_answer(lab: Lab, tmp_path: Path) -> None:
    things = furnish(lab, "acme")
    client = Client(lab.app, token(lab, owner(lab)))
    path, body = f"/organisations/{things.org.id}/devices", device(things.ids["account"])
    first = client.post(path, body, "k1")
    secret = good(first, 201)["secret"]
    assert not first.header("idempotency-replayed")
    lab.later(3600)
    again = client.post(path, body, "k1")
    assert (again.status, again.body) == (201, first.body)
    assert again.header("idempotency-replayed") == "true"
    assert len(things.org.devices.list()) == 2
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("*.db*"))
    assert secret.encode() not in kept, "what is shown once does not lie in the store"
    lab.later(86400)
    bad(client.post(path, body, "k1"), 409, "conflict")  # forgotten: the name is taken


def test_another_request_with_the_key_is_refused(lab: Lab) -> None:
    things, other = furnish(lab, "acme"), furnish(lab, "zyx")
    client = Client(lab.app, token(lab, owner(lab)))
    path = f"/organisations/{things.org.id}/devices"
    good(client.post(path, device(things.ids["account"]), "k"), 201)
    bad(client.post(path, device(things.ids["account"], "Phone"), "k"), 422, "key-reused")
    elsewhere = f"/organisations/{other.org.id}/devices"
    bad(client.post(elsewhere, device(things.ids["account"]), "k"), 422, "key-reused")
    assert len(things.org.devices.list()) == 2


def test_a_key_belongs_to_one_token(lab: Lab) -> None:
    things, person = furnish(lab, "acme"), owner(lab)
    one, two = Client(lab.app, token(lab, person)), Client(lab.app, token(lab, person))
    path = f"/organisations/{things.org.id}/devices"
    good(one.post(path, device(things.ids["account"], "A"), "k"), 201)
    good(two.post(path, device(things.ids["account"], "B"), "k"), 201)


def test_what_was_refused_may_be_sent_again(lab: Lab) -> None:
    things = furnish(lab, "acme")
    client = Client(lab.app, token(lab, owner(lab)))
    path = f"/organisations/{things.org.id}/accounts"
    bad(client.post(path, {"address": "bo@elsewhere.example"}, "k"), 422, "bad-value")
    things.org.add_domain("elsewhere.example", **lab.act)
    good(client.post(path, {"address": "bo@elsewhere.example"}, "k"), 201)


def test_a_request_that_broke_off_is_not_done_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    things = furnish(lab, "acme")
    client = Client(lab.app, token(lab, owner(lab)))
    path, body = f"/organisations/{things.org.id}/devices", device(things.ids["account"])

    def fails(*_: object) -> object:
        raise RuntimeError("the process is ill")

    with monkeypatch.context() as patch:
        patch.setattr("gambeson.console.operations.devices.with_secret", fails)
        patch.setattr("gambeson.console.operations.devices.create", fails)
        bad(client.post(path, body, "k"), 500, "failed")
    bad(client.post(path, body, "k"), 409, "in-work")
    lab.later(121)
    good(client.post(path, body, "k"), 201)


def test_two_at_once_are_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first waits within its work until the second was told so."""
    from gambeson.console.operations import devices

    things = furnish(lab, "acme")
    client = Client(lab.app, token(lab, owner(lab)))
    path, body = f"/organisations/{things.org.id}/devices", device(things.ids["account"])
    inside, told, real = threading.Event(), threading.Event(), devices.register

    def slow(*given: object) -> object:
        inside.set()
        assert told.wait(30)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(devices, "register", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, path, body, "k")
        assert inside.wait(30)
        second = client.post(path, body, "k")
        bad(second, 409, "in-work")
        assert second.header("retry-after")
        told.set()
        answer = first.result(30)
    good(answer, 201)
    assert client.post(path, body, "k").body == answer.body


def test_of_a_crowd_one_does_it(lab: Lab) -> None:
    things = furnish(lab, "acme")
    text = token(lab, owner(lab))
    path, body = f"/organisations/{things.org.id}/devices", device(things.ids["account"])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: Client(lab.app, text).post(path, body, "k"), range(16)))
    assert {a.status for a in answers} <= {201, 409}
    assert len({a.body for a in answers if a.status == 201}) == 1
    assert len(things.org.devices.list()) == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\xff", "k\x7f"])
def test_a_key_has_a_form(lab: Lab, key: str) -> None:
    client = Client(lab.app, token(lab, owner(lab)))
    answer = client.send("POST", "/api/v1/audit/verify", {}, [("idempotency-key", key)])
    bad(answer, 400, "bad-key")


def test_only_a_post_looks_at_the_key(lab: Lab) -> None:
    client = Client(lab.app, token(lab, owner(lab)))
    assert client.send("GET", "/api/v1/organisations", headers=[("idempotency-key", "a b")]).status == 200


def test_refusals_are_no_failures() -> None:
    from gambeson.console.api.idempotency import _nothing_done
    from gambeson.store.errors import Conflict, StoreUnreachable

    assert _nothing_done(RefusedError("keeper", "x", 503))
    assert _nothing_done(Conflict("x"))
    assert not _nothing_done(StoreUnreachable("x"))
    assert not _nothing_done(RuntimeError("x"))
