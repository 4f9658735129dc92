"""The pages of the audit log: who sees what, looking up, an entry, the export and what verifying says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest

from console.lab import FORM, Lab
from gambeson.model.staff import EVERY, Grant, Role, Staff
from gambeson.store.tenant import OrganisationStore

OWNER = Grant(EVERY, Role.OWNER)


@dataclass
class Scene:
    lab: Lab
    acme: OrganisationStore
    other: OrganisationStore
    root: Staff


@pytest.fixture
def scene(lab: Lab) -> Scene:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    return Scene(lab, acme, other, lab.staff("Root", OWNER))


WHO = {  # of an organisation's page, of the installation's, of the installation's export
    "owner": (200, 200, 200),
    "auditor of all": (200, 200, 404),
    "technician": (200, 404, 404),
    "responder": (200, 404, 404),
    "auditor": (200, 404, 404),
    "stranger": (404, 404, 404),
    "nobody": (303, 303, 303),
}


@pytest.mark.parametrize("who", WHO)
def test_who_sees_what(scene: Scene, who: str) -> None:
    acme, now = scene.acme.id, scene.lab.clock.now
    grants = {
        "owner": OWNER,
        "auditor of all": Grant(EVERY, Role.AUDITOR),
        "technician": Grant(acme, Role.TECHNICIAN),
        "responder": Grant(acme, Role.RESPONDER, now + 1000),
        "auditor": Grant(acme, Role.AUDITOR),
        "stranger": Grant(scene.other.id, Role.OWNER),
    }
    staff = scene.lab.staff("Zoe", grants[who]) if who in grants else None
    browser = scene.lab.browser(staff, stays=True)
    one, whole, export = WHO[who]
    seq = scene.acme.audit()[0].seq
    for path in ("", f"/{seq}", "/export"):
        assert browser.get(f"/o/{acme}/audit{path}").status == one, path
    assert browser.post(f"/o/{acme}/audit/verify").status == one
    assert browser.get("/audit").status == browser.get(f"/audit/{seq}").status == whole
    assert browser.post("/audit/verify").status == whole
    assert browser.get("/audit/export").status == export
    if one == 200:
        page = browser.get(f"/o/{acme}/audit").text
        assert ('href="/audit"' in page) == (whole == 200)


def test_another_organisations_entry_in_ones_own_path_is_not_there(scene: Scene) -> None:
    theirs = scene.other.audit()[0].seq
    for staff in (scene.root, scene.lab.staff("Zoe", Grant(scene.acme.id, Role.AUDITOR))):
        browser = scene.lab.browser(staff, stays=True)
        assert browser.get(f"/o/{scene.acme.id}/audit/{theirs}").status == 404
        assert "other.example" not in browser.get(
            f"/o/{scene.acme.id}/audit?subject=other.example"
        ).text.replace('value="other.example"', "")
        assert "other.example" not in browser.get(f"/o/{scene.acme.id}/audit/export").text


@pytest.mark.parametrize("seq", ["0", "99999999", "x", "-1", "1e3", "9" * 30, "%D9%A3"])
def test_no_entry(scene: Scene, seq: str) -> None:
    assert scene.lab.browser(scene.root).get(f"/o/{scene.acme.id}/audit/{seq}").status == 404


def test_looking_up_and_going_on(scene: Scene) -> None:
    for number in range(60):
        scene.acme.accounts.create(f"user{number}@acme.example", **scene.lab.act)
    browser = scene.lab.browser(scene.root)
    first = browser.get(f"/o/{scene.acme.id}/audit?action=account.").text
    assert len(re.findall(r'<th scope="row">', first)) == 50
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older
    second = browser.get(older[1].replace("&amp;", "&")).text
    assert len(re.findall(r'<th scope="row">', second)) == 10
    assert 'rel="next"' not in second
    assert (
        len(re.findall(r'<th scope="row">', browser.get(f"/o/{scene.acme.id}/audit?until=2026-09-21").text))
        == 50
    )
    assert "No entry fits." in browser.get(f"/o/{scene.acme.id}/audit?since=2026-09-22").text
    assert browser.get(f"/o/{scene.acme.id}/audit?since=yesterday").status == 400


def test_hostile_words_are_text(scene: Scene) -> None:
    scene.acme.set_hours(3.0, by="<script>x</script>\u202e", at=scene.lab.clock.now)
    browser = scene.lab.browser(scene.root)
    seq = scene.acme.audit()[0].seq
    for path in ("audit", f"audit/{seq}"):
        page = browser.get(f"/o/{scene.acme.id}/{path}").text
        assert "<script>x" not in page
        assert "\u202e" not in page
        assert "\\u{202E}" in page


def test_an_entry_has_readable_details(scene: Scene) -> None:
    scene.acme.accounts.create(
        "eve@acme.example", aliases=["e@acme.example", "v@acme.example"], **scene.lab.act
    )
    seq = scene.acme.audit()[0].seq
    page = scene.lab.browser(scene.root).get(f"/o/{scene.acme.id}/audit/{seq}").text
    assert "e@acme.example, v@acme.example" in page
    assert scene.acme.audit()[0].hash in page


def test_the_export_comes_in_parts_as_a_file(scene: Scene) -> None:
    browser = scene.lab.browser(scene.root, stays=True)
    answer = browser.get(f"/o/{scene.acme.id}/audit/export")
    assert answer.header("content-type") == "application/jsonl; charset=utf-8"
    assert answer.header("content-disposition").startswith('attachment; filename="audit-')
    assert answer.header("cache-control") == "no-store"
    assert [json.loads(line)["seq"] for line in answer.text.splitlines()] == [
        entry.seq for entry in reversed(scene.acme.audit())
    ]
    assert browser.get("/audit/export").text.splitlines() == list(scene.lab.store.audit.export())
    assert browser.send("HEAD", f"/o/{scene.acme.id}/audit/export").body == b""


def test_verifying_shows_the_head_to_note_down(scene: Scene) -> None:
    head = scene.lab.store.audit.seal(scene.lab.world.keeper.sign, scene.lab.clock.now)
    auditor = scene.lab.staff("Zoe", Grant(scene.acme.id, Role.AUDITOR))
    for staff, sentence in (
        (scene.root, "The log is whole"),
        (auditor, "entries of this organisation are whole"),
    ):
        page = scene.lab.browser(staff).post(f"/o/{scene.acme.id}/audit/verify").text
        assert sentence in page
        assert head.hash in page
        assert "alert-danger" not in page


def test_a_form_from_elsewhere_verifies_nothing(scene: Scene) -> None:
    for path in (f"/o/{scene.acme.id}/audit/verify", "/audit/verify"):
        answer = scene.lab.browser(scene.root).send(
            "POST", path, b"", [FORM, ("origin", "https://evil.example")]
        )
        assert answer.status == 403
        assert scene.lab.browser(scene.root).get(path).status in (404, 405)
