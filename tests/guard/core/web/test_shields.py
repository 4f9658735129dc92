"""Shields: each file's own cases, what a file must have, canonical forms, bodies, answers, and replay."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.web.canonical import forms, plain, plain_path, resolved, squeezed
from gambeson.guard.core.web.replay import LogRecord, replay
from gambeson.guard.core.web.shield_source import Case, Shield
from gambeson.guard.core.web.shields import (
    ShieldError,
    load_shields,
    parse_shield,
)
from gambeson.guard.data import texts
from gambeson.model.web import Product, WebRequest
from guard.core.web.asking import SITES, ask, hit

SHIELDS = load_shields()
FILES = texts("shields")
DOCUMENT = Path(__file__).parents[4] / "docs" / "shields.md"
POSITIVE = [(f"{s.id}-{n}", s, c) for s in SHIELDS.shields for n, c in enumerate(s.positive)]
NEGATIVE = [(f"{s.id}-{n}", s, c) for s in SHIELDS.shields for n, c in enumerate(s.negative)]
ROWS = [
    "CVE-2021-26855",
    "CVE-2021-26857",
    "CVE-2021-26858",
    "CVE-2021-27065",
    "CVE-2021-31195",
    "CVE-2021-31196",
    "CVE-2021-34473",
    "CVE-2021-34523",
    "CVE-2021-31207",
    "CVE-2021-33766",
    "CVE-2022-41040",
    "CVE-2022-41082",
    "CVE-2022-41080",
    "CVE-2020-0688",
    "CVE-2023-21529",
    "CVE-2026-42897",
    "CVE-2021-28480",
    "CVE-2025-49113",
    "CVE-2020-12641",
]


@pytest.mark.parametrize(("name", "shield", "case"), POSITIVE, ids=[one[0] for one in POSITIVE])
def test_positive_cases(name: str, shield: Shield, case: Case) -> None:
    found = hit(shield.product, case.request(), case.body)
    assert found is not None
    assert (found.name, found.cve) == (shield.id, shield.cve[0])
    assert all(cve in found.sentence for cve in shield.cve)


@pytest.mark.parametrize(("name", "shield", "case"), NEGATIVE, ids=[one[0] for one in NEGATIVE])
def test_negative_cases(name: str, shield: Shield, case: Case) -> None:
    found = hit(shield.product, case.request(), case.body)
    assert found is None or found.name != shield.id
    assert shield not in SHIELDS.matches(case.request())


def test_every_known_chain_has_a_shield() -> None:
    named = {cve for shield in SHIELDS.shields for cve in shield.cve}
    assert set(ROWS) <= named


def test_a_shield_is_for_its_product_alone() -> None:
    request = ask("POST", "/ecp/y.js", [("Cookie", "X-BEResource=a~1")])
    assert hit(Product.ROUNDCUBE, request) is None
    assert hit(Product.PORTAL, request) is None


WHOLE = FILES["exchange-calendar-post.toml"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[[positive]]", "[[other]]", "other"),
        ("since = 2021-04-13", "", "since"),
        ("since = 2021-04-13", 'since = "once"', "dates"),
        ("disclosed = 2021-04-13", "", "disclosed"),
        ("references = [", "references = [] #", "references"),
        ("[[fixed]]", "[[negative]]", "fixed"),
        ('cve = ["CVE-2021-28480"', 'cve = ["2021-28480"', "cve"),
        ('title = "', 'titel = "', "titel"),
        ("[[request]]", "[[answer]]", "answer"),
        ("path = '^/owa/calendar(?:/|$)'", "", "more than the method"),
        ("path = '^/owa/calendar(?:/|$)'", "path = '('", "unterminated"),
        ("path = '^/owa/calendar(?:/|$)'", "body = 'x'", "limit"),
        ('id = "exchange-calendar-post"', 'id = "else"', "called as"),
        ('product = "exchange"\nrank', 'product = "none"\nrank', "none"),
        ("cve", "=", "TOML|Invalid|Decode"),
    ],
)
def test_lint_a_file_that_lacks_something_is_no_shield(old: str, new: str, said: str) -> None:
    name = "exchange-calendar-post.toml"
    assert parse_shield(WHOLE, name).id == "exchange-calendar-post"
    assert old in WHOLE
    with pytest.raises(ShieldError, match=said):
        parse_shield(WHOLE.replace(old, new), name)


def test_the_document_lists_every_shield() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for shield in SHIELDS.shields:
        link = f"[{shield.id}](../src/gambeson/guard/data/shields/{shield.id}.toml)"
        row = f"| {link} | {', '.join(shield.cve)} | {shield.since} | {shield.title} |"
        assert row in text, row
    assert text.count("(../src/gambeson/guard/data/shields/") == len(SHIELDS.shields)


# --- canonical forms


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("/%70owershell", "/powershell"),
        ("/%2570owershell", "/powershell"),
        ("/%252570owershell", "/powershell"),
        ("/%u0070owershell", "/powershell"),
        ("/%U0070OWERSHELL", "/powershell"),
        ("\\powershell", "/powershell"),
        ("//powershell", "/powershell"),
        ("/power\x00shell", "/powershell"),
        ("/power%00shell", "/powershell"),
        ("/a%c0%afb", "/a/b"),
        ("/a%e0%80%afb", "/a/b"),
        ("/a%c1%9cb", "/a/b"),
        ("/a%c1%1cb", "/a/b"),
        ("/a%5cb", "/a/b"),
        ("/a%25c0%25afb", "/a/b"),
        ("/\uff50owershell", "/powershell"),
        ("/%ef%bd%90owershell", "/powershell"),
        ("/a%u2215b", "/a/b"),
        ("/a%ef%bc%8fb", "/a/b"),
        ("/a\r\nb", "/ab"),
        ("/100%", "/100%"),
        ("/%zz", "/%zz"),
        ("/%C3%A9", "/é"),
    ],
)
def test_disguises_come_off(said: str, meant: str) -> None:
    assert plain_path(said) == meant


@pytest.mark.parametrize(
    ("path", "walked"),
    [
        ("/a/./b", "/a/b"),
        ("/x/../a", "/a"),
        ("/../../a", "/a"),
        ("/a;x=1/b", "/a/b"),
        ("/owa/..;/powershell", "/powershell"),
        ("/a./b ", "/a/b"),
        ("/a/.. /b", "/b"),
        ("/a/b", "/a/b"),
        ("/v1.0/x.js", "/v1.0/x.js"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_a_path_is_walked(path: str, walked: str) -> None:
    assert resolved(path) == walked


def test_names_without_their_disguise() -> None:
    assert {
        squeezed(one)
        for one in ("X-BEResource", "x_beresource", '"X-BEResource"', "X-BE%52esource", " x.beresource\t")
    } == {"xberesource"}


@given(st.text(), st.text(), st.lists(st.tuples(st.text(), st.text())).map(tuple), st.binary(max_size=200))
def test_any_text_has_forms_and_any_request_an_answer(path: str, query: str, pairs, octets: bytes) -> None:
    request = WebRequest("POST", "h", path, query, path.lower(), (), pairs, pairs, "", True)
    seen = forms(request)
    assert "\x00" not in plain(path)
    assert all("//" not in one and "\\" not in one for one in seen.paths)
    for product in Product:
        SHIELDS.match(request, SITES[product])
        SHIELDS.match_body(request, SITES[product], octets)
        assert 0 <= SHIELDS.wants_body(request, SITES[product]) <= 65_536


# --- bodies


def test_only_forms_and_uploads_are_looked_into() -> None:
    site = SITES[Product.ROUNDCUBE]

    def wants(target: str, kind: str, body: bool = True) -> int:
        return SHIELDS.wants_body(ask("POST", target, [("Content-Type", kind)], body=body), site)

    assert wants("/?_task=mail&_action=upload", "multipart/form-data; boundary=x") > 0
    assert wants("/?_task=login", "application/x-www-form-urlencoded") > 0
    assert (
        wants("/?_task=mail&_action=send", "application/x-www-form-urlencoded") > 0
    )  # may be a sign-in form
    assert wants("/?_task=mail&_action=send", "text/plain") == 0
    assert wants("/?_task=mail&_action=upload", "multipart/form-data; boundary=x", body=False) == 0
    owa = ask("POST", "/owa/service.svc?action=x", [("Content-Type", "application/json")], body=True)
    assert SHIELDS.wants_body(owa, SITES[Product.EXCHANGE]) == 0


@pytest.mark.parametrize(
    "name",
    [
        r"|O:16:\"Crypt_GPG_Engine\":3:{S:26:\"\00x\";b:0;}i:0;b:0;}.png",
        "x|O:16:%22Crypt_GPG_Engine%22:1:{}",
        "x|O%3a16%3a%22Crypt%22",
        "x;C:1:%22x%22",
        "x}O:+16:%2522Crypt%2522",
        "|o:16:&quot;x&quot;",
    ],
)
def test_an_object_in_a_files_name(name: str) -> None:
    kind = ("Content-Type", "multipart/form-data; boundary=x")
    request = ask("POST", "/?_task=settings&_action=upload&_from=edit-identity", [kind], body=True)
    head = f'--x\r\nContent-Disposition: form-data; name="_file[]"; filename="{name}"\r\n\r\n'.encode()
    found = hit(Product.ROUNDCUBE, request, head)
    assert found is not None
    assert found.cve == "CVE-2025-49113"


# --- answers


def test_owas_pages_get_a_policy_and_nothing_else_does() -> None:
    site = SITES[Product.EXCHANGE]
    for target in (
        "/owa",
        "/owa/",
        "/OWA/?bO=1",
        "/owa/default.aspx",
        "/owa/projection.aspx?wid=1",
        "/owa/shared@example.org/",
    ):
        (action,) = SHIELDS.actions(ask("GET", target), site)
        ((name, value),) = action.add
        assert not action.set  # a stricter policy of the server's own stays
        assert (name, action.content_type) == ("content-security-policy", "text/html")
        assert "script-src-attr 'none'" in value
    for target in ("/owa/service.svc?action=x", "/owa/auth/logon.aspx", "/ecp/?rfr=owa", "/owax"):
        assert SHIELDS.actions(ask("GET", target), site) == ()
    assert SHIELDS.actions(ask("GET", "/owa/"), SITES[Product.SOGO]) == ()


# --- replay


def _at(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, 12, tzinfo=UTC).timestamp()


def test_replay_says_first_time_and_whether_it_came_through() -> None:
    log = [
        LogRecord(
            _at(2022, 9, 25),
            "POST",
            "mail.example.org",
            "/Autodiscover/autodiscover.json",
            "@x.invalid/PowerShell",
            source="192.0.2.2",
            admitted=True,
        ),
        LogRecord(
            _at(2022, 9, 20),
            "GET",
            "mail.example.org",
            "/autodiscover/autodiscover.json",
            "@x.invalid/powershell",
            source="192.0.2.1",
        ),
        LogRecord(
            _at(2021, 3, 1),
            "GET",
            "mail.example.org",
            "/owa/auth/x.js",
            cookies=(("X-AnonResource", ""),),
            source="192.0.2.3",
        ),
        LogRecord(
            _at(2022, 9, 1),
            "GET",
            "mail.example.org",
            "/owa/",
            agent="Mozilla/5.0 Firefox/140.0",
            admitted=True,
        ),
    ]
    logon, notshell = replay(SHIELDS, log)
    assert (logon.shield, logon.days, logon.count, logon.reached) == ("proxylogon", 1, 1, 0)
    assert (notshell.shield, notshell.first, notshell.source) == (
        "proxynotshell",
        _at(2022, 9, 20),
        "192.0.2.1",
    )
    assert (notshell.days, notshell.count, notshell.reached, notshell.disclosed) == (
        9,
        2,
        1,
        date(2022, 9, 29),
    )
    assert notshell.sentence.endswith(
        "first seen 9 days before disclosure, reached the mail server: yes, 1 of 2."
    )
    assert (
        logon.sentence.endswith("first seen 1 days before disclosure, reached the mail server: no.") is False
    )
    assert logon.sentence.endswith("first seen 1 day before disclosure, reached the mail server: no.")


def test_replay_keeps_to_the_product_where_it_is_known() -> None:
    record = LogRecord(_at(2026, 1, 1), "GET", "h", "/powershell", product=Product.ROUNDCUBE)
    assert replay(SHIELDS, [record]) == ()
    assert replay(SHIELDS, []) == ()


@pytest.mark.parametrize(
    ("target", "headers", "body"),
    [
        ("/?" + "_from" * 1500, [], b""),
        ("/autodiscover/" + "@" * 8000, [], b""),
        ("/autodiscover/autodiscover.json" * 250 + "?x", [], b""),
        ("/owa/" + "a/" * 4000 + "x", [], b""),
        ("/owa/", [("cookie", "; ".join(["cadata=" + "cadata= " * 1900] * 4))], b""),
        (
            "/?_action=upload",
            [("content-type", "multipart/form-data")],
            b"content-disposition: name= o:1" * 540,
        ),
        ("/?_action=upload", [("content-type", "application/x-www-form-urlencoded")], b"&_from=" * 600),
    ],
)
def test_long_lines_written_to_cost_time(target: str, headers, body: bytes) -> None:
    """Quadratic patterns would take minutes over the whole table; a hang is how this fails."""
    for product in (Product.EXCHANGE, Product.ROUNDCUBE):
        case = Case("POST", target, tuple(headers), body or b"x")
        for _ in range(20):
            hit(product, case.request(), case.body)
