"""My things: seeing, ending, "this wasn't me"; and adding a device."""

from __future__ import annotations

import html
import plistlib
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.portal.browser import Browser, World, enrol_totp, sign_in_totp
from console.portal.memory_desk import Someone
from gambeson.console.portal.links import Links, Setup
from gambeson.model.device_secret import parse, verifier
from gambeson.playground import certificate
from gambeson.process.portal_messages import OwnDevice, SignInLine


def signed_in(**changes: Any) -> tuple[World, Someone, Browser]:
    world = World(**changes)
    anna = world.person()
    browser = world.browser()
    enrol_totp(world, anna, browser)
    return world, anna, browser


def phone(anna: Someone, name: str = "Phone") -> OwnDevice:
    device = OwnDevice(
        id=f"dev-{name}",
        name=name,
        state="registered",
        doors=("imap",),
        last_used=1.8e9,
        last_source="203.0.113.4",
    )
    anna.devices.append(device)
    return device


# -- seeing and ending -----------------------------------------------------------------------------


def test_the_first_page_shows_devices_sessions_and_sign_ins() -> None:
    _world, anna, browser = signed_in()
    phone(anna, "<b>Phone</b>")
    anna.sign_ins.append(
        SignInLine(
            at=1.8e9,
            door="imap",
            outcome="deny",
            source="203.0.113.9",
            program="Mail",
            sentence="No.",
            cloud="Another Cloud",
        )
    )
    cloudy = phone(anna, "Cloudy")
    anna.devices[-1] = msgspec.structs.replace(cloudy, last_cloud="Some Cloud")
    page = browser.get("/").text
    for shown in (
        "&lt;b&gt;Phone",
        "203.0.113.4",
        "203.0.113.4 (through Some Cloud)",
        "Mail (through Another Cloud)",
        "2027-01-15",
        "203.0.113.9",
        "(this one)",
        "Test Browser/1",
        "refused: No.",
    ):
        assert shown in page, shown
    assert "<b>Phone" not in page
    assert 'href="/not-me"' in page


def test_this_was_not_me_shows_on_get_and_acts_on_post() -> None:
    world, anna, browser = signed_in()
    device = phone(anna)
    anna.sign_ins.append(SignInLine(at=1.8e9, door="imap", outcome="allow", device="Phone"))
    assert (
        f'href="/devices/{device.id}/end?alarm=1" aria-label="This wasn’t me: Phone"' in browser.get("/").text
    )
    path = f"/devices/{device.id}/end"
    assert "signed out on every protocol" in browser.get(f"{path}?alarm=1").text
    assert anna.devices == [device]
    assert world.backend.findings == []
    done = browser.post(path, alarm="1")
    assert anna.devices == []
    assert world.backend.findings == [device.id]
    assert "your administrator knows" in browser.follow(done).text
    assert "portal.device.not-me" in world.backend.kinds()


def test_removing_a_device_raises_no_alarm() -> None:
    world, anna, browser = signed_in()
    device = phone(anna)
    assert browser.post(f"/devices/{device.id}/end").location == "/?said=device-ended"
    assert (anna.devices, world.backend.findings) == ([], [])


def test_it_says_which_doors_have_not_acted() -> None:
    world, anna, browser = signed_in()
    device = phone(anna)
    world.backend.missing = ("doors-2",)
    answer = browser.post(f"/devices/{device.id}/end", alarm="1")
    assert answer.status == 202
    assert "doors-2" in answer.text


def test_things_of_others_are_not_there() -> None:
    world, _anna, browser = signed_in()
    bert = world.person("bert@example.org", "battery staple")
    berts = world.browser()
    enrol_totp(world, bert, berts)
    device = phone(bert, "Berts")
    session = world.backend.live(bert)[0]
    factor = bert.factors[0]
    assert browser.get(f"/devices/{device.id}/end").status == 404
    assert browser.post(f"/devices/{device.id}/end", alarm="1").status == 404
    assert browser.post(f"/sessions/{session.id}/end").status == 404
    assert browser.post(f"/factors/{factor.id}/remove").status == 404
    assert bert.devices == [device]
    assert world.backend.live(bert) == [session]


def test_one_session_or_all_others_end() -> None:
    world, anna, browser = signed_in()
    key, _ = enrol_totp(world, anna, world.browser())
    second, third = world.browser(), world.browser()
    sign_in_totp(world, anna, key, second)
    sign_in_totp(world, anna, key, third)
    wanted = world.backend.live(anna)[2].id
    assert browser.post(f"/sessions/{wanted}/end").location == "/?said=session-ended"
    assert second.get("/").location == "/sign-in"
    assert third.get("/").status == 200
    assert third.post("/sessions/end-others").location == "/?said=others-ended"
    assert browser.get("/").location == "/sign-in"
    assert len(world.backend.live(anna)) == 1
    mine = world.backend.live(anna)[0].id
    assert third.post(f"/sessions/{mine}/end").status == 200
    assert third.get("/").location == "/sign-in"


def test_a_sign_in_that_was_not_me_ends_everything_else() -> None:
    world, anna, browser = signed_in()
    key, _ = enrol_totp(world, anna, world.browser())
    sign_in_totp(world, anna, key, world.browser())
    assert "signed out everywhere but here" in browser.get("/not-me").text
    assert len(world.backend.live(anna)) == 3
    assert browser.post("/not-me").location == "/?said=alarm"
    assert len(world.backend.live(anna)) == 1
    assert "portal.not-me" in world.backend.kinds()


# -- adding a device -------------------------------------------------------------------------------


def link_of(text: str) -> str:
    found = re.findall(r'href="https://login\.example\.org:8443(/d/[A-Za-z0-9_-]{43})"', text)
    assert len(found) == 1
    return str(found[0])


def secret_of(text: str) -> str:
    return re.findall(r"gam-[0-9a-z]{8}-[0-9a-z]{32}", text)[0]


def test_a_phone_is_set_up_by_a_link_that_works_once_and_without_a_session() -> None:
    world, anna, browser = signed_in()
    assert "What do you set up?" in browser.get("/devices/new").text
    added = browser.post("/devices/new", name="Anna’s phone", program="ios-mail-imap")
    assert added.status == 200
    assert anna.devices[0].name == "Anna’s phone"
    assert anna.devices[0].doors == ("imap", "submission")
    assert world.backend.published == 1
    assert "gam-" not in added.text
    link = link_of(added.text)
    mobile = world.browser("203.0.113.200")
    for _ in range(3):  # looking uses nothing up
        page = mobile.get(link)
        assert page.status == 200
        assert "gam-" not in page.text
    assert "not signed" in page.text
    assert mobile.send("HEAD", f"{link}/profile").status == 405
    given = mobile.get(f"{link}/profile")
    assert given.header("content-type") == "application/x-apple-aspen-config"
    profile = plistlib.loads(given.body)
    mail = profile["PayloadContent"][0]
    assert mail["PayloadType"] == "com.apple.mail.managed"
    assert (mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"]) == (
        "mail.example.org",
        993,
    )
    assert (mail["OutgoingMailServerPortNumber"], mail["EmailAddress"]) == (587, anna.address)
    secret = parse(mail["IncomingPassword"])
    assert secret is not None
    assert world.backend.device_verifiers[secret.public_id] == verifier(secret, world.backend._key)
    for path in (f"{link}/profile", link):
        assert mobile.get(path).status == 404
    assert mobile.cookies == {}


def test_the_profile_is_signed_and_openssl_agrees(tmp_path: Path) -> None:
    ca, cert, key = certificate.ensure(tmp_path, datetime.now(UTC))
    _world, _anna, browser = signed_in(
        signing_certificate=cert.read_bytes(), signing_key=key.read_bytes(), eas_host="mail.example.org:8443"
    )
    link = link_of(browser.post("/devices/new", name="Phone", program="ios-mail-exchange").text)
    assert "is signed by this portal" in browser.get(link).text
    given = browser.get(f"{link}/profile").body
    (tmp_path / "signed").write_bytes(given)
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", str(tmp_path / "signed")]
    command += ["-CAfile", str(ca), "-purpose", "any"]
    verified = subprocess.run(command, capture_output=True, check=False)
    assert verified.returncode == 0, verified.stderr
    profile = plistlib.loads(verified.stdout)
    [eas] = profile["PayloadContent"]
    assert eas["PayloadType"] == "com.apple.eas.account"
    assert eas["Host"] == "mail.example.org:8443"
    assert eas["Password"].startswith("gam-")
    (tmp_path / "signed").write_bytes(given.replace(b"mail.example.org", b"evil.example.org"))
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_with_a_certificate_the_profile_carries_the_identity() -> None:
    _world, _anna, browser = signed_in(certificate_host="device.example.org")
    link = link_of(
        browser.post("/devices/new", name="Phone", program="ios-mail-exchange", certificate="1").text
    )
    profile = plistlib.loads(browser.get(f"{link}/profile").body)
    kinds = {p["PayloadType"]: p for p in profile["PayloadContent"]}
    identity, eas = kinds["com.apple.security.pkcs12"], kinds["com.apple.eas.account"]
    assert identity["PayloadContent"] == b"PKCS12 dev-1"
    assert len(identity["Password"]) >= 16
    assert eas["PayloadCertificateUUID"] == identity["PayloadUUID"]
    assert eas["Host"] == "device.example.org"
    assert "Password" not in eas


@pytest.mark.parametrize("program", ["thunderbird", "other"])
def test_a_program_gets_a_table_here_and_once_by_link(program: str) -> None:
    world, _anna, browser = signed_in()
    text = browser.post("/devices/new", name="Laptop", program=program).text
    for shown in ("IMAP (reading)", "993", "SSL/TLS", "587", "STARTTLS", "anna@example.org"):
        assert shown in text
    link = link_of(text)
    other = world.browser()
    assert other.get(f"{link}/profile").status == 404
    assert "gam-" not in other.get(link).text
    shown = other.post(f"{link}/show")
    assert secret_of(shown.text) == secret_of(text)
    assert other.post(f"{link}/show").status == 404


def test_a_link_lives_ten_minutes_and_ends_with_its_device() -> None:
    world, anna, browser = signed_in()
    first = link_of(browser.post("/devices/new", name="One", program="other").text)
    second = link_of(browser.post("/devices/new", name="Two", program="other").text)
    device = anna.devices[1].id
    browser.post(f"/devices/{device}/end")
    assert browser.get(second).status == 404
    world.later(599)
    assert browser.get(first).status == 200
    world.later(1)
    assert browser.get(first).status == 404


@pytest.mark.parametrize("path", ["/d/x", "/d/" + "a" * 43, "/d/..%2f", "/d/%00"])
def test_no_link_can_be_guessed(path: str) -> None:
    world = World()
    for method, more in (("GET", ""), ("GET", "/profile")):
        assert world.browser().send(method, path + more).status in (400, 404)


def test_adding_a_device_needs_a_fresh_second_factor_and_a_name() -> None:
    world, anna, browser = signed_in()
    assert browser.post("/devices/new", name=" \n ", program="other").status == 422
    assert browser.post("/devices/new", name="x", program="evil").status == 400
    world.later(301)
    assert browser.get("/devices/new").location == "/step-up?back=device"
    assert browser.post("/devices/new", name="x", program="other").location == "/step-up?back=device"
    assert anna.devices == []


def test_an_account_has_few_links_and_the_memory_a_bound() -> None:
    links = Links(lambda n: __import__("secrets").token_bytes(n))
    tokens = [
        links.make(Setup("other", "acc-1", f"d{n}", "n", "a@b.c", 100.0, secret="gam-hidden"), 0.0)
        for n in range(9)
    ]
    assert len(links) == 5
    assert [links.look(t, 1.0) is not None for t in tokens] == [False] * 4 + [True] * 5
    assert "gam-hidden" not in repr(links.look(tokens[-1], 1.0))


def test_names_are_shown_as_text() -> None:
    _world, anna, browser = signed_in()
    browser.post("/devices/new", name='"><script>alert(1)</script>', program="other")
    page = browser.get("/").text
    assert "<script>alert" not in page
    assert html.escape("<script>alert(1)</script>") in page
    assert anna.devices
