"""The sweep: every page and every operation, asked by somebody for what is a stranger's. They must get nothing.

Ann owns Acme. Zoe's organisation has one of each thing, and its mark in every name. Ann asks for it in two ways: the
stranger's organisation itself, and the stranger's things inside her own. No answer has the mark in it, nothing is done
there, and what a path names is a 404.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from console.api.client import Client, Things, bad, body_of, furnish, owner, path_of, token
from console.lab import Answer, Browser, Lab
from gambeson.console.admin.app import page_modules
from gambeson.console.admin.routing import PageRoute, Who
from gambeson.console.api.operation import Operation, operations
from gambeson.console.office import Office
from gambeson.console.works import Result
from gambeson.model.staff import Grant, Role, Staff, Verb

MARK = "zyxmark"
ROUTES: list[PageRoute] = [route for module in page_modules() for route in module.ROUTES]
OPERATIONS = [o for o in operations() if o.of_organisation]
# Pages that are nobody's, or one's own: nothing of an organisation is named in their paths.
OWN = ("/me", "/sign-out", "/step-up", "/passkey/options")
# Paths whose last part is the same word everywhere, so that it names nothing of a stranger's.
WORDS = {"door"}


@pytest.fixture(params=["sqlite", "postgresql"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgresql_store")
    with Lab(tmp_path, url) as made:
        yield made


class Scene:
    """Who is there."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        owner(lab, "Root")
        self.own, self.other = furnish(lab, "acme"), furnish(lab, MARK)
        self.ann: Staff = lab.staff("Ann", Grant(self.own.org.id, Role.OWNER))
        self.zoe: Staff = lab.staff(f"Zoe {MARK}", Grant(self.other.org.id, Role.OWNER))
        other = self.other.org
        for _ in range(8):
            other.policies.add(f"# {MARK}", note=MARK, **lab.act)
        token(lab, self.zoe, organisations=[other.id])
        zoe = lab.browser(self.zoe)
        draft = zoe.post(f"/policy/{other.id}/drafts", text=f"# {MARK}\n")
        work = lab.world.works.start(
            other.id,
            by=f"Zoe {MARK}",
            verb=Verb.READ,
            kind="import",
            total=1,
            function=lambda _: Result(MARK),
        )
        entry = other.audit(limit=1)[0]
        self.other.ids |= {
            "staff": self.zoe.id,
            "token": lab.store.tokens.list()[0].id,
            "draft": draft.location.rpartition("/")[2],
            "work": work.id,
            "seq": str(entry.seq),
            "version": "9",
            "passkey": lab.store.staff.passkeys(self.zoe.id)[0].id,
        }
        self.browser = lab.browser(self.ann)
        self.client = Client(lab.app, token(lab, self.ann))

    def untouched(self) -> Any:
        """What must be the same afterwards: the stranger's audit log, staff and tokens."""
        store, other = self.lab.store, self.other.org
        return (
            [e.seq for e in other.audit()],
            store.staff.get(self.zoe.id),
            [(t.id, t.revoked_at) for t in store.tokens.list() if t.staff == self.zoe.id],
            other.policies.active(),
        )


POST_ONLY = ("role", "name", "text", "domain", "phone", "named", "staff", "addresses", "address", "reason")


def form(ids: Mapping[str, str]) -> dict[str, str]:
    """Every field that any form may have, with the stranger's things in it."""
    return {
        **{
            k: ids[k]
            for k in ("account", "device", "finding", "factor", "session", "event", "staff", "version")
        },
        "organisation": ids["organisation"],
        "named": ids["organisation"],
        f"org-{ids['organisation']}": "yes",
        "pick.1": ids["finding"],
        "device-1": ids["device"],
        "item-1": f"device {ids['device']}",
        "act": "approve",
        "kind": "device.revoke",
        "target": ids["device"],
        "query": f"ann-{MARK}@{MARK}.example",
        "q": "192.0.2.1",
        "search": "a",
        "among": "people",
        "addresses": ids["account"],
        "address": f"ann-{MARK}@{MARK}.example",
        "group": f"group-{MARK}",
        "door": "imap",
        "mode": "observe",
        "days": "7",
        "hours": "2",
        "reason": "because",
        "name": "Something",
        "role": "owner",
        "domain": f"{MARK}.example",
        "phone": f"phone{MARK}",
        "before": ids["action"],
        "older": "9",
        "newer": "9",
        "until": "2026-12-01",
        "text": "",
    }


def placed(route: PageRoute, ids: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+):\w+\}", lambda m: ids[m[1]], route.path)


def send(browser: Browser, route: PageRoute, ids: Mapping[str, str], fields: Mapping[str, str]) -> Answer:
    if route.method == "GET":
        query = "&".join(
            f"{k}={v}" for k, v in fields.items() if k not in POST_ONLY and "-" not in k and "." not in k
        )
        return browser.get(f"{placed(route, ids)}?{query}" if query else placed(route, ids))
    return browser.post(placed(route, ids), **fields)


def nothing(answer: Answer, asked: Mapping[str, str]) -> None:
    """No word of the stranger's, but for what was asked with, and the domain that may have been in it."""
    said = answer.body
    for word in sorted({*asked.values(), *([f"{MARK}.example"] if asked else [])}, key=len, reverse=True):
        said = said.replace(word.encode(), b"")
    assert MARK.encode() not in said, said[:4000]
    assert MARK not in answer.location.replace(f"ann-{MARK}%40{MARK}.example", "").replace(
        f"group-{MARK}", ""
    )


def test_every_page_of_a_strangers_organisation(lab: Lab) -> None:
    scene = Scene(lab)
    before = scene.untouched()
    count = 0
    for route in ROUTES:
        if "{org:str}" not in route.path:
            continue
        for fields in ({}, form(scene.other.ids)):
            answer = send(scene.browser, route, scene.other.ids, fields)
            assert answer.status == 404, (route, answer.status)
            nothing(answer, fields)
            count += 1
    assert count > 100
    assert scene.untouched() == before


def test_every_page_of_ones_own_with_a_strangers_things(lab: Lab) -> None:
    scene = Scene(lab)
    before = scene.untouched()
    for route in ROUTES:
        if route.who is Who.ANYBODY or route.path.startswith(OWN):
            continue
        named = re.findall(r"\{(\w+):", route.path)
        missing = set(named) - set(scene.other.ids)
        assert not missing, f"the sweep does not know what {missing} is: teach it"
        foreign = {**scene.other.ids, "org": scene.own.org.id, "organisation": scene.other.org.id}
        for fields in ({}, form(scene.other.ids)):
            answer = send(scene.browser, route, foreign, fields)
            assert answer.status < 500, (route, answer.status, answer.text[:2000])
            nothing(answer, {**fields, **{k: foreign[k] for k in named}})
            if set(named) - {"org"} - WORDS:
                assert answer.status in (303, 400, 403, 404, 409, 422), (route, answer.status)
                if route.method == "GET":
                    assert answer.status == 404, (route, answer.status)
            assert scene.untouched() == before, route


def test_the_live_stream_and_the_pages_of_all(lab: Lab) -> None:
    scene = Scene(lab)
    answer = scene.browser.get(f"/o/{scene.other.org.id}/live")
    assert (answer.status, answer.body) == (403, b"")
    for route in ROUTES:
        if route.method == "GET" and "{" not in route.path and route.who is not Who.ANYBODY:
            nothing(scene.browser.get(route.path), {})


def test_every_operation_on_a_strangers_organisation(lab: Lab) -> None:
    scene = Scene(lab)
    before = scene.untouched()
    for operation in OPERATIONS:
        answer = scene.client.send(
            operation.method, path_of(operation, scene.other.ids), body_of(operation, scene.other, lab)
        )
        bad(answer, 404, "not-found")
        nothing(answer, {})
        assert scene.untouched() == before, operation.name


def test_every_operation_on_ones_own_with_a_strangers_things(lab: Lab) -> None:
    scene = Scene(lab)
    before = scene.untouched()
    foreign = {**scene.other.ids, "organisation": scene.own.org.id}
    mixed = Things(scene.own.org, MARK, foreign)
    for operation in OPERATIONS:
        body = body_of(operation, mixed, lab)
        answer = scene.client.send(operation.method, path_of(operation, foreign), body)
        assert answer.status < 500 or operation.name.startswith("sessions."), (operation.name, answer.text)
        if set(operation.parameters) - {"organisation"} - WORDS:
            bad(answer, 404, "not-found")
        if operation.name not in ("devices.list", "decisions.list"):
            nothing(answer, {str(k): str(v) for k, v in body.items()} if isinstance(body, dict) else {})
        assert scene.untouched() == before, operation.name


def test_filters_find_nothing_of_a_stranger(lab: Lab) -> None:
    scene = Scene(lab)
    ids, base = scene.other.ids, f"/organisations/{scene.own.org.id}"
    asked: list[tuple[str, dict[str, str]]] = [
        ("/devices", {"account": ids["account"]}),
        ("/decisions", {"account": ids["account"]}),
        ("/decisions", {"device": ids["device"]}),
        ("/accounts", {"search": MARK}),
        ("/accounts", {"group": f"group-{MARK}"}),
        ("/findings", {"text": MARK, "state": "all"}),
        ("/audit", {"subject": ids["device"]}),
    ]
    for path, query in asked:
        answer = scene.client.get(base + path, **query)
        assert answer.status == 200
        assert b'"items":[]' in answer.body, (path, query, answer.text)


def test_lists_of_all_show_ones_own(lab: Lab) -> None:
    scene = Scene(lab)
    for path in ("/organisations", "/staff"):
        answer = scene.client.get(path)
        assert answer.status == 200
        assert b"acme" in answer.body or b"Ann" in answer.body
        nothing(answer, {})
    bad(scene.client.get("/audit"), 403)
    bad(scene.client.post("/organisations", {"name": "Mine"}), 403)


def test_an_operation_without_an_organisation_is_known() -> None:
    """Whoever adds one says here who sees it."""
    free: list[Operation] = [o for o in operations() if not o.of_organisation]
    assert {o.name for o in free} == {
        "organisations.list",
        "organisations.create",
        "installation-audit.list",
        "installation-audit.verify",
        "installation-audit.head",
        "staff.list",
    }


def test_the_sweep_finds_a_hole(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the office let everybody in, the sweep would say so."""
    monkeypatch.setattr(Office, "may", lambda *_: True)
    scene = Scene(lab)
    for asked in (
        scene.client.get(f"/organisations/{scene.other.org.id}"),
        scene.browser.get(f"/o/{scene.other.org.id}/people"),
    ):
        assert asked.status == 200
        with pytest.raises(AssertionError):
            nothing(asked, {})
