"""The door's side of IMAP before sign-in, as conversations."""

import base64
import imaplib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.model.access import Mechanism, RawLogin
from gambeson.wire import limits
from gambeson.wire.dialogue import Authenticate, Close, Command, Ready, Refusal, Send, StartTls
from gambeson.wire.imap_server import ImapServer

READY = Ready((b"IMAP4rev1", b"IDLE"), b"Logged in")
REFUSAL = Refusal("Enrol this device at https://mail.example.org/", alert=True)


def door(tls: bool = True, starttls: bool = False, external: bool = False) -> ImapServer:
    d = ImapServer(hostname="mail.example.org", tls=tls, starttls=starttls, external=external)
    assert said(d.start()).startswith(b"* OK [CAPABILITY IMAP4rev1 ")
    return d


def said(commands: list[Command]) -> bytes:
    return b"".join(c.data for c in commands if isinstance(c, Send))


def asked(commands: list[Command]) -> RawLogin:
    (login,) = [c.login for c in commands if isinstance(c, Authenticate)]
    return login


def closes(commands: list[Command]) -> bool:
    return any(isinstance(c, Close) for c in commands)


# How real clients sign in: each turn is what the client writes, then what it waits for.
CLIENTS = {
    "outlook": [
        (
            b"a1 CAPABILITY\r\n",
            b"* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN\r\na1 OK Done\r\n",
        ),
        (b"a2 LOGIN {5}\r\n", b"+ OK\r\n"),
        (b"alice {8}\r\n", b"+ OK\r\n"),
        (b'p"w\\x y!\r\n', b""),
    ],
    "thunderbird": [
        (
            b"1 capability\r\n",
            b"* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN\r\n1 OK Done\r\n",
        ),
        (b"2 authenticate PLAIN\r\n", b"+ \r\n"),
        (base64.b64encode(b'\0alice\0p"w\\x y!') + b"\r\n", b""),
    ],
    "apple mail": [
        (
            b"1.1 CAPABILITY\r\n",
            b"* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN\r\n1.1 OK Done\r\n",
        ),
        (b"2.1 AUTHENTICATE PLAIN " + base64.b64encode(b'\0alice\0p"w\\x y!') + b"\r\n", b""),
    ],
    "mbsync": [(b'1 LOGIN "alice" "p\\"w\\\\x y!"\r\n', b"")],
    "mbsync with LITERAL+": [(b'1 LOGIN {5+}\r\nalice {8+}\r\np"w\\x y!\r\n', b"")],
    "neomutt": [
        (
            b"a0000 CAPABILITY\r\n",
            b"* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN\r\na0000 OK Done\r\n",
        ),
        (
            b'a0001 ID ("name" "NeoMutt" "version" "20220429")\r\n',
            b'* ID ("name" "Gambeson")\r\na0001 OK Done\r\n',
        ),
        (b'a0002 LOGIN "alice" "p\\"w\\\\x y!"\r\n', b""),
    ],
    "old outlook": [
        (b"z AUTHENTICATE LOGIN\r\n", b"+ VXNlcm5hbWU6\r\n"),
        (b"YWxpY2U=\r\n", b"+ UGFzc3dvcmQ6\r\n"),
        (base64.b64encode(b'p"w\\x y!') + b"\r\n", b""),
    ],
}


@pytest.mark.parametrize("turns", CLIENTS.values(), ids=CLIENTS.keys())
def test_clients_sign_in(turns: list[tuple[bytes, bytes]]) -> None:
    d = door()
    commands: list[Command] = []
    for written, expected in turns:
        commands = d.receive(written)
        assert said(commands) == expected
    login = asked(commands)
    assert (login.username, login.password) == ("alice", 'p"w\\x y!')
    # Apple Mail's ID comes behind its sign-in: kept, and passed on.
    assert d.receive(b'3 ID ("name" "Mac OS X Mail")\r\n') == []
    tag = next(
        written.split()[0]
        for written, _ in turns
        if b"LOGIN" in written or b"uthenticate" in written or b"AUTHENT" in written
    )
    assert said(d.accepted(READY)) == tag + b" OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n"
    assert d.pending() == b'3 ID ("name" "Mac OS X Mail")\r\n'
    assert d.pending() == b""


def test_client_id_is_kept_until_starttls() -> None:
    d = door(tls=False, starttls=True)
    d.receive(b'a ID ("name" "x" "os" NIL "bad" {3}\r\n')
    d.receive(b"\r\n\0)\r\n")
    assert d.client_id == (("name", "x"), ("os", ""), ("bad", "???"))
    d.receive(b"b STARTTLS\r\n")
    assert d.client_id == ()


def test_starttls_drops_what_was_slipped_in() -> None:
    d = door(tls=False, starttls=True)
    commands = d.receive(b"a STARTTLS\r\nb LOGIN eve secret\r\nc NOOP\r\n")
    assert commands == [Send(b"a OK Begin TLS\r\n"), StartTls()]
    assert d.receive(b"d NOOP\r\n") == []
    assert d.tls_started() == []
    assert said(d.receive(b"e NOOP\r\n")) == b"e OK Done\r\n"


def test_starttls_not_offered() -> None:
    d = door(tls=False)
    assert said(d.receive(b"a STARTTLS\r\n")) == b"a BAD Unknown command\r\n"
    assert b"LOGINDISABLED" in said(d.receive(b"a CAPABILITY\r\n"))


def test_half_a_command_before_tls_is_not_finished_after_it() -> None:
    d = door(tls=False, starttls=True)
    d.receive(b"a STARTTLS\r\nx LOGIN {100+}\r\nhalf")
    d.tls_started()
    assert said(d.receive(b"e NOOP\r\n")) == b"e OK Done\r\n"


def test_no_password_is_invited_before_tls() -> None:
    d = door(tls=False, starttls=True)
    for n, line in enumerate(
        (b"LOGIN {5}", b"LOGIN a b", b"AUTHENTICATE PLAIN", b"LOGIN {5+}\r\nalice {2+}\r\npw")
    ):
        answer = said(d.receive(b"a%d %b\r\n" % (n, line)))
        assert answer.startswith(b"a%d NO [PRIVACYREQUIRED] " % n)
        assert b"+ " not in answer


def test_external_only_with_a_certificate() -> None:
    assert said(door().receive(b"a AUTHENTICATE EXTERNAL =\r\n")).startswith(b"a NO ")
    login = asked(door(external=True).receive(b"a AUTHENTICATE EXTERNAL YWxpY2U=\r\n"))
    assert login == RawLogin(Mechanism.EXTERNAL, "", "", "alice")
    d = door(external=True)
    assert said(d.receive(b"a AUTHENTICATE EXTERNAL\r\n")) == b"+ \r\n"
    assert asked(d.receive(b"\r\n")) == RawLogin(Mechanism.EXTERNAL, "")


def test_a_token_never_comes_in() -> None:
    d = door()
    first = base64.b64encode(b"n,a=alice,\1auth=Bearer tok\1\1")
    assert b"+ " in said(d.receive(b"a AUTHENTICATE OAUTHBEARER " + first + b"\r\n"))
    assert asked(d.receive(b"AQ==\r\n")).mechanism is Mechanism.OAUTHBEARER
    commands = d.accepted(READY)
    assert said(commands).startswith(b"a NO [AUTHENTICATIONFAILED] ")
    assert closes(commands)
    assert b"OAUTH" not in said(door().receive(b"a CAPABILITY\r\n"))


def test_utf8_names_and_passwords() -> None:
    for line in (
        'a LOGIN "ren\u00e9" "pa\u00df"'.encode(),
        b"a LOGIN {5+}\r\nren\xc3\xa9 {4+}\r\npa\xc3\x9f",
        b"a AUTHENTICATE PLAIN " + base64.b64encode("\0rene\u0301\0pa\u00df".encode()),
    ):
        login = asked(door().receive(line + b"\r\n"))
        assert (login.username, login.password) == ("ren\u00e9", "pa\u00df")
    assert said(door().receive(b'a LOGIN "ren\xe9" "x"\r\n')).startswith(b"a NO [AUTHENTICATIONFAILED] ")


def test_pipelined_logins_are_decided_one_by_one() -> None:
    d = door()
    commands = d.receive(b"a LOGIN x y\r\nb LOGIN z w\r\nc SELECT INBOX\r\n")
    assert [c.login.username for c in commands if isinstance(c, Authenticate)] == ["x"]
    commands = d.refused(REFUSAL)
    assert asked(commands).username == "z"
    assert said(commands).count(b"\r\n") == 2
    assert said(d.refused(REFUSAL)).endswith(b"c BAD Sign in first\r\n")


def test_failures_end_the_connection() -> None:
    d = door()
    for n in range(limits.MAX_FAILURES):
        asked(d.receive(b"a LOGIN x y\r\n"))
        assert closes(d.refused(REFUSAL)) == (n == limits.MAX_FAILURES - 1)
    assert d.receive(b"a NOOP\r\n") == []
    unreadable = door()
    for n in range(limits.MAX_FAILURES):
        assert closes(unreadable.receive(b'a LOGIN "" x\r\n')) == (n == limits.MAX_FAILURES - 1)
    closing = door()
    asked(closing.receive(b"a LOGIN x y\r\nb NOOP\r\n"))
    commands = closing.refused(Refusal("No", close=True))
    assert closes(commands)
    assert b"b OK" not in said(commands)


def test_a_refusal_cannot_break_out_of_its_line() -> None:
    d = door()
    d.receive(b"a LOGIN x y\r\n")
    commands = d.refused(Refusal("no\r\na OK [CAPABILITY X] yes\0 \u00e9", alert=True))
    assert said(commands) == (
        b"* NO [ALERT] no??a OK [CAPABILITY X] yes? ?\r\na NO [AUTHENTICATIONFAILED] no??a OK [CAPABILITY X] yes? ?\r\n"
    )


def test_upstream_text_and_capabilities_are_cleaned() -> None:
    d = door()
    d.receive(b"a LOGIN x y\r\n")
    caps = (b"IMAP4rev1", b"auth=plain", b"StartTLS", b"IDLE]\r\n", b"COMPRESS=DEFLATE", b"Unauthenticate")
    assert (
        said(d.accepted(Ready(caps, b"[x] hi\r\n")))
        == b"a OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] (x] hi??\r\n"
    )
    quiet = door()
    quiet.receive(b"a LOGIN x y\r\n")
    assert said(quiet.accepted(Ready())) == b"a OK Signed in\r\n"


def test_a_refusal_may_have_a_closer_code() -> None:
    d = door()
    d.receive(b"a LOGIN alice pw\r\n")
    assert said(d.refused(Refusal("Expired", code="EXPIRED"))) == b"a NO [EXPIRED] Expired\r\n"


def test_a_warning_comes_as_an_alert_before_the_yes() -> None:
    d = door()
    d.receive(b"a LOGIN alice pw\r\n")
    told = said(d.accepted(Ready(text=b"Logged in", warning="Soon no longer.")))
    assert told == b"* OK [ALERT] Soon no longer.\r\na OK Logged in\r\n"


@pytest.mark.parametrize(
    "flood",
    [
        b"x" * (limits.MAX_LINE + 1),
        b"a LOGIN {%d+}\r\n" % (limits.MAX_LITERAL + 1),
        b"a ID (" + b'"x" {4000+}\r\n' + b"y" * 4000 + (b' "x" {4000+}\r\n' + b"y" * 4000) * 5,
        b"a NOOP\r\n" * (limits.MAX_COMMANDS + 1),
        b"a SELECT {5}\r\n" * (limits.MAX_COMMANDS + 1),
        b"a AUTHENTICATE PLAIN\r\n" + b"x" * (limits.MAX_SASL + 1),
        b"a LOGIN x y\r\n" + b"z" * (limits.MAX_PENDING + 1),
        b"POST / HTTP/1.1\r\n",
    ],
)
def test_floods_end_with_a_reason(flood: bytes) -> None:
    d = door()
    commands = d.receive(flood)
    assert closes(commands)
    assert said(commands).splitlines()[-1].startswith(b"* BYE ")
    assert (
        d.receive(b"a NOOP\r\n")
        == d.shut_down("x")
        == d.refused(REFUSAL)
        == d.accepted(READY)
        == d.tls_started()
        == []
    )
    assert d.pending() == b""


def test_pending_within_its_limit_is_kept() -> None:
    d = door()
    behind = b"".join(b"c%d NOOP\r\n" % n for n in range(1000))
    asked(d.receive(b"a LOGIN x y\r\n" + behind))
    d.accepted(READY)
    assert d.receive(b"late") == []
    assert d.pending() == behind + b"late"


def test_no_octet_is_searched_twice() -> None:
    d = door()
    for n, octet in enumerate(b"a LOGIN " + b"x" * 8000, 1):
        d.receive(bytes([octet]))
        assert d._framer._seen == d._framer.held == n


def test_shut_down() -> None:
    assert said(door().shut_down("Restart\r\nsoon")) == b"* BYE Restart??soon\r\n"
    handshaking = door(tls=False, starttls=True)
    handshaking.receive(b"a STARTTLS\r\n")
    assert handshaking.shut_down("x") == [Close("shut down")]
    assert handshaking.tls_started() == []


@pytest.mark.parametrize(
    "call",
    [lambda d: d.accepted(READY), lambda d: d.refused(REFUSAL), ImapServer.tls_started, ImapServer.start],
)
def test_the_edge_may_not_answer_what_was_not_asked(call: Callable[[ImapServer], object]) -> None:
    with pytest.raises(RuntimeError):
        call(door())


PIECES = st.sampled_from(
    [
        *(
            b"a ",
            b"LOGIN ",
            b"alice ",
            b"{3}",
            b"{3+}",
            b"\r\n",
            b"\n",
            b'"x y"',
            b"abc",
            b" ",
            b"d ID (",
            b")",
            b"\0",
        ),
        *(b"AUTHENTICATE PLAIN", b"b AUTHENTICATE PLAIN AGEAYg==\r\n", b"AGEAYg==\r\n", b"*\r\n"),
        *(b"c STARTTLS\r\n", b"e NOOP\r\n", b"f LOGOUT\r\n"),
    ]
)


def outcome(d: ImapServer, chunks: list[bytes]) -> tuple[bytes, list[Command], bytes]:
    """Refuses each login at once, and begins TLS at once, so that the chunking alone can make a difference."""
    text, others = bytearray(), []
    for chunk in chunks:
        commands = d.receive(chunk)
        while commands:
            command = commands.pop(0)
            if isinstance(command, Send):
                text += command.data
                continue
            others.append(command)
            if isinstance(command, Authenticate):
                assert not commands
                commands = d.refused(REFUSAL)
        assert d._framer.held <= limits.MAX_PENDING + limits.MAX_COMMAND
    return bytes(text), others, d.pending()


@given(
    st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=30),
    st.booleans(),
    st.lists(st.integers(1, 40), max_size=40),
)
def test_any_bytes_in_any_chunking(pieces: list[bytes], tls: bool, cuts: list[int]) -> None:
    stream = b"".join(pieces)
    chunks, rest = [], stream
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]
    chunks.append(rest)
    whole = outcome(door(tls=tls, starttls=not tls), [stream])
    assert outcome(door(tls=tls, starttls=not tls), chunks) == whole
    assert outcome(door(tls=tls, starttls=not tls), [stream[i : i + 1] for i in range(len(stream))]) == whole
    for line in whole[0].split(b"\r\n"):
        assert b"\n" not in line
        assert b"\r" not in line


class ByImaplib(imaplib.IMAP4):
    """Python's own client, its socket replaced by the dialogue."""

    def __init__(self, d: ImapServer, decide: Callable[[RawLogin], list[Command]]) -> None:
        self.d, self.decide, self.heard, self.logins = d, decide, bytearray(), []
        super().__init__("nowhere")

    def _take(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Send):
                self.heard += command.data
            elif isinstance(command, Authenticate):
                self.logins.append(command.login)
                self._take(self.decide(command.login))

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        self._take(self.d.start())

    def read(self, size: int) -> bytes:
        data = bytes(self.heard[:size])
        del self.heard[:size]
        return data

    def readline(self) -> bytes:
        return self.read(self.heard.index(b"\n") + 1)

    def send(self, data: bytes) -> None:
        self._take(self.d.receive(bytes(data)))

    def shutdown(self) -> None:
        pass


def test_imaplib() -> None:
    d = ImapServer(hostname="mail.example.org", tls=True)
    client = ByImaplib(
        d, lambda login: d.accepted(READY) if login.password == 'gd1 "x\\' else d.refused(REFUSAL)
    )
    assert "AUTH=PLAIN" in client.capabilities
    assert client.noop()[0] == "OK"
    with pytest.raises(imaplib.IMAP4.error, match="Enrol this device"):
        client.login("alice@example.org", "password")
    with pytest.raises(imaplib.IMAP4.error):
        client.authenticate("PLAIN", lambda _: b"\0alice\0password")
    client.login("alice@example.org", 'gd1 "x\\')
    assert client.state == "AUTH"
    assert [login.password for login in client.logins] == ["password", "password", 'gd1 "x\\']


def test_imaplib_logs_out() -> None:
    d = ImapServer(hostname="mail.example.org", tls=True)
    assert ByImaplib(d, lambda _: d.refused(REFUSAL)).logout()[0] == "BYE"
