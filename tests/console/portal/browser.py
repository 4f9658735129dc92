"""A browser without pictures: drives the portal's ASGI application, keeps cookies by the rules of ``__Host-``, sends
Origin with every form, follows 303 on its own host, and reads forms out of pages."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

import pyotp

from console.portal.memory_desk import MemoryBackend, Someone
from console.portal.soft_authenticator import SoftAuthenticator
from gambeson.console.portal import ApplicationHost, MailService, PortalApp, PortalSettings, make_portal

ORIGIN = "https://login.example.org:8443"
MAIL, OWA = "mail.example.org:8443", "owa.example.org"
STATE = "ab" * 32
T0 = 1_800_000_000.0


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str:
        return next((v for k, v in self.headers if k == name), "")

    @property
    def location(self) -> str:
        return self.header("location")


class Page(HTMLParser):
    """The forms of a page (action to hidden fields) and the texts of its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, str]] = {}
        self._now: dict[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {k: v or "" for k, v in attrs}
        if tag == "form":
            self._now = self.forms.setdefault(given.get("action", ""), {})
        if tag == "input" and self._now is not None and given.get("type") == "hidden":
            self._now[given["name"]] = given.get("value", "")


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> float:
        return self.now


class World:
    """A portal with its backend and clock."""

    def __init__(self, **changes: Any) -> None:
        self.clock = Clock()
        self.backend = MemoryBackend(self.clock)
        given: dict[str, Any] = {
            "applications": (
                ApplicationHost(MAIL, "Webmail", password=True),
                ApplicationHost(OWA, "Outlook"),
            ),
            "mail": (
                MailService("imap", "mail.example.org", 993),
                MailService("submission", "mail.example.org", 587, implicit_tls=False),
            ),
            "known_key": bytes(range(32)),
            "refusal_seconds": 0.0,
            **changes,
        }
        self.settings = PortalSettings(ORIGIN, **given)
        self.app: PortalApp = make_portal(self.backend, self.settings, clock=self.clock)

    def browser(self, source: str = "192.0.2.7") -> Browser:
        return Browser(self.app, source)

    def later(self, seconds: float) -> None:
        self.clock.now += seconds

    def person(self, address: str = "anna@example.org", password: str = "correct horse") -> Someone:
        return self.backend.add(address, password)


@dataclass
class Browser:
    app: Any
    source: str = "192.0.2.7"
    cookies: dict[str, str] = field(default_factory=dict)
    host: str = ORIGIN.removeprefix("https://")

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: list[tuple[str, str]] | None = None,
        chunks: int = 1,
    ) -> Answer:
        """One request with exactly these headers, and Host, cookies and source."""
        target = urlsplit(path)
        given = [("host", self.host), ("x-gambeson-source", self.source), ("user-agent", "Test Browser/1")]
        given += headers or []
        if self.cookies:
            given.append(("cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items())))
        seen = {k for k, _ in headers or []}
        if "host" in seen:
            given = given[1:]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": re.sub("%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), target.path),
            "raw_path": target.path.encode(),
            "root_path": "",
            "query_string": target.query.encode("utf-8", "surrogateescape"),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in given],
            "client": ("unix", 0),
            "server": ("portal", 0),
        }
        answer = asyncio.run(_serve(self.app, scope, body, chunks))
        for value in [v for k, v in answer.headers if k == "set-cookie"]:
            self._take(value)
        return answer

    def get(self, path: str, *headers: tuple[str, str]) -> Answer:
        return self.send("GET", path, headers=list(headers))

    def post(self, path: str, **form: str) -> Answer:
        return self.send("POST", path, urlencode(form).encode(), [*FORM, ("origin", ORIGIN)])

    def follow(self, answer: Answer) -> Answer:
        """On through redirects that stay on the portal."""
        for _ in range(10):
            if answer.status != 303 or not answer.location.startswith("/"):
                return answer
            answer = self.get(answer.location)
        raise AssertionError("the redirects go round")

    def options(self, purpose: str) -> Answer:
        return self.send("POST", f"/passkey/options?for={purpose}", b"", [("origin", ORIGIN)])

    def _take(self, value: str) -> None:
        pair, *attributes = value.split("; ")
        name, _, text = pair.partition("=")
        assert name.startswith("__Host-"), name
        assert {"Path=/", "Secure", "HttpOnly"} <= set(attributes), value
        assert any(a.startswith("SameSite=") for a in attributes)
        assert not any(a.startswith("Domain") for a in attributes)
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = text


FORM = [("content-type", "application/x-www-form-urlencoded")]


async def _serve(app: Any, scope: dict[str, Any], body: bytes, chunks: int) -> Answer:
    size = max(1, -(-len(body) // chunks))
    parts = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await app(scope, receive, send)
    start = sent[0]
    headers = [(k.decode().lower(), v.decode("latin-1")) for k, v in start["headers"]]
    return Answer(start["status"], headers, b"".join(e.get("body", b"") for e in sent[1:]))


def codes_of(answer: Answer) -> list[str]:
    """The recovery codes on a page."""
    return re.findall(r"<li><code>([0-9a-z-]+)</code></li>", answer.text)


def key_of(answer: Answer) -> str:
    """The key of an authenticator app on a page."""
    return re.findall(r'<code class="secret">([A-Z2-7 ]+)</code>', answer.text)[0].replace(" ", "")


def app_code(at: float, key: str) -> str:
    """What the authenticator app shows then."""
    return str(pyotp.TOTP(key).at(int(at)))


def enrol_totp(world: World, someone: Someone, browser: Browser) -> tuple[str, list[str]]:
    """From the binding code to a session; returns the app's key and the recovery codes."""
    code = world.backend.binding_code(someone)
    page = browser.follow(
        browser.post("/enrol", address=someone.address, password=someone.password, code=code)
    )
    key = key_of(page)
    done = browser.post("/factors/totp", code=app_code(world.clock.now, key))
    assert done.status == 200, done.text
    return key, codes_of(done)


def enrol_passkey(world: World, someone: Someone, browser: Browser, **more: Any) -> SoftAuthenticator:
    """From the binding code to a session with a passkey."""
    code = world.backend.binding_code(someone)
    browser.follow(browser.post("/enrol", address=someone.address, password=someone.password, code=code))
    authenticator = SoftAuthenticator(ORIGIN, **more)
    credential = authenticator.create(browser.options("create").text)
    done = browser.post("/factors/passkey", credential=credential, name="Key")
    assert done.status == 200, done.text
    return authenticator


def sign_in_totp(world: World, someone: Someone, key: str, browser: Browser, **target: str) -> Answer:
    """Password and authenticator app, in the next time step."""
    world.later(30)
    first = browser.post("/sign-in", address=someone.address, password=someone.password, **target)
    assert first.location == "/second", first.text
    return browser.post("/second/code", kind="totp", code=app_code(world.clock.now, key))
