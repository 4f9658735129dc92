"""A webmail whose pages belong to an attacker, in Debian's Chromium: it shares the portal's domain, sees whoever signs
in, and may run any script there. It must not reach the portal, whose host is another.

The application is a few lines behind a real installation; the portal, the door and the browser are the real ones.
"""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from peers.browser import Browser, Codes, bind
from peers.chromium import Authenticator, Chromium
from peers.gambeson import Gambeson
from peers.process import wait_until
from peers.system_users import open_folder

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.slow]
PORTAL, MAIL = "login.example.org", "mail.example.org"  # one site for a browser: the harder case
USERS = '[users]\ndoors = "nobody"\nkeeper = "daemon"\nworker = "mail"\nconsole = "www-data"\n'
ANNA, PASSWORD = "anna@example.org", "a password for the portal"
PAGE = b"<!doctype html><title>Mail</title><h1>Mail</h1>"
HOSTILE = [
    ("Set-Cookie", "__Host-gambeson-session=theirs; Path=/; Secure"),
    ("Set-Cookie", "__Host-gambeson-portal=theirs; Path=/; Secure"),
    ("Set-Cookie", "__Secure-gambeson-w-tossed=theirs; Path=/; Secure; Domain=example.org"),
    ("Set-Cookie", "tossed=theirs; Path=/; Secure; Domain=example.org"),
    ("Service-Worker-Allowed", "/"),
    ("Access-Control-Allow-Origin", "*"),
]


class Application(http.server.BaseHTTPRequestHandler):
    """Answers everything with the same page or script; keeps what it was sent."""

    protocol_version = "HTTP/1.1"
    heads: list[dict[str, str]]

    def do_GET(self) -> None:
        self.heads.append({name.lower(): value for name, value in self.headers.items()})
        script = ".js" in self.path
        body = b"self.addEventListener('fetch', () => {})" if script else PAGE
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.send_header("Content-Length", str(len(body)))
        for name, value in HOSTILE:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@dataclass
class Scene:
    """``page`` is at the hostile application; its person is signed in there and at the portal."""

    page: Page
    gambeson: Gambeson
    portal: str
    mail: str
    heads: list[dict[str, str]]
    codes: Codes
    authenticator: Authenticator

    def run(self, script: str, argument: object = None) -> Any:
        """The value of a script of the hostile page's."""
        if not self.page.url.startswith(f"{self.mail}/"):
            self.page.goto(f"{self.mail}/?_task=mail")
        return self.page.evaluate(script, argument)

    def still_signed_in(self) -> None:
        """The portal is as it was: hers, one session, no device."""
        with_portal = self.page.context.new_page()
        with_portal.goto(f"{self.portal}/")
        expect(with_portal.locator("h1")).to_have_text("My things")
        expect(with_portal.locator("footer")).to_contain_text(ANNA)
        expect(with_portal.locator("main")).to_contain_text("No device is registered.")
        with_portal.close()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    heads: list[dict[str, str]] = []
    handler = type("Here", (Application,), {"heads": heads})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings = (USERS if os.geteuid() == 0 else "") + (
        f'[portal]\nhost = "{PORTAL}"\n'
        f'[[site]]\nname = "webmail"\nproduct = "roundcube"\nhosts = ["{MAIL}"]\n'
        f'address = "http+plain://127.0.0.1:{server.server_port}"\n'
    )
    try:
        with open_folder() as folder, Gambeson(folder / "data", config=settings) as gambeson:
            yield from _signed_in(gambeson, heads)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _signed_in(gambeson: Gambeson, heads: list[dict[str, str]]) -> Iterator[Scene]:
    gambeson.run("org", "add", "example", "--domain", "example.org")
    gambeson.run("account", "add", ANNA)
    gambeson.run("account", "password", ANNA, "--password-file", "-", stdin=PASSWORD + "\n")
    code = str(gambeson.json("account", "code", ANNA)["code"])
    port = gambeson.port("https")
    codes = bind(Browser(port, gambeson.ca), PORTAL, ANNA, PASSWORD, code)
    certificate = Path(gambeson.ca).with_name("certificate.pem")
    with Chromium([certificate]) as chromium, chromium.visitor() as page:
        portal, mail = f"https://{PORTAL}:{port}", f"https://{MAIL}:{port}"
        page.goto(f"{mail}/?_task=mail")
        page.fill("#address", ANNA)
        page.fill("#password", PASSWORD)
        page.click('form[action="/sign-in"] button')
        page.fill("#totp", codes.next())
        page.click("text=Check the code")
        expect(page.locator("h1")).to_have_text("Mail")
        yield Scene(page, gambeson, portal, mail, heads, codes, Authenticator(page))


def test_the_application_never_gets_a_cookie_of_ours(scene: Scene) -> None:
    scene.run("fetch('/skins/elastic/a.js')")
    assert scene.heads
    assert "gambeson" not in json.dumps(scene.heads).lower()
    assert "gambeson" not in scene.run("document.cookie")


def test_it_sets_no_cookie_of_ours_and_none_for_the_whole_domain(scene: Scene) -> None:
    scene.run("fetch('/skins/elastic/a.js')")
    kept = {(each["domain"], each["name"]): each["value"] for each in scene.page.context.cookies()}
    assert "theirs" not in {value for (_, name), value in kept.items() if "gambeson" in name}
    assert (MAIL, "tossed") in kept  # its own, of its own host
    assert {domain for domain, _ in kept} == {MAIL, PORTAL}


def test_a_cookie_that_its_script_throws_at_the_domain_is_not_taken_for_ours(scene: Scene) -> None:
    def names() -> set[str]:
        return {each["name"] for each in scene.page.context.cookies(scene.portal)}

    before = scene.page.context.cookies(scene.portal)
    scene.run(
        """() => {
            for (const name of ['portal', 'step', 'box', 'known', 'session', 'whose']) {
                for (const end of ['; Path=/', '; Path=/; Domain=example.org', '; Domain=example.org; Path=/enter']) {
                    document.cookie = `__Host-gambeson-${name}=theirs; Secure${end}`;
                    document.cookie = `__HOST-gambeson-${name}=theirs; Secure${end}`;
                    document.cookie = `=__Host-gambeson-${name}=theirs; Secure${end}`;
                }
            }
            document.cookie = 'of-the-domain=theirs; Secure; Domain=example.org; Path=/';
        }"""
    )
    # The browser allows the last one, and nobody reads it. It keeps them one after the other, and not at once.
    wait_until(lambda: "of-the-domain" in names(), "the cookie of the whole domain")
    after = scene.page.context.cookies(scene.portal)
    ours = {each["name"]: each["value"] for each in after if "gambeson" in each["name"]}
    assert ours == {each["name"]: each["value"] for each in before if "gambeson" in each["name"]}
    scene.still_signed_in()


def test_it_cannot_read_the_portal(scene: Scene) -> None:
    said = scene.run(
        """async (portal) => {
            const tried = [];
            for (const path of ['/', '/devices/new', '/factors', '/static/portal.css']) {
                for (const mode of ['cors', 'no-cors', 'same-origin']) {
                    try {
                        const answer = await fetch(portal + path, {credentials: 'include', mode});
                        tried.push((await answer.text()).length);
                    } catch { tried.push('refused'); }
                }
            }
            return tried;
        }""",
        scene.portal,
    )
    assert set(said) <= {"refused", 0}
    assert "refused" in said


def test_it_cannot_frame_the_portal_or_embed_anything_of_it(scene: Scene) -> None:
    image = scene.run(
        """async (portal) => {
            for (const tag of ['iframe', 'object', 'embed']) {
                const frame = document.createElement(tag);
                frame[tag === 'object' ? 'data' : 'src'] = portal + '/';
                document.body.append(frame);
                await new Promise((done) => { frame.onload = frame.onerror = done; setTimeout(done, 700); });
            }
            const image = new Image();
            image.src = portal + '/static/icon.svg';
            return new Promise((done) => {
                image.onload = () => done('image');
                image.onerror = () => done('no image');
            });
        }""",
        scene.portal,
    )
    assert image == "no image"
    frames = [frame for frame in scene.page.frames if frame != scene.page.main_frame]
    assert frames
    assert not any("My things" in frame.content() for frame in frames)
    scene.page.goto(f"{scene.mail}/?_task=mail")


FORMS = [
    ("/devices/new", {"name": "theirs", "program": "other"}),
    ("/sessions/end-others", {}),
    ("/not-me", {}),
    ("/sign-out", {}),
    ("/factors/recovery", {}),
    ("/step-up", {}),
]


@pytest.mark.parametrize(("path", "fields"), FORMS)
def test_it_cannot_drive_the_portals_forms(scene: Scene, path: str, fields: dict[str, str]) -> None:
    scene.run(
        """([url, fields]) => {
            const form = document.createElement('form');
            form.method = 'post';
            form.action = url;
            for (const [name, value] of Object.entries(fields)) {
                const field = document.createElement('input');
                field.name = name; field.value = value;
                form.append(field);
            }
            document.body.append(form);
            form.submit();
        }""",
        [scene.portal + path, fields],
    )
    scene.page.wait_for_url(scene.portal + path)
    expect(scene.page.locator("[role=alert]")).to_be_visible()
    scene.still_signed_in()


def test_neither_can_fetch_nor_a_hidden_origin(scene: Scene) -> None:
    """``no-cors`` sends the cookies; a sandboxed frame and a data URL send ``Origin: null``."""
    scene.run(
        """async (portal) => {
            const body = new URLSearchParams({name: 'theirs', program: 'other'});
            const how = {method: 'POST', mode: 'no-cors', credentials: 'include', body};
            await fetch(portal + '/devices/new', how).catch(() => 0);
            navigator.sendBeacon(portal + '/sign-out', new URLSearchParams());
            const frame = document.createElement('iframe');
            frame.sandbox = 'allow-scripts allow-forms';
            frame.srcdoc = `<form method=post action="${portal}/sign-out"></form>` +
                '<script>document.forms[0].submit()</script>';
            document.body.append(frame);
            await new Promise((done) => setTimeout(done, 700));
        }""",
        scene.portal,
    )
    scene.still_signed_in()


def test_it_cannot_sign_its_person_out_of_the_application_either_by_a_get(scene: Scene) -> None:
    scene.run("fetch('/.gambeson/leave', {credentials: 'include'}).then((a) => a.text())")
    assert scene.run("fetch('/?_task=mail').then((a) => a.text())").startswith("<!doctype html><title>Mail")


def test_it_gets_no_service_worker_that_would_outlive_it(scene: Scene) -> None:
    """Not under its folder, not above it, and not from a script at the root that its own front page gives."""
    said = scene.run(
        """async () => {
            const tried = [];
            for (const script of ['/skins/elastic/a.js', '/?_task=mail&_action=plugin.js']) {
                for (const scope of ['/', '/.gambeson/', '/skins/', '/skins/elastic/']) {
                    try {
                        await navigator.serviceWorker.register(script, {scope});
                        tried.push(script + ' for ' + scope);
                    } catch {}
                }
            }
            return [tried, (await navigator.serviceWorker.getRegistrations()).length];
        }"""
    )
    assert said == [[], 0]
    assert scene.run("fetch('/?_task=mail&_action=plugin.js').then((a) => a.text())").startswith("self.add")


def test_a_window_that_it_opens_on_the_portal_is_out_of_its_hands(scene: Scene) -> None:
    scene.run("() => 0")
    with scene.page.context.expect_page() as opened:
        scene.page.evaluate(
            "(portal) => { window.theirs = window.open(portal + '/', 'theirs'); }", scene.portal
        )
    portal = opened.value
    expect(portal.locator("h1")).to_have_text("My things")
    assert portal.evaluate("window.opener === null")
    assert portal.evaluate("window.name") != "theirs"
    assert scene.page.evaluate("theirs.closed")  # Cross-Origin-Opener-Policy: the two do not know each other
    scene.page.evaluate(
        "(where) => { try { theirs.location = where; } catch {} }", f"{scene.mail}/?_task=logout"
    )
    assert portal.url == f"{scene.portal}/"
    portal.close()


def test_the_portal_is_not_there_by_another_name(scene: Scene) -> None:
    """So no page of its own can ask for a passkey under a false origin; and nobody is led on."""
    port = scene.portal.rpartition(":")[2]
    for host in ("login.example.net", "www.example.org", "127.0.0.1"):
        with scene.page.context.new_page() as page:
            answer = page.goto(f"https://{host}:{port}/sign-in")
            assert answer is not None
            assert answer.status == 421
            assert page.locator("form").count() == 0


def test_a_passkey_of_the_portal_is_not_to_be_had_at_the_application(scene: Scene) -> None:
    """The browser refuses the portal's name there; where a page asks for one under its own or the whole domain's name,
    what comes is of no use: see the next test."""
    scene.run("() => 0")
    said = scene.page.evaluate(
        """async (rpId) => {
            const challenge = new Uint8Array(32);
            try {
                await navigator.credentials.get({publicKey: {challenge, rpId, userVerification: 'required'}});
                return 'given';
            } catch (error) { return error.name; }
        }""",
        PORTAL,
    )
    assert said == "SecurityError"
    assert scene.authenticator.passkeys == []


def test_a_passkey_that_was_made_at_the_application_is_refused_by_the_portal(scene: Scene) -> None:
    """Under the name that both share, with the portal's own challenge: origin and name are looked at."""
    with_portal = scene.page.context.new_page()
    with_portal.goto(f"{scene.portal}/step-up?back=factor")
    with_portal.fill("#totp", scene.codes.next())
    with_portal.click("text=Check the code")
    expect(with_portal.locator("h1")).to_have_text("Add a second factor")
    options = with_portal.evaluate(
        """async () => {
            return (await fetch('/passkey/options?for=create', {method: 'POST'})).json();
        }"""
    )
    scene.run("() => 0")
    scene.page.bring_to_front()
    credential = scene.page.evaluate(
        """async (options) => {
            const plain = (t) => atob(t.replaceAll('-', '+').replaceAll('_', '/'));
            const octets = (t) => Uint8Array.from(plain(t), (c) => c.charCodeAt(0));
            const text = (b) => btoa(String.fromCharCode(...new Uint8Array(b)))
                .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
            options.rp.id = 'example.org';
            options.challenge = octets(options.challenge);
            options.user.id = octets(options.user.id);
            options.excludeCredentials = [];
            const made = await navigator.credentials.create({publicKey: options});
            const r = made.response;
            const response = {clientDataJSON: text(r.clientDataJSON), attestationObject: text(r.attestationObject)};
            return JSON.stringify({id: made.id, rawId: text(made.rawId), type: made.type, response});
        }""",
        options,
    )
    with_portal.evaluate(
        """(credential) => {
            const form = document.querySelector('form.passkey');
            form.elements.credential.value = credential;
            form.submit();
        }""",
        credential,
    )
    expect(with_portal.locator("#error")).to_have_text(
        "This passkey cannot be used here. Try again, or choose another one."
    )
    with_portal.close()
    assert "passkey" not in json.dumps(scene.gambeson.json("account", "factors", ANNA))
