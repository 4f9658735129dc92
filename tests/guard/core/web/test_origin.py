"""Origins, and paths that lead back: tables of what people and attackers send."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.web.origin import (
    allowed_origin,
    enter_url,
    navigation,
    public_name,
    safe_path,
    same_origin,
    state_of,
)
from gambeson.model.web import WebRequest


def request(method: str = "POST", host: str = "mail.example.org:8443", **headers: str) -> WebRequest:
    pairs = (("host", host), *((k.replace("_", "-"), v) for k, v in headers.items()))
    return WebRequest(method, host.partition(":")[0], "/", headers=tuple(pairs))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("mail.example.org", "mail.example.org"),
        ("mail.example.org:443", "mail.example.org"),
        ("mail.example.org:0443", "mail.example.org"),
        ("mail.example.org:8443", "mail.example.org:8443"),
        ("mail.example.org:", "mail.example.org"),
        ("mail.example.org:x", "mail.example.org"),
        ("mail.example.org:999999", "mail.example.org"),
    ],
)
def test_the_public_name(host, name):
    assert public_name(request(host=host)) == name


@pytest.mark.parametrize(
    ("origin", "good"),
    [
        ("https://mail.example.org:8443", True),
        ("https://mail.example.org", False),
        ("http://mail.example.org:8443", False),
        ("https://mail.example.org:8443/", False),
        ("https://mail.example.org:8443.evil.test", False),
        ("https://evil.mail.example.org:8443", False),
        ("https://MAIL.example.org:8443", False),
        ("https://login.example.org:8443", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_origin_is_compared_whole(origin, good):
    assert same_origin(request(origin=origin)) is good
    # What Sec-Fetch-Site says does not help an origin that is wrong.
    assert same_origin(request(origin=origin, sec_fetch_site="same-origin")) is good


@pytest.mark.parametrize(
    ("site", "good"),
    [("same-origin", True), ("same-site", False), ("cross-site", False), ("none", False), ("", False)],
)
def test_without_an_origin_the_browser_must_say_so(site, good):
    assert allowed_origin(request(sec_fetch_site=site)) is good


def test_two_origins_are_none():
    two = (("host", "h"), ("origin", "https://h"), ("origin", "https://h"))
    assert not same_origin(WebRequest("POST", "h", "/", headers=two))


@pytest.mark.parametrize(
    ("method", "good"),
    [
        ("GET", True),
        ("HEAD", True),
        ("OPTIONS", True),
        ("POST", False),
        ("PUT", False),
        ("DELETE", False),
        ("PROPFIND", False),
    ],
)
def test_what_may_come_from_anywhere(method, good):
    assert allowed_origin(request(method)) is good


def test_a_websocket_needs_the_exact_origin():
    assert not allowed_origin(request("GET", upgrade="websocket"))
    assert not allowed_origin(request("GET", upgrade="websocket", sec_fetch_site="same-origin"))
    assert not allowed_origin(request("GET", upgrade="websocket", origin="https://evil.test"))
    assert allowed_origin(request("GET", upgrade="websocket", origin="https://mail.example.org:8443"))


@pytest.mark.parametrize(
    ("made", "good"),
    [
        (request("GET", accept="text/html,*/*;q=0.8"), True),
        (request("HEAD", accept="text/html"), True),
        (request("GET", sec_fetch_mode="navigate", accept="*/*"), True),
        (request("GET", sec_fetch_mode="navigate", sec_fetch_dest="document"), True),
        (request("GET", sec_fetch_mode="navigate", sec_fetch_dest="iframe"), False),
        (request("GET", sec_fetch_mode="cors", accept="text/html"), False),
        (request("GET", accept="application/json"), False),
        (request("GET"), False),
        (request("POST", accept="text/html"), False),
        (request("GET", accept="text/html", upgrade="websocket"), False),
    ],
)
def test_navigation(made, good):
    assert navigation(made) is good


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/owa/",
        "/owa/?ae=Folder&t=IPF.Note",
        "/?_task=mail&u=https://example.org//x",
        "/%2f%2fevil.test",
        "/a/../b",
    ],
)
def test_paths_of_this_host(path):
    assert safe_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "owa",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/a//b",
        "/.//evil.test",
        "https://evil.test/",
        "javascript:alert(1)",
        "/\t/evil.test",
        "/\r\nSet-Cookie: x=1",
        "/a b",
        "/ä",
        "/\x7f",
        "/#x",
        "/.gambeson/leave",
        "/.Gambeson/enter?code=x",
        "/" + "a" * 2048,
    ],
)
def test_open_redirects_end_at_the_root(path):
    assert safe_path(path) == "/"


@given(st.text(alphabet=st.sampled_from("/\\.:@?#%\t\r\n evilhost2f5c"), max_size=40) | st.text(max_size=40))
def test_no_path_leaves_its_host(text):
    landed = urlsplit(urljoin("https://mail.example.org/x", safe_path(text).replace("\\", "/")))
    assert (landed.scheme, landed.netloc) == ("https", "mail.example.org")


def test_the_portals_address():
    url = enter_url("https://login.example.org", "mail.example.org:8443", state_of("x"), "/a?b=c&d")
    assert url == (
        "https://login.example.org/enter?host=mail.example.org%3A8443"
        f"&state={sha256(b'x').hexdigest()}&to=%2Fa%3Fb%3Dc%26d"
    )
