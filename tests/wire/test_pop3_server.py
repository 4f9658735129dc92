"""The POP3 door: limits, injection, what is kept for the splice, and any octets at all.

The dialogue itself is in the scripts of tests/golden/pop3.
"""

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.model.access import Mechanism, RawLogin
from gambeson.wire.dialogue import Authenticate, Close, Command, Ready, Refusal, Send, StartTls
from gambeson.wire.limits import MAX_COMMANDS, MAX_LINE, MAX_PENDING
from gambeson.wire.pop3_server import Pop3Server

NO = Refusal("Enrol this device at https://login.example")


def door(**options: bool) -> Pop3Server:
    server = Pop3Server(hostname="mail.example", **({"tls": True} | options))
    server.start()
    return server


def sent(commands: list[Command]) -> bytes:
    return b"".join(c.data for c in commands if isinstance(c, Send))


def test_greeting_has_no_apop_timestamp() -> None:
    [greeting] = Pop3Server(hostname="mail.example", tls=True).start()
    assert isinstance(greeting, Send)
    assert greeting.data.startswith(b"+OK ")
    assert b"<" not in greeting.data


def test_what_is_pipelined_behind_the_login_waits_for_the_mail_server() -> None:
    server = door()
    commands = server.receive(b"USER anna\r\nPASS pw\r\nSTAT\r\nLIST\r\n")
    assert commands[-1] == Authenticate(RawLogin(Mechanism.USER_PASS, "anna", "pw"))
    assert server.receive(b"QUIT\r\n") == []
    assert sent(server.accepted(Ready(text=b"Logged in."))) == b"+OK Logged in.\r\n"
    assert server.pending() == b"STAT\r\nLIST\r\nQUIT\r\n"
    assert server.pending() == b""


def test_the_yes_carries_a_warning() -> None:
    server = door()
    server.receive(b"USER anna\r\nPASS pw\r\n")
    assert sent(server.accepted(Ready(text=b"Hi", warning="Soon no longer."))) == b"+OK Soon no longer.\r\n"


def test_after_a_refusal_the_pipelined_commands_run() -> None:
    server = door()
    server.receive(b"USER anna\r\nPASS pw\r\nUSER berta\r\nPASS pw2\r\n")
    commands = server.refused(NO)
    assert sent(commands).startswith(b"-ERR [AUTH] Enrol this device at https://login.example\r\n+OK")
    assert commands[-1] == Authenticate(RawLogin(Mechanism.USER_PASS, "berta", "pw2"))


def test_plaintext_behind_stls_is_dropped_in_the_same_packet_and_after() -> None:
    server = door(tls=False, starttls=True)
    commands = server.receive(b"STLS\r\nUSER evil\r\n")
    assert commands == [Send(b"+OK Begin TLS\r\n"), StartTls()]
    assert server.receive(b"USER evil\r\n") == []
    assert server.tls_started() == []
    assert sent(server.receive(b"PASS pw\r\n")).startswith(b"-ERR")


def test_certificate_shown_in_stls_offers_external() -> None:
    server = door(tls=False, starttls=True)
    server.receive(b"STLS\r\n")
    server.external = True
    server.tls_started()
    assert b"SASL PLAIN LOGIN EXTERNAL\r\n" in sent(server.receive(b"CAPA\r\n"))


@pytest.mark.parametrize("starttls", [True, False])
def test_no_login_and_no_password_accepted_before_tls(starttls: bool) -> None:
    server = door(tls=False, starttls=starttls)
    for line in (b"USER a", b"PASS b", b"AUTH", b"AUTH PLAIN AGEAYg=="):
        [answer] = server.receive(line + b"\r\n")
        assert isinstance(answer, Send)
        assert answer.data.startswith(b"-ERR [SYS/PERM] ")
    capabilities = sent(server.receive(b"CAPA\r\n"))
    assert (b"STLS" in capabilities) is starttls
    assert b"SASL" not in capabilities
    assert b"USER" not in capabilities


def test_three_refusals_close() -> None:
    server = door()
    for _ in range(2):
        server.receive(b"USER a\r\nPASS b\r\n")
        assert not any(isinstance(c, Close) for c in server.refused(NO))
    server.receive(b"USER a\r\nPASS b\r\nNOOP\r\n")
    assert isinstance(server.refused(NO)[-1], Close)
    assert server.receive(b"QUIT\r\n") == []


def test_refusals_differ_in_nothing_but_their_sentence() -> None:
    answers = set()
    for name in (b"known", b"unknown"):
        server = door()
        before = sent(server.receive(b"USER " + name + b"\r\nPASS x\r\n"))
        answers.add(before + sent(server.refused(NO)))
    assert len(answers) == 1


def test_too_many_commands_close() -> None:
    server = door()
    commands = server.receive(b"NOOP\r\n" * (MAX_COMMANDS + 5))
    assert len([c for c in commands if isinstance(c, Send)]) == MAX_COMMANDS + 1
    assert isinstance(commands[-1], Close)


def test_the_longest_line_passes_and_the_next_closes() -> None:
    fits = b"USER " + b"x" * (MAX_LINE - 7) + b"\r\n"
    assert len(fits) == MAX_LINE
    assert not any(isinstance(c, Close) for c in door().receive(fits))
    assert isinstance(door().receive(b"x" + fits)[-1], Close)
    assert isinstance(door().receive(b"x" * (MAX_LINE + 1))[-1], Close)  # without waiting for its end


def test_too_much_behind_the_login_closes() -> None:
    server = door()
    server.receive(b"USER a\r\nPASS b\r\n" + b"y" * MAX_PENDING)
    commands = server.receive(b"y")
    assert isinstance(commands[-1], Close)
    assert server.pending() == b""
    assert server.refused(NO) == []
    assert server.accepted(Ready()) == []


def test_utf8_and_saslprep_in_user_and_pass() -> None:
    server = door()
    commands = server.receive("USER J\u00f6rg@ex\u00e4mple.org\r\nPASS \ufb01ne\r\n".encode())
    assert commands[-1] == Authenticate(RawLogin(Mechanism.USER_PASS, "J\u00f6rg@ex\u00e4mple.org", "fine"))
    assert sent(door().receive(b"USER \xff\xfe\r\n")).startswith(b"-ERR [AUTH] ")
    assert sent(door().receive(b"USER a\x00b\r\n")).startswith(b"-ERR Syntax error")


def test_answers_are_one_line_of_at_most_512_octets_whatever_the_sentence() -> None:
    server = door()
    server.receive(b"USER a\r\nPASS b\r\n")
    answer = sent(server.refused(Refusal("\u00e9vil\r\n+OK in\x00 " + "long " * 300)))
    assert answer.startswith(b"-ERR [AUTH] ?vil??+OK in? ")
    assert answer.count(b"\n") == 1
    assert len(answer) <= 512


def test_mail_servers_text_cannot_pose_as_a_response_code() -> None:
    server = door()
    server.receive(b"USER a\r\nPASS b\r\n")
    assert sent(server.accepted(Ready(text=b"[SYS/TEMP] hm"))) == b"+OK - [SYS/TEMP] hm\r\n"


def test_capabilities_of_the_mail_server_are_checked() -> None:
    server = Pop3Server(hostname="h", tls=True, upstream=("TOP", "PIPELINING", "BAD\r\nSASL X", ".", ""))
    assert sent(server.receive(b"CAPA\r\n")).startswith(
        b"+OK Capabilities follow\r\nTOP\r\nPIPELINING\r\nRESP"
    )


def test_after_login_shut_down_says_nothing() -> None:
    server = door()
    server.receive(b"USER a\r\nPASS b\r\n")
    server.accepted(Ready())
    assert server.shut_down("bye") == [Close("shut down")]
    assert server.shut_down("bye") == []


def test_long_sasl_response_line() -> None:
    server = door()
    password = "p" * 4000
    server.receive(b"AUTH PLAIN\r\n")
    [login] = server.receive(base64.b64encode(b"\0anna\0" + password.encode()) + b"\r\n")
    assert login == Authenticate(RawLogin(Mechanism.PLAIN, "anna", password))


LINES = st.sampled_from(
    [
        b"CAPA\r\n", b"USER anna\r\n", b"PASS pw\r\n", b"AUTH PLAIN\r\n", b"AUTH PLAIN AGEAYg==\r\n", b"AUTH LOGIN\r\n",
        b"YQ==\r\n", b"*\r\n", b"STLS\r\n", b"QUIT\r\n", b"NOOP\n", b"AUTH EXTERNAL =\r\n", b"=\r\n", b"AQ==\r\n",
        b"AUTH OAUTHBEARER bixhPWEsAWF1dGg9QmVhcmVyIHQBAQ==\r\n", b"\r\n", b"USER \xff\r\n", b"\0\r\n",
    ]
)  # fmt: skip
STREAMS = st.lists(st.one_of(LINES, st.binary(max_size=30)), max_size=25).map(b"".join)


def run(server: Pop3Server, chunks: list[bytes]) -> list[Command]:
    """Everything the dialogue says; each attempt is refused at once, TLS always succeeds."""
    out: list[Command] = list(server.start())
    for chunk in chunks:
        todo = server.receive(chunk)
        while todo:
            out += todo
            last, todo = todo[-1], []
            if isinstance(last, Authenticate):
                todo = server.refused(NO)
    return out


def joined(commands: list[Command]) -> list[object]:
    parts: list[object] = [b""]
    for c in commands:
        if isinstance(c, Send):
            assert isinstance(parts[-1], bytes)
            parts[-1] += c.data
        else:
            parts += [c, b""]
    return parts


@given(STREAMS, st.lists(st.integers(0, 600), max_size=12), st.booleans(), st.booleans())
def test_any_octets_in_any_chunks_mean_the_same(
    stream: bytes, cuts: list[int], tls: bool, external: bool
) -> None:
    def fresh() -> Pop3Server:
        return Pop3Server(hostname="h", tls=tls, starttls=True, external=external)

    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    whole = joined(run(fresh(), [stream]))
    cut = joined(run(fresh(), [stream[a:b] for a, b in itertools.pairwise(edges)]))
    assert whole == cut
    closes = [i for i, part in enumerate(whole) if isinstance(part, Close)]
    assert closes in ([], [len(whole) - 2])  # nothing comes behind a Close


@given(st.binary(max_size=300))
def test_noise_never_signs_in(noise: bytes) -> None:
    server = Pop3Server(hostname="h", starttls=True)
    assert not any(isinstance(c, Authenticate) for c in run(server, [noise]))
