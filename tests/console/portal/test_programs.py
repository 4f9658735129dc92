"""Which mail programs are offered where, with which doors; and what their pages show of ``guard/data/clients``."""

from __future__ import annotations

import html
import plistlib
import re
from typing import Any

import pytest

from console.portal.browser import ORIGIN, World
from console.portal.test_things import link_of, secret_of, signed_in
from gambeson.console.portal import MailService, PortalSettings, programs
from gambeson.console.portal.texts import load_texts
from gambeson.guard.core.web.clients import SetUp, load_clients

TEXTS = load_texts()
IMAP, SUBMISSION = (
    MailService("imap", "mail.example.org", 993),
    MailService("submission", "mail.example.org", 465),
)
EXCHANGE = ("eas", "ews", "mapi", "oab", "autodiscover")
EVERYTHING: dict[str, Any] = {
    "mail": (IMAP, SUBMISSION, MailService("pop3", "mail.example.org", 995)),
    "eas_host": "owa.example.org:8443",
    "certificate_host": "device.example.org:8443",
    "web_doors": EXCHANGE,
    "autoconfig": "https://owa.example.org:8443/.well-known/autoconfig/mail/config-v1.1.xml",
}


CLOUDS = ("microsoft",)


def offered(clouds: tuple[str, ...] = (), **given: Any) -> dict[str, programs.Program]:
    return {one.id: one for one in programs.offered(PortalSettings(ORIGIN, **given), TEXTS, clouds)}


def test_with_all_doors_everybody_is_offered_but_clouds_and_machines() -> None:
    expected = {
        one.id for one in load_clients().all if not one.cloud and one.setup is not SetUp.ADMINISTRATOR
    }
    assert set(offered(**EVERYTHING)) == {*expected, "other"}
    assert "scanner" not in expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"other"}),
        ({"mail": (SUBMISSION,)}, {"other"}),
        (
            {"mail": (IMAP, SUBMISSION)},
            {"apple-mail-mac", "gmail-app", "ios-mail-imap", "samsung-email", "thunderbird", "other"},
        ),
        (
            {"eas_host": "mail.example.org"},  # SOGo: ActiveSync alone
            {"gmail-app", "ios-mail-exchange", "samsung-email", "other"},
        ),
        (
            {"eas_host": "mail.example.org", "clouds": CLOUDS},
            {
                *("gmail-app", "ios-mail-exchange", "samsung-email", "outlook-mobile", "outlook-new"),
                "other",
            },
        ),
    ],
    ids=["nothing", "sending", "mail", "activesync", "clouds"],
)
def test_a_program_is_offered_where_it_can_read(given: dict[str, Any], expected: set[str]) -> None:
    assert set(offered(**given)) == expected


@pytest.mark.parametrize("id", [one.id for one in load_clients().all])
def test_doors_are_the_programs_own_that_are_set_up_here(id: str) -> None:
    known = next(one for one in load_clients().all if one.id == id)
    for given in (EVERYTHING, {"mail": (IMAP, SUBMISSION)}, {"mail": (IMAP,), "eas_host": "m.example.org"}):
        settings = PortalSettings(ORIGIN, **given)
        found = programs.find(settings, TEXTS, CLOUDS, id)
        doors = [door.value for door in known.doors if door.value in settings.all_doors]
        if found is not None:
            assert list(found.doors) == doors
        else:
            assert id == "scanner" or not set(doors) & {"imap", "pop3", "eas", "ews", "mapi"}


def test_only_the_profile_with_activesync_can_carry_a_certificate() -> None:
    assert [one.id for one in offered(**EVERYTHING).values() if one.certificate] == ["ios-mail-exchange"]
    assert not any(one.certificate for one in offered(**{**EVERYTHING, "certificate_host": ""}).values())


def test_a_profile_that_would_be_empty_is_no_profile() -> None:
    assert offered(mail=(IMAP, SUBMISSION))["ios-mail-imap"].profile
    assert not offered(mail=(IMAP,))["ios-mail-imap"].profile


# -- on the pages


def test_the_form_names_what_is_offered_and_what_is_not_allowed() -> None:
    _world, _anna, browser = signed_in(**EVERYTHING)
    page = browser.get("/devices/new").text
    ids = re.findall(r'id="program-([a-z-]+)"', page)
    assert ids == [*offered(**EVERYTHING)]
    assert "Not allowed here, because they read mail through" in page
    for refused in ("New Outlook for Windows", "Outlook for iOS and Android"):
        assert f"<li>{refused}</li>" in page
    for bad in ("outlook-new", "outlook-mobile", "scanner", "apple", "", "Thunderbird"):
        assert browser.post("/devices/new", name="x", program=bad).status == 400, bad


def test_a_cloud_is_offered_where_it_is_allowed_with_its_warning() -> None:
    _world, anna, browser = signed_in(**EVERYTHING)
    anna.clouds = CLOUDS
    page = browser.get("/devices/new").text
    assert "Not allowed here" not in page
    assert page.count("The secret lies there too.") == 2
    added = browser.post("/devices/new", name="Phone", program="outlook-mobile")
    assert added.status == 200
    assert "The secret lies there too." in added.text
    assert anna.devices[0].doors == ("eas", "autodiscover")


@pytest.mark.parametrize("id", [id for id in offered(**EVERYTHING) if id != "other"])
def test_a_programs_steps_and_breaks_come_from_its_file(id: str) -> None:
    world, anna, browser = signed_in(**EVERYTHING)
    known = next(one for one in load_clients().all if one.id == id)
    page = browser.post("/devices/new", name="Mine", program=id).text
    assert anna.devices[0].doors == tuple(door.value for door in known.doors)
    for sentence in (*known.steps, *known.breaks):
        assert (
            f"<li>{html.escape(sentence, quote=True).replace('&#x27;', '&#39;').replace('&quot;', '&#34;')}</li>"
            in page
        )
    shown = world.browser().post(f"{link_of(page)}/show")
    assert shown.status == 200
    assert ("gam-" in page) == (known.setup is not SetUp.PROFILE)
    if "gam-" in page:
        assert secret_of(shown.text) == secret_of(page)


def test_the_table_has_the_programs_own_services() -> None:
    _world, _anna, browser = signed_in(**EVERYTHING)
    outlook = browser.post("/devices/new", name="Desk", program="outlook-classic").text
    bird = browser.post("/devices/new", name="Lap", program="thunderbird").text
    for shown, hidden in (("Outlook (MAPI)", "IMAP (reading)"), ("owa.example.org</td>", "993</td>")):
        assert shown in outlook
        assert hidden not in outlook
    assert "8443</td>" in outlook
    for shown in ("IMAP (reading)", "POP3 (reading)", "SMTP (sending)", "Exchange Web Services"):
        assert shown in bird
    assert f"<code>{EVERYTHING['autoconfig']}?emailaddress=anna%40example.org</code>" in bird
    assert "autoconfig/mail" not in outlook


@pytest.mark.parametrize(
    ("program", "more", "kind", "host"),
    [
        ("ios-mail-imap", {}, "com.apple.mail.managed", "IncomingMailServerHostName"),
        ("ios-mail-exchange", {}, "com.apple.eas.account", "Host"),
        ("apple-mail-mac", {}, "com.apple.ews.account", "Host"),
        (
            "apple-mail-mac",
            {"eas_host": "", "certificate_host": ""},
            "com.apple.mail.managed",
            "IncomingMailServerHostName",
        ),
    ],
)
def test_a_profile_has_one_account(program: str, more: dict[str, str], kind: str, host: str) -> None:
    world, _anna, browser = signed_in(**{**EVERYTHING, **more})
    link = link_of(browser.post("/devices/new", name="Mine", program=program).text)
    [account] = plistlib.loads(world.browser().get(f"{link}/profile").body)["PayloadContent"]
    assert account["PayloadType"] == kind
    expected = {"eas": "owa.example.org:8443", "ews": "owa.example.org"}
    assert account[host] == expected.get(kind.split(".")[2], "mail.example.org")
    if kind.endswith("ews.account"):
        assert (account["Port"], account["SSL"], account["Path"]) == (8443, True, "/EWS/Exchange.asmx")


def test_another_organisations_word_on_clouds_is_no_permission() -> None:
    _world, anna, browser = signed_in(**EVERYTHING)
    anna.clouds = ("google",)
    assert "Not allowed here" in browser.get("/devices/new").text
    assert browser.post("/devices/new", name="Phone", program="outlook-mobile").status == 400
    assert not anna.devices


def test_a_link_of_a_program_that_is_offered_no_more_opens_nothing() -> None:
    world, anna, browser = signed_in(**EVERYTHING)
    anna.clouds = CLOUDS
    link = link_of(browser.post("/devices/new", name="Phone", program="outlook-mobile").text)
    object.__setattr__(world.settings, "eas_host", "")
    object.__setattr__(world.settings, "certificate_host", "")
    object.__setattr__(world.settings, "mail", ())
    for answer in (browser.get(link), browser.post(f"{link}/show"), World().browser().get(link)):
        assert answer.status == 404
        assert "gam-" not in answer.text
