"""What holds for every request: origin, host, limits, headers, error pages; and any parameters at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.portal.browser import FORM, ORIGIN, Browser, World, enrol_totp
from gambeson.console.portal.app import ROUTES
from gambeson.console.web.visit import MAX_BODY, MAX_COOKIES, ProblemError, read_cookies, read_fields

WORLD = World()
POSTS = [r.path for r in ROUTES if r.method == "POST"]
GETS = [r.path for r in ROUTES if r.method == "GET"]


def filled(path: str) -> str:
    return path.replace("{device:str}", "dev-1").replace("{session:str}", "s").replace("{factor:str}", "f").replace(
        "{token:str}", "t"
    )  # fmt: skip


# -- forms come from ourselves ---------------------------------------------------------------------

FOREIGN = [
    [],
    [("origin", "null")],
    [("origin", "https://login.example.org")],
    [("origin", "http://login.example.org:8443")],
    [("origin", "https://mail.example.org:8443")],
    [("origin", ORIGIN + "/")],
    [("origin", ORIGIN.upper())],
    [("origin", ""), ("sec-fetch-site", "same-origin")],
    [("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
    [("origin", ORIGIN), ("origin", ORIGIN)],
    [("sec-fetch-site", "same-site")],
    [("sec-fetch-site", "none")],
    [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")],
    [("referer", ORIGIN + "/sign-in")],
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", POSTS)
def test_a_form_from_elsewhere_does_nothing(path: str, headers: list[tuple[str, str]]) -> None:
    WORLD.backend.calls.clear()
    answer = WORLD.browser().send("POST", filled(path), b"a=b", FORM + headers)
    assert answer.status == 403
    assert "came from somewhere else" in answer.text
    assert WORLD.backend.calls == []


@pytest.mark.parametrize("headers", [[("origin", ORIGIN)], [("sec-fetch-site", "same-origin")]])
def test_a_form_of_ours_is_taken(headers: list[tuple[str, str]]) -> None:
    body = urlencode({"address": "a@example.org", "password": "x"}).encode()
    answer = WORLD.browser("203.0.113.77").send("POST", "/sign-in", body, FORM + headers)
    assert "That was not right" in answer.text


@pytest.mark.parametrize("path", GETS)
def test_looking_changes_nothing(path: str) -> None:
    """No GET asks the desk to change anything, signed in or not."""
    world = World()
    anna = world.person()
    browser = world.browser()
    enrol_totp(world, anna, browser)
    for who in (browser, world.browser()):
        world.backend.calls.clear()
        who.get(filled(path))
        assert set(world.backend.calls) <= {"PersonAsk", "SessionFind", "OwnThings"}


@pytest.mark.parametrize("host", ["evil.example", "login.example.org:1", "LOGIN.example.org:8443", ""])
def test_another_host_is_misdirected(host: str) -> None:
    assert WORLD.browser().send("GET", "/sign-in", headers=[("host", host)]).status == 421


# -- limits and error pages ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "PROPFIND"])
def test_other_methods_are_405(method: str) -> None:
    answer = WORLD.browser().send(method, "/sign-in")
    assert answer.status == 405
    assert answer.header("allow") == "GET, HEAD, POST"


def test_each_error_has_a_page() -> None:
    browser = WORLD.browser()
    origin = [("origin", ORIGIN)]
    table = {
        404: browser.get("/nothing"),
        405: browser.send("POST", "/", b"", origin),
        413: browser.send("POST", "/sign-in", b"a" * (MAX_BODY + 1), FORM + origin),
        414: browser.get("/sign-in?" + "a" * 9000),
        415: browser.send("POST", "/sign-in", b"{}", [("content-type", "application/json"), *origin]),
        400: browser.get("/sign-in?a=1&a=2"),
    }
    for status, answer in table.items():
        assert answer.status == status
        assert "That did not work" in answer.text
        assert "Traceback" not in answer.text
    assert browser.get("/factors/totp").status == 405


def test_a_body_is_measured_as_it_comes() -> None:
    body = b"a=" + b"b" * (MAX_BODY - 1)
    origin = [("origin", ORIGIN)]
    assert WORLD.browser().send("POST", "/sign-in", body, FORM + origin, chunks=50).status == 413
    lying = [("content-length", "10")]
    assert WORLD.browser().send("POST", "/sign-in", body, FORM + origin + lying, chunks=50).status == 413
    for length in ("99999999999999999999", "-1", "1e3", ""):
        answer = WORLD.browser().send("POST", "/sign-in", b"", FORM + origin + [("content-length", length)])
        assert answer.status == 413


def test_every_answer_carries_the_headers() -> None:
    browser = WORLD.browser()
    for answer in (
        browser.get("/sign-in"),
        browser.get("/no"),
        browser.send("PUT", "/"),
        browser.get("/static/portal.css"),
    ):
        policy = answer.header("content-security-policy")
        for part in (
            "default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
            "form-action 'self' https://mail.example.org:8443 https://owa.example.org",
        ):  # fmt: skip
            assert part in policy
        assert "unsafe" not in policy
        assert "data:" not in policy
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("referrer-policy") == "same-origin"
        assert answer.header("strict-transport-security")
        names = [name for name, _ in answer.headers]
        assert len([n for n in names if n == "cache-control"]) == 1
    assert browser.get("/sign-in").header("cache-control") == "no-store"
    assert "max-age" in browser.get("/static/portal.css").header("cache-control")


def test_head_is_get_without_its_body() -> None:
    answer = WORLD.browser().send("HEAD", "/sign-in")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.header("content-length")) > 100


@pytest.mark.parametrize("name", ["../texts.toml", "..%2ftexts.toml", "%2e%2e/app.py", "app.py", "x", ""])
def test_static_files_are_the_two_of_ours(name: str) -> None:
    assert WORLD.browser().get(f"/static/{name}").status == 404


def test_of_two_cookies_with_one_name_none_is_believed() -> None:
    assert read_cookies([b"a=1; b=2", b"a=3; c"]) == {"b": "2"}
    many = b"a=1; " + b"; ".join(b"c%d=x" % n for n in range(MAX_COOKIES - 2))
    assert read_cookies([many, b"b=2"])["a"] == "1"
    assert read_cookies([many, b"b=2; a=3"]) == {}  # the second one is not overlooked
    world = World()
    anna = world.person()
    browser = world.browser()
    enrol_totp(world, anna, browser)
    cookie = browser.cookies["__Host-gambeson-portal"]
    twice = [("cookie", f"__Host-gambeson-portal={cookie}; __Host-gambeson-portal=x")]
    assert world.browser().send("GET", "/", headers=twice).location == "/sign-in"


# -- anything at all -------------------------------------------------------------------------------

NAMES = ("address", "password", "code", "kind", "credential", "host", "state", "to", "name", "program", "back", "for",
         "alarm", "said")  # fmt: skip
forms = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), st.text(max_size=40), max_size=8)
COOKIES = [f"__Host-gambeson-{name}" for name in ("portal", "step", "box", "known")]
cookies = st.dictionaries(st.sampled_from(COOKIES), st.text("abcXYZ019.-_=", max_size=60))
FUZZED = World()
ANNA = FUZZED.person()
SIGNED_IN = FUZZED.browser()
enrol_totp(FUZZED, ANNA, SIGNED_IN)
KNOWN_STATUS = {200, 303, 400, 403, 404, 405, 409, 415, 422, 429}


@given(st.sampled_from(POSTS + GETS), forms, forms, st.booleans(), cookies)
@settings(max_examples=300)
def test_any_parameters_give_a_page(
    path: str, query: dict[str, str], form: dict[str, str], signed_in: bool, cookies: dict[str, str]
) -> None:
    if signed_in and not FUZZED.backend.live(ANNA):
        enrol_totp(FUZZED, ANNA, SIGNED_IN)
    browser = Browser(FUZZED.app, "203.0.113.1", {**(SIGNED_IN.cookies if signed_in else {}), **cookies})
    method = "POST" if path in POSTS and form else "GET"
    body = urlencode(form).encode() if method == "POST" else b""
    answer = browser.send(method, f"{filled(path)}?{urlencode(query)}", body, [*FORM, ("origin", ORIGIN)])
    assert answer.status in KNOWN_STATUS
    assert answer.location == "" or answer.location.startswith(
        ("/", "https://owa.example.org/", "https://mail.example")
    )


@given(st.binary(max_size=300))
def test_any_octets_are_fields_or_one_error(octets: bytes) -> None:
    try:
        fields = read_fields(octets, 200)
    except ProblemError:
        return
    assert len(fields) <= 32


@given(st.binary(max_size=200), st.binary(max_size=60), st.binary(max_size=60))
def test_any_octets_as_body_query_or_header_give_a_page(body: bytes, query: bytes, agent: bytes) -> None:
    text = query.decode("latin-1").replace("#", "").replace("?", "").encode("ascii", "ignore").decode()
    clean = "".join(c for c in text if c.isprintable())
    headers = [*FORM, ("origin", ORIGIN), ("x-other", agent.decode("latin-1"))]
    assert (
        FUZZED.browser("203.0.113.2").send("POST", f"/sign-in?{clean}", body, headers).status in KNOWN_STATUS
    )


# -- nothing is read after the start ---------------------------------------------------------------


def test_serving_imports_and_opens_nothing(tmp_path: Path) -> None:
    """After the portal was made, the process gives up the right to read files: so nothing may need one."""
    script = tmp_path / "conversation.py"
    script.write_text(
        "import builtins, io, os, sys\n"
        "from console.portal.browser import *\n"
        "from console.portal.soft_authenticator import SoftAuthenticator\n"
        "world = World()\n"
        "anna = world.person(); key_browser = world.browser()\n"
        "keys = SoftAuthenticator(ORIGIN)\n"
        "before = set(sys.modules); opened = []\n"
        "sys.addaudithook(lambda event, args: event == 'open' and opened.append(args[0]))\n"
        "key, codes = enrol_totp(world, anna, key_browser)\n"
        "for n, algorithm in enumerate((-7, -8, -257)):\n"
        "    someone = world.person(f'p{n}@example.org')\n"
        "    browser = world.browser(f'10.{n}.0.1')\n"
        "    keys = enrol_passkey(world, someone, browser, algorithm=algorithm)\n"
        "    other = world.browser(f'10.{n}.0.2')\n"
        "    c = keys.get(other.options('alone').text)\n"
        "    assert other.post('/sign-in/passkey', credential=c).location == '/'\n"
        "    assert other.post('/sign-in/passkey', credential='{').status == 403\n"
        "keys = SoftAuthenticator(ORIGIN)\n"
        "b = world.browser('10.9.0.1')\n"
        "assert b.post('/sign-in', address='anna@b\\u00fccher.example', password='\\u00e4').status == 403\n"
        "assert b.send('POST', '/sign-in', b'a' * 70000, [('origin', ORIGIN)]).status == 413\n"
        "assert b.send('POST', '/sign-in', b'a=%ff', [*FORM, ('origin', ORIGIN)]).status == 400\n"
        "key_browser.get('/factors/new')\n"
        "c = keys.create(key_browser.options('create').text)\n"
        "assert key_browser.post('/factors/passkey', credential=c).location == '/factors'\n"
        "assert key_browser.post('/devices/new', name='x', program='ios-mail-imap').status == 200\n"
        "assert key_browser.get(f'/enter?host={MAIL}&state={STATE}&to=/').status == 303\n"
        "for path in ('/', '/nothing', '/static/portal.css', '/sign-in'): key_browser.get(path)\n"
        "new = sorted(m for m in set(sys.modules) - before)\n"
        "ends = ('.py', '.html', '.pyc', '.toml', '.so')\n"
        "print(new, [o for o in opened if isinstance(o, str) and o.endswith(ends)])\n"
    )
    path = ":".join(sys.path)
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={"PYTHONPATH": path}, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[] []"
