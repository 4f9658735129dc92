"""Debian's Chromium, driven with Playwright: pages as a person sees them, passkeys by a virtual authenticator, axe.

    with Chromium([certificate_path]) as chromium:
        with chromium.visitor() as page:                    # a browser profile of its own
            passkeys = Authenticator(page)
            page.goto("https://login.localhost:8443/")

Certificates are pinned by their public key, so that everything counts as a secure context without an error (WebAuthn
works in no other), and any other certificate is still refused. Names lead to 127.0.0.1, whatever they are.

To be opened and closed within one module's fixture: while it is open, its thread has a running event loop.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import program

if TYPE_CHECKING:
    from playwright.sync_api import Page

DESKTOP, PHONE = (1280, 900), (390, 844)
SECONDS = 60  # at most, for what is waited for on a page: as long as a machine with too much to do may need


def pin(certificate: Path) -> str:
    """The public key's SHA-256 of the first certificate in a PEM file, as Chromium wants it."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(sha256(octets).digest()).decode()


@cache
def axe_script() -> str:
    """Deque's checker of accessibility, out of the wheel that ships it. Nothing of the wheel is imported."""
    found = find_spec("axe_playwright_python")
    assert found is not None, "axe-playwright-python is not installed"
    assert found.submodule_search_locations
    return Path(next(iter(found.submodule_search_locations)), "axe.min.js").read_text()


class Chromium:
    """One browser; each visitor has cookies and storage of their own. ``certificates`` are those it trusts."""

    def __init__(self, certificates: Sequence[Path]) -> None:
        self._arguments = [
            "--host-resolver-rules=MAP * 127.0.0.1",
            f"--ignore-certificate-errors-spki-list={','.join(map(pin, certificates))}",
            "--no-first-run",
            "--disable-background-networking",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]

    def __enter__(self) -> Chromium:
        from playwright.sync_api import expect, sync_playwright

        expect.set_options(timeout=SECONDS * 1000)
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(
                executable_path=program("chromium"), args=self._arguments
            )
        except BaseException:
            self._playwright.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()

    @contextmanager
    def visitor(
        self, *, javascript: bool = True, dark: bool = False, size: tuple[int, int] = DESKTOP
    ) -> Iterator[Page]:
        """An empty page in a profile of its own."""
        context = self._browser.new_context(
            java_script_enabled=javascript,
            color_scheme="dark" if dark else "light",
            viewport={"width": size[0], "height": size[1]},
            locale="en-GB",
        )
        context.set_default_timeout(SECONDS * 1000)
        try:
            yield context.new_page()
        finally:
            context.close()


class Authenticator:
    """A virtual authenticator of a page: it keeps passkeys, verifies its user and always says yes (WebAuthn section
    11, by the Chrome DevTools Protocol). ``passkeys`` are those of another one."""

    def __init__(self, page: Page, passkeys: Sequence[dict[str, Any]] = ()) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        added = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._id = {"authenticatorId": added["authenticatorId"]}
        for passkey in passkeys:
            self._session.send("WebAuthn.addCredential", {**self._id, "credential": passkey})

    @property
    def passkeys(self) -> list[dict[str, Any]]:
        """What it keeps, private keys and counters included."""
        found: list[dict[str, Any]] = self._session.send("WebAuthn.getCredentials", self._id)["credentials"]
        return found


def heard(page: Page, wanted: Callable[[str], bool] = lambda line: True) -> list[str]:
    """The wanted lines of the page's console, uncaught errors and violations of its policy among them: a list that
    grows while something is asked of the page."""
    lines: list[str] = []

    def add(line: str) -> None:
        if wanted(line):
            lines.append(line)

    page.on("console", lambda message: add(message.text))
    page.on("pageerror", lambda error: add(str(error)))
    return lines


def accessibility(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is now, a line each. Raises AssertionError where it looked at nothing.
    The page's own policy does not keep it out: it comes by the debugging protocol."""
    page.evaluate(f"{axe_script()};0")
    report = json.loads(page.evaluate("axe.run(document).then(JSON.stringify)"))
    assert len(report["passes"]) > 5, page.url
    return [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in report["violations"]]


def too_wide(page: Page) -> bool:
    """Whether the page as a whole scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))
