"""Whatever the parser lets through, the gate has a verdict, and none of them is a fault of ours."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambeson.guard.core.web.verdict import Answer, Forward, WebClient
from gambeson.model.web import WebRequest
from guard.edge.web.gates import (
    ALMA,
    DEVICES,
    FINGERPRINT,
    MAIL,
    PORTAL,
    SOURCE,
    WEBMAIL,
    Gates,
    basic,
    run,
)

text = st.text(st.characters(max_codepoint=255), max_size=40)
name = st.sampled_from(
    [
        "authorization",
        "cookie",
        "origin",
        "host",
        "accept",
        "sec-fetch-site",
        "sec-fetch-mode",
        "upgrade",
        "content-type",
        "user-agent",
        "x-remote-user",
        "x_remote_user",
        "x-gambeson-source",
        "x-requesttype",
    ]
)
cookie = st.sampled_from(
    [
        "__Host-gambeson-session",
        "__Host-gambeson-key",
        "__Host-gambeson-state",
        "sessid",
        "",
        "x",
        "__Secure-gambeson-w-sessid",
        "__secure-gambeson-W-",
        "__HOST-gambeson-session",
    ]
)
value = text | st.sampled_from(
    [
        "Basic",
        "Basic !",
        basic("alma@example.org", ALMA.text),
        basic("a", "b"),
        "NTLM x",
        "text/html",
        "navigate",
    ]
)
path = st.sampled_from(
    [
        "/",
        "/index.php",
        "/owa/",
        "/ecp/",
        "/EWS/Exchange.asmx",
        "/Microsoft-Server-ActiveSync",
        "/mapi/emsmdb/",
        "/.gambeson/enter",
        "/.gambeson/leave",
        "/.gambeson",
        "/autodiscover/autodiscover.xml",
        "/anything",
    ]
)
requests = st.builds(
    lambda method, host, where, query, parameters, headers, cookies, body: WebRequest(
        method,
        host,
        where,
        query,
        where.lower(),
        tuple(parameters),
        tuple(headers),
        tuple(cookies),
        SOURCE,
        body,
    ),
    st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT", "PROPFIND"]),
    st.sampled_from([MAIL, WEBMAIL, DEVICES, PORTAL, "nowhere.test"]),
    path,
    text,
    st.lists(st.tuples(st.sampled_from(["code", "to", "cmd", "_task"]), text), max_size=3),
    st.lists(st.tuples(name, value), max_size=6),
    st.lists(st.tuples(cookie, value), max_size=5),
    st.booleans(),
)
clients = st.builds(
    WebClient, st.just(SOURCE), st.just(1), st.just(""), st.just(b""), st.sampled_from(["", FINGERPRINT, "x"])
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(requests, clients, st.binary(max_size=50)), min_size=1, max_size=12))
def test_every_request_has_a_verdict(talks):
    async def talk(gates: Gates) -> None:
        for request, client, body in talks:
            verdict = await gates.judge(request, client, body)
            if isinstance(verdict, Answer):
                assert verdict.reason != "fault"
                assert 200 <= verdict.status < 600
                for _, said in verdict.headers:
                    assert not any(c in "\r\n\0" for c in said)
            else:
                assert isinstance(verdict, Forward)
                # Without a secret that was shown, and with no session, nothing is forwarded but to the portal.
                shown = any(ALMA.text in basic_text(v) for n, v in request.headers if n == "authorization")
                assert request.host == PORTAL or shown or client.fingerprint == FINGERPRINT

    run(talk)


def basic_text(header: str) -> str:
    return ALMA.text if header == basic("alma@example.org", ALMA.text) else ""
