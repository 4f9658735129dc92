"""People and devices in the browser: who finds whom, which acts which role has, and what a stranger gets (nothing)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from console.lab import T0, Answer, Browser, Lab
from gambeson.console.operations.quarantine import PAGE as QUEUE
from gambeson.model.access import DoorKind, Mode
from gambeson.model.asset import CredentialKind, DeviceState
from gambeson.model.event import Event
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.people import Wanted
from gambeson.store.tenant import OrganisationStore

OWNER = Grant(EVERY, Role.OWNER)


class Place:
    """Acme with Ann, who has everything, and Ben, who has nothing; Umbrella with Eve; and a browser of an owner."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.acme = lab.organisation("Acme", "acme.example")
        self.other = lab.organisation("Umbrella", "umbrella.example")
        act = lab.act
        self.acme.accounts.create(
            "ann@acme.example", id="acc-ann", groups=["Sales"], aliases=["info@acme.example"], **act
        )
        self.acme.accounts.create("ben@acme.example", id="acc-ben", **act)
        self.other.accounts.create("eve@umbrella.example", id="acc-eve", **act)
        device(self.acme, "acc-ann", "dev-phone", "Phone")
        device(self.acme, "acc-ann", "dev-new", "New phone", DeviceState.QUARANTINED)
        device(self.other, "acc-eve", "dev-eve", "Eve's phone", DeviceState.QUARANTINED)
        self.factor = self.acme.authenticators.add(
            "acc-ann", AuthenticatorKind.PASSKEY, name="Key", public_id=b"x" * 16, public_key=b"COSE", **act
        ).id
        self.session = self.acme.web_sessions.open(
            "acc-ann", "knowledge-and-code", b"s" * 32, source="192.0.2.9", **act
        ).id
        self.acme.eas_devices.decide("acc-ann", "apple1", "quarantined", **act)
        self.base = f"/o/{self.acme.id}/people"
        self.owner = lab.browser(lab.staff("Owner", OWNER))

    def browser(self, role: Role | None) -> Browser:
        if role is None:
            grant = Grant(self.other.id, Role.OWNER)
        else:
            grant = Grant(self.acme.id, role, T0 + 3600 if role is Role.RESPONDER else 0.0)
        return self.lab.browser(self.lab.staff(f"One {role}", grant))


def device(
    org: OrganisationStore,
    account: str,
    id: str,
    name: str,
    state: DeviceState = DeviceState.REGISTERED,
) -> None:
    doors = (DoorKind.IMAP, DoorKind.SUBMISSION)
    org.devices.create(account, name, id=id, doors=doors, state=state, by="root", at=T0)
    org.credentials.add(id, CredentialKind.DEVICE_SECRET, id, verifier=b"v" * 32, by="root", at=T0)


@pytest.fixture
def place(lab: Lab) -> Place:
    return Place(lab)


def found(answer: Answer) -> list[str]:
    """The addresses in the list."""
    assert answer.status == 200, answer.text
    return re.findall(r'<th scope="row"><a href="[^"]*">([^<]+)</a>', answer.text)


@pytest.mark.parametrize(
    ("query", "who"),
    [
        ("", ["ann", "ben"]),
        ("?q=AN", ["ann"]),
        ("?q=info", ["ann"]),
        ("?q=eve", []),
        ("?group=Sales", ["ann"]),
        ("?only=without-device", ["ben"]),
        ("?only=without-factor", ["ben"]),
        ("?only=off", []),
        ("?only=side-door", []),
        ("?only=nonsense&door=%00", ["ann", "ben"]),
        ("?offset=x", ["ann", "ben"]),
    ],
)
def test_the_list(place: Place, query: str, who: list[str]) -> None:
    if "%00" in query:
        assert place.owner.get(place.base + query).status == 400
        return
    assert found(place.owner.get(place.base + query)) == [f"{name}@acme.example" for name in who]


def test_a_side_door_is_said_in_words_and_leads_to_its_accounts(place: Place) -> None:
    page = place.owner.get(place.base).text
    assert "No account gets past the proof" in page
    place.acme.modes.set(
        DoorKind.IMAP, Mode.OBSERVE, account="acc-ben", until=T0 + 86400, reason="trial", **place.lab.act
    )
    page = place.owner.get(place.base).text
    assert "1 accounts get past the proof that is demanded" in page
    assert "the door only observes: 1" in page
    link = re.search(r'href="([^"]*only=side-door[^"]*)"', page)
    assert link is not None
    there = place.owner.get(link[1].replace("&amp;", "&"))
    assert found(there) == ["ben@acme.example"]
    assert '<strong class="side-door">side door</strong>' in there.text
    assert found(place.owner.get(f"{place.base}?only=side-door&door=pop3")) == []
    person = place.owner.get(f"{place.base}/acc-ben").text
    assert "the door only observes" in person


def test_an_empty_organisation_says_what_to_do(lab: Lab) -> None:
    org = lab.organisation("New", "new.example")
    page = lab.browser(lab.staff("Owner", OWNER)).get(f"/o/{org.id}/people").text
    assert "There are no accounts yet" in page


def test_ten_thousand_cost_as_many_statements_as_two(lab: Lab) -> None:
    org = lab.organisation("Acme", "acme.example")
    org.accounts.create("a@acme.example", **lab.act)
    owner = lab.browser(lab.staff("Owner", OWNER))
    few = statements(lab, owner, f"/o/{org.id}/people")
    for start in range(0, 10_000, 500):
        org.people.write([Wanted(f"p{start + i:05}@acme.example") for i in range(500)], **lab.act)
    owner.get(f"/o/{org.id}/people")
    lab.later(1.0)
    many = statements(lab, owner, f"/o/{org.id}/people?q=p&offset=5000")
    assert many <= few + 4, (few, many)
    assert many <= 32
    page = owner.get(f"/o/{org.id}/people?offset=9950").text
    assert "9951 to 10000 of 10001" in page


def statements(lab: Lab, browser: Browser, path: str) -> int:
    browser.get(path)  # what is reckoned once
    count = 0

    def counted(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal count
        count += statement.startswith("SELECT")

    sa.event.listen(sa.Engine, "before_cursor_execute", counted)
    try:
        assert browser.get(path).status == 200
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", counted)
    return count


def test_a_person_as_a_whole(place: Place) -> None:
    place.lab.events(
        [
            Event("e1", T0 - 60, "door.login.allowed", place.acme.id, "acc-ann", "dev-phone", "imap", "192.0.2.1",
                  {"rung": "device-secret", "program": "Thunderbird <b>"}),
            Event("e2", T0 - 50, "door.login.refused", place.acme.id, "acc-ann", "", "imap", "192.0.2.66",
                  {"rung": "knowledge", "reason": "below-floor", "country": "NZ"}),
            Event("e3", T0 - 40, "door.message.sent", place.acme.id, "acc-ann", "dev-phone", "submission"),
        ]
    )  # fmt: skip
    page = place.owner.get(f"{place.base}/acc-ann").text
    for said in ("info@acme.example", "Sales", "New phone", "in quarantine", "1 minute ago", "apple1", "Key"):
        assert said in page, said
    for said in ("below-floor", "(NZ)", "192.0.2.66", "Thunderbird &lt;b&gt;", "The worker does not answer"):
        assert said in page, said
    assert "submission</td>" not in page
    assert place.owner.get(f"{place.base}/acc-ben").status == 200
    assert place.owner.get(f"{place.base}/acc-nobody").status == 404


MAY_ALL = {Role.OWNER, Role.TECHNICIAN}
MAY_CONTAIN = {*MAY_ALL, Role.RESPONDER}
MAY_READ = {*MAY_CONTAIN, Role.AUDITOR}
ACTS: list[tuple[str, dict[str, str], set[Role]]] = [
    ("quarantine", {"act": "approve device dev-new"}, MAY_ALL),
    ("quarantine", {"act": "block device dev-new"}, MAY_CONTAIN),
    ("quarantine", {"act": "approve eas acc-ann apple1"}, MAY_ALL),
    ("quarantine", {"act": "block", "item-1": "eas acc-ann apple1"}, MAY_CONTAIN),
    ("acc-ann/devices", {"act": "approve dev-new"}, MAY_ALL),
    ("acc-ann/devices", {"act": "block dev-new"}, MAY_CONTAIN),
    ("acc-ann/devices", {"act": "lose dev-new"}, MAY_CONTAIN),
    ("acc-ann/devices", {"act": "revoke dev-new"}, MAY_CONTAIN),
    ("acc-ann/devices", {"act": "revoke", "device-1": "dev-new", "device-2": "dev-phone"}, MAY_CONTAIN),
    ("acc-ann/phones", {"act": "allowed", "phone": "apple1"}, MAY_ALL),
    ("acc-ann/phones", {"act": "blocked", "phone": "apple1"}, MAY_CONTAIN),
    ("acc-ann/phones", {"act": "forget", "phone": "apple1"}, MAY_ALL),
    ("acc-ann/sessions", {}, MAY_CONTAIN),
    ("acc-ann/state", {"act": "off"}, MAY_CONTAIN),
    ("acc-ann/state", {"act": "on"}, MAY_ALL),
    ("acc-ann/factors", {}, MAY_ALL),
    ("acc-ann/names", {"aliases": "", "groups": "Boss"}, MAY_ALL),
    ("acc-ann/device", {"name": "Third", "door-imap": "yes"}, MAY_ALL),
    ("acc-ann/leave", {}, MAY_ALL),
    ("new", {"address": "cleo@acme.example"}, MAY_ALL),
]


@pytest.mark.parametrize("role", [*Role, None])
def test_acts_by_role(place: Place, role: Role | None) -> None:
    browser = place.browser(role)
    for path, form, allowed in ACTS:
        before = place.lab.store.change_counter()
        answer = browser.post(f"{place.base}/{path}", **form)
        if role in allowed:
            assert answer.status in (200, 303), (path, form, answer.status, answer.text)
            assert place.lab.store.change_counter() > before, path
        else:
            assert answer.status == (404 if role is None else 403), (path, form, answer.status)
            assert place.lab.store.change_counter() == before, path


@pytest.mark.parametrize("role", [*Role, None])
def test_pages_by_role(place: Place, role: Role | None) -> None:
    browser = place.browser(role)
    pages = {"": MAY_READ, "/acc-ann": MAY_READ, "/quarantine": MAY_READ, "/export": MAY_READ}
    pages |= {f"/{p}": MAY_ALL for p in ("new", "import", "acc-ann/device", "acc-ann/leave")}
    for path, allowed in pages.items():
        status = browser.get(place.base + path).status
        assert status == (200 if role in allowed else 404 if role is None else 403), path


def test_another_organisations_things_are_not_there(place: Place) -> None:
    """In one's own path, and by somebody who may everything everywhere."""
    eve, before = f"{place.base}/acc-eve", place.lab.store.change_counter()
    assert [place.owner.get(eve + p).status for p in ("", "/device", "/leave")] == [404] * 3
    for path, form, _ in ACTS:
        if path.startswith("acc-ann"):
            answer = place.owner.post(f"{place.base}/{path.replace('acc-ann', 'acc-eve')}", **form)
            assert answer.status == 404, path
    for act in ("approve dev-eve", "block dev-eve", "revoke dev-eve"):
        assert place.owner.post(f"{place.base}/acc-ann/devices", act=act).status == 404
        assert place.owner.post(f"{place.base}/acc-ben/devices", act=act.replace("eve", "new")).status == 404
    for act in ("approve device dev-eve", "block eas acc-eve x"):
        assert place.owner.post(f"{place.base}/quarantine", act=act).status == 404
    assert place.owner.post(f"{place.base}/acc-ben/factors", factor=place.factor).status == 404
    assert place.lab.store.change_counter() == before
    assert "dev-eve" not in place.owner.get(f"{place.base}/quarantine").text


def test_what_cannot_be_taken_back_asks_for_the_passkey_again(place: Place) -> None:
    stale = place.lab.browser(place.lab.staff("Tired", OWNER), fresh=False)
    before = place.lab.store.change_counter()
    marked = {"act": "revoke", "device-1": "dev-new", "device-2": "dev-phone"}
    for path, form in (("leave", {}), ("factors", {}), ("devices", marked)):
        answer = stale.post(f"{place.base}/acc-ann/{path}", **form)
        assert answer.location.startswith("/step-up?back="), path
    assert place.lab.store.change_counter() == before
    assert stale.post(f"{place.base}/acc-ann/devices", act="block dev-phone").status == 303


def test_nonsense_changes_nothing(place: Place) -> None:
    before = place.lab.store.change_counter()
    for path, form, status in (
        ("acc-ann/devices", {}, 400),
        ("acc-ann/devices", {"act": "approve"}, 422),
        ("acc-ann/devices", {"act": "eat dev-new"}, 400),
        ("acc-ann/phones", {"act": "eaten", "phone": "apple1"}, 400),
        ("acc-ann/phones", {"act": "blocked", "phone": "ä"}, 409),
        ("acc-ann/state", {"act": "maybe"}, 400),
        ("quarantine", {"act": "approve"}, 422),
        ("quarantine", {"act": "approve elephant"}, 400),
        ("quarantine", {"act": "approve eas acc-ann"}, 400),
    ):
        assert place.owner.post(f"{place.base}/{path}", **form).status == status, (path, form)
    assert place.lab.store.change_counter() == before


def test_a_device_gets_its_secret_once(place: Place) -> None:
    path = f"{place.base}/acc-ben/device"
    assert place.owner.get(path).status == 200
    for form, status in (
        ({"name": "Scanner"}, 422),  # no door
        ({"name": "", "door-imap": "yes"}, 409),
        ({"name": "x", "door-imap": "yes", "expires": "soon"}, 422),
        ({"name": "x", "door-imap": "yes", "expires": "2020-01-01"}, 422),
        ({"name": "x", "door-imap": "yes", "kind": "machine", "networks": "192.0.2.0/24"}, 422),
    ):
        answer = place.owner.post(path, **form)
        assert answer.status == status, form
        assert 'role="alert"' in answer.text
    assert place.acme.devices.count(account="acc-ben") == 0
    answer = place.owner.post(path, name="Phone", expires="2027-01-01", **{"door-imap": "yes"})
    secret = re.search(r"gam-[0-9a-z]{8}-[0-9a-z]{32}", answer.text)
    assert answer.status == 200
    assert secret is not None
    (made,) = place.acme.devices.list(account="acc-ben")
    assert made.doors == (DoorKind.IMAP,)
    assert made.expires_at == 1798847999.0  # the day's end, in UTC
    (credential,) = place.acme.credentials.list(device=made.id)
    assert credential.verifier == place.lab.world.keeper.secret_verifier(secret[0])
    assert secret[0] not in place.owner.get(f"{place.base}/acc-ben").text
    assert place.acme.audit(limit=1)[0].by.startswith("Owner")
    assert place.owner.post(path, name="Phone", **{"door-imap": "yes"}).status == 409
    machine = {"kind": "machine", "networks": "192.0.2.0/24", "owner": "Ben", "review": "2027-06-01"}
    assert place.owner.post(path, name="Scanner", **machine, **{"door-submission": "yes"}).status == 200


def test_a_revoked_device_is_not_let_in_again(place: Place) -> None:
    place.owner.post(f"{place.base}/acc-ann/devices", act="revoke dev-new")
    answer = place.owner.post(f"{place.base}/acc-ann/devices", act="approve dev-new")
    assert answer.status == 409
    assert "register it anew" in answer.text


def test_the_queue(place: Place) -> None:
    def refused(id: str, at: float, phone: str, why: str, account: str = "acc-ann") -> Event:
        data = {"device_id": phone, "why": why, "program": "iPhone", "rung": "device-secret"}
        return Event(id, at, "door.eas.refused", place.acme.id, account, "", "eas", "198.51.100.7", data)

    place.lab.events(
        [
            Event("q1", T0 - 10, "door.login.refused", place.acme.id, "acc-ann", "dev-new", "imap", "192.0.2.50",
                  {"program": "K-9", "rung": "device-secret", "country": "IS"}),
            refused("q2", T0 - 7200, "Other1", "eas-other-device"),
            refused("q3", T0 - 3600, "OTHER1", "eas-other-device"),
            refused("q4", T0 - 100, "held", "eas-quarantined"),  # its device is there already
            refused("q5", T0 - 40 * 86400, "old", "eas-other-device"),
        ]
    )  # fmt: skip
    page = place.owner.get(f"{place.base}/quarantine").text
    for said in ("Waiting: 3", "New phone", "K-9", "192.0.2.50", "(IS)", "other1", "apple1", "198.51.100.7"):
        assert said in page, said
    assert "came with another phone&#39;s secret" in page
    assert ">held<" not in page
    assert ">old<" not in page
    # What comes later is seen later, and what was decided is out.
    place.lab.later(60)
    place.lab.events([refused("q6", T0 + 30, "third", "eas-too-many-devices", "acc-ben")])
    assert "third" in place.owner.get(f"{place.base}/quarantine").text
    done = place.owner.post(
        f"{place.base}/quarantine",
        act="approve",
        **{
            "item-1": "device dev-new",
            "item-2": "eas acc-ann other1",
            "item-3": "eas acc-ben third",
            "door-imap": "y",
        },
    )
    assert done.location.endswith("?said=waiting")  # nothing runs
    assert place.acme.devices.get("dev-new").doors == (DoorKind.IMAP,)
    assert place.acme.devices.get("dev-new").state is DeviceState.REGISTERED
    assert {d.device_id: d.decision for d in place.acme.eas_devices.list(account="acc-ann")} == {
        "apple1": "quarantined",
        "other1": "allowed",
    }
    assert "Waiting: 1" in place.owner.get(f"{place.base}/quarantine").text
    place.owner.post(f"{place.base}/quarantine", act="block eas acc-ann apple1")
    page = place.owner.get(f"{place.base}/quarantine").text
    assert "Nothing waits." in page


def test_the_queue_has_pages(place: Place) -> None:
    for i in range(QUEUE + 3):
        device(place.acme, "acc-ben", f"dev-{i}", f"Phone {i}", DeviceState.QUARANTINED)
    first = place.owner.get(f"{place.base}/quarantine").text
    second = place.owner.get(f"{place.base}/quarantine?offset={QUEUE}").text
    names = [re.findall(r'value="((?:device|eas) [^"]+)" aria-label="Mark', page) for page in (first, second)]
    assert [len(n) for n in names] == [QUEUE, 5]  # with Ann's device and her phone
    assert len({*names[0], *names[1]}) == QUEUE + 5
    form = {f"item-{i}": key for i, key in enumerate(names[0])} | {f"door-{d}": "y" for d in ("imap", "eas")}
    assert place.owner.post(f"{place.base}/quarantine", act="approve", **form).status == 303


def test_somebody_leaves(place: Place) -> None:
    acme, act = place.acme, place.lab.act
    acme.accounts.seal_password("acc-ann", b"box", **act)
    acme.binding_codes.make("acc-ann", b"c" * 32, **act)
    page = place.owner.get(f"{place.base}/acc-ann/leave").text
    for said in ("ann@acme.example is switched off", "Phone is revoked", "New phone is revoked", "apple1 is blocked",
                 "Sessions at the portal end: 1", "Second factors are removed: 1", "sealed password", "is good no more",
                 "info@acme.example still lead", "forwarding rules", "is not known now"):  # fmt: skip
        assert said in page, said
    answer = place.owner.post(f"{place.base}/acc-ann/leave")
    assert answer.status == 200
    assert "did not say yet that they act on it: worker" in answer.text
    assert "no session was closed at the doors" in answer.text
    assert "forwarding rules" in answer.text
    who = acme.accounts.get("acc-ann")
    assert (who.enabled, who.sealed_password) == (False, b"")
    assert {d.state for d in acme.devices.list(account="acc-ann")} == {DeviceState.BLOCKED}
    assert all(c.revoked_at for c in acme.credentials.list(device="dev-phone"))
    assert acme.authenticators.list("acc-ann") == []
    assert acme.web_sessions.list("acc-ann", place.lab.clock.now) == []
    assert acme.binding_codes.pending("acc-ann", place.lab.clock.now) == 0
    assert acme.eas_devices.list(account="acc-ann")[0].decision == "blocked"
    # Who leaves once has left.
    assert "All of it has ended already" in place.owner.get(f"{place.base}/acc-ann/leave").text
    acts = {entry.action for entry in acme.audit(limit=20)}
    assert {"account.changed", "device.revoked", "authenticator.all-removed", "eas-device.decided"} <= acts


def test_break_glass_shuts_out_and_lets_nobody_in(place: Place) -> None:
    glass = place.lab.browser(None, how="break-glass")
    if glass.get(place.base).status != 200:
        pytest.skip("a break-glass session is made otherwise")
    assert glass.post(f"{place.base}/acc-ann/devices", act="block dev-phone").status == 303
    assert glass.post(f"{place.base}/acc-ann/state", act="off").status == 303
    assert glass.post(f"{place.base}/acc-ann/devices", act="approve dev-new").status == 403
    assert glass.post(f"{place.base}/acc-ann/device", name="x", **{"door-imap": "y"}).status == 403


def test_one_person_more(place: Place) -> None:
    path = f"{place.base}/new"
    assert place.owner.get(path).status == 200
    for form, status in (
        ({"address": "nobody"}, 409),
        ({"address": "x@umbrella.example"}, 409),
        ({"address": "info@acme.example"}, 409),
        ({"address": "x@acme.example", "server": "nowhere"}, 422),
    ):
        answer = place.owner.post(path, **form)
        assert answer.status == status, form
        assert f'value="{form["address"]}"' in answer.text
    answer = place.owner.post(
        path, address="Cleo@acme.example", groups="Sales\nBig Boss", aliases="c@acme.example, d@acme.example"
    )
    assert answer.status == 303
    made = place.acme.accounts.find("cleo@acme.example")
    assert (made.groups, made.aliases) == (("Sales", "Big Boss"), ("c@acme.example", "d@acme.example"))
    assert answer.location == f"{place.base}/{made.id}?said=saved"
    place.owner.post(f"{place.base}/{made.id}/names", aliases="", groups="Sales")
    assert place.acme.accounts.get(made.id) == replace(made, aliases=(), groups=("Sales",))


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_is_there_in_both_languages(place: Place, language: str) -> None:
    browser = place.browser(Role.OWNER)
    browser.language = language
    words = {"en": "People and devices", "de": "Personen und Geräte"}[language]
    for path in ("", "/acc-ann", "/quarantine", "/import", "/acc-ann/device", "/acc-ann/leave", "/new"):
        answer = browser.get(place.base + path)
        assert answer.status == 200, path
        assert words in answer.text
