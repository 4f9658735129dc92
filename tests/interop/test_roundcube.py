"""Single sign-on at Debian's Roundcube: signed in at the portal, the mailbox is open, and nobody typed its password.

Roundcube gets a fresh token as the password of every request and shows it to Dovecot and Postfix, which take tokens
alone: there are no passwords at all behind the doors.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from interop.recording import Recording, write
from interop.roundcube_use import FIRST, Use
from interop.sites import Debian, debian, open_folder
from interop.webmails import PORTAL, WEBMAIL, Webmail, webmail
from peers import missing_programs
from peers.browser import Browser, Page
from peers.chromium import Chromium
from peers.roundcube import Roundcube

pytestmark = pytest.mark.peer("dovecot", "postfix", "nginx", "roundcube")

ANNA, BERT = "anna@example.org", "bert@example.org"
PASSWORD = "a password that only the portal knows"
LETTER = b"From: Sender <sender@example.net>\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <%s@example.net>\r\n\r\n%s\r\n"
INBOX = "/?_task=mail&_mbox=INBOX"
LIFE = 55.0  # seconds that a token holds after it was made


@dataclass
class Place:
    """Everything that stands."""

    webmail: Webmail
    roundcube: Roundcube
    peers: Debian
    anna: Browser  # signed in since ``since``
    since: float


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    for need in ("dovecot", "postfix", "nginx", "roundcube"):
        if why := missing_programs(need):
            pytest.skip(why)
    with open_folder("gir") as folder, debian(folder / "peers", {}) as peers, open_folder("gid") as data:
        ports = peers.dovecot.ports["imap"], peers.postfix.ports["submission"]
        roundcube = Roundcube(folder / "roundcube", *ports)
        application: dict[str, object] = {
            "name": "webmail",
            "product": "roundcube",
            "organisation": "example",
        }
        application |= {"address": roundcube.url, "sign_in": "token"}
        try:
            with webmail(peers, data, application, dict.fromkeys((ANNA, BERT), PASSWORD)) as found:
                for who in (ANNA, BERT):
                    words = (
                        who.encode(),
                        f"For {who}".encode(),
                        who[:4].encode(),
                        b"A secret of " + who[:4].encode(),
                    )
                    peers.dovecot.deliver(who, LETTER % words)
                anna = found.browser()
                page = found.enter(anna, ANNA)
                assert "Roundcube Webmail :: Inbox" in page.text, (
                    page.status,
                    page.text[:500],
                    roundcube.logged(),
                )
                yield Place(found, roundcube, peers, anna, time.monotonic())
        finally:
            roundcube.stop()


def remote(browser: Browser, action: str, **query: str) -> Page:
    """What Roundcube's scripts ask, with the form's token as they send it."""
    page = browser.get(browser.url(WEBMAIL, "/?_task=mail"))
    asked = urlencode({"_task": "mail", "_action": action, "_remote": "1", "_unlock": "0", **query})
    headers = {"X-Requested-With": "XMLHttpRequest", "X-Roundcube-Request": form_token(page)}
    headers |= {"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    return browser.go("GET", browser.url(WEBMAIL, f"/?{asked}"), headers=headers)


def form_token(page: Page) -> str:
    found = re.search(r'"request_token":"(\w+)"', page.text)
    assert found, page.text[:1000]
    return found[1]


def of(browser: Browser, target: str) -> Page:
    return browser.get(browser.url(WEBMAIL, target))


def test_signed_in_at_the_portal_the_mailbox_is_open(place: Place) -> None:
    listed = remote(place.anna, "list", _mbox="INBOX")
    assert "For anna@example.org" in listed.text
    letter = of(place.anna, "/?_task=mail&_mbox=INBOX&_uid=1&_action=show")
    assert "A secret of anna" in letter.text
    place.peers.dovecot.wait_for_log(rf"imap-login: Info: Login: user=<{ANNA}>")


def test_a_letter_is_sent_with_the_token_too(place: Place) -> None:
    page = of(place.anna, "/?_task=mail&_action=compose&_to=" + BERT.replace("@", "%40"))
    values = dict(re.findall(r'<input type="hidden" name="(_\w+)" value="([^"]*)"', page.text))
    sender = re.search(r'<option value="(\d+)"[^>]*>(?:&lt;)?[^<]*anna@', page.text)
    assert sender, page.text[:3000]
    subject = f"From Roundcube {time.time()}"
    values |= {"_from": sender[1], "_to": BERT, "_subject": subject, "_message": "Hello.", "_task": "mail"}
    values |= {"_action": "send", "_token": form_token(page), "_draft": "", "_is_html": "0"}
    sent = place.anna.post(place.anna.url(WEBMAIL, "/?_task=mail&_unlock=loading1&_framed=1"), values)
    assert "sent_successfully" in sent.text, (sent.text[-1500:], place.roundcube.logged())
    saved = rf"lmtp\({BERT}\).*saved mail to INBOX"
    place.peers.dovecot.wait_for_log(saved)
    assert re.search(rf"sasl_username={ANNA}", place.peers.postfix.logged())


def test_roundcube_keeps_no_password(place: Place) -> None:
    """Its session has the name; the secret comes with each request and is gone with it."""
    kept = place.roundcube.sessions()
    assert any(ANNA in each for each in kept)
    assert not any(re.search(r"(^|[;}])password\|", each) for each in kept)


def test_the_browsers_own_authorization_counts_for_nothing(place: Place) -> None:
    """Through the door, too: whoever is signed in as Anna cannot say that he is Bert."""
    word = base64.b64encode(f"{BERT}:{PASSWORD}".encode()).decode()
    stranger = place.webmail.browser()
    page = stranger.get(stranger.url(WEBMAIL, INBOX), Authorization=f"Basic {word}")
    assert page.url.startswith(stranger.url(PORTAL, "/sign-in")), page.url
    page = place.anna.get(place.anna.url(WEBMAIL, INBOX), Authorization=f"Basic {word}", X_Remote_User=BERT)
    assert f'"username":"{ANNA}"' in page.text.replace(" ", "") or ANNA in page.text
    assert BERT not in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/installer/",
        "/installer/index.php",
        "/config/config.inc.php",
        "/logs/errors.log",
        "/temp/",
        "/bin/msgexport.sh",
        "/SQL/sqlite.initial.sql",
        "/program/lib/Roundcube/bootstrap.php",
        "/plugins/http_authentication/http_authentication.php",
        "/index.php/config",
        "/?_task=utils&_action=nobody-has-this",
        "/?_task=settings&_action=upload&_from=!xxx",
        "/?_task=mail&_im_convert_path=%2Fbin%2Fsh",
    ],
)
def test_what_no_client_asks_is_answered_before_any_sign_in(place: Place, path: str) -> None:
    for browser in (place.webmail.browser(), place.anna):
        page = browser.go("GET", browser.url(WEBMAIL, path), follow=False)
        assert page.status in (403, 404), (path, page.status)
    assert f" {path} " not in place.roundcube.log.read_text()


def test_a_signs_out_and_b_sees_nothing_of_his(place: Place) -> None:
    """One browser, two people. The application's own cookies stay in it, as a hostile or broken browser's would."""
    browser = place.webmail.browser()
    assert "Inbox" in place.webmail.enter(browser, ANNA).text
    kept = dict(browser.jar[WEBMAIL])
    page = of(browser, "/?_task=mail")
    left = of(browser, f"/?_task=logout&_token={form_token(page)}")
    assert left.url.endswith("/.gambeson/leave")  # Roundcube's logout leads to ours
    form, _ = left.fields("/.gambeson/leave")
    assert browser.post(form, {}).status == 200
    assert not any(name.startswith("roundcube") for name in browser.jar[WEBMAIL])
    browser.jar[WEBMAIL] = {n: v for n, v in kept.items() if "roundcube" in n}
    browser.jar.pop(PORTAL)
    page = place.webmail.enter(browser, BERT, INBOX)
    assert BERT in page.text
    assert ANNA not in page.text
    assert browser.jar[WEBMAIL]["roundcube_sessid"] != kept["roundcube_sessid"]
    listed = remote(browser, "list", _mbox="INBOX")
    assert "For bert@example.org" in listed.text
    assert "For anna@example.org" not in listed.text
    letter = of(browser, "/?_task=mail&_mbox=INBOX&_uid=1&_action=show")
    assert "A secret of anna" not in letter.text
    # And Anna's cookies in the middle of Bert's session, with their witnesses: they go no further than the door.
    browser.jar[WEBMAIL] |= {n: v for n, v in kept.items() if "roundcube" in n}
    assert ANNA not in of(browser, INBOX).text


def test_a_revoked_session_is_refused_within_a_second(place: Place) -> None:
    browser = place.webmail.browser()
    assert "Inbox" in place.webmail.enter(browser, BERT).text
    assert of(browser, INBOX).url.startswith(browser.url(WEBMAIL))
    place.webmail.gambeson.run("session", "kill", "--account", BERT)
    revoked = time.monotonic()
    while True:
        page = browser.go("GET", browser.url(WEBMAIL, INBOX), follow=False)
        if page.status == 303:
            assert page.header("location").startswith(browser.url(PORTAL, "/enter"))
            break
        assert time.monotonic() < revoked + 1, page.status
    asked = browser.post(browser.url(WEBMAIL, "/?_task=mail&_action=refresh"), {"_remote": "1"}, Accept="*/*")
    assert asked.status == 401, asked.text


def test_many_requests_at_once_as_a_browser_makes_them(place: Place) -> None:
    page = of(place.anna, INBOX)
    names = re.findall(r'(?:href|src)="((?:skins|plugins|program)/[^"?]+(?:\?s=\d+)?)"', page.text)
    assert len(names) > 8

    def load(name: str) -> int:
        browser = place.webmail.browser()
        browser.jar[WEBMAIL] = dict(place.anna.jar[WEBMAIL])
        return of(browser, f"/{name}").status

    with ThreadPoolExecutor(6) as many:
        assert set(many.map(load, names)) == {200}


def test_nothing_but_the_door_opens_roundcube(place: Place) -> None:
    """Past the door: no header, a trusted header's name alone, a password, a token of nobody's."""
    for headers in (
        {},
        {"X-Remote-User": ANNA},
        {"X-Forwarded-User": ANNA, "X-Forwarded-Email": ANNA},
        {"Authorization": "Basic " + base64.b64encode(f"{ANNA}:{PASSWORD}".encode()).decode()},
        {"Authorization": "Basic " + base64.b64encode(f"{ANNA}:e30.e30.c2ln".encode()).decode()},
    ):
        connection = http.client.HTTPConnection("127.0.0.1", place.roundcube.port, timeout=30)
        connection.request("GET", INBOX, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        assert "task-login" in text, (headers, answer.status, text[:500])
        assert "Roundcube Webmail :: Inbox" not in text


@pytest.mark.slow
@pytest.mark.peer("chromium")
def test_nothing_is_stopped_that_roundcubes_scripts_ask(place: Place) -> None:
    """A person at Debian's Chromium, in every part of Roundcube; ``GAMBESON_RECORD=1`` keeps it for other tests."""
    words = ANNA.encode(), b"For the browser", b"browser", b"Hello"
    place.peers.dovecot.deliver(ANNA, LETTER % words)
    gambeson = place.webmail.gambeson
    with Chromium([gambeson.data / "tls" / "certificate.pem"]) as chromium, chromium.visitor() as page:
        recording = Recording(page, WEBMAIL)
        page.goto(f"https://{WEBMAIL}:{gambeson.port('https')}/")
        page.fill("#address", ANNA)
        page.fill("#password", PASSWORD)
        page.press("#password", "Enter")
        page.fill("#totp", place.webmail.codes[ANNA].next())
        page.press("#totp", "Enter")
        page.wait_for_selector(FIRST)
        Use(page).everything()
        shapes = recording.shapes()
        assert recording.stopped == []
        assert len(shapes) > 80
        if os.environ.get("GAMBESON_RECORD"):
            what = "A person's use of Roundcube in Chromium through the door: mail, settings, contacts."
            about = {
                "what": what,
                "product": "roundcube",
                "server": "Debian roundcube-core 1.6.5+dfsg-1+deb12u13",
            }
            write("roundcube-session.json", about, shapes)


@pytest.mark.slow
def test_the_session_outlives_its_first_token(place: Place) -> None:
    """A token lives a minute; every request brings a fresh one. To be the last test: it waits for the minute's end."""
    time.sleep(max(0.0, place.since + LIFE + 2 - time.monotonic()))
    place.peers.dovecot.deliver(ANNA, LETTER % (ANNA.encode(), b"After a minute", b"after", b"Still here."))
    listed = remote(place.anna, "list", _mbox="INBOX")
    assert "After a minute" in listed.text, (listed.status, listed.text[:500], place.roundcube.logged())
