"""The report: its words, its document, its table of findings, and who may have it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from console.lab import Browser, Lab
from console.worker import Worker
from gambeson.model.access import DoorKind, Mode
from gambeson.model.event import Event
from gambeson.model.finding import Finding, FindingState, Severity
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.tenant import OrganisationStore

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
REGISTRY: Any = Registry().with_resources(
    [
        (name, Resource.from_contents(json.loads((SCHEMAS / name).read_text())))
        for name in ("report.json", "parts.json")
    ]
)
OWNER = Grant(EVERY, Role.OWNER)
DAY = 86400.0
POLICY = """
[[exception]]
name = "scanner"
door = "submission"
rung = "knowledge"
accounts = ["ann@acme.example"]
owner = "Bea"
reason = "=cmd|' /C calc'!A0"
until = 2026-10-20T00:00:00Z
"""


@pytest.fixture
def worker(lab: Lab) -> Iterator[Worker]:
    with Worker(lab) as made:
        yield made


@pytest.fixture
def acme(lab: Lab, worker: Worker) -> OrganisationStore:
    """An organisation with something of everything."""
    acme = lab.organisation("Acme", "acme.example")
    account = acme.accounts.create("ann@acme.example", **lab.act)
    acme.accounts.create("bob@acme.example", **lab.act)
    acme.devices.create(account.id, "Phone", doors=[DoorKind.IMAP], **lab.act)
    acme.policies.add(POLICY, **lab.act)
    acme.modes.set(DoorKind.POP3, Mode.WARN, until=lab.clock.now + 5 * DAY, account=account.id, **lab.act)
    found = [
        acme.findings.open(
            Finding("", acme.id, "server", f"mx{n}", f"rule-{n}", title, severity, "why"), **lab.act
        )
        for n, (title, severity) in enumerate(
            [("@SUM(1)", Severity.HIGH), ("Old TLS", Severity.LOW), ("Gone", Severity.MEDIUM)]
        )
    ]
    acme.findings.waive(
        found[1].id,
        until=lab.clock.now + 30 * DAY,
        reason="replaced soon",
        by="Bea (console)",
        at=lab.clock.now,
    )
    acme.findings.close(found[2].id, FindingState.VERIFIED, reason="measured", by="worker", at=lab.clock.now)
    now = lab.clock.now
    lab.events(
        [
            Event("a", now - 60, "door.login.allowed", acme.id, door="imap"),
            Event("b", now - 20 * DAY, "door.login.refused", acme.id, door="imap"),
            Event("c", now - 60, "door.request.shielded", acme.id, door="owa"),
            Event("d", now - 600, "door.probe.up", door="imap", data={"listener": "imaps"}),
            Event(
                "e", now - 60, "door.probe.down", door="imap", data={"listener": "imaps", "sentence": "No."}
            ),
        ]
    )
    return acme


@pytest.fixture
def browser(lab: Lab, acme: OrganisationStore) -> Browser:
    return lab.browser(lab.staff("Ann", OWNER))


def valid(document: Any) -> None:
    faults = Draft202012Validator({"$ref": "report.json"}, registry=REGISTRY).iter_errors(document)
    assert not [f"{fault.json_path}: {fault.message[:200]}" for fault in faults]


def test_the_page_says_all_of_it(browser: Browser, acme: OrganisationStore) -> None:
    text = browser.get(f"/o/{acme.id}/reports?days=30").text
    for words in (
        "of 11 doors does not hold for everybody; it counts as open",
        "The doors let somebody in 1 times and refused 2 times.",
        "Findings: 3 opened, 1 measured as gone and closed, 1 waived; 1 are open now.",
        "The policy has one exception",
        "0 of 2 accounts have a second factor.",
        "1 of 2 accounts have a device.",
        "One side door is open, for 1 accounts.",
        "Bea (console)",
        "replaced soon",
        "scanner",
        "2026-10-20 00:00",
        "bob@acme.example",
        "goes on",
        'role="img"',
    ):
        assert words in text, words


@pytest.mark.parametrize("days", ["", "7", "30", "90"])
def test_the_document_is_the_schemas(browser: Browser, acme: OrganisationStore, days: str) -> None:
    answer = browser.get(f"/o/{acme.id}/reports/report.json?days={days}")
    assert answer.header("content-type") == "application/json"
    assert "attachment" in answer.header("content-disposition")
    document = json.loads(answer.body)
    valid(document)
    assert document["days"] == int(days or 30)
    assert [e["owner"] for e in document["exceptions"]] == ["Bea"]
    assert [w["by"] for w in document["findings"]["waivers"]] == ["Bea (console)"]
    assert document["not_enforcing"][0]["account"] == "ann@acme.example"
    assert document["without_second_factor"]["count"] == 2
    assert document["without_device"]["addresses"] == ["bob@acme.example"]
    refused = sum(d["refused"] for d in document["decisions"])
    assert refused == (0 if days == "7" else 1)
    assert document["availability"]["outages"][0]["end"] is None
    shares = document["availability"]
    assert sum(shares[name] for name in ("up", "degraded", "down", "blind")) == pytest.approx(1, abs=1e-5)


def test_a_document_that_is_none_is_found(browser: Browser, acme: OrganisationStore) -> None:
    document = json.loads(browser.get(f"/o/{acme.id}/reports/report.json").body)
    document["exceptions"][0].pop("owner")
    with pytest.raises(AssertionError, match="owner"):
        valid(document)


def test_an_empty_organisation_has_a_report_too(lab: Lab, worker: Worker) -> None:
    empty = lab.organisation("Empty")
    browser = lab.browser(lab.staff("Ann", OWNER))
    text = browser.get(f"/o/{empty.id}/reports").text
    assert "The policy has no exception." in text
    assert "No outage was measured." in text
    document = json.loads(browser.get(f"/o/{empty.id}/reports/report.json").body)
    valid(document)
    assert document["availability"]["blind"] == 1


def test_no_cell_of_the_table_is_a_formula(browser: Browser, acme: OrganisationStore) -> None:
    answer = browser.get(f"/o/{acme.id}/reports/findings.csv")
    assert answer.header("content-type") == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert [(row["severity"], row["state"]) for row in rows] == [("high", "open"), ("low", "waived")]
    assert rows[0]["title"] == "'@SUM(1)"
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@\t\r")]


@pytest.mark.parametrize("days", ["1", "8", "-7", "many", "3000"])
def test_other_periods_are_refused(browser: Browser, acme: OrganisationStore, days: str) -> None:
    answer = browser.get(f"/o/{acme.id}/reports?days={days}")
    assert answer.status == 422
    assert "7, 30, 90" in answer.text


def test_a_stranger_gets_nothing(lab: Lab, acme: OrganisationStore) -> None:
    other = lab.organisation("Other")
    tom = lab.browser(lab.staff("Tom", Grant(other.id, Role.OWNER)))
    for path in ("reports", "reports/report.json", "reports/findings.csv"):
        assert tom.get(f"/o/{acme.id}/{path}").status == 404


def test_in_german(lab: Lab, acme: OrganisationStore) -> None:
    browser = lab.browser(lab.staff("Ann", OWNER), language="de")
    assert "Die Regeln haben eine Ausnahme" in browser.get(f"/o/{acme.id}/reports").text
    assert "Gefährdung" in json.loads(browser.get(f"/o/{acme.id}/reports/report.json").body)["sentences"][0]
