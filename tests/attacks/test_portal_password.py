"""Passwords at the portal: nothing is made of them on their way, and no page stands in a password manager's way."""

from __future__ import annotations

from argparse import Namespace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlencode

import pytest

from console.portal.browser import FORM, ORIGIN, World, enrol_totp
from gambeson.cli.account import _password
from gambeson.cli.common import CommandError
from gambeson.console.portal.pages import sources

AWKWARD = (
    " two blanks around ",
    "MiXeD case",
    "u\u0308 and \u00fc are two",
    "\u212b\ufb01\uff21",
    "%41+&=;#",
    "'; -- \\\" <b>",
    "tab\tinside",
    "\U0001f511" * 8,
    "x" * 64,
    "y" * 1024,
)


@pytest.mark.parametrize("password", AWKWARD)
def test_a_password_goes_to_the_check_as_it_was_typed(password: str) -> None:
    world = World()
    someone = world.person(password=password)
    enrol_totp(world, someone, world.browser())
    asked = world.browser("198.51.100.1").post("/sign-in", address=someone.address, password=password)
    assert asked.location == "/second"
    for other in (password.strip() + "!", password.swapcase() + "!", password[:-1]):
        refused = world.browser("198.51.100.2").post("/sign-in", address=someone.address, password=other)
        assert refused.status == 403


def test_one_that_is_too_long_is_refused_and_not_cut() -> None:
    world = World()
    someone = world.person(password="y" * 1024)
    enrol_totp(world, someone, world.browser())
    refused = world.browser().post("/sign-in", address=someone.address, password="y" * 1025)
    assert refused.status == 403


def test_no_password_ends_by_time() -> None:
    world = World()
    someone = world.person()
    enrol_totp(world, someone, world.browser())
    world.later(10 * 365 * 86400.0)
    asked = world.browser().post("/sign-in", address=someone.address, password=someone.password)
    assert asked.location == "/second"


def test_a_password_in_the_address_is_not_read() -> None:
    """Addresses are kept in histories and logs: what stands there is no form."""
    world = World()
    someone = world.person()
    enrol_totp(world, someone, world.browser())
    query = urlencode({"address": someone.address, "password": someone.password})
    for path in (f"/sign-in?{query}", f"/enrol?{query}"):
        assert world.browser().send("POST", path, b"", [("origin", ORIGIN)]).status == 403
    browser = world.browser()
    browser.post("/sign-in", address=someone.address, password=someone.password)
    answer = browser.send(
        "POST", "/second/code?kind=totp&code=000000", b"kind=totp", [*FORM, ("origin", ORIGIN)]
    )
    assert answer.status == 403


@pytest.mark.parametrize(("length", "good"), [(0, False), (7, False), (8, True), (1024, True), (1025, False)])
def test_a_short_password_is_not_set(tmp_path: Path, length: int, good: bool) -> None:
    path = tmp_path / "password"
    path.write_text("p" * length + "\n")
    args = Namespace(password_file=str(path))
    if good:
        assert _password(args, minimum=8) == "p" * length
        return
    with pytest.raises(CommandError):
        _password(args, minimum=8)


class _Inputs(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "input":
            self.found.append({k: v or "" for k, v in attrs})


def test_password_fields_mask_and_help_password_managers() -> None:
    fields = [each for text in sources().values() for each in _Inputs(text).found]
    passwords = [each for each in fields if each.get("name") == "password"]
    assert len(passwords) >= 3
    for each in passwords:
        assert (each["type"], each["autocomplete"], each["maxlength"]) == (
            "password",
            "current-password",
            "1024",
        )
        assert "readonly" not in each
    assert not [each for each in fields if each.get("type") == "password" and each.get("name") != "password"]
    script = files("gambeson.console.web").joinpath("static/passkey.js").read_text("utf-8")
    assert "paste" not in script
