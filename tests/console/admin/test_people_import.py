"""Importing people: what is shown is what is applied, or nothing is; and a table of twenty thousand."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from console.lab import Answer, Browser, Lab
from gambeson.console.operations import imports
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.people import MAX_AT_ONCE
from gambeson.store.tenant import OrganisationStore

OWNER = Grant(EVERY, Role.OWNER)
TABLE = """address,groups,aliases,Name
ann@acme.example,Sales,,Ann
ben@acme.example,Boss,b@acme.example,Ben
cleo@acme.example,,,Cleo
cleo@acme.example,,,Cleo
dan@elsewhere.example,,,Dan
<script>,,,x
"""


@pytest.fixture
def acme(lab: Lab) -> OrganisationStore:
    org = lab.organisation("Acme", "acme.example")
    org.accounts.create("ann@acme.example", id="acc-ann", groups=["Sales"], **lab.act)
    org.accounts.create("ben@acme.example", id="acc-ben", **lab.act)
    return org


@pytest.fixture
def owner(lab: Lab) -> Browser:
    return lab.browser(lab.staff("Owner", OWNER))


def bring(browser: Browser, org: OrganisationStore, table: str | bytes) -> Answer:
    data = table if isinstance(table, bytes) else table.encode()
    return browser.follow(browser.upload(f"/people-import/{org.id}", "file", data))


def form(page: Answer) -> dict[str, str]:
    """The hidden fields of the button that applies."""
    return dict(re.findall(r'type="hidden" name="(table|mark)" value="([^"]+)"', page.text))


def figures(page: Answer) -> list[int]:
    """New, changed, same, wrong."""
    return [int(n) for n in re.findall(r'class="figure">(\d+)<', page.text)]


def test_from_the_file_to_the_accounts(lab: Lab, acme: OrganisationStore, owner: Browser) -> None:
    before = lab.store.change_counter()
    page = bring(owner, acme, TABLE)
    assert page.status == 200
    assert figures(page) == [1, 1, 1, 3]
    for said in (
        "passed over: Name",
        "is on line 4 already",
        "elsewhere.example to it first",
        "&lt;script&gt;",
    ):
        assert said in page.text, said
    assert "<script>," not in page.text
    assert "b@acme.example" in page.text
    assert lab.store.change_counter() == before
    done = owner.post(f"/o/{acme.id}/people/import", **form(page))
    assert done.status == 200
    assert "1 people were added and 1 changed." in done.text
    assert acme.people.counts().total == 3
    ben = acme.accounts.get("acc-ben")
    assert (ben.groups, ben.aliases) == (("Boss",), ("b@acme.example",))
    assert lab.store.change_counter() == before + 1
    # It is not applied twice.
    assert owner.post(f"/o/{acme.id}/people/import", **form(page)).status == 404
    assert "This table changes nothing" in bring(owner, acme, TABLE).text


def test_a_table_is_pasted_too(acme: OrganisationStore, owner: Browser) -> None:
    path = f"/people-import/{acme.id}"
    page = owner.follow(owner.upload(path, "file", b"", text="Adresse;Gruppen\r\neva@acme.example;A,B\r\n"))
    assert figures(page) == [1, 0, 0, 0]
    assert owner.upload(path, "file", b"  ").status == 422
    assert owner.upload(path, "file", b"", text="x" * 70_000).status == 413


def test_nothing_is_applied_where_something_changed_since(
    lab: Lab, acme: OrganisationStore, owner: Browser
) -> None:
    page = bring(owner, acme, TABLE)
    acme.accounts.update("acc-ben", groups=["Boss"], **lab.act)  # somebody else was faster
    before = lab.store.change_counter()
    answer = owner.post(f"/o/{acme.id}/people/import", **form(page))
    assert answer.status == 409
    assert "nothing was applied" in answer.text
    assert lab.store.change_counter() == before
    # A mark of one table does not apply another, and none is no mark.
    other = form(bring(owner, acme, "address\nfay@acme.example\n"))
    for mark in (form(page)["mark"], "", "0" * 64):
        assert owner.post(f"/o/{acme.id}/people/import", table=other["table"], mark=mark).status == 409
    assert lab.store.change_counter() == before
    # What is shown with the refusal can be applied.
    assert owner.post(f"/o/{acme.id}/people/import", **form(answer)).status == 200


def test_a_table_is_its_bringers_for_half_an_hour(lab: Lab, acme: OrganisationStore, owner: Browser) -> None:
    fields = form(bring(owner, acme, TABLE))
    other = lab.organisation("Umbrella", "umbrella.example")
    colleague = lab.browser(lab.staff("Colleague", OWNER))
    assert colleague.get(f"/o/{acme.id}/people/import?table={fields['table']}").status == 404
    assert colleague.post(f"/o/{acme.id}/people/import", **fields).status == 404
    assert owner.post(f"/o/{other.id}/people/import", **fields).status == 404
    assert owner.get(f"/o/{acme.id}/people/import?table=nothing").status == 404
    lab.later(1801)
    assert owner.post(f"/o/{acme.id}/people/import", **fields).status == 404
    assert acme.people.counts().total == 2


def test_the_drawer_has_a_limit(lab: Lab, acme: OrganisationStore, owner: Browser) -> None:
    first = form(bring(owner, acme, TABLE))["table"]
    for _ in range(imports.MAX_KEPT):
        last = form(bring(owner, acme, TABLE))["table"]
    assert owner.get(f"/o/{acme.id}/people/import?table={first}").status == 404
    assert owner.get(f"/o/{acme.id}/people/import?table={last}").status == 200


@pytest.mark.parametrize(("role", "status"), [(Role.TECHNICIAN, 303), (Role.AUDITOR, 403), (None, 404)])
def test_who_may_bring_a_table(lab: Lab, acme: OrganisationStore, role: Role | None, status: int) -> None:
    where = acme.id if role is not None else lab.organisation("Umbrella").id
    browser = lab.browser(lab.staff("One", Grant(where, role or Role.OWNER)))
    assert browser.upload(f"/people-import/{acme.id}", "file", TABLE.encode()).status == status
    assert lab.browser().upload(f"/people-import/{acme.id}", "file", b"x").location.startswith("/sign-in")


def test_a_file_that_is_too_large(acme: OrganisationStore, owner: Browser) -> None:
    answer = owner.upload(f"/people-import/{acme.id}", "file", b"a" * (5 * 1024 * 1024 + 1))
    assert answer.status == 413
    assert owner.upload(f"/people-import/{acme.id}", "file", b"a" * (7 * 1024 * 1024)).status == 413


@pytest.mark.parametrize("data", [b"\x00\x01\xff", b'"', b"address\n=1+1@acme.example", b"\xff\xfea"])
def test_any_file_gives_a_page(acme: OrganisationStore, owner: Browser, data: bytes) -> None:
    page = bring(owner, acme, data)
    assert page.status == 200
    assert "This table changes nothing" in page.text or form(page)


def test_a_long_table_is_long_work(lab: Lab, acme: OrganisationStore, owner: Browser) -> None:
    people = 2 * MAX_AT_ONCE + 1
    table = "address\n" + "".join(f"p{i:05}@acme.example\n" for i in range(people))
    page = bring(owner, acme, table)
    assert figures(page) == [people, 0, 0, 0]
    assert f"The first 50 of {people}" in page.text
    going = owner.post(f"/o/{acme.id}/people/import", **form(page))
    assert going.location.startswith(f"/o/{acme.id}/progress/work-")
    lab.world.works.join()
    assert f"{people} people were added and 0 changed." in owner.get(going.location).text
    assert acme.people.counts().total == people + 2


def test_cancelled_work_says_what_it_left(
    lab: Lab, acme: OrganisationStore, owner: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = "address\n" + "".join(f"p{i:05}@acme.example\n" for i in range(2 * MAX_AT_ONCE))
    page = bring(owner, acme, table)
    write = type(acme.people).write

    def write_and_cancel(self: Any, wanted: Any, **more: Any) -> int:
        done = write(self, wanted, **more)
        (work,) = lab.world.works.of(acme.id)
        assert lab.world.works.cancel(acme.id, work.id)
        return done

    monkeypatch.setattr(type(acme.people), "write", write_and_cancel)
    going = owner.post(f"/o/{acme.id}/people/import", **form(page))
    lab.world.works.join()
    assert f"{MAX_AT_ONCE} of {2 * MAX_AT_ONCE} were written and stay" in owner.get(going.location).text
    assert acme.people.counts().total == MAX_AT_ONCE + 2


def test_the_export_comes_back_and_is_no_formula(lab: Lab, acme: OrganisationStore, owner: Browser) -> None:
    acme.accounts.create("=cmd@acme.example", groups=["+1", "a,b"], aliases=["x@acme.example"], **lab.act)
    lab.organisation("Umbrella", "umbrella.example").accounts.create("eve@umbrella.example", **lab.act)
    answer = owner.get(f"/o/{acme.id}/people/export")
    assert answer.header("content-disposition") == 'attachment; filename="people.csv"'
    assert answer.header("content-type").startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert [row[0] for row in rows] == [
        "address",
        "'=cmd@acme.example",
        "ann@acme.example",
        "ben@acme.example",
    ]
    assert not any(cell.startswith(("=", "+", "@", "-")) for row in rows for cell in row)
    page = bring(owner, acme, answer.body)
    assert figures(page)[0] == 0
    assert figures(page)[3] == 0
