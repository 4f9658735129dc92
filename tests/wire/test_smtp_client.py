"""How a door signs in at the mail server, as conversations."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.wire.dialogue import Failed, Origin, Ready, Send, StartTls, UpstreamCredential
from gambeson.wire.smtp_client import SmtpClient

ORIGIN = Origin("203.0.113.9", 40000, "s-1", "d42", login="alice@example.org", helo="my laptop")
EHLO = Send(b"EHLO door.example.org\r\n")
ALL = b"250-x\r\n250-SIZE 100\r\n250-AUTH PLAIN LOGIN EXTERNAL OAUTHBEARER XOAUTH2\r\n250 8BITMIME\r\n"


def client(mechanism: str = "PLAIN", secret: str = "pw", authzid: str = "", **flags) -> SmtpClient:
    flags.setdefault("origin", ORIGIN)
    credential = UpstreamCredential(mechanism, "alice", secret, authzid)
    return SmtpClient(credential=credential, hostname="door.example.org", **flags)


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def test_plain_with_authzid():
    c = client(authzid="bob")
    assert c.start() == []
    assert c.receive(b"220-hello\r\n220 there\r\n") == [EHLO]
    assert c.receive(ALL) == [Send(b"AUTH PLAIN " + b64(b"bob\0alice\0pw") + b"\r\n")]
    lines = (b"SIZE 100", b"AUTH PLAIN LOGIN EXTERNAL OAUTHBEARER XOAUTH2", b"8BITMIME")
    assert c.receive(b"235 2.7.0 ok\r\n250 more") == [Ready(lines, b"2.7.0 ok", b"250 more")]


MECHANISMS = [
    (
        "LOGIN",
        [(b"AUTH LOGIN", b"334 VXNlcm5hbWU6"), (b64(b"alice"), b"334 UGFzc3dvcmQ6"), (b64(b"pw"), b"235 ok")],
    ),
    ("EXTERNAL", [(b"AUTH EXTERNAL =", b"235 ok")]),
    ("OAUTHBEARER", [(b"AUTH OAUTHBEARER " + b64(b"n,a=alice,\x01auth=Bearer pw\x01\x01"), b"235 ok")]),
    ("XOAUTH2", [(b"AUTH XOAUTH2 " + b64(b"user=alice\x01auth=Bearer pw\x01\x01"), b"235 ok")]),
]


@pytest.mark.parametrize(("mechanism", "talk"), MECHANISMS)
def test_mechanisms(mechanism, talk):
    c = client(mechanism)
    c.receive(b"220 x\r\n")
    out = c.receive(ALL)
    for line, answer in talk:
        assert out == [Send(line + b"\r\n")]
        out = c.receive(answer + b"\r\n")
    assert isinstance(out[0], Ready)


def test_a_token_too_long_for_the_line_follows_the_challenge():
    c = client("OAUTHBEARER", "t" * 1000)
    c.receive(b"220 x\r\n")
    assert c.receive(ALL) == [Send(b"AUTH OAUTHBEARER\r\n")]
    token = b64(b"n,a=alice,\x01auth=Bearer " + b"t" * 1000 + b"\x01\x01")
    assert c.receive(b"334 \r\n") == [Send(token + b"\r\n")]
    assert c.receive(b"334 " + b64(b'{"status":"401"}') + b"\r\n") == [Send(b"AQ==\r\n")]
    assert c.receive(b"535 5.7.8 bad token\r\n") == [Failed("refused", "5.7.8 bad token")]


def test_starttls_drops_what_came_behind_it():
    c = client(starttls=True)
    c.receive(b"220 x\r\n")
    assert c.receive(b"250-x\r\n250-AUTH LOGIN\r\n250 STARTTLS\r\n") == [Send(b"STARTTLS\r\n")]
    assert c.receive(b"220 go\r\n250 AUTH PLAIN\r\n") == [StartTls()]
    assert c.receive(b"250 AUTH PLAIN\r\n") == []
    assert c.tls_started() == [EHLO]
    assert c.receive(b"250-x\r\n250 AUTH PLAIN\r\n")[0].data.startswith(b"AUTH PLAIN ")


def test_without_starttls_where_it_was_asked_for_nothing_is_told():
    c = client(starttls=True)
    c.receive(b"220 x\r\n")
    assert c.receive(ALL) == [Failed("protocol", "the mail server offers no STARTTLS")]


def test_xclient_tells_the_origin_in_xtext_and_begins_anew():
    c = client("", trusted=True)
    c.receive(b"220 x\r\n")
    assert c.receive(b"250-x\r\n250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR\r\n250 SIZE 5\r\n") == [
        Send(
            b"XCLIENT NAME=[UNAVAILABLE] ADDR=203.0.113.9 PORT=40000 PROTO=ESMTP HELO=my+20laptop"
            b" LOGIN=alice@example.org\r\n"
        )
    ]
    assert c.receive(b"220 again\r\n") == [EHLO]
    assert c.receive(b"250-x\r\n250-XCLIENT NAME ADDR\r\n250 SIZE 7\r\n") == [
        Ready((b"XCLIENT NAME ADDR", b"SIZE 7"))
    ]


def test_xclient_of_ipv6_with_only_what_is_offered():
    c = client("", trusted=True, origin=Origin("2001:db8::1"))
    c.receive(b"220 x\r\n")
    out = c.receive(b"250-x\r\n250 XCLIENT ADDR LOGIN PORT\r\n")
    assert out == [Send(b"XCLIENT ADDR=IPV6:2001:db8::1 PORT=[UNAVAILABLE] LOGIN=[UNAVAILABLE]\r\n")]


def test_a_hostile_helo_cannot_break_out_of_its_attribute():
    c = client("", trusted=True, origin=Origin("203.0.113.9", helo="x LOGIN=root\r\nMAIL+é="))
    c.receive(b"220 x\r\n")
    line = c.receive(b"250-x\r\n250 XCLIENT HELO\r\n")[0].data
    assert line == b"XCLIENT HELO=x+20LOGIN+3Droot+0D+0AMAIL+2B+C3+A9+3D\r\n"


def test_who_is_not_trusted_tells_nothing():
    c = client("", trusted=False)
    c.receive(b"220 x\r\n")
    assert isinstance(c.receive(b"250-x\r\n250 XCLIENT ADDR\r\n")[0], Ready)


FAILURES = [
    ([b"554 no\r\n"], "unavailable"),
    ([b"421 later\r\n"], "unavailable"),
    ([b"250 x\r\n"], "protocol"),
    ([b"hello\r\n"], "protocol"),
    ([b"220 x\n"], "protocol"),
    ([b"220 x\r\n", b"502 no\r\n"], "protocol"),
    ([b"220 x\r\n", b"250-x\r\n250 SIZE\r\n"], "protocol"),
    ([b"220 x\r\n", b"250-x\r\n250 AUTH LOGIN\r\n"], "protocol"),
    ([b"220 x\r\n", ALL, b"535 no\r\n"], "refused"),
    ([b"220 x\r\n", ALL, b"534 weak\r\n"], "refused"),
    ([b"220 x\r\n", ALL, b"538 tls\r\n"], "refused"),
    ([b"220 x\r\n", ALL, b"454 later\r\n"], "unavailable"),
    ([b"220 x\r\n", ALL, b"421 bye\r\n"], "unavailable"),
    ([b"220 x\r\n", ALL, b"502 no\r\n"], "protocol"),
    ([b"220 x\r\n", ALL, b"334 more?\r\n"], "protocol"),
    ([b"220 x\r\n", b"250-x\r\n" * 300], "protocol"),
    ([b"220 " + b"x" * 70000], "protocol"),
    ([b"220-x\r\n221 x\r\n"], "protocol"),
]


@pytest.mark.parametrize(("answers", "kind"), FAILURES)
def test_failures(answers, kind):
    c = client()
    out = []
    for answer in answers:
        out = c.receive(answer)
    assert isinstance(out[-1], Failed)
    assert out[-1].kind == kind
    assert c.receive(b"235 ok\r\n") == []


def test_a_credential_with_control_characters_is_not_sent():
    c = client(secret="a\0b")
    c.receive(b"220 x\r\n")
    assert isinstance(c.receive(ALL)[0], Failed)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from([b"220 x\r\n", ALL, b"235 k\r\n", b"334 \r\n"]))
    ),
    st.booleans(),
)
def test_any_octets_of_a_server(blocks, tls):
    c = client(starttls=tls, trusted=True)
    out = []
    for block in blocks:
        out += c.receive(block)
    ends = [n for n, x in enumerate(out) if isinstance(x, Ready | Failed)]
    assert ends in ([], [len(out) - 1])
