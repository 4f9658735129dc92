"""The page Organisations: who sees which, the sentences that filter, and what is set for one."""

from __future__ import annotations

import re

import pytest

from console.lab import Lab, facts
from gambeson.console.office import CloudService
from gambeson.console.operations import organisations
from gambeson.model.access import DoorKind, Mode
from gambeson.model.finding import Finding, Severity
from gambeson.model.staff import EVERY, Grant, Role

OWNER = Grant(EVERY, Role.OWNER)
SIDE = """
[[exception]]
name = "scanner"
door = "imap"
rung = "knowledge"
until = 2026-10-10
owner = "Ann"
reason = "the old scanner"
groups = ["machines"]
"""


def rows(text: str) -> list[str]:
    """The names in the table, in its order."""
    return re.findall(r'<th scope="row"><a href="/o/[^"]+/today">([^<]+)</a>', text)


def sentence(text: str, what: str) -> str:
    found = re.search(rf"has={what}[^>]*>([^<]+)</a>", text)
    return found[1] if found else ""


def finding(severity: Severity) -> Finding:
    return Finding("", "", "door", "imap", "test.rule", "Something", severity, "because")


def many(lab: Lab) -> dict[str, str]:
    """Six organisations, each with something of its own; ids by name."""
    made = {
        name: lab.organisation(name, f"{name.lower()}.example") for name in ("Aa", "Bb", "Cc", "Dd", "Ee")
    }
    made["Ff"] = lab.organisation("Ff")
    for name in ("Aa", "Bb"):
        account = made[name].accounts.create(f"a@{name.lower()}.example", groups=["machines"], **lab.act)
        if name == "Aa":
            made[name].devices.create(account.id, "Phone", doors=[DoorKind.IMAP], **lab.act)
    made["Bb"].policies.add(SIDE, **lab.act)
    made["Cc"].findings.open(finding(Severity.CRITICAL), **lab.act)
    made["Dd"].bypass.open(lab.clock.now + 600, "fire", **lab.act)
    made["Ee"].modes.set(DoorKind.IMAP, Mode.OBSERVE, until=lab.clock.now + 86400, **lab.act)
    return {name: each.id for name, each in made.items()}


SENTENCES = {
    "side-doors": ["Bb"],
    "critical": ["Cc"],
    "bypass": ["Dd"],
    "not-enforcing": ["Ee"],
    "nobody-enrolled": ["Bb"],
    "exceptions-ending": ["Bb"],
    "findings": ["Cc"],
    "no-domain": ["Ff"],
}


def test_every_sentence_counts_and_filters(lab: Lab) -> None:
    many(lab)
    browser = lab.browser(lab.staff("Ann", OWNER))
    page = browser.get("/organisations").text
    assert set(SENTENCES) == set(organisations.HAS)
    assert rows(page) == ["Cc", "Dd", "Bb", "Ee", "Aa", "Ff"]  # the most exposed first
    for what, names in SENTENCES.items():
        assert sentence(page, what).startswith(f"{len(names)} of 6 organisations have"), what
        assert rows(browser.get(f"/organisations?has={what}").text) == names
    assert rows(browser.get("/organisations?search=BB.exa").text) == ["Bb"]
    assert rows(browser.get("/organisations?has=nonsense").text) == ["Cc", "Dd", "Bb", "Ee", "Aa", "Ff"]
    assert "None fits" in browser.get("/organisations?search=zz&has=critical").text
    assert "1 Critical" in page
    assert "bypass open until" in page
    german = lab.browser(next(iter(lab.store.staff.list())), language="de").get("/organisations").text
    assert "1 von 6 Organisationen haben offene Nebentüren" in german


def test_what_time_alone_changes_is_seen(lab: Lab) -> None:
    """An exception that ends, and one whose last thirty days begin: nothing was changed, and the page says so."""
    ids = many(lab)
    late = SIDE.replace("2026-10-10", "2026-12-24")
    lab.store.organisation(ids["Cc"]).policies.add(late, **lab.act)
    ann = lab.staff("Ann", OWNER)
    page = lab.browser(ann).get("/organisations").text
    assert sentence(page, "exceptions-ending").startswith("1 of 6")
    lab.later(20 * 86400)  # Bb's is over
    page = lab.browser(ann).get("/organisations").text
    assert (sentence(page, "side-doors"), sentence(page, "exceptions-ending")) == ("", "")
    lab.later(60 * 86400)  # Cc's ends in less than thirty days
    assert sentence(lab.browser(ann).get("/organisations").text, "exceptions-ending").startswith("1 of 6")


def test_only_what_changed_is_reckoned_anew(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = many(lab)
    browser = lab.browser(lab.staff("Ann", OWNER))
    asked: list[str] = []
    real = organisations._reckon

    def counted(index, id, served, at):  # type: ignore[no-untyped-def]
        asked.append(id)
        return real(index, id, served, at)

    monkeypatch.setattr(organisations, "_reckon", counted)
    browser.get("/organisations")
    assert sorted(asked) == sorted(ids.values())
    asked.clear()
    browser.get("/organisations")
    assert asked == []
    lab.store.organisation(ids["Aa"]).accounts.create("b@aa.example", **lab.act)
    browser.get("/organisations")
    assert asked == [ids["Aa"]]


def test_each_sees_their_own(lab: Lab) -> None:
    ids = many(lab)
    lab.staff("Root", OWNER)
    grants = (Grant(ids["Aa"], Role.AUDITOR), Grant(ids["Cc"], Role.OWNER))
    browser = lab.browser(lab.staff("Tom", *grants))
    page = browser.get("/organisations").text
    assert rows(page) == ["Cc", "Aa"]
    assert sentence(page, "critical").startswith("1 of 2")
    assert "Bb" not in page
    assert "Add an organisation" not in page
    assert browser.post("/organisations", name="New").status == 404
    assert browser.get(f"/organisations/{ids['Bb']}").status == 404
    assert browser.post(f"/organisations/{ids['Aa']}/name", name="X").status == 403
    assert browser.post(f"/organisations/{ids['Cc']}/name", name="Cece").status == 303
    # A domain is another's before it is yours: only for an owner of every organisation.
    assert browser.post(f"/organisations/{ids['Cc']}/domains", domain="bb2.example").status == 404
    nobody = lab.browser(lab.staff("Nemo")).get("/organisations").text
    assert "You have no role" in nobody


def test_an_organisation_from_its_name_to_its_clouds(lab: Lab) -> None:
    lab.world.facts = facts(clouds=(CloudService("microsoft", "Microsoft"),))
    browser = lab.browser(lab.staff("Ann", OWNER))
    assert "There is no organisation yet" in browser.get("/organisations").text
    answer = browser.post("/organisations", name="Acme", domains="acme.example, mail.acme.example")
    path = answer.location.partition("?")[0]
    assert answer.location.endswith("?said=waiting")  # no worker runs here, and the page says so
    assert "Not every door has said yet" in browser.get(answer.location).text
    assert browser.post("/organisations", name="ACME").status == 409
    assert browser.post("/organisations", name="Other", domains="acme.example").status == 409
    assert browser.post(f"{path}/domains", domain="third.example").status == 303
    assert browser.post(f"{path}/domains/remove", domain="mail.acme.example").status == 303
    assert browser.post(f"{path}/domains", domain="no domain").status == 409
    for given, status in (("1,5", 303), ("200", 409), ("many", 422), ("nan", 409), ("-1", 409)):
        assert browser.post(f"{path}/hours", hours=given).status == status, given
    assert browser.post(f"{path}/clouds", cloud="microsoft", allowed="yes").status == 303
    assert browser.post(f"{path}/clouds", cloud="nobody", allowed="yes").status == 422
    page = browser.get(path).text
    for text in ("third.example", 'value="1.5"', "may come in"):
        assert text in page
    assert "mail.acme.example" not in page
    made = lab.store.organisations()[0]
    assert made.clouds == ("microsoft",)
    assert browser.post(f"{path}/clouds", cloud="microsoft", allowed="no").status == 303
    assert lab.store.organisations()[0].clouds == ()


def test_what_gives_something_wants_a_passkey_shown_just_now(lab: Lab) -> None:
    acme = lab.organisation("Acme", "acme.example")
    browser = lab.browser(lab.staff("Ann", OWNER), fresh=False)
    for path in ("", f"/{acme.id}/domains", f"/{acme.id}/domains/remove", f"/{acme.id}/clouds"):
        assert browser.post(f"/organisations{path}").location.startswith("/step-up")


def test_fifty_on_a_page(lab: Lab) -> None:
    for n in range(53):
        lab.organisation(f"Org {n:02d}", f"o{n}.example")
    browser = lab.browser(lab.staff("Ann", OWNER))
    first = browser.get("/organisations")
    assert len(rows(first.text)) == 50
    assert len(rows(browser.get("/organisations?offset=50").text)) == 3
