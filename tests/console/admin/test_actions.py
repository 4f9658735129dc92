"""The pages of actions: who may do what, a fresh passkey, forms from elsewhere, strangers' ids, and a whole life."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

import pytest

from console.lab import FORM, Answer, Lab
from console.operations.doors import doors
from gambeson.model.action import ActionState
from gambeson.model.asset import Account
from gambeson.model.staff import EVERY, Grant, Role, Staff
from gambeson.store.tenant import OrganisationStore

OWNER = Grant(EVERY, Role.OWNER)
STEPS = ("approve", "run", "verify", "undo", "cancel")
BEFORE = {
    "approve": (),
    "run": ("approved",),
    "verify": ("approved", "done"),
    "undo": ("approved", "done"),
    "cancel": (),
}


@dataclass
class Scene:
    lab: Lab
    acme: OrganisationStore
    other: OrganisationStore
    root: Staff
    account: Account

    @property
    def base(self) -> str:
        return f"/o/{self.acme.id}/actions"

    def planned(self, *states: str, org: OrganisationStore | None = None, target: str = "") -> str:
        """An action in the state behind these steps, as it would be in the store."""
        store = org or self.acme
        sentences = [
            "eve@acme.example is refused at every door, with its 0 registered devices.",
            "Its open sessions end, those of the portal for good.",
            "Nothing is deleted: taking it back lets the account and its devices in again.",
        ]
        details = {"given": {}, "sentences": sentences, "planner": "somebody"}
        made = store.actions.plan("account.disable", target or self.account.id, details, **self.lab.act)
        for state in states:
            {"approved": store.actions.approve, "done": store.actions.done}[state](made.id, **self.lab.act)
        if "done" in states and store is self.acme:
            store.accounts.update(self.account.id, enabled=False, **self.lab.act)
        return made.id


@pytest.fixture
def scene(lab: Lab) -> Scene:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    account = acme.accounts.create("eve@acme.example", **lab.act)
    return Scene(lab, acme, other, lab.staff("Root", OWNER), account)


def person(scene: Scene, who: str) -> Staff | None:
    grants = {
        "owner": OWNER,
        "technician": Grant(scene.acme.id, Role.TECHNICIAN),
        "responder": Grant(scene.acme.id, Role.RESPONDER, scene.lab.clock.now + 1000),
        "auditor": Grant(scene.acme.id, Role.AUDITOR),
        "stranger": Grant(scene.other.id, Role.OWNER),
    }
    return scene.lab.staff("Zoe", grants[who]) if who in grants else None


ANSWERS = {"owner": 303, "technician": 303, "responder": 403, "auditor": 403, "stranger": 404, "nobody": 303}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("who", ANSWERS)
def test_who_may_take_which_step(scene: Scene, who: str, step: str) -> None:
    id = scene.planned(*BEFORE[step])
    before = scene.acme.actions.get(id)
    with doors(scene.lab):
        answer = scene.lab.browser(person(scene, who)).post(f"{scene.base}/{id}/{step}")
    assert answer.status == ANSWERS[who], answer.text
    after = scene.acme.actions.get(id)
    assert (after.state != before.state) == (who in ("owner", "technician"))
    assert after.state is not ActionState.FAILED, after.reason
    if who == "nobody":
        assert answer.location == "/sign-in"


@pytest.mark.parametrize("who", ANSWERS)
def test_who_may_plan(scene: Scene, who: str) -> None:
    browser = scene.lab.browser(person(scene, who))
    answer = browser.post(scene.base, kind="account.disable", target="eve@acme.example")
    assert answer.status == ANSWERS[who]
    assert len(scene.acme.actions.list()) == (who in ("owner", "technician"))
    seen = {"owner": 200, "technician": 200, "responder": 403, "auditor": 403, "stranger": 404, "nobody": 303}
    assert browser.get(f"{scene.base}/new").status == seen[who]
    id = scene.planned()
    reads = {**dict.fromkeys(ANSWERS, 200), "stranger": 404, "nobody": 303}
    assert browser.get(scene.base).status == browser.get(f"{scene.base}/{id}").status == reads[who]


@pytest.mark.parametrize("step", ["run", "undo"])
def test_what_is_dangerous_wants_the_passkey_once_more(scene: Scene, step: str) -> None:
    id = scene.planned(*BEFORE[step])
    before = scene.acme.actions.get(id)
    answer = scene.lab.browser(scene.root, fresh=False).post(
        f"{scene.base}/{id}/{step}", back=f"{scene.base}/{id}"
    )
    assert answer.location.startswith("/step-up?back=")
    assert scene.acme.actions.get(id) == before


@pytest.mark.parametrize("step", STEPS)
def test_another_organisations_action_in_ones_own_path_is_not_there(scene: Scene, step: str) -> None:
    theirs = scene.other.accounts.create("cid@other.example", **scene.lab.act)
    id = scene.planned(*BEFORE[step], org=scene.other, target=theirs.id)
    technician = scene.lab.staff("Zoe", Grant(scene.acme.id, Role.TECHNICIAN))
    before = scene.other.actions.get(id)
    for who in (scene.root, technician):
        browser = scene.lab.browser(who)
        assert browser.get(f"{scene.base}/{id}").status == 404
        assert browser.get(f"{scene.base}?before={id}").status == 404
        assert browser.post(f"{scene.base}/{id}/{step}").status == 404
    assert scene.other.actions.get(id) == before


@pytest.mark.parametrize("step", [*STEPS, ""])
@pytest.mark.parametrize("header", [(), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")])
def test_a_form_from_elsewhere_does_nothing(scene: Scene, step: str, header: Any) -> None:
    id = scene.planned(*BEFORE.get(step, ()))
    before = scene.acme.audit()[0].seq
    path = f"{scene.base}/{id}/{step}" if step else scene.base
    body = b"kind=account.disable&target=eve%40acme.example"
    answer = scene.lab.browser(scene.root).send("POST", path, body, [FORM, *([header] if header else [])])
    assert (answer.status, scene.acme.audit()[0].seq) == (403, before)


def follow(scene: Scene, staff: Staff, answer: Answer) -> str:
    assert answer.status == 303, answer.text
    return html.unescape(scene.lab.browser(staff).get(answer.location).text)


def test_a_whole_life_on_the_pages(scene: Scene) -> None:
    ben = scene.lab.staff("Ben", Grant(scene.acme.id, Role.TECHNICIAN))
    root, other = scene.lab.browser(scene.root), scene.lab.browser(ben)
    choose = root.get(f"{scene.base}/new").text
    assert re.findall(r'<option value="([^"]+)"', choose) == [
        "account.disable",
        "device.approve",
        "device.revoke",
        "eas.block",
        "mode.set",
        "policy.activate",
    ]
    before = scene.acme.audit()[0].seq
    preview = root.get(f"{scene.base}/new?kind=mode.set&target=imap&mode=observe&hours=3").text
    assert "imap goes to observe for everybody for 3 hours" in preview
    assert scene.acme.audit()[0].seq == before
    with doors(scene.lab):
        made = root.post(scene.base, kind="mode.set", target="imap", mode="observe", hours="3")
        path = made.location.partition("?")[0]
        assert "The plan is kept." in follow(scene, scene.root, made)
        assert "Approved." in follow(scene, ben, other.post(f"{path}/approve"))
        assert "Verify it" in follow(scene, scene.root, root.post(f"{path}/run"))
        assert root.post(f"{path}/run").status == 409
        assert "every door acts on it" in follow(scene, scene.root, root.post(f"{path}/verify"))
        page = follow(scene, scene.root, root.post(f"{path}/undo"))
    assert "Taken back." in page
    rows = re.findall(r'<th scope="row">(\d+)</th>.*?state-\w+">([^<]+)<.*?<td>([^<]+)</td>', page)
    assert [(state, by) for _, state, by in rows] == [
        ("Planned", "Root (console)"),
        ("Approved", "Ben (console)"),
        ("Running", "Root (console)"),
        ("Done", "Root (console)"),
        ("Done", "Root (console)"),
        ("Verified", "Root (console)"),
        ("Taken back", "Root (console)"),
        ("Taken back", "Root (console)"),
    ]
    assert not scene.acme.modes.list()


def test_a_plan_that_cannot_be_says_why_beside_the_form(scene: Scene) -> None:
    answer = scene.lab.browser(scene.root).get(f"{scene.base}/new?kind=device.revoke&target=%3Cscript%3Ex")
    assert answer.status == 422
    assert "There is no such device here" in answer.text
    assert "<script>x" not in answer.text
    assert 'value="&lt;script&gt;x"' in answer.text


def test_a_failed_one_shows_its_sentence(scene: Scene) -> None:
    id = scene.planned("approved")
    scene.acme.accounts.update(scene.account.id, enabled=False, **scene.lab.act)
    page = follow(scene, scene.root, scene.lab.browser(scene.root).post(f"{scene.base}/{id}/run"))
    assert "eve@acme.example is disabled already." in page
    assert "alert-danger" in page


@pytest.mark.parametrize(
    ("state", "there"), [("all", True), ("open", True), ("planned", True), ("done", False), ("failed", False)]
)
def test_the_list_by_state(scene: Scene, state: str, there: bool) -> None:
    id = scene.planned()
    answer = scene.lab.browser(scene.root).get(f"{scene.base}?state={state}")
    assert (f"/actions/{id}" in answer.text) == there
    assert ("No action is in this state." in answer.text) == (not there)
    assert scene.lab.browser(scene.root).get(f"{scene.base}?state=gone").status == 400


def test_nothing_yet_in_both_languages(scene: Scene) -> None:
    for language, sentence in (("en", "Nobody planned an action yet."), ("de", "Noch hat niemand")):
        assert sentence in scene.lab.browser(scene.root, language=language).get(scene.base).text
