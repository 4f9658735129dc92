"""The page Policy: a change is tried, saved and taken back; problems at their lines; what it is not for."""

from __future__ import annotations

import re

import pytest

from console.lab import ORIGIN, T0, Answer, Browser, Lab
from gambeson.console.operations import policy as operations
from gambeson.guard.data import default_policy_text
from gambeson.model.event import Event
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.tenant import OrganisationStore

OWNER = Grant(EVERY, Role.OWNER)
DAY = 86400.0
OURS = default_policy_text()
OBSERVE = '[[mode]]\ndoor = "imap"\nmode = "observe"\nuntil = 2027-01-01T00:00:00Z\n'
DENY = '[[rule]]\nname = "no-imap"\nopinion = "deny"\ndoors = ["imap"]\nsentence = "IMAP is closed."\n\n'


def acme(lab: Lab, sign_ins: int = 3) -> OrganisationStore:
    """An organisation whose IMAP door observes, with sign-ins by password that passed."""
    org = lab.organisation("Acme", "acme.example")
    org.accounts.create("ann@acme.example", **lab.act)
    org.policies.add(OBSERVE + OURS, note="Slowly", **lab.act)
    lab.events(password(org.id, i) for i in range(sign_ins))
    return org


def password(organisation: str, number: int, at: float = T0) -> Event:
    data = {"claimed": "ann@acme.example", "rung": "nothing", "program": "Thunderbird"}
    when = at - 60.0 * (number + 1)
    return Event(
        f"e{number}", when, "door.login.allowed", organisation, door="imap", source="203.0.113.5", data=data
    )


def send(browser: Browser, org: OrganisationStore, text: str, act: str = "look", **more: str) -> Answer:
    """The text area's form."""
    mark = "----gambeson"
    fields = {"text": text.replace("\n", "\r\n"), "act": act, **more}
    parts = [
        f'--{mark}\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()
    ]
    body = "".join([*parts, f"--{mark}--\r\n"]).encode()
    kind = ("content-type", f"multipart/form-data; boundary={mark}")
    return browser.send("POST", f"/policy/{org.id}/drafts", body, [kind, ("origin", ORIGIN)])


def text_of(page: Answer) -> str:
    """What a person reads, without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text))


def test_a_policy_change_previewed_applied_rolled_back(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann Owner", OWNER))
    page = text_of(ann.get(f"/o/{org.id}/policy"))
    assert "Version 1 is in force" in page
    assert "Slowly" in page
    assert "Some doors only observe or warn" in page
    assert "registered-devices" in page
    # The change: IMAP enforces. First it is only looked at.
    sent = send(ann, org, OURS)
    assert sent.status == 303
    draft = sent.location
    page = text_of(ann.get(draft))
    assert "Would have refused 3 of 3 sign-ins" in page
    assert "Thunderbird" in page
    assert "floor:rung" in page
    assert "Nothing comes in below its floor" in page
    assert "Lines added: 0, removed: 4." in page
    assert f'href="/o/{org.id}/people/acc-' in ann.get(draft).text
    assert org.policies.active_number() == 1
    # It is saved.
    lab.later(60)
    saved = ann.post(f"{draft}/save", expected="1", note="Enough observed")
    assert (saved.status, saved.location) == (303, f"/o/{org.id}/policy?said=waiting")
    page = text_of(ann.follow(saved))
    assert "Version 2 is in force" in page
    assert "Enough observed" in page
    assert org.policies.get(2).source == OURS
    assert ann.get(draft).status == 404  # saved, so no draft any more
    # Somebody calls: back. The way back is looked at as well.
    listed = text_of(ann.get(f"/o/{org.id}/policy/versions"))
    assert "Version 2" in listed
    assert "Put in force again" in listed
    tried = ann.follow(ann.post(f"/o/{org.id}/policy/versions/1/try"))
    assert "Would newly have let in 3" in text_of(tried)
    back = ann.post(f"/o/{org.id}/policy/versions/1/activate")
    assert back.status == 303
    assert org.policies.active_number() == 1
    assert "Version 1 is in force" in text_of(ann.follow(back))
    assert [e.action for e in org.audit_entries.search(limit=10) if e.action.startswith("policy")] == [
        "policy.activated",
        "policy.added",
        "policy.added",
    ]
    # And all the way back.
    assert ann.post(f"/o/{org.id}/policy/versions/0/activate").status == 303
    assert "Gambeson’s own policy is in force" in text_of(ann.get(f"/o/{org.id}/policy"))


def test_what_observes_refuses_nobody_until_it_is_asked_as_if_enforced(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann", OWNER))
    draft = send(ann, org, OBSERVE + DENY + OURS).location
    page = text_of(ann.get(draft))
    assert "Would have refused 0 of 3" in page
    assert "As if every door enforced" in page
    assert ann.post(f"{draft}/look", enforce="yes").status == 303
    # Both policies keep a password out then: the rule changes nothing for these.
    assert "Would have refused 0 of 3" in text_of(ann.get(draft))


def test_the_newly_let_in_are_named(lab: Lab) -> None:
    org = acme(lab)
    org.policies.add(OURS, **lab.act)
    refused = Event(
        "r1",
        T0 - 9,
        "door.login.refused",
        org.id,
        door="imap",
        source="203.0.113.5",
        data={"claimed": "ann@acme.example", "rung": "nothing", "reason": "rung-too-low"},
    )
    lab.events([refused])
    ann = lab.browser(lab.staff("Ann", OWNER))
    page = text_of(ann.get(send(ann, org, OBSERVE + OURS).location))
    assert "Would newly be let in: these" in page
    assert "Open by mode" in page


def test_problems_are_shown_at_their_lines_and_nothing_is_saved(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann", OWNER))
    bad = OURS + '\n[[rule]]\nname = "late"\nopinion = "alow"\n[floors]\nimap = "nothing"\n'
    draft = send(ann, org, bad).location
    page = ann.get(draft)
    line = bad.split("\n").index('opinion = "alow"') + 1
    assert f"Line {line}, column 1" in text_of(page)
    assert f"{line:5d} ► opinion = &#34;alow&#34;" in page.text
    assert "can only be raised" in page.text
    assert "Save and put in force" not in page.text
    assert "Replay" not in page.text
    saved = ann.post(f"{draft}/save", expected="1")
    assert saved.status == 422
    assert "Nothing was changed" in saved.text
    assert org.policies.active_number() == 1


def test_without_a_look_the_page_asks_for_one_and_saving_stays_possible(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann", OWNER))
    draft = send(ann, org, DENY + OURS, act="check").location
    page = ann.get(draft)
    assert "Save without looking" in page.text
    assert "Save and put in force" not in page.text
    assert "You have not looked yet" in page.text
    ann.post(f"{draft}/look")
    assert "Save without looking" not in ann.get(draft).text
    other = send(ann, org, DENY + OURS, act="check").location
    assert ann.post(f"{other}/save", expected="1").status == 303


def test_a_passkey_is_asked_for_and_the_text_is_still_there(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann", OWNER), fresh=False)
    draft = send(ann, org, DENY + OURS).location
    asked = ann.post(f"{draft}/save", expected="1")
    assert asked.location == f"/step-up?back={draft}"
    assert "no-imap" in ann.get(draft).text
    assert org.policies.active_number() == 1
    for path in ("versions/1/activate", "versions/0/activate"):
        assert ann.post(f"/o/{org.id}/policy/{path}").location.startswith("/step-up")


def test_who_was_faster_is_not_overwritten(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann", OWNER))
    draft = send(ann, org, DENY + OURS).location
    org.policies.add(OURS, **lab.act)
    assert "Somebody put another version in force" in ann.get(draft).text
    refused = ann.post(f"{draft}/save", expected="1", note="Mine")
    assert refused.status == 409
    assert "Somebody put another version in force meanwhile" in refused.text
    assert 'value="Mine"' in refused.text
    assert ann.post(f"{draft}/save", expected="2", note="Mine").status == 303


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [("owner", 200, 303), ("technician", 200, 303), ("auditor", 200, 403), ("responder", 200, 403)],
)
def test_roles(lab: Lab, role: str, reads: int, writes: int) -> None:
    org = acme(lab)
    lab.staff("Owner", OWNER)
    until = T0 + DAY if role == "responder" else 0.0
    browser = lab.browser(lab.staff("Tom", Grant(org.id, Role(role), until)))
    page = browser.get(f"/o/{org.id}/policy")
    assert page.status == reads
    assert ("Check, and show" in page.text) is (writes == 303)
    for path in ("versions", "versions/1", "versions/0", "diff?older=0&newer=1"):
        assert browser.get(f"/o/{org.id}/policy/{path}").status == reads
    assert send(browser, org, OURS).status == writes
    assert browser.post(f"/o/{org.id}/policy/versions/1/try").status == writes
    assert browser.post(f"/o/{org.id}/policy/versions/1/activate").status == writes


def test_a_strangers_organisation_is_not_there(lab: Lab) -> None:
    org, other = acme(lab), lab.organisation("Other", "other.example")
    ann = lab.browser(lab.staff("Ann", OWNER))
    draft = send(ann, org, OURS).location
    tom = lab.browser(lab.staff("Tom", Grant(other.id, Role.TECHNICIAN)))
    name = draft.rpartition("/")[2]
    for path in ("", "/versions", "/versions/1", "/diff", f"/drafts/{name}"):
        assert tom.get(f"/o/{org.id}/policy{path}").status == 404, path
    for path in ("versions/1/try", "versions/1/activate", f"drafts/{name}/look", f"drafts/{name}/save"):
        assert tom.post(f"/o/{org.id}/policy/{path}").status == 404, path
    assert send(tom, org, OURS).status == 404
    # Nor is somebody's draft to anybody else, in this organisation or another.
    assert tom.get(f"/o/{other.id}/policy/drafts/{name}").status == 404
    eve = lab.browser(lab.staff("Eve", OWNER))
    assert eve.get(draft).status == 404
    # Explain tells nothing of others: a stranger's account answers like nobody's.
    answers = [
        text_of(tom.get(f"/o/{other.id}/policy?door=imap&rung=device-secret&account={who}@acme.example"))
        for who in ("ann", "nobody")
    ]
    assert answers[0].replace("ann@", "nobody@") == answers[1]


def test_explain_by_both_policies(lab: Lab) -> None:
    org = acme(lab)
    org.policies.add(OURS, **lab.act)
    ann = lab.browser(lab.staff("Ann", OWNER))
    draft = send(ann, org, DENY + OURS, act="check").location
    question = "?door=imap&account=ann@acme.example&rung=device-secret"
    one = text_of(ann.get(f"/o/{org.id}/policy{question}"))
    assert "By the policy in force Let in" in one
    both = text_of(ann.get(draft + question))
    assert "By the policy in force Let in" in both
    assert "By this draft Refuse" in both
    assert "IMAP is closed." in both
    wrong = ann.get(f"/o/{org.id}/policy{question}&source=nowhere")
    assert wrong.status == 422
    assert "nowhere" in text_of(wrong)
    lab.later(2 * 3600)  # the answer is not "the policy's news is old"
    fresh = lab.browser(lab.staff("Bob", OWNER))
    assert "By the policy in force Let in" in text_of(fresh.get(f"/o/{org.id}/policy{question}"))


def test_a_text_of_512_kib(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann", OWNER))
    head = OURS + "# "
    text = head + "ä" * (262_144 - len(head) - 1) + "\n"
    assert len(text.encode()) > 500 * 1024
    draft = send(ann, org, text).location
    assert ann.post(f"{draft}/save", expected="1").status == 303
    assert org.policies.get(2).source == text
    longer = ann.get(send(ann, org, text + "#").location)
    assert "longer than 262144 characters" in longer.text
    assert send(ann, org, "#" * (1024 * 1024 + 1)).status == 400
    assert send(ann, org, "#" * (7 * 1024 * 1024)).status == 413


def test_hostile_text_is_text(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann", OWNER))
    evil = "</textarea><script>alert(1)</script>"
    rule = (
        f'[[rule]]\nname = "x"\nopinion = "deny"\ngroups = ["{evil}"]\nsentence = "{evil}"\n# \u202e{evil}\n'
    )
    draft = send(ann, org, rule + OURS).location
    bad = send(ann, org, f'"{evil}" = 1\n').location
    ann.post(f"{draft}/save", expected="1", note=evil)
    pages = [ann.get(bad)]
    for path in ("", "/versions", "/versions/2", "/diff?older=1&newer=2", "/diff?older=1&newer=2&view=side"):
        pages.append(ann.get(f"/o/{org.id}/policy{path}"))
    for page in pages:
        assert page.status == 200
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert" in page.text
    assert "\\u{202E}" in pages[-1].text
    assert "\u202e" not in pages[-1].text


def test_differences_say_in_words_what_they_are(lab: Lab) -> None:
    org = acme(lab)
    org.policies.add(DENY + OURS, **lab.act)
    ann = lab.browser(lab.staff("Ann", OWNER))
    page = ann.get(f"/o/{org.id}/policy/diff?older=1&newer=2")
    assert "From Version 1 to Version 2" in text_of(page)
    assert page.text.count('<span class="diff-word">removed</span>') == 4
    assert "the same in both" in page.text
    side = ann.get(f"/o/{org.id}/policy/diff?older=1&newer=2&view=side")
    assert '<span class="diff-word">added</span> <code>name = &#34;no-imap&#34;</code>' in side.text
    assert ann.get(f"/o/{org.id}/policy/diff?older=1&newer=9").status == 404


def test_much_is_looked_through_at_length_and_can_be_cancelled(lab: Lab) -> None:
    org = acme(lab, 0)
    count = operations.IN_REQUEST + 7
    lab.events(password(org.id, i) for i in range(count))
    ann = lab.browser(lab.staff("Ann", OWNER))
    draft = send(ann, org, OURS).location
    lab.world.works.join()
    page = text_of(ann.get(draft))
    assert f"Would have refused {count} of {count}" in page
    assert "And" not in page
    work = lab.world.works.of(org.id)[0]
    assert ann.get(f"/o/{org.id}/progress/{work.id}").status == 200


def test_a_draft_is_over_after_eight_hours_and_nine_newer_ones(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann", OWNER))
    first = send(ann, org, OURS, act="check").location
    assert "You began a draft" in ann.get(f"/o/{org.id}/policy").text
    for _ in range(8):
        lab.later(1)
        last = send(ann, org, OURS, act="check").location
    assert ann.get(first).status == 404
    assert ann.get(last).status == 200


def test_in_german(lab: Lab) -> None:
    org = acme(lab)
    ann = lab.browser(lab.staff("Ann", OWNER), language="de")
    assert "Fassung 1 gilt" in text_of(ann.get(f"/o/{org.id}/policy"))
    assert "Hätte 3 von 3 Anmeldungen abgewiesen" in text_of(ann.get(send(ann, org, OURS).location))
