"""Tokens of the API and their idempotency keys."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gambeson.model.staff import EVERY, Verb
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, Conflict, NotFound, StoreError
from gambeson.store.tokens import KEPT_FOR, MAX_BODY, REMEMBERED_FOR, WORKING_FOR, ApiToken, Remembered

NOW = 1_700_000_000.0
BY: dict[str, Any] = {"by": "root", "at": NOW}


def made(store: Store, public_id: str = "pub", **more: Any) -> ApiToken:
    given = {"organisations": [EVERY], "verbs": [Verb.READ], "verifier": b"v" * 32, **BY, **more}
    return store.tokens.create(given.pop("name", "Backup"), public_id=public_id, **given)


def test_what_a_token_is(store: Store) -> None:
    org = store.create_organisation("Acme", id="org-a", **BY)
    token = made(store, organisations=[org.id, org.id], verbs=[Verb.DEVICES, Verb.READ], expires_at=NOW + 9)
    assert store.tokens.find("pub") == store.tokens.get(token.id) == token
    assert (token.organisations, token.verbs) == (("org-a",), {Verb.READ, Verb.DEVICES})
    assert [token.alive(at) for at in (NOW, NOW + 8.9, NOW + 9)] == [True, True, False]
    assert made(store, "lasting").alive(NOW + 1e9)
    assert "vvv" not in repr(token)
    assert store.tokens.find("other") is None
    assert [t.public_id for t in store.tokens.list()] == [
        t.public_id for t in sorted(store.tokens.list(), key=lambda t: t.id)
    ]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"name": ""}, BadValue),
        ({"organisations": []}, BadValue),
        ({"verbs": []}, BadValue),
        ({"verifier": b"short"}, BadValue),
        ({"public_id": ""}, BadValue),
        ({"expires_at": NOW}, BadValue),
        ({"organisations": ["org-none"]}, NotFound),
        ({"staff": "nobody"}, NotFound),
    ],
)
def test_what_no_token_is(store: Store, given: dict[str, Any], error: type[StoreError]) -> None:
    with pytest.raises(error):
        made(store, **given)
    assert store.tokens.list() == []


def test_a_revoked_token_is_found_no_more(store: Store) -> None:
    token = made(store)
    with pytest.raises(Conflict):
        made(store)
    assert store.tokens.revoke(token.id, by="root", at=NOW + 1).revoked_at == NOW + 1
    assert store.tokens.revoke(token.id, by="root", at=NOW + 2).revoked_at == NOW + 1
    assert store.tokens.find("pub") is None
    assert not store.tokens.get(token.id).alive(NOW + 1)
    with pytest.raises(NotFound):
        store.tokens.revoke("none", **BY)
    with pytest.raises(NotFound):
        store.tokens.get("none")


def test_use_is_written_once_a_minute_and_is_no_act(store: Store) -> None:
    token, counted = made(store), store.change_counter()
    for at in (NOW, NOW + 59, NOW + 60, NOW + 70):
        store.tokens.touch(token.id, at)
    assert store.tokens.get(token.id).last_used == NOW + 60
    assert store.change_counter() == counted


def test_a_key_gets_the_same_answer_for_a_day(store: Store) -> None:
    token, other = made(store).id, made(store, "other").id
    assert store.tokens.reserve(token, "key", "digest", NOW) is None
    assert store.tokens.reserve(token, "key", "digest", NOW + 1) == Remembered(0, b"", "digest")
    assert store.tokens.reserve(other, "key", "digest", NOW) is None
    store.tokens.remember(token, "key", "digest", 201, b"{}", NOW + 2)
    for at in (NOW + 3, NOW + 2 + REMEMBERED_FOR - 1):
        assert store.tokens.remembered(token, "key", at) == Remembered(201, b"{}", "digest")
        assert store.tokens.reserve(token, "key", "another", at) == Remembered(201, b"{}", "digest")
    assert store.tokens.remembered(token, "key", NOW + 2 + REMEMBERED_FOR) is None
    assert store.tokens.remembered(token, "never", NOW) is None
    assert store.tokens.prune(NOW + 2 + REMEMBERED_FOR + 1) == 2
    with pytest.raises(Conflict):
        store.tokens.remember("no token", "key", "digest", 201, b"{}", NOW)


def test_a_key_whose_request_died_is_free_again(store: Store) -> None:
    token = made(store).id
    store.tokens.reserve(token, "released", "d", NOW)
    store.tokens.release(token, "released")
    assert store.tokens.reserve(token, "released", "d", NOW + 1) is None
    store.tokens.reserve(token, "dead", "d", NOW)
    assert store.tokens.reserve(token, "dead", "d", NOW + WORKING_FOR - 1) is not None
    assert store.tokens.reserve(token, "dead", "d", NOW + WORKING_FOR) is None
    store.tokens.remember(token, "answered", "d", 200, b"x", NOW)
    store.tokens.release(token, "answered")  # an answer is not given back
    assert store.tokens.remembered(token, "answered", NOW) is not None


@pytest.mark.parametrize(
    "given", [{"key": ""}, {"key": "x" * 256}, {"key": "a\n"}, {"digest": ""}, {"body": bytes(MAX_BODY + 1)}]
)
def test_what_is_not_remembered(store: Store, given: dict[str, Any]) -> None:
    values = {"token": made(store).id, "key": "k", "digest": "d", "status": 200, "body": b"", "at": NOW}
    with pytest.raises(BadValue):
        store.tokens.remember(**values | given)  # type: ignore[arg-type]  # wrong on purpose


def test_of_many_with_one_key_one_goes_first(store: Store) -> None:
    token = made(store).id
    found: list[Remembered | None] = []
    go = threading.Barrier(4)

    def reserve() -> None:
        go.wait()
        found.append(store.tokens.reserve(token, "key", "d", NOW))

    threads = [threading.Thread(target=reserve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert found.count(None) == 1


def test_tokens_that_are_over_stay_for_a_while(store: Store) -> None:
    revoked, ended = made(store, "1").id, made(store, "2", expires_at=NOW + 5).id
    lasting = made(store, "3").id
    store.tokens.revoke(revoked, **BY)
    store.tokens.prune(NOW + KEPT_FOR)
    assert {t.id for t in store.tokens.list()} == {revoked, ended, lasting}
    store.tokens.prune(NOW + KEPT_FOR + 6)
    assert {t.id for t in store.tokens.list()} == {lasting}
