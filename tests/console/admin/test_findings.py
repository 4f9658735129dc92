"""The pages of findings: who may do what, hostile evidence, forms from elsewhere, and strangers' ids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from console.lab import FORM, Browser, Lab
from console.operations.doors import doors
from gambeson.model.finding import Evidence, Finding, FindingState, Severity
from gambeson.model.staff import EVERY, Grant, Role, Staff
from gambeson.store.tenant import OrganisationStore

OWNER = Grant(EVERY, Role.OWNER)
ACTS = ("acknowledge", "assign", "waive", "end-waiver", "measure")


@dataclass
class Scene:
    lab: Lab
    acme: OrganisationStore
    other: OrganisationStore
    finding: Finding
    foreign: Finding

    def path(self, act: str, finding: str = "") -> str:
        base = f"/o/{self.acme.id}/findings"
        return f"{base}/{finding or self.finding.id}/measure" if act == "measure" else f"{base}/many/{act}"

    def form(self, staff: Staff, finding: str = "") -> dict[str, str]:
        one = {"pick.1": finding or self.finding.id, "back": "one"}
        return {**one, "staff": staff.id, "until": "2026-09-30", "reason": "known"}

    def state(self) -> FindingState:
        return self.acme.findings.get(self.finding.id).state


def found(lab: Lab, org: OrganisationStore, asset: str = "a", **more: Any) -> Finding:
    given: dict[str, Any] = {
        "rule": "device.quarantined",
        "asset_kind": "device",
        "title": "A device in quarantine asks to be let in",
        "severity": Severity.HIGH,
        "reason": "it proved itself",
        **more,
    }
    return org.findings.open(Finding(id="", organisation="", asset_name=asset, **given), **lab.act)


@pytest.fixture
def scene(lab: Lab) -> Scene:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    lab.staff("Root", OWNER)
    return Scene(lab, acme, other, found(lab, acme), found(lab, other))


def person(scene: Scene, who: str) -> Staff | None:
    grants = {
        "owner": OWNER,
        "technician": Grant(scene.acme.id, Role.TECHNICIAN),
        "responder": Grant(scene.acme.id, Role.RESPONDER, scene.lab.clock.now + 1000),
        "auditor": Grant(scene.acme.id, Role.AUDITOR),
        "stranger": Grant(scene.other.id, Role.OWNER),
    }
    return scene.lab.staff("Zoe", grants[who]) if who in grants else None


ANSWERS = {"owner": 303, "technician": 303, "responder": 303, "auditor": 403, "stranger": 404, "nobody": 303}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("who", ANSWERS)
def test_who_may_do_what(scene: Scene, who: str, act: str) -> None:
    staff = person(scene, who)
    if act == "end-waiver":
        scene.acme.findings.waive(
            scene.finding.id, until=scene.lab.clock.now + 9, reason="x", **scene.lab.act
        )
    before, browser = scene.acme.audit()[0].seq, scene.lab.browser(staff)
    with doors(scene.lab) as asked:
        answer = browser.post(scene.path(act), **scene.form(staff or scene.lab.store.staff.list()[0]))
    assert answer.status == ANSWERS[who], answer.text
    done = scene.acme.audit()[0].seq > before or bool(asked)
    assert done == (who in ("owner", "technician", "responder"))
    if who == "nobody":
        assert answer.location == "/sign-in"
    elif answer.status == 303:
        assert answer.location.startswith(f"/o/{scene.acme.id}/findings/{scene.finding.id}?said=findings-")
        assert browser.get(answer.location).status == 200


@pytest.mark.parametrize("who", ["owner", "technician", "responder", "auditor", "stranger"])
def test_who_reads_and_who_sees_buttons(scene: Scene, who: str) -> None:
    staff = person(scene, who)
    for path in ("", f"/{scene.finding.id}", "?group=rule"):
        answer = scene.lab.browser(staff).get(f"/o/{scene.acme.id}/findings{path}")
        assert answer.status == (404 if who == "stranger" else 200)
        if path != "?group=rule":
            acts = who in ("owner", "technician", "responder")
            assert ("/findings/many/waive" in answer.text) == acts


@pytest.mark.parametrize("act", ACTS)
def test_another_organisations_finding_in_ones_own_path_is_not_there(scene: Scene, act: str) -> None:
    staff = scene.lab.staff("Zoe", Grant(scene.acme.id, Role.TECHNICIAN))
    root = scene.lab.store.staff.list()[0]
    for who in (staff, root):
        browser = scene.lab.browser(who)
        assert browser.get(f"/o/{scene.acme.id}/findings/{scene.foreign.id}").status == 404
        form = scene.form(who, scene.foreign.id)
        assert browser.post(scene.path(act, scene.foreign.id), **form).status == 404
    assert scene.other.findings.get(scene.foreign.id) == scene.foreign


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    "header", [(), ("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
)
def test_a_form_from_elsewhere_does_nothing(scene: Scene, act: str, header: Any) -> None:
    browser = scene.lab.browser(scene.lab.store.staff.list()[0])
    body = f"pick.1={scene.finding.id}&until=2026-09-30&reason=x".encode()
    answer = browser.send("POST", scene.path(act), body, [FORM, *([header] if header else [])])
    assert answer.status == 403
    assert scene.state() is FindingState.OPEN


def test_nothing_closes_a_finding_and_no_get_changes_one(scene: Scene) -> None:
    browser = scene.lab.browser(scene.lab.store.staff.list()[0])
    before = scene.acme.audit()[0].seq
    for act in ("close", "fix", "verify", "resolve"):
        assert browser.post(scene.path(act), **{"pick.1": scene.finding.id}).status in (404, 405)
    for act in ACTS:
        assert browser.get(f"{scene.path(act)}?pick.1={scene.finding.id}").status in (404, 405)
    assert scene.acme.audit()[0].seq == before


HOSTILE = "<script>alert(1)</script>\x1b[2J\u202egnp.exe\u200b' onmouseover='x"


def test_hostile_evidence_is_text_that_can_be_seen(scene: Scene) -> None:
    name = "<b>\u202ekcatta\u200b</b>"
    one = found(
        scene.lab,
        scene.acme,
        name,
        title="</title><script>x</script>",
        reason="<img src=x onerror=y>\u2067",
        evidence=(Evidence("<i>", "javascript:x", "a" * 64, HOSTILE, scene.lab.clock.now),),
        remedy=("<a href=//evil>click</a>",),
        references=(
            "javascript:alert(1)",
            "https://good.example/x",
            "http://plain.example/",
            "https://a@evil.example/",
        ),
    )
    browser = scene.lab.browser(scene.lab.store.staff.list()[0])
    for path in (f"/{one.id}", "", "?group=asset_name", "?group=rule"):
        page = browser.get(f"/o/{scene.acme.id}/findings{path}").text
        for wrong in (
            "<script>alert",
            "<script>x",
            "<img src=x",
            "<b>",
            "<i>",
            "<a href=//evil",
            "\u202e",
            "\u200b",
            "\x1b",
            "\u2067",
        ):
            assert wrong not in page, (path, wrong)
    page = browser.get(f"/o/{scene.acme.id}/findings/{one.id}").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u{001B}[2J\\u{202E}gnp.exe\\u{200B}" in page
    links = re.findall(r'<a href="([^"/#]*:[^"]*)"[^>]*rel="([^"]*)"', page)
    assert links == [("https://good.example/x", "noreferrer noopener external")]
    assert "http://plain.example/" in page
    assert 'href="http' not in page.replace('href="https://good.example/x"', "")


def test_a_finding_tells_its_life(scene: Scene) -> None:
    ann = scene.lab.store.staff.list()[0]
    browser = scene.lab.browser(ann)
    for act in ("acknowledge", "assign", "waive"):
        browser.post(scene.path(act), **scene.form(ann))
    page = browser.get(f"/o/{scene.acme.id}/findings/{scene.finding.id}").text
    told = re.findall(r'<th scope="row">([^<]+)</th><td>([^<]*)</td><td class="wrap">([^<]*)<', page)
    assert told == [
        ("Waived", "Root (console)", "Until the end of 2026-09-30: known"),
        ("Assigned", "Root (console)", "Root"),
        ("Acknowledged", "Root (console)", ""),
        ("Opened", "root", ""),
    ]
    kept = scene.acme.findings.get(scene.finding.id)
    assert kept.waived_until == 1_790_812_800.0  # 2026-10-01 00:00 UTC
    scene.lab.later(10 * 86400)
    browser = scene.lab.browser(ann)
    assert "state-attention" in browser.get(f"/o/{scene.acme.id}/findings/{scene.finding.id}").text
    assert scene.finding.id in browser.get(f"/o/{scene.acme.id}/findings?state=open").text


def test_the_day_ends_where_the_person_is(scene: Scene) -> None:
    zoe = scene.lab.staff("Zoe", OWNER, zone="America/Los_Angeles")
    scene.lab.browser(zoe).post(scene.path("waive"), **scene.form(zoe))
    assert scene.acme.findings.get(scene.finding.id).waived_until == 1_790_812_800.0 + 7 * 3600


@pytest.mark.parametrize(
    ("until", "reason"),
    [
        ("", "x"),
        ("never", "x"),
        ("2026-09-20", "x"),
        ("2027-09-30", "x"),
        ("9999-12-31", "x"),
        ("2026-09-30", ""),
    ],
)
def test_a_waiver_that_is_none(scene: Scene, until: str, reason: str) -> None:
    ann = scene.lab.store.staff.list()[0]
    form = {**scene.form(ann), "until": until, "reason": reason}
    assert scene.lab.browser(ann).post(scene.path("waive"), **form).status == 422
    assert scene.state() is FindingState.OPEN


def test_a_whole_page_at_once_and_back_to_the_same_filter(scene: Scene) -> None:
    ann = scene.lab.store.staff.list()[0]
    ids = [scene.finding.id, *(found(scene.lab, scene.acme, f"phone {n}").id for n in range(49))]
    browser = scene.lab.browser(ann)
    page = browser.get(f"/o/{scene.acme.id}/findings?at_least=high").text
    picks = dict(re.findall(r'name="(pick\.\d+)" value="([^"]+)"', page))
    assert set(picks.values()) == set(ids)
    query = re.search(r'name="query" value="([^"]*)"', page)
    assert query
    answer = browser.post(scene.path("acknowledge"), **picks, query=query[1])
    assert answer.location == f"/o/{scene.acme.id}/findings?at_least=high&said=findings-done"
    assert scene.acme.findings.counts() == {Severity.HIGH: 50}
    assert all(f.state is FindingState.ACKNOWLEDGED for f in scene.acme.findings.list())
    evil = browser.post(
        scene.path("assign"), **{"pick.1": ids[0]}, query="x=1&state=open%0d%0aset-cookie:a&said=evil"
    )
    assert evil.location == f"/o/{scene.acme.id}/findings?state=open%0D%0Aset-cookie%3Aa&said=findings-done"


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("", True),
        ("state=closed", False),
        ("state=all", True),
        ("at_least=critical", False),
        ("kind=device", True),
        ("kind=server", False),
        ("rule=device.quarantined", True),
        ("who=me", False),
        ("who=nobody", True),
        ("search=QUARANTINE", True),
        ("search=100%25", False),
        ("asset=a", True),
        ("severity=high", True),
        ("severity=low", False),
        ("offset=50", False),
    ],
)
def test_filters(scene: Scene, query: str, there: bool) -> None:
    browser: Browser = scene.lab.browser(scene.lab.store.staff.list()[0])
    answer = browser.get(f"/o/{scene.acme.id}/findings?{query}")
    assert answer.status == 200
    assert (f"/findings/{scene.finding.id}" in answer.text) == there
    if not there and "offset" not in query:
        assert "No finding fits." in answer.text


@pytest.mark.parametrize("query", ["state=gone", "at_least=worst", "severity=worst", "search=" + "x" * 201])
def test_words_that_no_form_has(scene: Scene, query: str) -> None:
    browser = scene.lab.browser(scene.lab.store.staff.list()[0])
    assert browser.get(f"/o/{scene.acme.id}/findings?{query}").status == 400


def test_an_empty_inbox_says_so_in_both_languages(scene: Scene) -> None:
    empty = scene.lab.organisation("Empty", "empty.example")
    root = scene.lab.store.staff.list()[0]
    for language, sentence in (("en", "Nothing is open."), ("de", "Nichts ist offen.")):
        browser = scene.lab.browser(root, language=language)
        assert sentence in browser.get(f"/o/{empty.id}/findings").text
