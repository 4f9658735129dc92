"""Looking at ManageSieve servers, as conversations; nothing that they say breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from looking import TLS, aims, any_octets, led, octets

from gambeson.wire.probe import Aim, Fault, Offered
from gambeson.wire.probe_sieve import SieveProbe

PLAIN = b'"IMPLEMENTATION" "Pigeonhole"\r\n"SASL" ""\r\n"STARTTLS"\r\nOK "ready"\r\n'
SECURED = b'"IMPLEMENTATION" "Pigeonhole"\r\n"SASL" "PLAIN login"\r\nOK "ready"\r\n'


@pytest.mark.parametrize("inside", [(SECURED, SECURED), (SECURED,)])
def test_the_whole_way(inside: tuple[bytes, ...]) -> None:
    # Inside TLS the capabilities come unasked and asked for, or, from older servers, asked for only.
    probe = SieveProbe()
    said = led(probe, PLAIN, b"OK\r\n", TLS, *inside)
    assert said == [b"STARTTLS\r\n", b"<TLS>", b"CAPABILITY\r\n", b"LOGOUT\r\n", b"<end>"]
    seen = probe.seen
    assert seen.banner == "ready"
    assert seen.plain == Offered(("IMPLEMENTATION Pigeonhole", "SASL", "STARTTLS"), (), None)
    assert seen.secured is not None
    assert seen.secured.mechanisms == ("LOGIN", "PLAIN")
    assert seen.identity == (("IMPLEMENTATION", "Pigeonhole"),)


@pytest.mark.parametrize(
    ("inside", "obeyed"),
    [
        (SECURED + b'OK (TAG "gambeson") "Done."\r\nOK "bye"\r\n', True),
        (SECURED + b'NO "unknown command"\r\nOK "bye"\r\n', True),
        (b'OK (TAG "gambeson") "Done."\r\nOK "bye"\r\n', True),
        (SECURED + b'OK "bye"\r\n', False),
        (SECURED + b'BYE "bye"\r\n', False),
        (b'OK "bye"\r\n', False),
    ],
)
def test_a_command_behind_starttls(inside: bytes, obeyed: bool) -> None:
    probe = SieveProbe(Aim.INJECTION)
    said = led(probe, PLAIN, b"OK\r\n", TLS, inside)
    assert said[:3] == [b'STARTTLS\r\nNOOP "gambeson"\r\n', b"<TLS>", b"LOGOUT\r\n"]
    assert probe.seen.obeyed is obeyed


@pytest.mark.parametrize("aim", [Aim.LOOK, Aim.INJECTION])
def test_starttls_refused(aim: Aim) -> None:
    probe = SieveProbe(aim)
    led(probe, PLAIN, b'NO "no certificate"\r\n')
    assert probe.seen.notes == (
        ["it offers STARTTLS and refuses it: no certificate"] if aim is Aim.LOOK else []
    )
    assert probe.seen.obeyed is (None if aim is Aim.LOOK else False)
    assert probe.seen.trouble is None


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ([b'BYE "later"\r\n'], Fault.BUSY),
        ([b'NO (TRYLATER) "later"\r\n'], Fault.BUSY),
        ([b'NO "no"\r\n'], Fault.REFUSED),
        ([b"OK\r\n"], Fault.MALFORMED),
        ([b"220 mx\r\n"], Fault.MALFORMED),
        ([b'"A" {99999}\r\n'], Fault.TOO_LONG),
        ([b'"' + b"x" * 70000], Fault.TOO_LONG),
        ([b'"A" "b"\r\n' * 300], Fault.TOO_LONG),
        ([PLAIN, b"OK\r\n", TLS, b"OK\r\n"], Fault.MALFORMED),
    ],
)
def test_trouble(turns: list[bytes | str], fault: Fault) -> None:
    probe = SieveProbe()
    led(probe, *turns)
    assert probe.over
    assert probe.seen.trouble is not None
    assert probe.seen.trouble.fault is fault


CONVERSATION = (
    b'"IMPLEMENTATION" {3}\r\nabc\r\n', b'"SASL" ""\r\n', b'"STARTTLS"\r\n', b'OK "hi"\r\n', b"OK\r\n",
    b'"IMPLEMENTATION" "x"\r\n', b'"SASL" "PLAIN LOGIN"\r\n', b'OK "hi"\r\n',
    b'OK (TAG "gambeson") "x"\r\n', b'OK "bye"\r\n',
)  # fmt: skip


@given(octets(*CONVERSATION), st.lists(st.integers(1, 30), max_size=60), aims, st.booleans(), st.booleans())
def test_any_octets(what: bytes, cuts: list[int], aim: Aim, implicit: bool, closes: bool) -> None:
    any_octets(SieveProbe(aim, implicit=implicit), what, cuts, closes)
