"""Who gets in at the API: every operation with every kind of token."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.api.client import BASE, Client, bad, body_of, furnish, good, owner, path_of, token
from console.lab import Lab
from gambeson.console.api.limits import FAILURES, PER_MINUTE
from gambeson.console.api.operation import operations
from gambeson.model.staff import EVERY, Grant, Role, Verb

DAY = 86400.0
TABLE = operations()
NAMES = [operation.name for operation in TABLE]
# The worker is not there in these tests, so what asks it says so.
WORKER = {"sessions.list", "sessions.end"}
# Steps that do not fit the state of things; that they were let in is what counts here.
NOT_NOW = {"actions.run", "actions.verify", "actions.undo"}


def no_token(lab: Lab) -> str:
    return ""


def broken(lab: Lab) -> str:
    return token(lab, owner(lab))[:-1] + "!"


def of_another_secret(lab: Lab) -> str:
    text = token(lab, owner(lab))
    return text[:30] + ("A" if text[30] != "A" else "B") + text[31:]


def unknown(lab: Lab) -> str:
    return "gamt_" + 16 * "0" + "_" + 43 * "A"


def expired(lab: Lab) -> str:
    text = token(lab, owner(lab), expires_at=lab.clock.now + DAY)
    lab.later(DAY)
    return text


def revoked(lab: Lab) -> str:
    text = token(lab, owner(lab))
    lab.store.tokens.revoke(lab.store.tokens.list()[0].id, **lab.act)
    return text


def of_somebody_shut_out(lab: Lab) -> str:
    owner(lab, "Other")
    person = lab.staff("Gone", Grant(EVERY, Role.OWNER))
    text = token(lab, person)
    assert Client(lab.app, text).get("/organisations").status == 200
    lab.store.staff.update(person.id, enabled=False, **lab.act)
    return text


def of_somebody_removed(lab: Lab) -> str:
    owner(lab, "Other")
    person = lab.staff("Gone", Grant(EVERY, Role.OWNER))
    text = token(lab, person)
    lab.store.staff.remove(person.id, **lab.act)
    return text


KINDS: list[Callable[[Lab], str]] = [
    no_token,
    broken,
    of_another_secret,
    unknown,
    expired,
    revoked,
    of_somebody_shut_out,
    of_somebody_removed,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_nobody_gets_in_with_a_token_that_is_none(lab: Lab, kind: Callable[[Lab], str]) -> None:
    things = furnish(lab, "acme")
    text = kind(lab)
    said = set()
    for number, operation in enumerate(TABLE):
        client = Client(lab.app, text, source=f"198.51.{number}.1")
        answer = client.send(
            operation.method, path_of(operation, things.ids), body_of(operation, things, lab)
        )
        problem = bad(answer, 401)
        assert answer.header("www-authenticate").startswith('Bearer realm="gambeson"')
        assert b"acme" not in answer.body
        said.add(json.dumps(problem))
    assert len(said) == 1, "what is asked for must not show in the answer"
    for path in (
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/nothing",
        "/api/v2/organisations",
        "/api//x",
        "/api/v1/../x",
    ):
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
            source = f"203.0.{len(path)}.{len(method)}"
            answer = Client(lab.app, text, source).send(method, path)
            assert answer.status in (401, 429)
            bad(answer, answer.status)


@pytest.mark.parametrize("name", NAMES)
def test_the_right_token_gets_in(lab: Lab, name: str) -> None:
    operation = next(o for o in TABLE if o.name == name)
    things = furnish(lab, "acme")
    answer = Client(lab.app, token(lab, owner(lab))).send(
        operation.method, path_of(operation, things.ids), body_of(operation, things, lab)
    )
    if name in WORKER:
        bad(answer, 503, "no-worker")
        assert answer.header("retry-after")
    elif name in NOT_NOW:
        bad(answer, 409)
    else:
        good(answer, operation.status)


@pytest.mark.parametrize("name", [o.name for o in TABLE if o.verb is not Verb.READ])
def test_a_token_without_the_verb_may_read_only(lab: Lab, name: str) -> None:
    operation = next(o for o in TABLE if o.name == name)
    things, person = furnish(lab, "acme"), owner(lab)
    others = [v for v in Verb if v not in operation.verbs]
    entries = lab.store.audit.head()
    answer = Client(lab.app, token(lab, person, others)).send(
        operation.method, path_of(operation, things.ids), body_of(operation, things, lab)
    )
    bad(answer, 403)
    assert 'error="insufficient_scope"' in answer.header("www-authenticate")
    assert lab.store.audit.head()[0] == entries[0] + 1, "nothing was done but that the token was made"


@pytest.mark.parametrize("operation", [o for o in TABLE if o.of_organisation], ids=lambda o: o.name)
def test_a_token_of_another_organisation_sees_nothing(lab: Lab, operation: object) -> None:
    found = next(o for o in TABLE if o is operation)
    own, other = furnish(lab, "acme"), furnish(lab, "zyx")
    client = Client(lab.app, token(lab, owner(lab), organisations=[own.org.id]))
    answer = client.send(found.method, path_of(found, other.ids), body_of(found, other, lab))
    unknown_ids = dict.fromkeys(other.ids, "nothing-0")
    nowhere = client.send(found.method, path_of(found, unknown_ids), body_of(found, other, lab))
    bad(answer, 404, "not-found")
    assert answer.body == nowhere.body
    assert not any(word in answer.body for word in other.words)


def test_a_token_may_no_more_than_who_made_it(lab: Lab) -> None:
    own, other = furnish(lab, "acme"), furnish(lab, "zyx")
    owner(lab)
    auditor = lab.staff("Abe", Grant(own.org.id, Role.AUDITOR))
    client = Client(lab.app, token(lab, auditor))  # it names every organisation and every verb
    [only] = good(client.get("/organisations"))["items"]
    assert (only["id"], only["verbs"]) == (own.org.id, ["audit", "read"])
    bad(client.get(f"/organisations/{other.org.id}"), 404)
    bad(client.post(f"/organisations/{own.org.id}/devices/{own.ids['device']}/revoke"), 403)
    bad(client.get("/audit"), 403)
    lab.store.staff.withdraw(auditor.id, own.org.id, Role.AUDITOR, **lab.act)
    bad(client.get("/organisations"), 403)
    bad(client.get(f"/organisations/{own.org.id}"), 404)


def test_an_elevation_ends_for_tokens_too(lab: Lab) -> None:
    things = furnish(lab, "acme")
    owner(lab)
    eve = lab.staff("Eve", Grant(things.org.id, Role.RESPONDER, lab.clock.now + 3600))
    client = Client(lab.app, token(lab, eve))
    path = f"/organisations/{things.org.id}/devices/{things.ids['device']}/block"
    good(client.post(path))
    lab.later(3600)
    bad(client.post(path), 404)


def test_a_session_of_a_browser_is_no_token(lab: Lab) -> None:
    browser = lab.browser(owner(lab))
    assert browser.get("/me").status == 200
    answer = browser.get(f"{BASE}/organisations")
    bad(answer, 401, "no-token")
    origin = ("origin", "https://localhost:8443")
    bad(browser.send("POST", f"{BASE}/organisations", b"{}", [origin]), 401)


@pytest.mark.parametrize(
    "value",
    [
        "{t}",
        "Basic {t}",
        "Bearer",
        "Bearer ",
        "Bearer {t} x",
        "Bearer {t},",
        'Bearer "{t}"',
        "Bearer x{t}",
        "Bearer {t}\x00",
    ],
)
def test_the_header_has_one_form(lab: Lab, value: str) -> None:
    text = token(lab, owner(lab))
    asked = Client(lab.app).send(
        "GET", f"{BASE}/organisations", headers=[("authorization", value.format(t=text))]
    )
    bad(asked, 401)
    two = [("authorization", f"Bearer {text}")] * 2
    bad(Client(lab.app).send("GET", f"{BASE}/organisations", headers=two), 401)
    for scheme in ("bearer", "BEARER", "Bearer"):
        header = ("authorization", f"{scheme} {text}")
        assert Client(lab.app).send("GET", f"{BASE}/organisations", headers=[header]).status == 200


def test_a_token_elsewhere_is_none(lab: Lab) -> None:
    text = token(lab, owner(lab))
    bad(Client(lab.app).get("/organisations", access_token=text), 401)
    bad(Client(lab.app).send("GET", f"{BASE}/organisations", headers=[("cookie", f"token={text}")]), 401)


def test_use_is_noted_and_the_audit_log_names_the_token(lab: Lab) -> None:
    things, person = furnish(lab, "acme"), owner(lab)
    client = Client(lab.app, token(lab, person))
    good(client.post(f"/organisations/{things.org.id}/findings/{things.ids['finding']}/acknowledge"))
    assert lab.store.tokens.list()[0].last_used == lab.clock.now
    [entry] = [e for e in things.org.audit() if e.action == "finding.acknowledged"]
    assert entry.by == "Olga (token Script)"


def test_so_many_requests_a_minute(lab: Lab) -> None:
    client = Client(lab.app, token(lab, owner(lab)))
    other = Client(lab.app, token(lab, owner(lab, "Otto")))
    statuses = [client.get("/organisations").status for _ in range(PER_MINUTE)]
    assert set(statuses) == {200}
    answer = client.get("/organisations")
    bad(answer, 429, "too-often")
    wait = int(answer.header("retry-after"))
    assert wait >= 1
    assert other.get("/organisations").status == 200
    lab.later(wait)
    assert client.get("/organisations").status == 200


def test_guessing_is_bounded_by_network_and_who_is_in_stays_in(lab: Lab) -> None:
    person = owner(lab)
    inside, late = Client(lab.app, token(lab, person)), Client(lab.app, token(lab, person))
    assert inside.get("/organisations").status == 200
    guess = Client(lab.app, unknown(lab))
    statuses = [guess.get("/organisations").status for _ in range(FAILURES + 5)]
    assert statuses == [401] * FAILURES + [429] * 5
    answer = guess.get("/organisations")
    assert int(answer.header("retry-after")) >= 1
    assert inside.get("/organisations").status == 200, "a good token of the same network"
    assert late.get("/organisations").status == 200, "and one that was not seen yet: nobody is shut out"
    assert guess.get("/organisations").status == 429
    lab.later(int(answer.header("retry-after")))
    assert guess.get("/organisations").status == 401


def test_a_token_that_root_made_is_bounded_by_itself(lab: Lab) -> None:
    own, other = furnish(lab, "acme"), furnish(lab, "zyx")
    client = Client(lab.app, token(lab, None, [Verb.READ, Verb.FINDINGS], [own.org.id]))
    good(client.get(f"/organisations/{own.org.id}"))
    bad(client.get(f"/organisations/{other.org.id}"), 404)
    bad(client.get("/audit"), 403)
    bad(client.patch(f"/organisations/{own.org.id}", {"name": "X"}), 403)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.one_of(
        st.binary(max_size=200), st.from_regex(rb"(?i:bearer) gamt_[0-9a-f]{16}_[\w-]{43}", fullmatch=True)
    )
)
def test_no_header_of_any_kind_gets_in(lab: Lab, value: bytes) -> None:
    text = value.decode("latin-1")
    answer = Client(lab.app).send("GET", f"{BASE}/organisations", headers=[("authorization", text)])
    assert answer.status in (401, 429)
    assert answer.header("content-type") == "application/problem+json"
    lab.later(60)


def test_every_operation_has_a_name_of_one_form() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(re.fullmatch(r"[a-z-]+\.[a-z-]+", name) for name in NAMES)
