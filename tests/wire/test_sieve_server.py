"""The ManageSieve door: limits, injection, what is kept for the splice, and any octets at all.

The dialogue itself is in the scripts of tests/golden/sieve.
"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.model.access import Mechanism, RawLogin
from gambeson.wire.dialogue import Authenticate, Close, Command, Ready, Refusal, Send, StartTls
from gambeson.wire.limits import MAX_COMMAND, MAX_COMMANDS, MAX_PENDING
from gambeson.wire.sieve_server import SieveServer

NO = Refusal("Enrol this device at https://login.example")
LOGIN = b'AUTHENTICATE "PLAIN" "AGFubmEAc2VjcmV0"\r\n'
ANNA = Authenticate(RawLogin(Mechanism.PLAIN, "anna", "secret"))


def door(**options: bool) -> SieveServer:
    server = SieveServer(hostname="mail.example", **({"tls": True} | options))
    server.start()
    return server


def sent(commands: list[Command]) -> bytes:
    return b"".join(c.data for c in commands if isinstance(c, Send))


def test_what_is_pipelined_behind_the_login_waits_for_the_mail_server() -> None:
    server = door()
    assert server.receive(LOGIN + b"LISTSCRIPTS\r\n") == [ANNA]
    assert server.receive(b'PUTSCRIPT "x" {99999999+}\r\n') == []
    assert sent(server.accepted(Ready(text=b"Logged in."))) == b'OK "Logged in."\r\n'
    assert server.pending() == b'LISTSCRIPTS\r\nPUTSCRIPT "x" {99999999+}\r\n'


def test_the_yes_carries_a_warning() -> None:
    server = door()
    server.receive(LOGIN)
    assert sent(server.accepted(Ready(text=b"Hi", warning="Soon no longer."))) == b'OK "Soon no longer."\r\n'


def test_after_a_refusal_the_pipelined_commands_run() -> None:
    server = door()
    server.receive(LOGIN + b"NOOP\r\n" + LOGIN)
    commands = server.refused(NO)
    assert sent(commands) == b'NO "Enrol this device at https://login.example"\r\nOK "Done."\r\n'
    assert commands[-1] == ANNA


def test_plaintext_behind_starttls_is_dropped() -> None:
    server = door(tls=False, starttls=True)
    assert server.receive(b"STARTTLS\r\n" + LOGIN) == [Send(b'OK "Begin TLS."\r\n'), StartTls()]
    assert server.receive(LOGIN) == []
    server.external = True
    assert b'"SASL" "PLAIN LOGIN EXTERNAL"\r\n' in sent(server.tls_started())
    assert server.receive(LOGIN) == [ANNA]


@pytest.mark.parametrize(
    "command", [LOGIN, b'AUTHENTICATE "PLAIN"\r\n', b'AUTHENTICATE "X" {4+}\r\nYWFh\r\n']
)
def test_no_login_before_tls(command: bytes) -> None:
    server = door(tls=False)
    assert sent(server.receive(command)).startswith(b"NO (ENCRYPT-NEEDED) ")
    capabilities = sent(server.receive(b"CAPABILITY\r\n"))
    assert b'"SASL" ""\r\n' in capabilities
    assert b"STARTTLS" not in capabilities


def test_three_refusals_close() -> None:
    server = door()
    for _ in range(2):
        server.receive(LOGIN)
        server.refused(NO)
    server.receive(LOGIN + b"NOOP\r\n")
    commands = server.refused(NO)
    assert sent(commands).startswith(b"NO ")
    assert b"\r\nBYE " in sent(commands)
    assert isinstance(commands[-1], Close)
    assert server.receive(b"NOOP\r\n") == []


def test_too_many_commands_close() -> None:
    commands = door().receive(b"NOOP\r\n" * (MAX_COMMANDS + 5))
    assert sent(commands).count(b"\r\n") == MAX_COMMANDS + 1
    assert isinstance(commands[-1], Close)
    commands = door().receive(b'"\r\n' * (MAX_COMMANDS + 5))
    assert isinstance(commands[-1], Close)


@pytest.mark.parametrize(
    "flood",
    [
        b"x" * (MAX_COMMAND + 1),
        b'NOOP "' + b"x" * MAX_COMMAND,
        b"NOOP {12289+}\r\n",
        (b"NOOP" + b" {8000+}\r\n" + b"x" * 8000 + b" {8000+}\r\n" + b"x" * 8000 + b" {8000+}\r\n"),
    ],
)
def test_floods_close(flood: bytes) -> None:
    commands = door().receive(flood)
    assert sent(commands).startswith(b'BYE "Syntax error: ')
    assert isinstance(commands[-1], Close)


def test_too_much_behind_the_login_closes() -> None:
    server = door()
    server.receive(LOGIN + b"y" * MAX_PENDING)
    assert isinstance(server.receive(b"y")[-1], Close)
    assert server.refused(NO) == []
    assert server.accepted(Ready()) == []
    assert server.pending() == b""


def test_extensions_are_told_clean() -> None:
    server = SieveServer(hostname="h", tls=True, sieve_extensions='fileinto\r\nOK "evil"')
    assert b'"SIEVE" "fileinto??OK \\"evil\\""\r\n' in sent(server.start())


def test_shut_down() -> None:
    server = door()
    assert sent(server.shut_down("Back soon")) == b'BYE (TRYLATER) "Back soon"\r\n'
    assert server.shut_down("Back soon") == []
    server = door()
    server.receive(LOGIN)
    server.accepted(Ready())
    assert server.shut_down("Back soon") == [Close("shut down")]


LINES = st.sampled_from(
    [
        LOGIN, b"CAPABILITY\r\n", b'AUTHENTICATE "LOGIN"\r\n', b'"YQ=="\r\n', b'"*"\r\n', b"{4+}\r\nYQ==\r\n",
        b"NOOP\r\n", b'NOOP "a"\r\n', b"STARTTLS\r\n", b"LOGOUT\r\n", b"NOOP {3}\r\n", b'"\r\n', b"\r\n",
        b"PUTSCRIPT {3+}\r\nabc\r\n",
    ]
)  # fmt: skip


def run(server: SieveServer, chunks: list[bytes]) -> list[object]:
    """All that is said, Sends joined; each attempt is refused at once."""
    said: list[object] = [b""]
    for chunk in chunks:
        todo = server.receive(chunk)
        while todo:
            for c in todo:
                if isinstance(c, Send):
                    said[-1] += c.data
                else:
                    said += [c, b""]
            todo = server.refused(NO) if isinstance(todo[-1], Authenticate) else []
    return said


@given(
    st.lists(st.one_of(LINES, st.binary(max_size=20)), max_size=20).map(b"".join),
    st.lists(st.integers(0, 500), max_size=10),
    st.booleans(),
)
def test_any_octets_in_any_chunks_mean_the_same(stream: bytes, cuts: list[int], tls: bool) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    whole = run(door(tls=tls, starttls=True), [stream])
    assert whole == run(door(tls=tls, starttls=True), [stream[a:b] for a, b in itertools.pairwise(edges)])
    closes = [i for i, part in enumerate(whole) if isinstance(part, Close)]
    assert closes in ([], [len(whole) - 2])
    assert tls or not any(isinstance(part, Authenticate) for part in whole)
