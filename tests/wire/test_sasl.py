"""SASL from the server's side: tables of good and bad messages, and any bytes whatever."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.model.access import Mechanism, RawLogin
from gambeson.wire.dialogue import UpstreamCredential
from gambeson.wire.limits import MAX_NAME, MAX_PASSWORD, MAX_SASL
from gambeson.wire.sasl import Exchange, SaslError, decode, prepare_name, prepare_password, saslprep
from gambeson.wire.sasl_client import SignInExchange

GOOD = [
    ("PLAIN", [b"\0tim\0tanstaaftanstaaf"], ("tim", "tanstaaftanstaaf", "")),  # RFC 4616 section 4
    ("PLAIN", [b"Ursel\0Kurt\0xipj3plmq"], ("Kurt", "xipj3plmq", "Ursel")),  # RFC 4616 section 4
    ("plain", [b"\0a\0b c"], ("a", "b c", "")),
    ("PLAIN", ["\0ren\u00e9\0pa\u00dfwort".encode()], ("ren\u00e9", "pa\u00dfwort", "")),
    ("PLAIN", ["\0re\u00adne\u0301\0p\u00a0w".encode()], ("ren\u00e9", "p w", "")),
    ("LOGIN", [b"alice", b"secret"], ("alice", "secret", "")),
    ("EXTERNAL", [b""], ("", "", "")),
    ("EXTERNAL", [b"alice@example.org"], ("", "", "alice@example.org")),
    # RFC 7628 section 4.1
    (
        "OAUTHBEARER",
        [
            b"n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer vF9dft4qmTc2Nvb3==\1\1",
            b"\1",
        ],
        ("user@example.com", "vF9dft4qmTc2Nvb3==", ""),
    ),
    ("OAUTHBEARER", [b"y,,\1auth=bearer t\1\1", b""], ("", "t", "")),
    ("OAUTHBEARER", [b"n,a=a=2Cb=3Dc=3D2C,\1auth=Bearer t\1\1", b"\1"], ("a,b=c=2C", "t", "")),
    (
        "XOAUTH2",
        [b"user=someuser@example.com\1auth=Bearer ya29.vF9dft\1\1", b""],
        ("someuser@example.com", "ya29.vF9dft", ""),
    ),
]


@pytest.mark.parametrize(("mechanism", "responses", "expected"), GOOD)
def test_good(mechanism: str, responses: list[bytes], expected: tuple[str, str, str]) -> None:
    exchange = Exchange(mechanism)
    *before, last = responses
    for response in before:
        assert isinstance(exchange.step(response), bytes)
    login = exchange.step(last)
    assert isinstance(login, RawLogin)
    assert login.mechanism is Mechanism(mechanism.upper())
    assert (login.username, login.password, login.authzid) == expected
    assert login.password == "" or login.password not in repr(login)


BAD = [
    ("PLAIN", b""),
    ("PLAIN", b"alice\0secret"),
    ("PLAIN", b"\0alice\0secret\0more"),
    ("PLAIN", b"\0\0secret"),  # RFC 4616 section 2: authcid = 1*SAFE
    ("PLAIN", b"\0alice\0"),
    ("PLAIN", "\0\u00ad\0secret".encode()),  # empty once prepared
    ("PLAIN", b"\0al\xffice\0secret"),
    ("PLAIN", b"\0alice\r\n\0secret"),
    ("PLAIN", b"\0" + b"a" * (MAX_NAME + 1) + b"\0secret"),
    ("PLAIN", b"\0alice\0" + b"x" * (MAX_PASSWORD + 1)),
    ("PLAIN", b"x" * (MAX_SASL + 1)),
    ("PLAIN", "\0\u0627b\0secret".encode()),  # RFC 3454 section 6
    ("PLAIN", "\0\ue000\0secret".encode()),  # private use
    ("EXTERNAL", b"a\0b"),
    ("OAUTHBEARER", b""),
    ("OAUTHBEARER", b"\1"),
    ("OAUTHBEARER", b"p=x,,\1auth=Bearer t\1\1"),
    ("OAUTHBEARER", b"n,a=b=2,\1auth=Bearer t\1\1"),
    ("OAUTHBEARER", b"n,,\1auth=Bearer t"),
    ("OAUTHBEARER", b"n,,\1auth=Basic t\1\1"),
    ("OAUTHBEARER", b"n,,\1auth=Bearer \1\1"),
    ("OAUTHBEARER", b"n,,\1auth=Bearer a b\1\1"),
    ("OAUTHBEARER", b"n,,\1auth=Bearer a\1auth=Bearer b\1\1"),
    ("XOAUTH2", b"auth=Bearer t\1\1"),
    ("XOAUTH2", b"user=a\1\1"),
]


@pytest.mark.parametrize(("mechanism", "response"), BAD)
def test_bad(mechanism: str, response: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        Exchange(mechanism).step(response)
    assert str(caught.value).isascii()


@pytest.mark.parametrize("name", ["", "USER", "IMAP-LOGIN", "CRAM-MD5", "PLAIN ", "\u0130"])
def test_no_such_mechanism(name: str) -> None:
    with pytest.raises(SaslError):
        Exchange(name)


def test_challenges() -> None:
    assert Exchange("PLAIN").step(None) == b""
    assert Exchange("EXTERNAL").step(None) == b""
    assert Exchange("OAUTHBEARER").step(None) == b""
    login = Exchange("LOGIN")
    assert login.step(None) == b"Username:"
    assert login.step(b"alice") == b"Password:"
    bearer = Exchange("XOAUTH2")
    assert b"invalid_token" in bearer.step(b"user=a\1auth=Bearer t\1\1")  # type: ignore[operator]


@pytest.mark.parametrize("text", ["a", "a===", "=a", "Y Q==", "YQ==YQ==", "YQ=", "Y-Q=", "\xe9", "YQ==\r"])
def test_base64_is_strict(text: str) -> None:
    with pytest.raises(SaslError):
        decode(text.encode("latin-1"))


def test_base64() -> None:
    assert decode(b"") == decode(b"=") == b""
    assert decode(b"AGFsaWNl") == b"\0alice"
    with pytest.raises(SaslError):
        decode(b"A" * (MAX_SASL + 4))


SASLPREP = [  # RFC 4013 section 3
    ("I\u00adX", "IX"),
    ("user", "user"),
    ("USER", "USER"),
    ("\u00aa", "a"),
    ("\u2168", "IX"),
    ("\u0007", None),
    ("\u0627\u0031", None),
    ("\u0627\u0031\u0628", "\u0627\u0031\u0628"),
    ("\u2000x", " x"),
    ("\ud800", None),
    ("\U0001f600", "\U0001f600"),  # unassigned in Unicode 3.2: allowed in a query
    ("", ""),
]


@pytest.mark.parametrize(("text", "prepared"), SASLPREP)
def test_saslprep(text: str, prepared: str | None) -> None:
    if prepared is None:
        with pytest.raises(SaslError):
            saslprep(text)
    else:
        assert saslprep(text) == prepared


def test_what_grows_in_preparation_is_measured_after_it() -> None:
    assert len(saslprep("\ufdfa")) == 18
    with pytest.raises(SaslError):
        prepare_name("\ufdfa" * 100)  # 300 octets before, 1800 characters after


@given(st.text())
def test_preparing_twice_changes_nothing(text: str) -> None:
    try:
        once = prepare_password(text)
    except SaslError:
        return
    assert "\0" not in once
    assert "\r" not in once
    assert "\n" not in once
    try:
        assert prepare_password(once) == once
    except SaslError:
        pytest.fail("a prepared password was refused")


@given(
    st.sampled_from(["PLAIN", "LOGIN", "EXTERNAL", "OAUTHBEARER", "XOAUTH2"]),
    st.lists(st.binary(), max_size=4),
)
def test_any_responses(mechanism: str, responses: list[bytes]) -> None:
    exchange = Exchange(mechanism)
    for response in responses:
        try:
            outcome = exchange.step(response)
        except SaslError:
            return
        if isinstance(outcome, RawLogin):
            return


@given(st.binary())
def test_any_base64(response: bytes) -> None:
    try:
        message = decode(response)
    except SaslError:
        return
    assert len(message) <= len(response)
    assert base64.b64encode(message)[:-4] == response[: len(base64.b64encode(message)) - 4]


NAMES = st.text("abcXYZ0189.,=+-_@\u00e9\u4e2d", min_size=1, max_size=60)


@given(
    st.sampled_from(["PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"]), NAMES, st.text("abcXYZ0189._-", min_size=1)
)
def test_what_our_client_says_our_server_reads(mechanism: str, name: str, secret: str) -> None:
    client = SignInExchange(UpstreamCredential(mechanism, name, secret))
    server = Exchange(mechanism)
    outcome = server.step(client.initial())
    while isinstance(outcome, bytes):
        outcome = server.step(client.answer())
    assert (outcome.username, outcome.password) == (name, secret)
