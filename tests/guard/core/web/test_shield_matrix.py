"""Every shield's attacks in every disguise: with signatures off the grammar (or the reader of heads) lets none through,
signed in or not; with signatures on, what the reader lets pass is called by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from gambeson.guard.core.web.shield_source import Case, Shield
from gambeson.guard.core.web.shields import load_shields
from gambeson.model.web import Lane
from gambeson.wire.http_target import HeadError
from guard.core.web.asking import ask, hit, route

SHIELDS = load_shields().shields
# Cases with a body are told by the body alone: test_shields.py has them.


def _escaped(text: str, every: int = 1, times: int = 1) -> str:
    """Letters written as %XX, each ``every``-th one; ``times`` 2: the percent sign as well."""
    out = []
    for number, letter in enumerate(text):
        if letter.isalpha() and number % every == 0:
            letter = f"%{ord(letter):02x}"
            for _ in range(times - 1):
                letter = letter.replace("%", "%25")
        out.append(letter)
    return "".join(out)


def _cased(text: str) -> str:
    return "".join(letter.upper() if number % 2 else letter.lower() for number, letter in enumerate(text))


def targets(target: str) -> Iterator[tuple[str, str]]:
    """The same target, as an attacker writes it."""
    path, mark, query = target.partition("?")
    tail = mark + query
    head, _, last = path.rpartition("/")
    first = path.split("/")[1]
    yield "plain", target
    yield "upper", path.upper() + tail
    yield "lower", path.lower() + tail.lower()
    yield "mixed", _cased(path) + (mark + query if "%" in query else _cased(tail))
    for every in (1, 2, 3):
        yield f"escaped {every}", _escaped(path, every) + tail
        yield f"twice {every}", _escaped(path, every, 2) + tail
    yield "thrice", _escaped(path, 2, 3) + tail
    if query and "%" not in query:
        yield (
            "query escaped",
            path
            + mark
            + "&".join(
                _escaped(p.partition("=")[0]) + p[len(p.partition("=")[0]) :] for p in query.split("&")
            ),
        )
        yield "query all", path + mark + _escaped(query, 1)
        yield "query twice", path + mark + _escaped(query, 2, 2)
        yield "query wide", path + mark + "".join(f"%u{ord(c):04x}" if c.isalpha() else c for c in query)
    yield "dot", path.replace("/", "/./", 1) + tail
    yield "dot last", f"{head}/./{last}" + tail
    yield "up", f"/x/..{path}" + tail
    yield "up inside", f"/{first}/x/..{path[len(first) + 1 :]}" + tail
    yield "up escaped", f"/x/%2e%2e{path}" + tail
    yield "up behind owa", f"/owa/..{path}" + tail
    yield "up behind owa escaped", f"/owa/..%2f{path[1:]}" + tail
    yield "parameters", f"/{first};x=1{path[len(first) + 1 :]}" + tail
    yield "parameters up", f"/owa/..;{path}" + tail
    yield "two slashes", "/" + path + tail
    yield "two slashes inside", f"{head}//{last}" + tail
    yield "backslash", path.replace("/", "\\") + tail
    yield "backslash inside", f"{head}\\{last}" + tail
    yield "slash escaped", f"{head}%2f{last}" + tail
    yield "slash escaped twice", f"{head}%252f{last}" + tail
    yield "backslash escaped", f"{head}%5c{last}" + tail
    yield "overlong", f"{head}%c0%af{last}" + tail
    yield "wide", f"/%u{ord((first or 'x')[0]):04x}{path[2:]}" + tail
    yield "full width", quote(path[:1] + chr(ord((first or "x")[0].lower()) + 0xFEE0)) + path[2:] + tail
    yield "nul", f"{path}%00" + tail
    yield "nul inside", f"{head}%00/{last}" + tail
    yield "space", f"{path}%20" + tail
    yield "trailing dot", f"{path}." + tail
    yield "stream", f"{path}::$DATA" + tail
    yield "cookieless", f"/(S(abc))/{path[1:]}" + tail
    yield "cookieless inside", f"/{first}/(S(abc)){path[len(first) + 1 :]}" + tail
    yield "path info", f"{path}/x.css" + tail
    yield "decoy before", path + ("?x=1&" + query if query else "?x=1")
    yield "decoy after", target + ("&x=1" if query else "?x=1")
    yield "absolute", f"http://mail.example.org{target}"
    yield "no slash", target[1:]
    yield "fragment", f"{target}#x"
    yield "tab", f"{path}%09" + tail


def headers(case: Case) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The same headers, split, doubled and spelt otherwise."""
    plain = list(case.headers)
    yield "plain", plain
    yield "doubled", [*plain, *plain]
    for number, (name, value) in enumerate(plain):
        others = plain[:number] + plain[number + 1 :]
        yield f"{name} upper", [*others, (name.upper(), value)]
        yield f"{name} underscore", [*others, (name.replace("-", "_"), value)]
        yield f"{name} blank", [*others, (name + " ", value)]
        yield f"{name} folded", [*others, (name, value.replace("=", "=\r\n ", 1))]
        yield f"{name} behind a decoy", [*others, (name, "a=b"), (name, value)]
        if name == "cookie":
            key, _, rest = value.partition("=")
            yield "cookie spaces", [*others, (name, f"  {key} = {rest}")]
            yield "cookie quoted", [*others, (name, f'{key}="{rest}"')]
            yield "cookie name quoted", [*others, (name, f'"{key}"={rest}')]
            yield "cookie case", [*others, (name, _cased(key) + "=" + rest)]
            yield "cookie comma", [*others, (name, f"a=b, {value}")]
            yield "cookie tab", [*others, (name, f"a=b;\t{value}")]
            yield "cookie version", [*others, (name, f"$Version=1; {value}; $Path=/")]
            yield "cookie last of many", [*others, *[("cookie", f"c{n}=1") for n in range(20)], (name, value)]


def methods(case: Case) -> list[str]:
    return [
        case.method,
        "GET",
        "POST",
        "PUT",
        "HEAD",
        "OPTIONS",
        "PATCH",
        "PROPFIND",
        "SEARCH",
        "DEBUG",
        "get",
        "RPC_IN_DATA",
    ]


def cases() -> list[tuple[str, Shield, Case]]:
    return [
        (f"{shield.id}-{number}", shield, case)
        for shield in SHIELDS
        for number, case in enumerate(shield.positive)
        if not case.body
    ]


CASES = cases()


def stopped(shield: Shield, method: str, target: str, lines: list[tuple[str, str]], body: bool) -> bool:
    """By the reader or the grammar alone."""
    try:
        request = ask(method, target, lines, body=body)
    except HeadError:
        return True
    return route(shield.product, request).lane is Lane.NEVER


@pytest.mark.parametrize(("name", "shield", "case"), CASES, ids=[name for name, _, _ in CASES])
def test_signatures_off(name: str, shield: Shield, case: Case) -> None:
    open_ = [
        (kind, target)
        for kind, target in targets(case.target)
        for body in (False, True)
        if not stopped(shield, case.method, target, list(case.headers), body)
    ]
    assert open_ == []
    open_ = [
        (kind, lines)
        for kind, lines in headers(case)
        if not stopped(shield, case.method, case.target, lines, False)
    ]
    assert open_ == []
    assert [
        one for one in methods(case) if not stopped(shield, one, case.target, list(case.headers), False)
    ] == []


# Disguises under which an attack is another request, which no server reads as the attack.
OTHER = {"query twice", "thrice", "path info", "decoy before", "query wide"}


@pytest.mark.parametrize(("name", "shield", "case"), CASES, ids=[name for name, _, _ in CASES])
def test_signatures_on(name: str, shield: Shield, case: Case) -> None:
    """Every request that a server could take for the attack carries the CVE's name."""
    unnamed = []
    asked = 0
    for kind, target in targets(case.target):
        try:
            request = ask(case.method, target, case.headers)
        except HeadError:
            continue
        asked += 1
        found = hit(shield.product, request)
        assert found is not None or route(shield.product, request).lane is Lane.NEVER
        if found is None or not set(shield.cve) & set(found.cves):
            unnamed.append((kind, target))
    try:
        ask(case.method, case.target, case.headers)
    except HeadError:
        assert asked <= 10  # the shape itself is refused by the reader, and so are most of its disguises
    else:
        assert asked >= 10
    assert [one for one in unnamed if one[0] not in OTHER] == []


@pytest.mark.parametrize(("name", "shield", "case"), CASES, ids=[name for name, _, _ in CASES])
def test_signatures_see_through_what_the_reader_refuses(name: str, shield: Shield, case: Case) -> None:
    """Logs of other servers hold such lines too: replay must know them."""
    for kind in (
        "escaped 1",
        "twice 1",
        "upper",
        "two slashes inside",
        "backslash inside",
        "dot last",
        "parameters",
        "slash escaped twice",
    ):
        target = dict(targets(case.target))[kind]
        found = load_shields().matches(Case(case.method, target, case.headers).request(), shield.product)
        assert any(set(shield.cve) & set(one.cve) for one in found), (kind, target)
