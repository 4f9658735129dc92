"""A person at a browser without scripts: cookies by host, redirects, forms; and the portal used with password and code.

Everything goes to one door on loopback, whatever the host. ``trace`` has every request that was made, so that what a
person really does can be kept and asked again.
"""

from __future__ import annotations

import calendar
import html
import http.client
import re
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate

import pyotp

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
STEP = 30  # seconds of a code


@dataclass(frozen=True)
class Asked:
    """One request that was made. ``headers`` without cookies' values."""

    host: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    status: int


@dataclass(frozen=True)
class Page:
    """An answer."""

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def header(self, name: str) -> str:
        """The first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def fields(self, action: str) -> tuple[str, dict[str, str]]:
        """Where the form whose action ends so leads, and its hidden fields. Raises LookupError."""
        for where, inner in re.findall(
            r'<form method="post" action="([^"]*)"(.*?)</form>', self.text, re.DOTALL
        ):
            if html.unescape(where).partition("?")[0].endswith(action):
                hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', inner)
                filled = {name: html.unescape(value) for name, value in hidden}
                return urllib.parse.urljoin(self.url, html.unescape(where)), filled
        raise LookupError(f"no form {action} at {self.url} ({self.status}): {self.text[:2000]}")


class _Connection(http.client.HTTPSConnection):
    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=60)
        self._tls, self._door = context, port

    def connect(self) -> None:
        """To the door, whatever the host."""
        plain = socket.create_connection(("127.0.0.1", self._door), 60)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


class Browser:
    """One browser with its cookies."""

    def __init__(self, port: int, ca: str) -> None:
        self.port = port
        self.jar: dict[str, dict[str, str]] = {}
        self.trace: list[Asked] = []
        self._tls = ssl.create_default_context(cafile=ca)

    def url(self, host: str, target: str = "/") -> str:
        """A URL at the door."""
        return f"https://{host}:{self.port}{target}"

    def get(self, url: str, **headers: str) -> Page:
        """A page, as if its address had been typed; redirects are followed."""
        return self.go("GET", url, headers=headers)

    def post(self, url: str, form: Mapping[str, str] | Sequence[tuple[str, str]], **headers: str) -> Page:
        """A form of the host's own."""
        body = urllib.parse.urlencode(form).encode()
        return self.go("POST", url, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})

    def go(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
        *,
        follow: bool = True,
    ) -> Page:
        """One request, and what it leads to."""
        for _ in range(12):
            page = self._one(method, url, body, headers)
            where = page.header("location")
            if not follow or page.status not in (301, 302, 303, 307, 308) or not where:
                return page
            url = urllib.parse.urljoin(url, where)
            if page.status not in (307, 308):
                method, body = "GET", None
                headers = {k: v for k, v in headers.items() if k.lower() not in ("content-type", "origin")}
        raise AssertionError(f"led to and fro: {url}")

    def _one(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Page:
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {
            "Host": parts.netloc,
            "User-Agent": AGENT,
            "Accept": PAGE,
            "Accept-Language": "en-US,en;q=0.5",
        }
        sent |= {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        if method not in ("GET", "HEAD"):
            sent["Origin"] = f"https://{parts.netloc}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if jar := self.jar.get(parts.hostname):
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        connection = _Connection(parts.hostname, self.port, self._tls)
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            content, got = answer.read(), tuple(answer.getheaders())
        finally:
            connection.close()
        self._take(parts.hostname, got)
        kept = tuple((name, value) for name, value in sent.items() if name != "Cookie")
        self.trace.append(Asked(parts.hostname, method, target, kept, body or b"", answer.status))
        return Page(url, answer.status, got, content)

    def _take(self, host: str, headers: Sequence[tuple[str, str]]) -> None:
        jar = self.jar.setdefault(host, {})
        for name, value in headers:
            if name.lower() == "clear-site-data" and '"cookies"' in value:
                jar.clear()
            if name.lower() == "set-cookie":
                key, _, content = value.partition(";")[0].partition("=")
                if _gone(value):
                    jar.pop(key, None)
                else:
                    jar[key] = content


def _gone(cookie: str) -> bool:
    """Whether a Set-Cookie takes the cookie away (RFC 6265 section 5.3)."""
    if found := re.search(r";\s*max-age=(-?\d+)", cookie, re.IGNORECASE):
        return int(found[1]) <= 0
    found = re.search(r";\s*expires=([^;]+)", cookie, re.IGNORECASE)
    ends = parsedate(found[1].replace("UTC", "GMT")) if found else None
    return ends is not None and calendar.timegm(ends) <= time.time()


class Codes:
    """An authenticator app. Each call gives a code that was not used before, up to one step ahead of the clock."""

    def __init__(self, secret: str) -> None:
        self._totp, self._last = pyotp.TOTP(secret), 0

    def next(self) -> str:
        """A code that the keeper takes now; waits where all that it would take were used."""
        step = max(int(time.time()) // STEP - 1, self._last + 1)
        while step > int(time.time()) // STEP + 1:
            time.sleep(0.5)
        self._last = step
        return self._totp.at(step * STEP)


def bind(browser: Browser, portal: str, address: str, password: str, code: str) -> Codes:
    """The first sign-in: a binding code brings an authenticator app."""
    form, filled = browser.get(browser.url(portal, "/enrol")).fields("/enrol")
    page = browser.post(form, {**filled, "address": address, "password": password, "code": code})
    key = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page.text)
    assert key, page.text[:2000]
    codes = Codes(key[1].replace(" ", ""))
    form, filled = page.fields("/factors/totp")
    page = browser.post(form, {**filled, "name": "Phone", "code": codes.next()})
    assert page.status == 200, page.text[:2000]
    return codes


def sign_in(browser: Browser, url: str, address: str, password: str, codes: Codes) -> Page:
    """Open an application's page, and give the portal what it asks for; the page that was wanted."""
    page = browser.get(url, Sec_Fetch_Site="none")
    form, filled = page.fields("/sign-in")
    page = browser.post(form, {**filled, "address": address, "password": password})
    form, filled = page.fields("/second/code")
    return browser.post(form, {**filled, "kind": "totp", "code": codes.next()})
