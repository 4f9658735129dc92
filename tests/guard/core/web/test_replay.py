"""Shields over a stored history: the screen misses nothing that a shield knows, and the history is told as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.web.replay import LogRecord, Replay, Screen, replay
from gambeson.guard.core.web.request_log import (
    ANSWERED,
    FORWARDED,
    LEFT,
    SENT,
    logged,
    of_line,
    without_secrets,
)
from gambeson.guard.core.web.shield_source import Case, Shield
from gambeson.guard.core.web.shields import load_shields
from gambeson.guard.core.web.verdict import Forward
from gambeson.model.access import AccessRequest, DoorKind, Identity, Rung
from gambeson.model.server import Endpoint
from gambeson.model.web import Product, Site, WebRequest

SHIELDS = load_shields()
CASES = [(shield, case) for shield in SHIELDS.shields for case in (*shield.positive, *shield.negative)]
SITE = Site("mail", Product.EXCHANGE, ("mail.example.org",), Endpoint(DoorKind.OWA, "10.0.0.1", 443))
DISCLOSED = datetime(2021, 3, 2, tzinfo=UTC)  # ProxyLogon


def record(case: Case) -> LogRecord:
    request = case.request()
    return LogRecord(
        1.0,
        request.method,
        request.host,
        request.path,
        request.query,
        request.cookies,
        request.header("user-agent"),
    )


@pytest.mark.parametrize(("shield", "case"), CASES, ids=[f"{s.id}-{c.target[:40]}" for s, c in CASES])
def test_the_screen_says_what_the_shields_say(shield: Shield, case: Case) -> None:
    one = record(case)
    for product in (None, shield.product):
        assert set(Screen(SHIELDS, product).matches(one)) == set(SHIELDS.matches(one.request(), product))


_WORDS = [case.target for _, case in CASES] + [
    "/",
    "?",
    "&",
    "=",
    "%2e",
    "%252f",
    "\\",
    "x_beresource",
    "\x00",
    "~",
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "POST", "put"]),
            st.lists(st.sampled_from(_WORDS) | st.text(max_size=4), max_size=4).map("".join),
            st.lists(st.sampled_from(["X-BEResource", "cadata", "a", "é"]), max_size=3),
            st.sampled_from(["", "python-requests/2", "Mozilla"]),
        ),
        max_size=6,
    )
)
def test_whatever_was_asked_and_in_whatever_order(asked: list[tuple[str, str, list[str], str]]) -> None:
    screen = Screen(SHIELDS)
    for method, target, cookies, agent in asked:
        path, _, query = target.partition("?")
        one = LogRecord(1.0, method, "h", path, query, tuple((c, "") for c in cookies), agent)
        assert set(screen.matches(one)) == set(SHIELDS.matches(one.request()))


def who(session: str = "s1") -> AccessRequest:
    identity = Identity(
        "alma@example.org",
        "o",
        "a1",
        rung=Rung.KNOWLEDGE_AND_CODE,
        session=session,
        device="" if session else "d1",
    )
    return AccessRequest(DoorKind.OWA, identity, "192.0.2.1")


def asked(target: str, method: str = "GET", *cookies: str) -> WebRequest:
    path, _, query = target.partition("?")
    return WebRequest(
        method,
        "mail.example.org",
        path,
        query,
        path.lower(),
        headers=(
            ("user-agent", "Mozilla/5.0"),
            ("content-type", "text/xml"),
            ("authorization", "Basic c2VjcmV0"),
        ),
        cookies=tuple((name, "a secret value") for name in cookies),
        source="192.0.2.1",
    )


def test_a_planted_history() -> None:
    """Ordinary requests, and the same attack: stopped nine days before, through five days before, unanswered after."""

    def line(
        days: int, request: WebRequest, verdict: str, status: int, rule: str, forward: Forward | None
    ) -> LogRecord:
        data = logged(request, verdict, status, rule, forward)
        data["product"] = "exchange"
        if forward is not None:
            data["claimed"] = "alma@example.org"
        return of_line(
            (DISCLOSED - timedelta(days=days)).timestamp(), "a1" if forward else "", request.source, data
        )

    attack, forward = asked("/ecp/y.js", "POST"), Forward(SITE, who())
    quiet = [line(n, asked(f"/owa/?id={n}"), FORWARDED, 200, "owa", forward) for n in range(30)]
    stopped = line(9, attack, ANSWERED, 404, "never ecp", None)
    through = line(5, attack, FORWARDED, 200, "ecp", forward)
    unanswered = line(-2, attack, SENT, 0, "client closed", forward)

    def told(*history: LogRecord) -> tuple[object, ...]:
        (hit,) = replay(SHIELDS, [*quiet, *reversed(history)])
        return hit.shield, hit.days, hit.account, hit.first_reached, hit.count, hit.reached, hit.unknown

    assert told(stopped) == ("proxylogon", 9, "", False, 1, 0, 0)
    assert told(stopped, through, unanswered) == ("proxylogon", 9, "", False, 3, 1, 1)
    assert told(through) == ("proxylogon", 5, "alma@example.org", True, 1, 1, 0)
    assert told(unanswered) == ("proxylogon", -2, "alma@example.org", None, 1, 0, 1)
    (hit,) = replay(SHIELDS, [unanswered])
    assert "2 days after disclosure, reached the mail server: not known, 1 of 1" in hit.sentence
    (hit,) = replay(SHIELDS, [stopped])
    assert "9 days before disclosure, reached the mail server: no" in hit.sentence
    assert hit.days_before_use == -49  # it was used since 3 January
    assert replay(SHIELDS, quiet) == ()


def test_a_log_is_fed_in_parts_and_another_products_shields_are_not_asked() -> None:
    run = Replay(SHIELDS)
    attack = LogRecord(9.0, "POST", "h", "/ecp/y.js", product=Product.ROUNDCUBE)
    run.feed([attack])
    run.feed([attack._replace(product=Product.EXCHANGE), attack._replace(product=None, time=5.0)])
    (hit,) = run.lines()
    assert (run.requests, hit.count, hit.first) == (3, 2, 5.0)


def test_what_a_shield_stopped_by_a_cookies_value_is_still_its_hit() -> None:
    shield = next(s for s in SHIELDS.shields if s.id == "proxyoracle")
    request = asked("/owa/", "GET", "cadata")
    one = of_line(1.0, "", "192.0.2.1", logged(request, ANSWERED, 403, "shield proxyoracle"))
    assert SHIELDS.matches(one.request()) == ()
    assert [hit.shield for hit in replay(SHIELDS, [one])] == [shield.id]
    assert replay(SHIELDS, [one._replace(rule="shield of-somebody-else")]) == ()


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("a=b&c=d;e=f", "a=b&c=d;e=f"),
        ("code=c0de&to=%2F", "code=***&to=%2F"),
        ("c%6Fde=c0de", "c%6Fde=***"),
        ("%2563ode=c0de", "%2563ode=***"),
        ("Access_Token=x&PASSWORD=y&pwd=z", "Access_Token=***&PASSWORD=***&pwd=***"),
        ("_token=x;sid=y;sig=z;state=w", "_token=***;sid=***;sig=***;state=***"),
        ("X-OWA-CANARY=x&SAMLResponse=y", "X-OWA-CANARY=***&SAMLResponse=***"),
        ("url=https%3A%2F%2Fh%2F%3Ftoken%3Dt", "url=***"),
        ("url=https%253A%252F%252Fh%252F%253Ftoken%253Dt", "url=***"),
        ("token%3Dt", "***"),
        ("User=alma&DeviceId=D1&Cmd=Sync", "User=alma&DeviceId=D1&Cmd=Sync"),
        ("side=left&pinned=1&monkey=2", "side=left&pinned=1&monkey=2"),
        ("_from=edit-!probe&_id=&_uploadid=upload1", "_from=edit-!probe&_id=&_uploadid=upload1"),
        ("code=", "code="),
        ("a" * 5000 + "&code=c0de", "a" * 2000),
    ],
)
def test_no_secret_of_a_query_is_kept(query: str, kept: str) -> None:
    assert without_secrets(query) == kept


def test_a_paths_own_parameters_are_no_place_for_one_either() -> None:
    data = logged(asked("/owa;jsessionid=s3cret;v=1/x"), ANSWERED, 400, "path-parameters")
    assert data["target"] == data["path"] == "/owa;jsessionid=***;v=1/x"


@given(st.text(max_size=60), st.text(alphabet="0123456789", min_size=12, max_size=12))
def test_any_query_and_a_code_in_it(around: str, code: str) -> None:
    assert code not in without_secrets(f"{around}&code={code}&{around}").replace(around, "")


def test_what_a_line_has_and_what_it_has_not() -> None:
    request = asked("/owa/service.svc?action=FindItem&code=c0de", "POST", "sid", "sid", "X-OWA-CANARY")
    data = logged(request, FORWARDED, 200, "owa-service", Forward(SITE, who()))
    assert data == {
        "method": "POST",
        "host": "mail.example.org",
        "path": "/owa/service.svc",
        "target": "/owa/service.svc?action=FindItem&code=***",
        "cookies": ["sid", "sid", "X-OWA-CANARY"],
        "agent": "Mozilla/5.0",
        "type": "text/xml",
        "lane": "web",
        "rule": "owa-service",
        "verdict": "forwarded",
        "status": 200,
        "site": "mail",
        "product": "exchange",
    }
    long = logged(asked("/" + "a" * 5000 + "?" + "b" * 5000), LEFT, 0, "never x" * 100)
    assert max(len(text) for text in long.values() if isinstance(text, str)) == 2000
    assert (long["lane"], len(long["rule"])) == ("never", 120)
    assert logged(request, FORWARDED, 200, "ews", Forward(SITE, who("")))["lane"] == "device"
    assert logged(request, FORWARDED, 200, "themes", Forward(SITE))["lane"] == "public"


@given(
    st.dictionaries(
        st.sampled_from(["target", "cookies", "product", "verdict", "rule", "method", "claimed"]),
        st.none() | st.booleans() | st.text(max_size=8) | st.lists(st.none() | st.text(max_size=3)),
    )
)
def test_whatever_a_door_wrote_is_a_record(data: dict[str, object]) -> None:
    replay(SHIELDS, [of_line(1.0, "a", "s", data)])
