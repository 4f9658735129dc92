"""Signing in at a POP3 server: which way is chosen, how failures are told apart, and hostile servers."""

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.dialogue import Command, Failed, Origin, Ready, Send, StartTls, UpstreamCredential
from gambeson.wire.limits import MAX_UPSTREAM_ANSWERS, MAX_UPSTREAM_LINE
from gambeson.wire.pop3 import xclient
from gambeson.wire.pop3_client import Pop3Client

PLAIN = UpstreamCredential("PLAIN", "anna", "pw")
CAPA = b"+OK\r\nSASL PLAIN LOGIN EXTERNAL OAUTHBEARER XOAUTH2\r\nUSER\r\n.\r\n"


def client(credential: UpstreamCredential = PLAIN, origin: Origin = Origin(), **options: bool) -> Pop3Client:
    return Pop3Client(credential=credential, origin=origin, **options)


def said(commands: list[Command]) -> bytes:
    return b"".join(c.data for c in commands if isinstance(c, Send))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"-ERR [AUTH] Authentication failed.", "refused"),
        (b"-ERR Logon failure", "refused"),
        (b"-ERR [SYS/TEMP] later", "unavailable"),
        (b"-ERR [SYS/PERM] mailbox broken", "unavailable"),
        (b"-ERR [IN-USE] locked", "unavailable"),
        (b"-err [login-delay] wait", "unavailable"),
        (b"+OKAY", "protocol"),
        (b"hello", "protocol"),
        (b"+ more?", "protocol"),
        (b"", "protocol"),
    ],
)
def test_failures_are_told_apart(answer: bytes, kind: str) -> None:
    upstream = client()
    upstream.receive(b"+OK hi\r\n" + CAPA)
    [failed] = upstream.receive(answer + b"\r\n")
    assert isinstance(failed, Failed)
    assert failed.kind == kind
    assert failed.code == ("INUSE" if b"IN-USE" in answer else "")
    assert upstream.receive(b"+OK\r\n") == []


@pytest.mark.parametrize(
    ("credential", "line"),
    [
        (
            UpstreamCredential("PLAIN", "master", "pw", "anna"),
            b"AUTH PLAIN " + base64.b64encode(b"anna\0master\0pw"),
        ),
        (UpstreamCredential("EXTERNAL", "", "", ""), b"AUTH EXTERNAL ="),
        (UpstreamCredential("EXTERNAL", "", "", "anna"), b"AUTH EXTERNAL YW5uYQ=="),
        (UpstreamCredential("LOGIN", "anna", "pw"), b"AUTH LOGIN"),
        (
            UpstreamCredential("XOAUTH2", "anna", "t"),
            b"AUTH XOAUTH2 " + base64.b64encode(b"user=anna\x01auth=Bearer t\x01\x01"),
        ),
        (UpstreamCredential("OAUTHBEARER", "a,b=c", "t" * 300), b"AUTH OAUTHBEARER"),  # RFC 5034: too long
    ],
)
def test_initial_response(credential: UpstreamCredential, line: bytes) -> None:
    assert said(client(credential).receive(b"+OK hi\r\n" + CAPA)).endswith(b"CAPA\r\n" + line + b"\r\n")


def test_long_initial_response_waits_for_the_challenge() -> None:
    upstream = client(UpstreamCredential("OAUTHBEARER", "a,b=c", "t" * 300))
    upstream.receive(b"+OK hi\r\n" + CAPA)
    response = base64.b64decode(said(upstream.receive(b"+ \r\n")))
    assert response == b"n,a=a=2Cb=3Dc,\x01auth=Bearer " + b"t" * 300 + b"\x01\x01"


def test_login_prompts() -> None:
    upstream = client(UpstreamCredential("LOGIN", "anna", "pw"))
    upstream.receive(b"+OK hi\r\n" + CAPA)
    assert said(upstream.receive(b"+ VXNlcm5hbWU6\r\n")) == b"YW5uYQ==\r\n"
    assert said(upstream.receive(b"+ UGFzc3dvcmQ6\r\n")) == b"cHc=\r\n"
    assert upstream.receive(b"+ again\r\n") == [
        Failed("protocol", "the mail server asked for more than the mechanism has")
    ]


def test_ready_with_what_came_behind() -> None:
    upstream = client()
    upstream.receive(b"+OK hi\r\n" + CAPA)
    assert upstream.receive(b"+OK in\r\nmore") == [Ready((), b"in", b"more")]


def test_acting_for_another_never_falls_back_to_user_and_pass() -> None:
    upstream = client(UpstreamCredential("PLAIN", "master", "pw", "anna"))
    [_, failed] = upstream.receive(b"+OK hi\r\n+OK\r\nUSER\r\n.\r\n")
    assert isinstance(failed, Failed)
    assert failed.kind == "protocol"


def test_a_mechanism_that_is_not_offered() -> None:
    upstream = client(UpstreamCredential("OAUTHBEARER", "anna", "t"))
    [_, failed] = upstream.receive(b"+OK hi\r\n+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n")
    assert failed == Failed("protocol", "the mail server does not offer OAUTHBEARER")


@pytest.mark.parametrize("secret", ["a\r\nDELE 1", "a\nb", "a\x00b", "a\x01b"])
@pytest.mark.parametrize("capa", [CAPA, b"-ERR\r\n"])
def test_a_credential_cannot_smuggle_a_command(secret: str, capa: bytes) -> None:
    upstream = client(UpstreamCredential("PLAIN", "anna", secret))
    commands = upstream.receive(b"+OK hi\r\n" + capa + b"+OK\r\n")
    assert isinstance(commands[-1], Failed)
    assert b"DELE" not in said(commands)


def test_no_stls_no_login() -> None:
    upstream = client(starttls=True)
    assert said(upstream.receive(b"+OK hi\r\n")) == b"STLS\r\n"
    [failed] = upstream.receive(b"-ERR no\r\n")
    assert isinstance(failed, Failed)


def test_plaintext_behind_stls_is_dropped() -> None:
    upstream = client(starttls=True)
    upstream.receive(b"+OK hi\r\n")
    assert upstream.receive(b"+OK go\r\n" + CAPA) == [StartTls()]
    assert upstream.receive(CAPA) == []
    assert said(upstream.tls_started()) == b"CAPA\r\n"


@pytest.mark.parametrize(("greeting", "offered"), [(b"+OK [XCLIENT] hi\r\n", True), (b"+OK hi\r\n", False)])
def test_origin_is_told_only_where_it_is_taken(greeting: bytes, offered: bool) -> None:
    upstream = client(origin=Origin("203.0.113.7", 5), trusted=True)
    assert (b"XCLIENT ADDR=203.0.113.7 PORT=5\r\n" in said(upstream.receive(greeting + CAPA))) is offered
    if offered:
        assert said(upstream.receive(b"-ERR You are not from trusted IP\r\n")).startswith(b"AUTH PLAIN ")


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (Origin(), None),
        (Origin("mail.example"), None),
        (Origin("1.2.3.4 PORT=9"), None),
        (Origin("fe80::1%eth0"), None),
        (Origin("::ffff:192.0.2.1", 70000), b"ADDR=192.0.2.1"),
        (Origin("2001:DB8::0:1", 9, "a b"), b"ADDR=2001:db8::1 PORT=9"),
        (Origin("192.0.2.1", 0, "s\r\n", "d\td"), b"ADDR=192.0.2.1"),
        (Origin("192.0.2.1", 0, "ok", "d4"), b"ADDR=192.0.2.1 SESSION=ok FORWARD=ZGV2aWNlPWQ0"),
    ],
)
def test_xclient_words(origin: Origin, words: bytes | None) -> None:
    assert xclient(origin) == words


def test_a_server_that_never_ends_its_list() -> None:
    upstream = client()
    upstream.receive(b"+OK hi\r\n+OK\r\n")
    commands = upstream.receive(b"X\r\n" * (MAX_UPSTREAM_ANSWERS + 1))
    assert commands == [Failed("protocol", "the mail server's sign-in takes too many lines")]


def test_a_server_that_never_ends_its_line() -> None:
    assert client().receive(b"+" * (MAX_UPSTREAM_LINE + 1)) == [
        Failed("protocol", "the mail server's answer is too long")
    ]


@pytest.mark.parametrize("greeting", [b"-ERR [SYS/TEMP] down\r\n", b"-ERR\r\n"])
def test_a_server_that_is_not_ready(greeting: bytes) -> None:
    [failed] = client().receive(greeting)
    assert isinstance(failed, Failed)
    assert failed.kind == "unavailable"


LINES = st.sampled_from(
    [
        b"+OK hi\r\n",
        b"+OK [XCLIENT]\r\n",
        CAPA,
        b".\r\n",
        b"+ \r\n",
        b"-ERR [AUTH]\r\n",
        b"SASL PLAIN\r\n",
        b"+OK\n",
    ]
)
CREDENTIALS = st.builds(
    UpstreamCredential,
    st.sampled_from(["PLAIN", "LOGIN", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "NONSENSE"]),
    st.sampled_from(["anna", ""]),
    st.sampled_from(["pw", "p\nw"]),
    st.sampled_from(["", "berta"]),
)


@given(
    st.lists(st.one_of(LINES, st.binary(max_size=20)), max_size=15).map(b"".join),
    st.lists(st.integers(0, 300), max_size=8),
    CREDENTIALS,
    st.booleans(),
)
def test_any_octets_in_any_chunks(
    stream: bytes, cuts: list[int], credential: UpstreamCredential, tls: bool
) -> None:
    def run(chunks: list[bytes]) -> tuple[bytes, list[Command]]:
        upstream = client(credential, Origin("192.0.2.1"), starttls=tls, trusted=True)
        commands = [c for chunk in chunks for c in upstream.receive(chunk)]
        ends = [c for c in commands if not isinstance(c, Send)]
        assert len(ends) <= 1
        if ends and isinstance(ends[0], Ready):
            ends = [Ready(text=ends[0].text)]  # what comes behind depends on the cut
        return said(commands), ends

    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert run([stream]) == run([stream[a:b] for a, b in itertools.pairwise(edges)])
