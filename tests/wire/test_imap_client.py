"""Signing in at the mail server, as conversations."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire import limits
from gambeson.wire.dialogue import (
    Authenticate,
    Command,
    Failed,
    Origin,
    Ready,
    Send,
    StartTls,
    UpstreamCredential,
)
from gambeson.wire.imap_client import ImapClient
from gambeson.wire.imap_server import ImapServer

SECRET = "s3cret-of-alice"
DOVECOT = (
    b"* OK [CAPABILITY IMAP4rev1 SASL-IR ID LITERAL+ "
    b"AUTH=PLAIN AUTH=LOGIN AUTH=OAUTHBEARER AUTH=XOAUTH2 AUTH=EXTERNAL] ready\r\n"
)
PLAIN = base64.b64encode(b"\0alice\0" + SECRET.encode())


def client(mechanism: str = "PLAIN", *, authzid: str = "", secret: str = SECRET, **flags: bool) -> ImapClient:
    credential = UpstreamCredential(mechanism, "alice", secret, authzid)
    c = ImapClient(credential=credential, origin=Origin("2001:db8::9", 40000, "s-1", 'd"42'), **flags)
    assert c.start() == []
    return c


def said(commands: list[Command]) -> bytes:
    assert all(isinstance(c, Send) for c in commands)
    return b"".join(c.data for c in commands if isinstance(c, Send))


def failed(commands: list[Command]) -> Failed:
    (failure,) = commands
    assert isinstance(failure, Failed)
    return failure


FIRST = [
    ("PLAIN", "", b"g1 AUTHENTICATE PLAIN " + PLAIN),
    ("PLAIN", "bob", b"g1 AUTHENTICATE PLAIN " + base64.b64encode(b"bob\0alice\0" + SECRET.encode())),
    ("LOGIN", "", b"g1 AUTHENTICATE LOGIN"),
    ("EXTERNAL", "", b"g1 AUTHENTICATE EXTERNAL ="),
    ("EXTERNAL", "bob", b"g1 AUTHENTICATE EXTERNAL Ym9i"),
    (
        "XOAUTH2",
        "",
        b"g1 AUTHENTICATE XOAUTH2 " + base64.b64encode(f"user=alice\1auth=Bearer {SECRET}\1\1".encode()),
    ),
    (
        "OAUTHBEARER",
        "",
        b"g1 AUTHENTICATE OAUTHBEARER " + base64.b64encode(f"n,a=alice,\1auth=Bearer {SECRET}\1\1".encode()),
    ),
]


@pytest.mark.parametrize(("mechanism", "authzid", "line"), FIRST)
def test_one_round_trip(mechanism: str, authzid: str, line: bytes) -> None:
    assert said(client(mechanism, authzid=authzid).receive(DOVECOT)) == line + b"\r\n"


def test_ready_with_what_came_behind() -> None:
    c = client()
    c.receive(DOVECOT)
    commands = c.receive(
        b"* 1 EXISTS\r\n* OK noise {7}\r\ng1 OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n* 2 EXISTS\r\n"
    )
    assert commands == [Ready((b"IMAP4rev1", b"IDLE"), b"Logged in", b"* 2 EXISTS\r\n")]
    assert c.receive(b"more") == []


def test_capabilities_before_the_sign_in_are_not_those_after_it() -> None:
    c = client()
    c.receive(DOVECOT)
    assert said(c.receive(b"g1 OK Logged in\r\n")) == b"g2 CAPABILITY\r\n"
    [ready] = c.receive(b"* CAPABILITY IMAP4rev1 MOVE\r\ng2 OK done\r\n* 1 EXISTS\r\n")
    assert ready == Ready((b"IMAP4rev1", b"MOVE"), b"Logged in", b"* 1 EXISTS\r\n")


@pytest.mark.parametrize("answer", [b"g2 NO\r\n", b"g2 OK done\r\n", b"+ \r\n"])
def test_a_server_that_does_not_tell_its_capabilities_is_not_joined(answer: bytes) -> None:
    c = client()
    c.receive(DOVECOT)
    c.receive(b"g1 OK Logged in\r\n")
    assert failed(c.receive(answer)).kind == "protocol"


def test_trusted_tells_the_origin() -> None:
    c = client(trusted=True)
    assert said(c.receive(DOVECOT)) == (
        b'g1 ID ("x-originating-ip" "2001:db8::9" "x-originating-port" "40000" "x-session-id" "s-1" '
        b'"x-forward-device" "d\\"42")\r\ng2 AUTHENTICATE PLAIN ' + PLAIN + b"\r\n"
    )
    assert c.receive(b'* ID ("name" {7}\r\nDove\r\ncot "x" NIL)\r\ng1 BAD no\r\n') == []
    assert c.receive(b"g2 OK [CAPABILITY IDLE] in\r\n") == [Ready((b"IDLE",), b"in")]


@pytest.mark.parametrize("answer", [b"g2 OK in\r\n", b"+ \r\n"])
def test_answers_come_in_order(answer: bytes) -> None:
    # Else the answer to our ID would come later, to a client that never asked it.
    c = client(trusted=True)
    c.receive(DOVECOT)
    assert failed(c.receive(answer)).kind == "protocol"


def test_no_id_where_the_server_knows_none() -> None:
    assert b" ID " not in said(client(trusted=True).receive(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n"))


def test_a_client_cannot_claim_an_origin() -> None:
    claims = (
        ("name", 'Mail "7"'),
        ("X-Originating-IP", "192.0.2.1"),
        (" x-forward-device", "d1"),
        ("os", ""),
    )
    c = ImapClient(
        credential=UpstreamCredential("PLAIN", "alice", SECRET), origin=Origin("192.0.2.9"), client_id=claims
    )
    c.start()
    assert said(c.receive(DOVECOT)).startswith(b'g1 ID ("name" "Mail \\"7\\"")\r\n')


def test_without_initial_response() -> None:
    c = client()
    assert said(c.receive(b"* OK hello\r\n")) == b"g1 CAPABILITY\r\n"
    assert (
        said(c.receive(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\ng1 OK x\r\n")) == b"g2 AUTHENTICATE PLAIN\r\n"
    )
    assert said(c.receive(b"+\r\n")) == PLAIN + b"\r\n"
    assert failed(c.receive(b"+ more\r\n")).kind == "protocol"


def test_a_long_token_goes_behind_a_continuation() -> None:
    c = client("OAUTHBEARER", secret="t" * 9000)
    assert said(c.receive(DOVECOT)) == b"g1 AUTHENTICATE OAUTHBEARER\r\n"
    assert len(said(c.receive(b"+ \r\n"))) > 9000


@pytest.mark.parametrize(("mechanism", "acknowledged"), [("OAUTHBEARER", b"AQ==\r\n"), ("XOAUTH2", b"\r\n")])
def test_a_refused_token(mechanism: str, acknowledged: bytes) -> None:
    c = client(mechanism)
    c.receive(DOVECOT)
    assert said(c.receive(b"+ eyJzdGF0dXMiOiI0MDEifQ==\r\n")) == acknowledged
    assert failed(c.receive(b"g1 NO [AUTHENTICATIONFAILED] no\r\n")).kind == "refused"


@pytest.mark.parametrize("capability", [b"LITERAL+", b"LITERAL-", b"IMAP4rev2"])
def test_login_at_once(capability: bytes) -> None:
    c = client(secret="p\u00e4ss")
    sent = said(c.receive(b"* OK [CAPABILITY " + capability + b"] x\r\n"))
    assert sent == "g1 LOGIN {5+}\r\nalice {5+}\r\np\u00e4ss\r\n".encode()


def test_login_step_by_step() -> None:
    c = client()
    assert said(c.receive(b"* OK [CAPABILITY IMAP4rev1] x\r\n")) == b"g1 LOGIN {5}\r\n"
    assert said(c.receive(b"+ go\r\n")) == b"alice {15}\r\n"
    assert said(c.receive(b"+ go\r\n")) == SECRET.encode() + b"\r\n"
    assert c.receive(b"g1 OK [CAPABILITY IDLE] in\r\n") == [Ready((b"IDLE",), b"in")]


@pytest.mark.parametrize(
    ("capabilities", "mechanism", "authzid"),
    [
        (b"LOGINDISABLED", "PLAIN", ""),
        (b"IMAP4rev1", "PLAIN", "bob"),
        (b"AUTH=PLAIN", "OAUTHBEARER", ""),
        (b"IMAP4rev1 ID", "EXTERNAL", ""),
    ],
)
def test_what_the_server_does_not_offer(capabilities: bytes, mechanism: str, authzid: str) -> None:
    c = client(mechanism, authzid=authzid, trusted=True)
    assert failed(c.receive(b"* OK [CAPABILITY " + capabilities + b"] x\r\n")).kind == "protocol"


def test_starttls() -> None:
    c = client(starttls=True)
    assert said(c.receive(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] x\r\n")) == b"g1 STARTTLS\r\n"
    assert c.receive(b"g1 OK go\r\ng2 OK [CAPABILITY FORGED AUTH=PLAIN SASL-IR] in\r\n") == [StartTls()]
    assert c.receive(b"* CAPABILITY FORGED\r\n") == []
    assert said(c.tls_started()) == b"g2 CAPABILITY\r\n"
    assert (
        said(c.receive(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\ng2 OK x\r\n")) == b"g3 AUTHENTICATE PLAIN\r\n"
    )


@pytest.mark.parametrize("answer", [b"g1 NO no\r\n", b"g1 BAD no\r\n"])
def test_starttls_is_never_given_up(answer: bytes) -> None:
    c = client(starttls=True)
    c.receive(DOVECOT)
    assert failed(c.receive(answer)).kind == "protocol"
    assert c.tls_started() == []


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"* BYE too busy\r\n", "unavailable"),
        (b"* PREAUTH [CAPABILITY IMAP4rev1] hello root\r\n", "protocol"),
        (b"220 smtp.example.org ESMTP\r\n", "protocol"),
        (b"+ \r\n", "protocol"),
        (b"\r\n", "protocol"),
        (b"x" * (limits.MAX_UPSTREAM_LINE + 1), "protocol"),
    ],
)
def test_greetings(greeting: bytes, kind: str) -> None:
    assert failed(client().receive(greeting)).kind == kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"g1 NO wrong\r\n", "refused"),
        (b"g1 NO [AUTHENTICATIONFAILED] wrong\r\n", "refused"),
        (b"g1 NO [AUTHORIZATIONFAILED] wrong\r\n", "refused"),
        (b"g1 NO [EXPIRED] wrong\r\n", "refused"),
        (b"g1 NO [unavailable] later\r\n", "unavailable"),
        (b"g1 NO [INUSE] later\r\n", "unavailable"),
        (b"g1 NO [LIMIT] later\r\n", "unavailable"),
        (b"g1 NO [SERVERBUG] oops\r\n", "unavailable"),
        (b"g1 NO [CONTACTADMIN] oops\r\n", "unavailable"),
        (b"g1 NO [PRIVACYREQUIRED] tls\r\n", "protocol"),
        (b"g1 BAD what\r\n", "protocol"),
        (b"* BYE [UNAVAILABLE] gone\r\n", "unavailable"),
        (b"g9 OK in\r\n", "protocol"),
        (b"g1 FINE in\r\n", "protocol"),
        (b"g1\r\n", "protocol"),
        (b"* LIST {99999999}\r\n", "protocol"),
        (b"* 1 EXISTS\r\n" * (limits.MAX_UPSTREAM_ANSWERS + 1), "protocol"),
    ],
)
def test_kinds_of_failure(answer: bytes, kind: str) -> None:
    c = client()
    c.receive(DOVECOT)
    assert failed(c.receive(answer)).kind == kind
    assert c.receive(b"g1 OK in\r\n") == []


def test_no_failure_tells_the_secret() -> None:
    c = client()
    c.receive(DOVECOT)
    failure = failed(c.receive(f"g1 NO {SECRET} is wrong\x07 \u00e9\r\n".encode()))
    assert failure.text == "*** is wrong? ?"
    assert SECRET not in repr(vars(c)["_credential"])


@pytest.mark.parametrize("secret", ["a\0b", "a\r\nb", "a\1b"])
def test_a_credential_cannot_change_its_message(secret: str) -> None:
    for mechanism in ("PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"):
        assert failed(client(mechanism, secret=secret).receive(DOVECOT)).kind == "protocol"


NOISE = st.sampled_from(
    [
        b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR ID] x\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
        *(
            b"* OK x\r\n",
            b"g1 OK x\r\n",
            b"g2 OK x\r\n",
            b"g1 NO x\r\n",
            b"+ \r\n",
            b"* BYE x\r\n",
            b"* PREAUTH x\r\n",
        ),
        *(b"* ID (", b"{3}\r\n", b"abc", b")\r\n", b"\n"),
    ]
)


def outcome(chunks: list[bytes], starttls: bool) -> tuple[bytes, list[Command]]:
    c = client(starttls=starttls, trusted=True)
    text, others = bytearray(), []
    for chunk in chunks:
        for command in c.receive(chunk):
            if isinstance(command, Send):
                text += command.data
            else:
                others.append(command)
        assert c._framer.held <= limits.MAX_UPSTREAM_LINE
    if others and isinstance(others[-1], Ready):
        others[-1] = Ready(others[-1].capabilities, others[-1].text)  # what comes later is the splice's
    return bytes(text), others


@given(
    st.lists(st.one_of(NOISE, st.binary(max_size=20)), max_size=20),
    st.booleans(),
    st.lists(st.integers(1, 40), max_size=30),
)
def test_any_bytes_in_any_chunking(pieces: list[bytes], starttls: bool, cuts: list[int]) -> None:
    stream = b"".join(pieces)
    chunks, rest = [], stream
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]
    chunks.append(rest)
    whole = outcome([stream], starttls)
    assert outcome(chunks, starttls) == whole
    assert outcome([stream[i : i + 1] for i in range(len(stream))], starttls) == whole
    assert sum(isinstance(c, Ready | Failed) for c in whole[1]) <= 1
    if starttls:
        assert b"AUTHENTICATE" not in whole[0]
        assert b"LOGIN" not in whole[0]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "EXTERNAL"])
def test_our_client_before_our_door(mechanism: str) -> None:
    c = client(mechanism, starttls=True, trusted=True)
    d = ImapServer(hostname="mail.example.org", starttls=True, external=True)
    to_client, ready = d.start(), None
    for _ in range(12):
        to_server: list[Command] = []
        for command in to_client:
            if isinstance(command, Send):
                to_server += c.receive(command.data)
            elif isinstance(command, StartTls):
                to_client = d.tls_started()
                to_server += c.tls_started()
            elif isinstance(command, Authenticate):
                assert command.login.username in ("alice", "")
                to_server += c.receive(d.accepted(Ready((b"IMAP4rev1",), b"in"))[0].data)  # type: ignore[union-attr]
        to_client = []
        for command in to_server:
            if isinstance(command, Send):
                to_client += d.receive(command.data)
            elif isinstance(command, Ready):
                ready = command
    assert ready == Ready((b"IMAP4rev1",), b"in")
    assert dict(d.client_id)["x-originating-ip"] == "2001:db8::9"
