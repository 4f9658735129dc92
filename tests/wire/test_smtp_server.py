"""Submission before login, as conversations."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.model.access import Mechanism, RawLogin
from gambeson.wire.dialogue import Authenticate, Close, Ready, Refusal, Send, StartTls
from gambeson.wire.limits import MAX_PENDING
from gambeson.wire.smtp_server import SmtpServer

NO = Refusal("Not signed in")


def server(**flags) -> SmtpServer:
    flags.setdefault("tls", True)
    return SmtpServer(hostname="mail.example.org", **flags)


def plain(name: str = "alice", password: str = "secret") -> bytes:
    return base64.b64encode(f"\0{name}\0{password}".encode())


def said(commands) -> bytes:
    return b"".join(c.data for c in commands if isinstance(c, Send))


def codes(commands) -> list[str]:
    return [line[:3] for line in said(commands).decode().split("\r\n")[:-1] if line[3:4] == " "]


def test_greeting_and_ehlo_under_tls():
    s = server(max_message_bytes=1000)
    assert said(s.start()) == b"220 mail.example.org ESMTP ready\r\n"
    assert said(s.receive(b"EHLO laptop.local\r\n")) == (
        b"250-mail.example.org\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n"
        b"250-SIZE 1000\r\n250 AUTH PLAIN LOGIN\r\n"
    )
    assert s.helo == "laptop.local"
    assert said(s.receive(b"HELO x\r\n")) == b"250 mail.example.org\r\n"


def test_a_certificate_offers_external():
    assert b"AUTH PLAIN LOGIN EXTERNAL" in said(server(external=True).receive(b"EHLO x\r\n"))


def test_before_tls_no_login_is_offered_or_taken():
    s = server(tls=False, starttls=True)
    lines = said(s.receive(b"EHLO x\r\n"))
    assert b"STARTTLS" in lines
    assert b"AUTH" not in lines
    assert said(s.receive(b"AUTH PLAIN " + plain() + b"\r\n")).startswith(b"538 5.7.11 ")
    assert said(s.receive(b"MAIL FROM:<a@b>\r\n")) == b"530 5.7.0 Must issue a STARTTLS command first\r\n"


def test_starttls_drops_what_came_in_plain_text_behind_it():
    s = server(tls=False, starttls=True)
    s.receive(b"EHLO x\r\n")
    out = s.receive(b"STARTTLS\r\nEHLO evil\r\nAUTH PLAIN " + plain() + b"\r\n")
    assert out == [Send(b"220 2.0.0 Ready to start TLS\r\n"), StartTls()]
    assert s.receive(b"NOOP\r\n") == []
    assert s.tls_started() == []
    assert s.helo == ""
    assert codes(s.receive(b"AUTH PLAIN " + plain() + b"\r\n")) == ["503"]
    assert b"STARTTLS" not in said(s.receive(b"EHLO x\r\n"))
    assert codes(s.receive(b"STARTTLS\r\n")) == ["503"]


def test_starttls_with_an_argument_or_not_offered():
    assert codes(server(tls=False, starttls=True).receive(b"STARTTLS x\r\n")) == ["501"]
    assert codes(server(tls=False).receive(b"STARTTLS\r\n")) == ["502"]


LOGINS = [
    ([b"AUTH PLAIN " + plain()], RawLogin(Mechanism.PLAIN, "alice", "secret")),
    ([b"auth plain", plain()], RawLogin(Mechanism.PLAIN, "alice", "secret")),
    ([b"AUTH LOGIN", b"YWxpY2U=", b"c2VjcmV0"], RawLogin(Mechanism.LOGIN, "alice", "secret")),
    ([b"AUTH LOGIN YWxpY2U=", b"c2VjcmV0"], RawLogin(Mechanism.LOGIN, "alice", "secret")),
    ([b"AUTH EXTERNAL ="], RawLogin(Mechanism.EXTERNAL, "")),
    ([b"AUTH EXTERNAL", b""], RawLogin(Mechanism.EXTERNAL, "")),
    ([b"AUTH EXTERNAL YWxpY2U="], RawLogin(Mechanism.EXTERNAL, "", "", "alice")),
]


@pytest.mark.parametrize(("lines", "login"), LOGINS)
def test_ways_to_sign_in(lines, login):
    s = server(external=True)
    s.receive(b"EHLO x\r\n")
    for line in lines[:-1]:
        assert codes(s.receive(line + b"\r\n")) == ["334"]
    assert s.receive(lines[-1] + b"\r\n") == [Authenticate(login)]
    assert said(s.accepted(Ready())) == b"235 2.7.0 Authentication successful\r\n"


def test_the_prompts_of_login_are_those_that_clients_match():
    s = server()
    s.receive(b"EHLO x\r\n")
    assert said(s.receive(b"AUTH LOGIN\r\n")) == b"334 VXNlcm5hbWU6\r\n"
    assert said(s.receive(b"YQ==\r\n")) == b"334 UGFzc3dvcmQ6\r\n"


BEARERS = [
    (b"XOAUTH2", b"user=alice\x01auth=Bearer t\x01\x01", Mechanism.XOAUTH2),
    (b"OAUTHBEARER", b"n,a=alice,\x01auth=Bearer t\x01\x01", Mechanism.OAUTHBEARER),
]


@pytest.mark.parametrize(("name", "message", "mechanism"), BEARERS)
def test_a_bearer_token_is_heard_and_refused_with_the_reason(name, message, mechanism):
    s = server()
    assert b"OAUTH" not in said(s.receive(b"EHLO x\r\n"))
    assert codes(s.receive(b"AUTH " + name + b" " + base64.b64encode(message) + b"\r\n")) == ["334"]
    assert s.receive(b"AQ==\r\n") == [Authenticate(RawLogin(mechanism, "alice", "t"))]
    assert said(s.refused(Refusal("Not offered yet"))) == b"535 5.7.8 Not offered yet\r\n"


def test_the_yes_carries_a_warning():
    s = server()
    s.receive(b"EHLO x\r\nAUTH PLAIN " + plain() + b"\r\n")
    assert said(s.accepted(Ready(warning="Soon no longer."))) == b"235 2.7.0 Soon no longer.\r\n"


BAD = [
    (b"AUTH\r\n", "501"),
    (b"AUTH PLAIN x y\r\n", "501"),
    (b"AUTH CRAM-MD5\r\n", "504"),
    (b"AUTH EXTERNAL =\r\n", "504"),
    (b"AUTH OAUTHBEARER x\r\n", "501"),
    (b"AUTH PLAIN not-base64!\r\n", "501"),
    (b"AUTH PLAIN YWI=\r\n", "501"),
    (b"AUTH PLAIN\r\n*\r\n", "501"),
    (b"AUTH LOGIN\r\n" + b"A" * 20000 + b"\r\n", "500"),
    (b"NOOP " + b"x" * 3000 + b"\r\n", "500"),
    (b"x" * 50000 + b"\r\n", "500"),
    (b"MAIL FROM:<a@b.example>\r\n", "530"),
    (b"RCPT TO:<a@b.example>\r\n", "530"),
    (b"DATA\r\n", "530"),
    (b"BDAT 3 LAST\r\n", "530"),
    (b"VRFY a\r\n", "530"),
    (b"XCLIENT LOGIN=a\r\n", "530"),
    (b"HELP\r\n", "214"),
    (b"NOOP\r\n", "250"),
    (b"RSET\r\n", "250"),
    (b"TURN\r\n", "502"),
    (b"EHLO\r\n", "501"),
    (b"EHLO " + b"x" * 400 + b"\r\n", "501"),
    (b"\r\n", "500"),
    (b"\x16\x03\x01\r\n", "500"),
]


@pytest.mark.parametrize(("octets", "code"), BAD)
def test_what_is_refused(octets, code):
    s = server()
    s.receive(b"EHLO x\r\n")
    out = s.receive(octets)
    assert codes(out)[-1] == code
    assert not any(isinstance(c, Authenticate) for c in out)
    assert codes(s.receive(b"NOOP\r\n")) == ["250"]


def test_auth_before_ehlo():
    assert codes(server().receive(b"AUTH PLAIN " + plain() + b"\r\n")) == ["503"]


@pytest.mark.parametrize("line", [b"EHLO x\n", b"EHLO\rx\r\n", b"AUTH PLAIN\nfoo\r\n"])
def test_a_bare_newline_ends_the_session(line):
    s = server()
    out = s.receive(line)
    assert codes(out) == ["500"]
    assert isinstance(out[-1], Close)
    assert s.receive(b"NOOP\r\n") == []


def test_refusals_and_the_end_of_patience():
    s = server()
    s.receive(b"EHLO x\r\n")
    auth = b"AUTH PLAIN " + plain() + b"\r\n"
    assert s.receive(auth)
    assert said(s.refused(Refusal("Enrol this device at https://mail.example.org/"))) == (
        b"535 5.7.8 Enrol this device at https://mail.example.org/\r\n"
    )
    s.receive(auth)
    assert said(s.refused(Refusal("Come later", temporary=True))) == b"454 4.7.0 Come later\r\n"
    s.receive(auth)
    out = s.refused(NO)
    assert codes(out) == ["535", "421"]
    assert isinstance(out[-1], Close)
    assert s.refused(NO) == []


def test_a_refusal_may_close():
    s = server()
    s.receive(b"EHLO x\r\nAUTH PLAIN " + plain() + b"\r\n")
    assert isinstance(s.refused(Refusal("Gone", close=True))[-1], Close)


def test_a_long_sentence_is_several_lines_of_one_reply():
    s = server()
    s.receive(b"EHLO x\r\nAUTH PLAIN " + plain() + b"\r\n")
    out = said(s.refused(Refusal("word " * 300)))
    lines = out.split(b"\r\n")[:-1]
    assert len(lines) > 2
    assert all(line.startswith(b"535-5.7.8 ") and len(line) <= 510 for line in lines[:-1])
    assert lines[-1].startswith(b"535 5.7.8 ")


def test_while_the_edge_decides_nothing_is_answered_and_it_is_kept_for_the_relay():
    s = server()
    out = s.receive(b"EHLO x\r\nAUTH PLAIN " + plain() + b"\r\nMAIL FROM:<a@b>\r\nRCPT")
    assert isinstance(out[-1], Authenticate)
    assert s.receive(b" TO:<c@d>\r\n") == []
    assert codes(s.accepted(Ready())) == ["235"]
    assert s.pending() == b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
    assert s.pending() == b""


def test_what_came_behind_a_refused_login_is_answered_then():
    s = server()
    s.receive(b"EHLO x\r\nAUTH PLAIN " + plain() + b"\r\nMAIL FROM:<a@b>\r\n")
    assert codes(s.refused(NO)) == ["535", "530"]


def test_limits():
    s = server()
    out = s.receive(b"NOOP\r\n" * 65)
    assert codes(out) == ["250"] * 64 + ["421"]
    assert isinstance(out[-1], Close)
    s = server()
    s.receive(b"EHLO x\r\nAUTH PLAIN " + plain() + b"\r\n")
    out = s.receive(b"x" * (MAX_PENDING + 1))
    assert codes(out) == ["421"]
    assert isinstance(out[-1], Close)


def test_shut_down():
    s = server()
    assert s.shut_down("This door is closing") == [
        Send(b"421 4.3.2 This door is closing\r\n"),
        Close("shut down"),
    ]
    assert s.shut_down("again") == []


TALK = st.sampled_from(
    [
        b"EHLO x\r\n",
        b"AUTH PLAIN ",
        b"AUTH LOGIN\r\n",
        b"AUTH EXTERNAL =",
        plain(),
        b"\r\n",
        b"*\r\n",
        b"STARTTLS\r\n",
        b"\n",
        b"\r",
        b"MAIL FROM:<a@b>\r\n",
        b"\0",
        b"=",
        b"x" * 3000,
        b"QUIT\r\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(TALK, st.binary(max_size=50)), max_size=30), st.integers(1, 20))
def test_any_octets_in_any_chunks(pieces, size):
    octets = b"".join(pieces)
    outs = []
    for step in (size, len(octets) + 1):
        s = server(external=True)
        out = []
        for n in range(0, len(octets), step):
            queue = s.receive(octets[n : n + step])
            while queue:
                command = queue.pop(0)
                out.append(command)
                if isinstance(command, Authenticate):
                    queue += s.refused(NO)
            assert len(s._reader) <= 13000
        closes = [n for n, c in enumerate(out) if isinstance(c, Close)]
        assert closes in ([], [len(out) - 1])
        outs.append(out)
    assert outs[0] == outs[1] or not outs[1] or isinstance(outs[0][-1], Close)
