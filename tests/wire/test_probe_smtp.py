"""Looking at SMTP servers, as conversations; nothing that they say breaks it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from looking import TLS, aims, any_octets, led, octets

from gambeson.wire.dialogue import Close, StartTls
from gambeson.wire.ntlm import negotiate
from gambeson.wire.probe import MAX_CAPABILITIES, MAX_OCTETS, Aim, Fault, Offered
from gambeson.wire.probe_smtp import SmtpProbe, address_literal

PLAIN = b"250-mx.example.org\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
SECURED = b"250-mx.example.org\r\n250-AUTH plain LOGIN\r\n250-AUTH=LOGIN XOAUTH2\r\n250 8BITMIME\r\n"


def test_the_whole_way() -> None:
    probe = SmtpProbe(name="[192.0.2.1]")
    said = led(probe, b"220 mx.example.org ESMTP Postfix\r\n", PLAIN, b"220 go\r\n", TLS, SECURED)
    assert said == [
        b"EHLO [192.0.2.1]\r\n",
        b"STARTTLS\r\n",
        b"<TLS>",
        b"EHLO [192.0.2.1]\r\n",
        b"QUIT\r\n",
        b"<end>",
    ]
    seen = probe.seen
    assert seen.banner == "mx.example.org ESMTP Postfix"
    assert seen.plain == Offered(("PIPELINING", "STARTTLS", "8BITMIME"), ())
    assert seen.secured is not None
    assert seen.secured.mechanisms == ("LOGIN", "PLAIN", "XOAUTH2")
    assert seen.secured.password_command is None
    assert seen.trouble is None


def test_only_to_where_tls_begins() -> None:
    probe = SmtpProbe(Aim.TLS)
    assert led(probe, b"220 mx\r\n", PLAIN, b"220 go\r\n")[-1] == b"<TLS>"
    assert not probe.over


@pytest.mark.parametrize(
    ("inside", "obeyed"),
    [(b"250 2.0.0 Ok\r\n221 bye\r\n", True), (b"221 bye\r\n", False), (b"502 what?\r\n", None)],
)
def test_a_command_behind_starttls(inside: bytes, obeyed: bool | None) -> None:
    probe = SmtpProbe(Aim.INJECTION)
    said = led(probe, b"220 mx\r\n", PLAIN, b"220 go\r\n", TLS, inside)
    assert said[1:4] == [b"STARTTLS\r\nNOOP\r\n", b"<TLS>", b"QUIT\r\n"]
    assert probe.seen.obeyed is obeyed


def test_a_server_that_notices_the_command_behind_starttls() -> None:
    probe = SmtpProbe(Aim.INJECTION)
    led(probe, b"220 mx\r\n", PLAIN, b"554 5.5.0 Error: SMTP protocol synchronization\r\n")
    assert probe.seen.obeyed is False


def test_plaintext_behind_the_go_ahead_is_dropped() -> None:
    probe = SmtpProbe()
    led(probe, b"220 mx\r\n", PLAIN, b"220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n", TLS, b"250 mx\r\n")
    assert probe.seen.secured == Offered()


def test_ntlm_is_asked_and_cancelled() -> None:
    probe = SmtpProbe(implicit=True)
    ntlm = b"334 " + base64.b64encode(b"NTLMSSP\0\2\0\0\0" + bytes(12) + b"x" * 8 + bytes(24)) + b"\r\n"
    said = led(probe, b"220 ex\r\n", b"250-ex\r\n250 AUTH NTLM\r\n", b"334 \r\n", ntlm, b"501 cancelled\r\n")
    assert said[1:] == [
        b"AUTH NTLM\r\n",
        base64.b64encode(negotiate()) + b"\r\n",
        b"*\r\n",
        b"QUIT\r\n",
        b"<end>",
    ]
    assert probe.seen.challenge is not None


@pytest.mark.parametrize("answer", [b"334 !!!\r\n", b"334 \r\n", b"334 eHg=\r\n"])
def test_a_challenge_that_is_none_is_noted(answer: bytes) -> None:
    probe = SmtpProbe(implicit=True)
    led(probe, b"220 ex\r\n", b"250-ex\r\n250 AUTH NTLM\r\n", b"334 \r\n", answer, b"501 x\r\n")
    assert probe.seen.challenge is None
    assert len(probe.seen.notes) == 1
    assert probe.seen.trouble is None


def test_a_server_of_before_esmtp() -> None:
    probe = SmtpProbe()
    said = led(probe, b"220 old\r\n", b"502 what?\r\n", b"250 hello\r\n")
    assert said == [b"EHLO [127.0.0.1]\r\n", b"HELO [127.0.0.1]\r\n", b"QUIT\r\n", b"<end>"]
    assert probe.seen.plain == Offered()


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ([b"421 4.3.2 too many connections\r\n"], Fault.BUSY),
        ([b"554 no\r\n"], Fault.REFUSED),
        ([b"250 what\r\n"], Fault.MALFORMED),
        ([b"hello\r\n"], Fault.MALFORMED),
        ([b"220 mx\n"], Fault.MALFORMED),
        ([b"220 mx\r\n", b"421 bye\r\n"], Fault.BUSY),
        ([b"220 mx\r\n", b"554 no\r\n"], Fault.REFUSED),
        # Not "no TLS is offered": it does not like our name, and offers to others.
        ([b"220 mx\r\n", b"550 bad name\r\n"], Fault.REFUSED),
        ([b"220 mx\r\n", b"500 what?\r\n", b"501 no\r\n"], Fault.REFUSED),
        ([b"220-" + b"x" * 70000], Fault.TOO_LONG),
        ([b"220-x\r\n" * 300], Fault.TOO_LONG),
        ([b"220 x\r\n" + b"250-y\r\n" * 10000], Fault.TOO_LONG),
        ([b"y" * 30000] * 10, Fault.TOO_LONG),
    ],
)
def test_trouble(turns: list[bytes], fault: Fault) -> None:
    probe = SmtpProbe()
    led(probe, *turns)
    assert probe.over
    assert probe.seen.trouble is not None
    assert probe.seen.trouble.fault is fault


def test_many_capabilities_are_cut() -> None:
    probe = SmtpProbe()
    led(
        probe,
        b"220 mx\r\n",
        b"250-mx\r\n" + b"250-AUTH " + b" ".join(b"X%d" % n for n in range(900)) + b"\r\n250 Z\r\n",
    )
    assert probe.seen.plain is not None
    assert len(probe.seen.plain.mechanisms) <= MAX_CAPABILITIES
    assert len(probe.seen.notes) == 1


def test_no_more_than_its_measure_in_all() -> None:
    probe = SmtpProbe()
    led(probe, b"220 mx\r\n")
    commands = []
    for _ in range(MAX_OCTETS // 5000 + 1):
        commands += probe.receive(b"250-" + b"x" * 5000 + b"\r\n")
    assert [type(command) for command in commands] == [Close]


@pytest.mark.parametrize(
    ("address", "literal"),
    [("192.0.2.1", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]"), ("fe80::1%eth0", "[IPv6:fe80::1]")],
)
def test_our_name(address: str, literal: str) -> None:
    assert address_literal(address) == literal


CONVERSATION = (
    b"220 mx.example.org ESMTP\r\n", b"250-mx\r\n", b"250-STARTTLS\r\n", b"250 AUTH NTLM PLAIN\r\n", b"220 go\r\n",
    b"250-mx\r\n", b"250-AUTH NTLM PLAIN\r\n", b"250 8BITMIME\r\n", b"334 \r\n", b"334 TlRMTVNTUAACAAAA\r\n",
    b"501 x\r\n",
    b"221 bye\r\n",
)  # fmt: skip


@given(octets(*CONVERSATION), st.lists(st.integers(1, 30), max_size=60), aims, st.booleans(), st.booleans())
def test_any_octets(what: bytes, cuts: list[int], aim: Aim, implicit: bool, closes: bool) -> None:
    any_octets(SmtpProbe(aim, implicit=implicit), what, cuts, closes)


@given(st.lists(st.integers(1, 9), max_size=60))
def test_cuts_change_nothing(cuts: list[int]) -> None:
    probe = SmtpProbe()
    what = b"220 mx\r\n" + PLAIN + b"220 go\r\n"
    commands, at = probe.start(), 0
    for size in [*cuts, len(what)]:
        commands += probe.receive(what[at : at + size])
        at += size
    assert isinstance(commands[-1], StartTls)
    assert probe.seen.plain == Offered(("PIPELINING", "STARTTLS", "8BITMIME"), ())
