"""Debian's SOGo behind the door: a phone that speaks ActiveSync, and people at a browser.

The phone knows its device secret alone; the door shows SOGo the account's sealed password. A browser meets the portal
first; then SOGo asks for itself (way *as-is*).
"""

from __future__ import annotations

import imaplib
import json
import os
import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from interop.recording import DATA, write
from interop.sites import Debian, debian, open_folder
from interop.webmails import PORTAL, WEBMAIL, Webmail, webmail
from peers import missing_programs
from peers.browser import Browser, Page
from peers.eas import Phone, Said, over_https, subjects
from peers.people import ACCOUNTS
from peers.postgresql import PostgreSql
from peers.sogo import Sogo

pytestmark = pytest.mark.peer("dovecot", "postfix", "nginx", "postgresql", "sogo")

Answered = tuple[int, dict[str, str], bytes]
ANNA, BERT = "anna@example.org", "bert@example.org"
LETTER = "From: x@example.net\r\nTo: {0}\r\nSubject: {1}\r\nMessage-ID: <{2}@example.net>\r\n\r\nHello.\r\n"


@dataclass
class Place:
    """Everything that stands."""

    webmail: Webmail
    sogo: Sogo
    peers: Debian
    asked: dict[str, dict[str, object]] = field(default_factory=dict)  # the phones' requests by their shape

    def phone(self, address: str, name: str, **more: str) -> Phone:
        """A new phone of this person's, registered."""
        gambeson = self.webmail.gambeson
        secret = gambeson.enrol(address, name, doors="eas")
        context = ssl.create_default_context(cafile=gambeson.ca)
        plain = over_https(WEBMAIL, gambeson.port("https"), context, "127.0.0.1")

        def send(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answered:
            kept = {n.lower(): v for n, v in headers.items() if n.lower() in ("content-type", "user-agent")}
            named = sorted(n.lower() for n in headers if n.lower() not in kept)
            shape: dict[str, object] = {"method": method, "target": target, "headers": kept, "named": named}
            if body:
                shape["body"] = True
            self.asked.setdefault(json.dumps(shape), shape)
            return plain(method, target, headers, body)

        return Phone(send, address, secret, **more)

    def letter(self, address: str, subject: str) -> None:
        """A letter comes."""
        self.peers.dovecot.deliver(address, LETTER.format(address, subject, time.time()).encode())


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    for need in ("dovecot", "postfix", "nginx", "postgresql", "sogo"):
        if why := missing_programs(need):
            pytest.skip(why)
    people = {who: ACCOUNTS[who] for who in (ANNA, BERT)}
    with open_folder("gis") as folder, debian(folder / "peers", people) as peers, open_folder("gid") as data:
        ports = peers.dovecot.ports["imap"], peers.postfix.ports["submission"]
        database = PostgreSql(folder / "postgresql")
        try:
            sogo = Sogo(folder / "sogo", database.port, people, *ports)
            application: dict[str, object] = {
                "name": "groupware",
                "product": "sogo",
                "organisation": "example",
            }
            application |= {"address": sogo.url, "sign_in": "as-is"}
            try:
                with webmail(peers, data, application, people) as found:
                    for who, password in people.items():
                        seal = ("account", "seal-password", who, "--password-file", "-")
                        found.gambeson.run(*seal, stdin=password + "\n")
                        count_changes(peers, who, password)
                    yield Place(found, sogo, peers)
            finally:
                sogo.stop()
        finally:
            database.stop()


def count_changes(peers: Debian, who: str, password: str) -> None:
    """SOGo's ActiveSync lives on Dovecot's numbers of changes (RFC 7162 section 3.1), and Dovecot begins to count in a
    mailbox only when a client asked for them once."""
    client = imaplib.IMAP4("127.0.0.1", peers.dovecot.ports["imap"])
    client.login(who, password)
    assert client.xatom("SELECT", "INBOX", "(CONDSTORE)")[0] == "OK"
    client.logout()


@dataclass
class Waiting:
    """A phone's Ping in a thread of its own: what came of it, and when."""

    phone: Phone
    said: list[Said] = field(default_factory=list)
    ended: float = 0.0

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._ping, daemon=True)
        self._thread.start()

    def _ping(self) -> None:
        try:
            self.said.append(self.phone.ping(60))
        except OSError:
            pass  # cut off
        finally:
            self.ended = time.monotonic()

    def end(self, seconds: float) -> None:
        self._thread.join(seconds)
        assert self.ended, "the Ping goes on"


def in_step(phone: Phone) -> list[str]:
    """Provision, folders, and everything that is there; the subjects of the inbox."""
    assert phone.options().status == 200
    assert phone.provision().inner == "1"
    assert phone.folder_sync().inner == "1"
    found: list[str] = []
    phone.sync()
    for _ in range(6):
        _, letters = phone.sync()
        if not letters:
            break
        found += subjects(letters)
    return found


def test_a_phone_reads_and_sends(place: Place) -> None:
    place.letter(ANNA, "For the phone")
    phone = place.phone(ANNA, "Reader")
    assert "For the phone" in in_step(phone)
    names = {name for _, name in phone.folders.values()}
    assert {"INBOX", "Sent", "Personal Calendar", "Personal Address Book"} <= names
    message = (
        f"From: {ANNA}\r\nTo: {BERT}\r\nSubject: From the phone\r\nContent-Type: text/plain\r\n\r\nHello.\r\n"
    )
    sent = phone.send_mail(message.encode())
    assert (sent.status, sent.root) == (200, None)
    place.peers.dovecot.wait_for_log(rf"lmtp\({BERT}\).*saved mail to INBOX")
    assert "From the phone" in in_step(place.phone(BERT, "Reader", device_id="OTHER0123456789"))


def test_a_phone_with_the_coded_query(place: Place) -> None:
    """As iOS and Android send it (MS-ASHTTP section 2.2.1.1.1.1)."""
    phone = place.phone(BERT, "Coded", device_id="CODED0123456789")
    phone.coded = True
    place.letter(BERT, "For the coded one")
    assert "For the coded one" in in_step(phone)


def test_a_ping_wakes_the_phone_when_a_letter_comes(place: Place) -> None:
    phone = place.phone(ANNA, "Waker", device_id="WAKER0123456789")
    in_step(phone)
    waiting = Waiting(phone)
    time.sleep(1)
    place.letter(ANNA, "Wake up")
    waiting.end(20)
    assert waiting.said, "the connection was cut"
    assert waiting.said[0].inner == "2"
    assert "Wake up" in subjects(phone.sync()[1])


def test_a_revoked_phones_ping_ends_within_a_second(place: Place) -> None:
    phone = place.phone(BERT, "Lost", device_id="LOST00123456789")
    in_step(phone)
    waiting = Waiting(phone)
    time.sleep(2)
    assert not waiting.ended, waiting.said
    begun = time.monotonic()
    place.webmail.gambeson.run("device", "revoke", f"{BERT}/Lost")
    revoked = time.monotonic()
    waiting.end(5)
    assert begun < waiting.ended < revoked + 1
    assert not waiting.said
    again = place.phone(BERT, "Another")
    phone.send = again.send
    assert phone.options().status == 401


def test_a_password_opens_no_phones_door(place: Place) -> None:
    phone = place.phone(ANNA, "Password", device_id="REFUSED123456789")
    phone.password = ACCOUNTS[ANNA]
    assert phone.options().status == 401
    assert phone.provision().status == 401
    assert "REFUSED123456789" not in place.sogo.requests.read_text()


def signed_in(place: Place, who: str) -> Browser:
    """At the portal, then at SOGo's own sign-in, as its page does it."""
    browser = place.webmail.browser()
    page = place.webmail.enter(browser, who, "/SOGo/")
    assert "SOGo.MainUI" in page.text
    given = {"userName": who, "password": ACCOUNTS[who], "domain": None, "rememberLogin": 0}
    answer = ask(browser, "/SOGo/connect", given)
    assert answer.status == 200, (answer.text[:500], place.sogo.log.read_text()[-2000:])
    return browser


def ask(browser: Browser, target: str, value: object) -> Page:
    """What SOGo's scripts send."""
    headers = {
        "Content-Type": "application/json;charset=UTF-8",
        "Accept": "application/json, text/plain, */*",
    }
    token = browser.jar[WEBMAIL].get("XSRF-TOKEN", "")
    headers |= {"X-XSRF-TOKEN": token, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    return browser.go("POST", browser.url(WEBMAIL, target), json.dumps(value).encode(), headers)


def test_a_person_reads_mail_in_the_browser(place: Place) -> None:
    place.letter(ANNA, "For the browser")
    browser = signed_in(place, ANNA)
    home = browser.get(browser.url(WEBMAIL, f"/SOGo/{ANNA}"))  # where its sign-in page leads
    assert "SOGo.MailerUI" in home.text
    sorting = {"sortingAttributes": {"match": "AND", "asc": False, "sort": "arrival"}}
    listed = ask(browser, f"/SOGo/so/{ANNA}/Mail/0/folderINBOX/view", sorting)
    assert "For the browser" in listed.text, (listed.status, listed.text[:500])
    # As the page asks when another folder is opened: no body, no media type. It reaches SOGo.
    expunge = f"/SOGo/so/{ANNA}/Mail/0/folderINBOX/expunge"
    browser.go("POST", browser.url(WEBMAIL, expunge), b"", {"Accept": "application/json, text/plain, */*"})
    assert f"POST {expunge}" in place.sogo.requests.read_text()
    names = re.findall(r'(?:href|src)="(/SOGo(?:\.woa)?/WebServerResources/[^"]+)"', home.text)
    assert names
    assert {browser.get(browser.url(WEBMAIL, name)).status for name in names} == {200}


def test_nobody_meets_sogo_before_the_portal(place: Place) -> None:
    stranger = place.webmail.browser()
    assert stranger.get(stranger.url(WEBMAIL, "/SOGo/")).url.startswith(stranger.url(PORTAL, "/sign-in"))
    given = {"userName": ANNA, "password": ACCOUNTS[ANNA], "rememberLogin": 0}
    assert ask(stranger, "/SOGo/connect", given).status == 401
    never = ("/SOGo/dav/", f"/SOGo/dav/{ANNA}/Calendar/personal/", "/SOGo/so/passwordRecovery", "/SOGo/crash")
    for path in never:
        assert stranger.go("GET", stranger.url(WEBMAIL, path), follow=False).status == 404, path
    header = {"x-webobjects-remote-user": ANNA}
    assert stranger.go("GET", stranger.url(WEBMAIL, "/SOGo/"), headers=header, follow=False).status == 404
    assert not any(f" {path} " in place.sogo.requests.read_text() for path in never)


def test_one_persons_sogo_session_is_nobody_elses(place: Place) -> None:
    browser = signed_in(place, ANNA)
    kept = {n: v for n, v in browser.jar[WEBMAIL].items() if "gambeson-session" not in n}
    assert any(name.startswith("0xHIGHFLY") for name in kept)
    page = browser.get(browser.url(WEBMAIL, "/.gambeson/leave"))
    assert browser.post(page.fields("/.gambeson/leave")[0], {}).status == 200
    browser.jar = {WEBMAIL: kept}  # a browser that forgets nothing
    page = place.webmail.enter(browser, BERT, f"/SOGo/so/{ANNA}/Mail/view")
    browser.jar[WEBMAIL] |= kept
    sorting = {"sortingAttributes": {"match": "AND", "asc": False, "sort": "arrival"}}
    listed = ask(browser, f"/SOGo/so/{ANNA}/Mail/0/folderINBOX/view", sorting)
    assert "headers" not in listed.text
    assert "Personal Calendar" not in browser.get(browser.url(WEBMAIL, f"/SOGo/so/{ANNA}/Calendar/view")).text


def test_the_kept_session_is_what_the_phones_asked(place: Place) -> None:
    """The tests of grammar and shields ask it again; ``GAMBESON_RECORD=1`` writes it anew."""
    kept = DATA / "sogo-phone-session.json"
    if os.environ.get("GAMBESON_RECORD"):
        about = {
            "what": "Two people's phones at SOGo through the door, plain and coded query.",
            "product": "sogo",
        }
        write(
            kept.name,
            about | {"server": "Debian sogo-activesync 5.8.0-2+deb12u4"},
            list(place.asked.values()),
        )
    shapes = [json.dumps(shape) for shape in json.loads(kept.read_text())["requests"]]
    assert shapes
    assert set(place.asked) <= set(shapes)
