"""Looking at POP3 servers, as conversations; nothing that they say breaks it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from looking import TLS, aims, any_octets, led, octets

from gambeson.wire.probe import Aim, Fault, Offered
from gambeson.wire.probe_pop3 import Pop3Probe


def test_the_whole_way() -> None:
    probe = Pop3Probe()
    said = led(
        probe,
        b"+OK Dovecot ready. <5e.1@mx.example.org>\r\n",
        b"+OK\r\nSTLS\r\nSASL\r\n.\r\n",
        b"+OK go\r\n",
        TLS,
        b"+OK\r\nUSER\r\nSASL PLAIN login\r\nIMPLEMENTATION Cyrus v2.4\r\n.\r\n",
    )
    assert said == [b"CAPA\r\n", b"STLS\r\n", b"<TLS>", b"CAPA\r\n", b"QUIT\r\n", b"<end>"]
    seen = probe.seen
    assert seen.plain == Offered(("STLS", "SASL"), ("APOP",), False)
    assert seen.secured is not None
    assert seen.secured.mechanisms == ("APOP", "LOGIN", "PLAIN")
    assert seen.secured.password_command is True
    assert seen.identity == (("IMPLEMENTATION", "Cyrus v2.4"),)


def test_a_server_that_does_not_list_what_it_offers() -> None:
    probe = Pop3Probe()
    assert led(probe, b"+OK\r\n", b"-ERR what?\r\n") == [b"CAPA\r\n", b"QUIT\r\n", b"<end>"]
    assert probe.seen.plain == Offered((), (), None)
    assert "CAPA" in probe.seen.notes[0]


@pytest.mark.parametrize(
    ("inside", "obeyed"), [(b"-ERR no mailbox yet\r\n+OK bye\r\n", True), (b"+OK bye\r\n", False)]
)
def test_a_command_behind_starttls(inside: bytes, obeyed: bool) -> None:
    probe = Pop3Probe(Aim.INJECTION)
    said = led(probe, b"+OK\r\n", b"+OK\r\nSTLS\r\n.\r\n", b"+OK go\r\n", TLS, inside)
    assert said[1:] == [b"STLS\r\nNOOP\r\n", b"<TLS>", b"QUIT\r\n", b"<end>"]
    assert probe.seen.obeyed is obeyed


@pytest.mark.parametrize("aim", [Aim.LOOK, Aim.INJECTION])
def test_starttls_refused(aim: Aim) -> None:
    probe = Pop3Probe(aim)
    led(probe, b"+OK\r\n", b"+OK\r\nSTLS\r\n.\r\n", b"-ERR no certificate\r\n")
    assert probe.seen.notes == (["it offers STLS and refuses it: no certificate"] if aim is Aim.LOOK else [])
    assert probe.seen.obeyed is (None if aim is Aim.LOOK else False)
    assert probe.seen.trouble is None


@pytest.mark.parametrize("turns", [[b"-ERR no\r\n"], [b"+ \r\n", b"-ERR no\r\n"]])
def test_ntlm_refused(turns: list[bytes]) -> None:
    probe = Pop3Probe(implicit=True)
    said = led(probe, b"+OK\r\n", b"+OK\r\nSASL NTLM\r\n.\r\n", *turns)
    assert said[-2:] == [b"QUIT\r\n", b"<end>"]
    assert probe.seen.challenge is None


def test_ntlm_is_asked_and_cancelled() -> None:
    probe = Pop3Probe(implicit=True)
    challenge = base64.b64encode(b"NTLMSSP\0\2\0\0\0" + bytes(12) + b"x" * 8 + bytes(24))
    said = led(
        probe,
        b"+OK Microsoft Exchange\r\n",
        b"+OK\r\nSASL NTLM\r\n.\r\n",
        b"+ \r\n",
        b"+ " + challenge + b"\r\n",
        b"-ERR cancelled\r\n",
    )
    assert said[1] == b"AUTH NTLM\r\n"
    assert said[3:] == [b"*\r\n", b"QUIT\r\n", b"<end>"]
    assert probe.seen.challenge is not None


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ([b"-ERR [SYS/TEMP] later\r\n"], Fault.BUSY),
        ([b"-ERR [IN-USE] later\r\n"], Fault.BUSY),
        ([b"-ERR no\r\n"], Fault.REFUSED),
        ([b"* OK hi\r\n"], Fault.MALFORMED),
        ([b"+OK\r\n", b"nonsense\r\n"], Fault.MALFORMED),
        ([b"+OK " + b"x" * 70000], Fault.TOO_LONG),
        ([b"+OK\r\n", b"+OK\r\n" + b"X\r\n" * 300], Fault.TOO_LONG),
    ],
)
def test_trouble(turns: list[bytes], fault: Fault) -> None:
    probe = Pop3Probe()
    led(probe, *turns)
    assert probe.over
    assert probe.seen.trouble is not None
    assert probe.seen.trouble.fault is fault


CONVERSATION = (
    b"+OK hi <1.2@x>\r\n", b"+OK\r\n", b"STLS\r\n", b"SASL\r\n", b".\r\n", b"+OK go\r\n", b"+OK\r\n", b"USER\r\n",
    b"SASL NTLM PLAIN\r\n", b"IMPLEMENTATION x 1.0\r\n", b".\r\n", b"+ \r\n", b"+ TlRMTVNTUAACAAAA\r\n", b"-ERR x\r\n",
    b"+OK bye\r\n",
)  # fmt: skip


@given(octets(*CONVERSATION), st.lists(st.integers(1, 30), max_size=60), aims, st.booleans(), st.booleans())
def test_any_octets(what: bytes, cuts: list[int], aim: Aim, implicit: bool, closes: bool) -> None:
    any_octets(Pop3Probe(aim, implicit=implicit), what, cuts, closes)
