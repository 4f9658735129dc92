"""Cookies of one session never go upstream under another: conversations of a browser with two people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.web.cookie_binding import (
    MAX_NAME,
    WITNESS,
    admitted,
    expired,
    set_beside,
    unbound,
)
from gambeson.model.web import Product

KEY = bytes(range(32))
HOST = "mail.example.org"


class Browser:
    """Keeps cookies by name and path, and sends them all (the worst case)."""

    def __init__(self) -> None:
        self.jar: dict[tuple[str, str], str] = {}

    def take(self, *values: str) -> None:
        for value in values:
            pair, _, rest = value.partition(";")
            name, _, content = pair.partition("=")
            fields = dict(f.strip().lower().partition("=")[::2] for f in rest.split(";") if f.strip())
            self.jar[name, fields.get("path", "/")] = content

    def cookies(self) -> tuple[tuple[str, str], ...]:
        longest = sorted(self.jar.items(), key=lambda item: -len(item[0][1]))
        return tuple((name, value) for (name, _), value in longest)


def sent(browser: Browser, session: str, product: Product = Product.ROUNDCUBE, host: str = HOST) -> str:
    return admitted(browser.cookies(), KEY, session, host, product)


def test_a_session_gets_its_own_cookies_back():
    browser = Browser()
    browser.take(*set_beside("sessid=abc; path=/; HttpOnly", KEY, "A", HOST))
    assert sent(browser, "A") == "sessid=abc"


def test_b_after_a_in_the_same_browser_sends_nothing_of_as():
    browser = Browser()
    browser.take(*set_beside("sessid=A-secret; path=/", KEY, "A", HOST))
    browser.take(*set_beside("cadata=A-data; path=/owa", KEY, "A", HOST))
    assert sent(browser, "B") == ""
    # B's own cookie at another path does not vouch for A's of the same name.
    browser.take(*set_beside("cadata=B-data; path=/", KEY, "B", HOST))
    assert sent(browser, "B") == "cadata=B-data"
    assert sent(browser, "A") == "cadata=A-data; sessid=A-secret"


@pytest.mark.parametrize(
    "cookies",
    [
        (("sessid", "A-secret"),),  # without a witness
        (("sessid", "A-secret"), (WITNESS + "sessid", "")),
        (("sessid", "A-secret"), (WITNESS + "sessid", "0" * 24)),
        (("sessid", "A-secret"), (WITNESS.lower() + "sessid", "0" * 24)),
        (("", "sessid=A-secret"),),
    ],
)
def test_what_no_witness_of_the_session_vouches_for_stays(cookies):
    assert admitted(cookies, KEY, "B", HOST, Product.ROUNDCUBE) == ""


def test_a_witness_is_for_one_host_name_and_value():
    browser = Browser()
    browser.take(*set_beside("sessid=abc; path=/", KEY, "A", HOST))
    assert sent(browser, "A", host="other.example.org") == ""
    browser.jar["sessid", "/"] = "changed"
    assert sent(browser, "A") == ""
    browser.jar["other", "/"] = "abc"
    assert "other" not in sent(browser, "A")


def test_scripts_may_set_what_says_nothing_of_a_person():
    cookies = (("colorMode", "dark"), ("PBack", "0"))
    assert admitted(cookies, KEY, "A", HOST, Product.ROUNDCUBE) == "colorMode=dark"
    assert admitted(cookies, KEY, "A", HOST, Product.EXCHANGE) == "PBack=0"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nameless",
        "=value",
        f"{WITNESS}x=forged; path=/",
        f"{WITNESS.upper()}x=forged",
        "__Host-gambeson-session=mine; Path=/; Secure",
        "__HOST-Gambeson-key=mine",
        "n" * (MAX_NAME + 1) + "=v",
    ],
)
def test_a_server_sets_neither_witnesses_nor_our_cookies(value):
    assert set_beside(value, KEY, "A", HOST) == ()


def test_the_witness_lives_as_long_as_its_cookie():
    text = "sessid=abc; Path=/owa; Max-Age=60; Expires=Thu, 01 Jan 2037 00:00:00 GMT; SameSite=None; Domain=example.org"
    kept, witness = set_beside(text, KEY, "A", HOST)
    assert kept == text
    assert witness.startswith(f"{WITNESS}sessid=")
    for attribute in ("Path=/owa", "Max-Age=60", "SameSite=None", "Secure", "HttpOnly"):
        assert f"; {attribute}" in witness
    assert "Domain" not in witness


def test_who_has_no_session_sends_what_belongs_to_none():
    browser = Browser()
    browser.take(*set_beside("sessid=A-secret; path=/", KEY, "A", HOST))
    browser.take("old=1; path=/")
    assert unbound(browser.cookies()) == "old=1"


def test_leaving_takes_every_cookie_out():
    browser = Browser()
    browser.take(*set_beside("sessid=abc; path=/", KEY, "A", HOST))
    gone = expired(browser.cookies())
    assert {each.partition("=")[0] for each in gone} == {"sessid", WITNESS + "sessid"}
    assert all("Max-Age=0" in each for each in gone)


text = st.text(st.characters(max_codepoint=255), max_size=30)


@given(st.lists(st.tuples(text, text), max_size=10), text, text)
def test_nobody_but_the_session_is_vouched_for(cookies, session, value):
    assert "secret-of-A" not in admitted(
        (*cookies, ("sessid", "secret-of-A")), KEY, session, HOST, Product.SOGO
    )
    for made in set_beside(value, KEY, session, HOST):
        assert "\n" not in made or "\n" in value
    for made in expired(cookies):
        assert made.isascii()
        assert made.isprintable()
