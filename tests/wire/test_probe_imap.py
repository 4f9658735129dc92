"""Looking at IMAP servers, as conversations; nothing that they say breaks it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from looking import TLS, aims, any_octets, led, octets

from gambeson.wire.ntlm import negotiate
from gambeson.wire.probe import Aim, Fault, Offered
from gambeson.wire.probe_imap import ImapProbe

HELLO = b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n"


def test_the_whole_way() -> None:
    probe = ImapProbe()
    said = led(
        probe,
        HELLO,
        b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\ng1 OK done\r\n",
        b"g2 OK go\r\n",
        TLS,
        b"* CAPABILITY IMAP4rev1 ID AUTH=PLAIN auth=login\r\n* 3 EXISTS\r\ng3 OK done\r\n",
        b'* ID ("name" "Dovecot" "version" {6}\r\n2.3.19 "os" NIL)\r\ng4 OK\r\n',
    )
    assert said == [
        b"g1 CAPABILITY\r\n",
        b"g2 STARTTLS\r\n",
        b"<TLS>",
        b"g3 CAPABILITY\r\n",
        b"g4 ID NIL\r\n",
        b"g5 LOGOUT\r\n",
        b"<end>",
    ]
    seen = probe.seen
    assert seen.banner == "Dovecot ready."
    assert seen.plain == Offered(("IMAP4rev1", "STARTTLS", "LOGINDISABLED"), (), False)
    assert seen.secured == Offered(("IMAP4rev1", "ID", "AUTH=PLAIN", "auth=login"), ("LOGIN", "PLAIN"), True)
    assert seen.identity == (("name", "Dovecot"), ("version", "2.3.19"))
    assert seen.trouble is None


@pytest.mark.parametrize(
    ("inside", "obeyed"),
    [
        (b"g3 OK noop\r\n* BYE\r\ng4 OK\r\n", True),
        (b"g3 BAD what?\r\n", True),
        (b"* BYE bye\r\ng4 OK\r\n", False),
        (b"g4 OK\r\n", False),
    ],
)
def test_a_command_behind_starttls(inside: bytes, obeyed: bool) -> None:
    probe = ImapProbe(Aim.INJECTION)
    said = led(probe, HELLO, b"* CAPABILITY STARTTLS\r\ng1 OK\r\n", b"g2 OK go\r\n", TLS, inside)
    assert said[1:4] == [b"g2 STARTTLS\r\ng3 NOOP\r\n", b"<TLS>", b"g4 LOGOUT\r\n"]
    assert probe.seen.obeyed is obeyed


def test_a_server_that_notices_the_command_behind_starttls() -> None:
    probe = ImapProbe(Aim.INJECTION)
    led(probe, HELLO, b"* CAPABILITY STARTTLS\r\ng1 OK\r\n", b"g2 BAD no pipelining\r\n")
    assert probe.seen.obeyed is False


def test_starttls_refused() -> None:
    probe = ImapProbe()
    led(probe, HELLO, b"* CAPABILITY STARTTLS\r\ng1 OK\r\n", b"g2 NO no certificate\r\n")
    assert probe.seen.notes == ["it offers STARTTLS and refuses it: no certificate"]
    assert probe.seen.offers_tls
    assert not probe.seen.began_tls
    assert probe.seen.trouble is None


@pytest.mark.parametrize("turns", [[b"g2 NO\r\n"], [b"+\r\n", b"g2 NO\r\n"]])
def test_ntlm_refused(turns: list[bytes]) -> None:
    probe = ImapProbe(implicit=True)
    said = led(probe, HELLO, b"* CAPABILITY AUTH=NTLM\r\ng1 OK\r\n", *turns)
    assert said[-2:] == [b"g3 LOGOUT\r\n", b"<end>"]
    assert probe.seen.challenge is None


def test_ntlm_is_asked_and_cancelled() -> None:
    probe = ImapProbe(implicit=True)
    challenge = base64.b64encode(b"NTLMSSP\0\2\0\0\0" + bytes(12) + b"x" * 8 + bytes(24))
    said = led(
        probe,
        HELLO,
        b"* CAPABILITY AUTH=NTLM\r\ng1 OK\r\n",
        b"+\r\n",
        b"+ " + challenge + b"\r\n",
        b"g2 BAD cancelled\r\n",
    )
    assert said[1:] == [
        b"g2 AUTHENTICATE NTLM\r\n",
        base64.b64encode(negotiate()) + b"\r\n",
        b"*\r\n",
        b"g3 LOGOUT\r\n",
        b"<end>",
    ]
    assert probe.seen.challenge is not None


def test_whoever_connects_is_signed_in() -> None:
    probe = ImapProbe()
    led(probe, b"* PREAUTH hello root\r\n", b"* CAPABILITY IMAP4rev1\r\ng1 OK\r\n")
    assert "PREAUTH" in probe.seen.notes[0]
    assert probe.seen.trouble is None


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ([b"* BYE too many\r\n"], Fault.BUSY),
        ([b"* NO what\r\n"], Fault.MALFORMED),
        ([b"220 mx\r\n"], Fault.MALFORMED),
        ([HELLO, b"g1 OK\r\n"], Fault.MALFORMED),
        ([HELLO, b"g7 OK\r\n"], Fault.MALFORMED),
        ([HELLO, b"g1 WHAT\r\n"], Fault.MALFORMED),
        ([HELLO, b"* BYE idle\r\n"], Fault.BUSY),
        ([HELLO, b"* X {99999}\r\n"], Fault.TOO_LONG),
        ([HELLO, b"* 1 EXISTS\r\n" * 999], Fault.TOO_LONG),
        ([b"* " + b"x" * 70000], Fault.TOO_LONG),
    ],
)
def test_trouble(turns: list[bytes], fault: Fault) -> None:
    probe = ImapProbe()
    led(probe, *turns)
    assert probe.over
    assert probe.seen.trouble is not None
    assert probe.seen.trouble.fault is fault


def test_an_id_that_cannot_be_read_is_noted() -> None:
    probe = ImapProbe(implicit=True)
    led(probe, HELLO, b"* CAPABILITY ID\r\ng1 OK\r\n", b"* ID (((\r\ng2 OK\r\n")
    assert probe.seen.notes == ["its answer to ID is malformed"]
    assert probe.seen.trouble is None


CONVERSATION = (
    b"* OK hi\r\n", b"* CAPABILITY STARTTLS ID LOGINDISABLED\r\n", b"g1 OK\r\n", b"g2 OK\r\n",
    b"* CAPABILITY ID AUTH=NTLM AUTH=PLAIN\r\n", b"g3 OK\r\n",
    b'* ID ("name" {3}\r\nabc "version" NIL)\r\n', b"g4 OK\r\n",
    b"+ \r\n", b"+ TlRMTVNTUAACAAAA\r\n", b"g5 BAD x\r\n", b"* BYE\r\n",
)  # fmt: skip


@given(octets(*CONVERSATION), st.lists(st.integers(1, 30), max_size=60), aims, st.booleans(), st.booleans())
def test_any_octets(what: bytes, cuts: list[int], aim: Aim, implicit: bool, closes: bool) -> None:
    any_octets(ImapProbe(aim, implicit=implicit), what, cuts, closes)
