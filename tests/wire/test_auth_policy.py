"""What Dovecot and weakforced's clients send: captured octets, tables of what is refused, and any octets at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.auth_policy import (
    MAX_BODY,
    MAX_STATUS,
    Command,
    PolicyAsk,
    PolicyError,
    answer,
    done,
    parse_ask,
    parse_command,
)

# Captured from Dovecot 2.3.19.1 with its default attributes.
CAPTURED = (
    b'{"device_id":"","login":"alice","protocol":"imap","pwhash":"0831","remote":"127.0.0.1",'
    b'"session_id":"Fl6zlP9g/MZ/AAAB","tls":true}'
)


def test_what_dovecot_sends() -> None:
    ask = parse_ask(CAPTURED)
    assert ask == PolicyAsk("alice", "127.0.0.1", "0831", "imap", "", "Fl6zlP9g/MZ/AAAB", tls=True)
    assert "0831" not in repr(ask)
    report = parse_ask(CAPTURED[:-1] + b',"success":true,"policy_reject":false,"fail_type":"account"}')
    assert report.success
    assert not report.policy_reject
    assert report.fail_type == "account"


def test_attributes_say_how_somebody_signs_in() -> None:
    ask = parse_ask(b'{"login":"a","attrs":{"Mech":"external","cert":"valid","n":1,"sni":"mail.test"}}')
    assert ask.mechanism == "EXTERNAL"
    assert ask.by_certificate
    assert ask.attribute("sni") == "mail.test"
    assert ask.attribute("n") == ""
    assert not parse_ask(b'{"attrs":{"mech":"PLAIN","cert":"valid"}}').by_certificate
    assert not parse_ask(b'{"attrs":{"mech":"EXTERNAL","cert":""}}').by_certificate


@pytest.mark.parametrize(
    ("remote", "read"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),
    ],
)
def test_addresses_have_one_form(remote: str, read: str) -> None:
    assert parse_ask(json.dumps({"remote": remote}).encode()).remote == read


@pytest.mark.parametrize(
    ("value", "read"),
    [(True, True), (False, False), ("TLS", True), ("no", False), ("", False), (None, False)],
)
def test_truth(value: object, read: bool) -> None:
    assert parse_ask(json.dumps({"tls": value}).encode()).tls is read


@pytest.mark.parametrize(
    ("path", "query", "command"),
    [
        ("/", "command=allow", Command.ALLOW),
        ("/", "command=report&x=y", Command.REPORT),
        ("/command/allow", "", Command.ALLOW),
        ("/command/reset", "", Command.RESET),
        ("/command/ping", "", Command.PING),
    ],
)
def test_both_forms_of_url(path: str, query: str, command: Command) -> None:
    assert parse_command(path, query) is command


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/", "", 404),
        ("/", "command=ALLOW", 404),
        ("/", "command=allow&command=report", 400),
        ("/command/allow", "command=allow", 400),
        ("/command/", "", 404),
        ("/command/allow/", "", 404),
        ("/x", "command=allow", 404),
        ("/", "&".join("a=b" for _ in range(40)), 400),
    ],
)
def test_no_command(path: str, query: str, status: int) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_command(path, query)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no-json"),
        (b"[]", "no-object"),
        (b'"x"', "no-object"),
        (b"[" * 10000, "no-json"),
        (b'{"login":"a","login":"b"}', "name-twice"),
        (b'{"attrs":{"mech":"PLAIN","MECH":"EXTERNAL"}}', "name-twice"),
        (b'{"login":1}', "login-value"),
        (b'{"tls":1}', "tls-value"),
        (b'{"success":[]}', "success-value"),
        (b'{"remote":"localhost"}', "remote-value"),
        (b'{"attrs":[]}', "attrs-value"),
        (b'{"x":NaN}', "no-json"),
        (b'{"login":"\xff"}', "no-json"),
        (b'{"login":"' + b"a" * 1025 + b'"}', "login-value"),
        (b" " * (MAX_BODY + 1), "body-too-long"),
    ],
)
def test_no_question(body: bytes, reason: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_ask(body)
    assert caught.value.reason == reason


@given(st.binary(max_size=400))
def test_any_octets_are_a_question_or_one_error(body: bytes) -> None:
    try:
        parse_ask(body)
    except PolicyError as error:
        status = error.status
    else:
        status = 400
    assert status in (400, 413)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["login", "remote", "pwhash", "protocol", "tls", "success", "attrs", "session_id", "x"]
)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_any_object_is_a_question_or_one_error(found: dict[str, object]) -> None:
    try:
        ask = parse_ask(json.dumps(found).encode())
    except PolicyError:
        return
    ask.login.encode()  # what is kept can be written again
    assert all(isinstance(text, str) for _, text in ask.attributes)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_target_is_a_command_or_one_error(path: str, query: str) -> None:
    try:
        status = 404 if parse_command(path, query) in Command else 0
    except PolicyError as error:
        status = error.status
    assert status in (400, 404)


def test_answers_are_as_weakforced_gives_them() -> None:
    assert json.loads(answer(-5, "no")) == {"status": -1, "msg": "no", "r_attrs": {}}
    assert json.loads(answer(10**9))["status"] == MAX_STATUS
    assert json.loads(done()) == {"status": "ok"}
    assert json.loads(done("why")) == {"status": "failure", "reason": "why"}


def test_no_name_of_an_attribute_is_a_lone_surrogate() -> None:
    ask = parse_ask(b'{"login":"\\ud800","attrs":{"\\ud800x":"y"}}')
    assert (ask.login, ask.attributes) == ("?", (("?x", "y"),))
