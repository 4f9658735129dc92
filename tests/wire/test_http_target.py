"""Targets of requests: one reading only, or none."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.http_target import MAX_PARAMETERS, HeadError, canonical, parameters


@pytest.mark.parametrize(
    ("target", "path", "query", "compared", "parameters"),
    [
        ("/", "/", "", "/", ()),
        ("/OWA/Auth.owa", "/OWA/Auth.owa", "", "/owa/auth.owa", ()),
        ("/a%20b/%C3%A9", "/a%20b/%C3%A9", "", "/a b/é", ()),
        ("/a%25", "/a%25", "", "/a%", ()),
        ("/owa/?A=1&b=%2e%2e%2F+x", "/owa/", "A=1&b=%2e%2e%2F+x", "/owa/", (("a", "1"), ("b", "../ x"))),
        ("/x?", "/x", "", "/x", ()),
        ("/x?jAAJBAp2MTQw==", "/x", "jAAJBAp2MTQw==", "/x", (("jaajbap2mtqw", "="),)),
        (
            "/x?User=DOM\\me&bad=%zz",
            "/x",
            "User=DOM\\me&bad=%zz",
            "/x",
            (("user", "DOM\\me"), ("bad", "%zz")),
        ),
        ("/x?a=%e9", "/x", "a=%e9", "/x", (("a", "é"),)),
        ("/x?a=?b", "/x", "a=?b", "/x", (("a", "?b"),)),
        (
            "/Microsoft-Server-ActiveSync/default.eas",
            None,
            "",
            "/microsoft-server-activesync/default.eas",
            (),
        ),
        (
            "/mapi/emsmdb/?MailboxId=a@b",
            "/mapi/emsmdb/",
            "MailboxId=a@b",
            "/mapi/emsmdb/",
            (("mailboxid", "a@b"),),
        ),
        ("/SOGo/dav/u@x/Calendar/personal/a:b.ics", None, "", "/sogo/dav/u@x/calendar/personal/a:b.ics", ()),
    ],
)
def test_what_is_read(
    target: str, path: str | None, query: str, compared: str, parameters: tuple[tuple[str, str], ...]
) -> None:
    made = canonical(target)
    assert (made.path, made.query) == (path if path is not None else target, query)
    assert (made.canonical, made.parameters) == (compared, parameters)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("", "target-form"),
        ("*", "target-form"),
        ("owa/", "target-form"),
        ("http://evil/", "target-form"),
        ("mail.example.org:443", "target-form"),
        ("/a b", "target-octets"),
        ("/a\tb", "target-octets"),
        ("/a\x00", "target-octets"),
        ("/é", "target-octets"),
        ("/a#b", "target-fragment"),
        ("/owa/..", "path-dot-segment"),
        ("/owa/../ecp", "path-dot-segment"),
        ("/owa/./ecp", "path-dot-segment"),
        ("/owa/%2e%2E/ecp", "path-dot-segment"),
        ("/owa/.%2e/ecp", "path-dot-segment"),
        ("/owa/.../ecp", "path-dot-segment"),
        ("/owa/..%20/ecp", "path-dot-segment"),
        ("/owa/%20/ecp", "path-dot-segment"),
        ("/owa\\..\\ecp", "path-backslash"),
        ("/owa%5cecp", "path-backslash"),
        ("/owa%2fecp", "path-encoded-separator"),
        ("/owa%2F..%2Fecp", "path-encoded-separator"),
        ("/owa%3fx", "path-encoded-separator"),
        ("//evil/owa", "path-empty-segment"),
        ("/owa//ecp", "path-empty-segment"),
        ("/owa/%00", "path-control"),
        ("/owa/%0d%0aX:", "path-control"),
        ("/owa/%7f", "path-control"),
        ("/owa/%252e%252e/ecp", "path-double-encoded"),
        ("/owa/%25%32%65/ecp", "path-double-encoded"),
        ("/owa/%2525", "path-double-encoded"),
        ("/owa/%25u002e/", "path-double-encoded"),
        ("/owa/%u002e/", "path-escape"),
        ("/owa/%", "path-escape"),
        ("/owa/%2", "path-escape"),
        ("/owa/%g1", "path-escape"),
        ("/owa/%c0%ae%c0%ae/ecp", "path-utf8"),
        ("/owa/%e9", "path-utf8"),
        ("/owa/%ef%bc%8e%ef%bc%8e/ecp", "path-lookalike"),
        ("/owa%ef%bc%8fecp", "path-lookalike"),
        ("/owa%ef%bc%bcecp", "path-lookalike"),
        ("/owa;/ecp", "path-parameters"),
        ("/owa%3bx/ecp", "path-parameters"),
        ("/owa/x::$DATA", "path-stream"),
        ("/owa:$i30:$index_allocation/", "path-stream"),
        ("/(S(abc))/owa/", "path-cookieless"),
        ("/owa/%28A%28x%29%29/ecp", "path-cookieless"),
        ("/x?" + "a&" * MAX_PARAMETERS, "too-many-parameters"),
        ("/" + "a" * 8192, "target-too-long"),
    ],
)
def test_what_is_refused(target: str, reason: str) -> None:
    with pytest.raises(HeadError) as caught:
        canonical(target)
    assert caught.value.reason == reason
    assert caught.value.status in (400, 414)


TRICKY = st.text(alphabet="/.%\\;:?&=+ 025cef2FuU(S)a\x00\r\né", max_size=60)


@given(st.one_of(st.text(max_size=200), TRICKY, TRICKY.map(lambda t: "/" + t)))
def test_any_text_is_a_target_or_a_head_error(text: str) -> None:
    try:
        made = canonical(text)
    except HeadError:
        return
    assert made.path + ("?" + made.query if made.query or text.endswith("?") else "") in (text, text + "?")
    assert made.canonical.startswith("/")
    assert made.canonical.count("/") == made.path.count("/")
    assert not any(segment.strip(" .") == "" for segment in made.canonical.split("/")[1:] if segment)
    assert "\\" not in made.canonical
    assert ";" not in made.canonical


def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    """What :func:`parameters` gives, read in the plainest way."""

    def decoded(text: str) -> str:
        octets = unquote_to_bytes(text.replace("+", " "))
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return octets.decode("latin-1")

    split = [pair.partition("=") for pair in query.split("&") if pair]
    return tuple((decoded(name).lower(), decoded(value)) for name, _, value in split)


@given(
    st.one_of(st.text(alphabet="ab%&=+ 0123456789abcdefABCDEF/é", max_size=60), TRICKY, st.text(max_size=60))
)
def test_queries_are_decoded_once(query: str) -> None:
    assert parameters(query) == _pairs(query)
