"""NTLM's challenge: what real ones say, and that anything else is one error."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gambeson.wire.ntlm import MAX_CHALLENGE, Challenge, NtlmError, negotiate, parse_challenge

# MS-NLMP section 4.2.4.3, the challenge of its NTLMv2 example (there without target information's time).
EXAMPLE = bytes.fromhex(
    "4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000002400240044000000"
    "06007017 0000000f 53006500720076006500720002000c0044006f006d00610069006e0001000c0053006500720076006500720000000000"
)


def pair(kind: int, text: str) -> bytes:
    value = text.encode("utf-16-le")
    return struct.pack("<HH", kind, len(value)) + value


def challenge(info: bytes, *, target: bytes = b"", flags: int = 0x02898205, version: bytes = b"") -> bytes:
    version = version or struct.pack("<BBHIB", 10, 0, 17763, 0, 15)[:8]
    head = b"NTLMSSP\0" + struct.pack("<I", 2)
    offset = 56
    fields = struct.pack("<HHI", len(target), len(target), offset)
    infos = struct.pack("<HHI", len(info), len(info), offset + len(target))
    return head + fields + struct.pack("<I", flags) + b"8" * 8 + bytes(8) + infos + version + target + info


def test_the_first_message_names_nobody() -> None:
    message = negotiate()
    assert message[:12] == b"NTLMSSP\0\x01\0\0\0"
    assert len(message) == 40
    assert message[16:] == bytes(24)


def test_the_example_of_the_specification() -> None:
    assert parse_challenge(EXAMPLE) == Challenge("6.0.6000", "Domain", "Server")


def test_all_names() -> None:
    info = pair(2, "CORP") + pair(1, "EX01") + pair(4, "corp.example.org") + pair(3, "ex01.corp.example.org")
    info += pair(5, "example.org") + struct.pack("<HH", 7, 8) + bytes(8) + bytes(4)
    assert parse_challenge(challenge(info, target="CORP".encode("utf-16-le"))) == Challenge(
        "10.0.17763", "CORP", "EX01", "corp.example.org", "ex01.corp.example.org"
    )


def test_without_a_version_flag_the_version_says_nothing() -> None:
    assert parse_challenge(challenge(bytes(4), flags=0x00898205)).windows == ""


def test_only_a_target() -> None:
    old = challenge(b"", target=b"OLDDOMAIN", flags=0x2)[:48] + bytes(8) + b"OLDDOMAIN"
    assert parse_challenge(old).netbios_domain == "OLDDOMAIN"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"NTLMSSP\0",
        negotiate(),
        EXAMPLE[:31],
        EXAMPLE[:-30],
        b"x" + EXAMPLE[1:],
        EXAMPLE + bytes(MAX_CHALLENGE),
        challenge(struct.pack("<HH", 1, 500)),
        challenge(pair(9, "x") * 40),
    ],
)
def test_no_challenge(octets: bytes) -> None:
    with pytest.raises(NtlmError):
        parse_challenge(octets)


def test_names_are_made_fit_to_be_shown() -> None:
    found = parse_challenge(challenge(pair(1, "EX\x1b[31m\r\n<b>" + "y" * 400) + bytes(4)))
    assert found.netbios_computer.isprintable()
    assert len(found.netbios_computer) <= 255


@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=6))
@example(base64.b64decode("TlRMTVNTUAACAAAA"), [])
def test_any_octets(tail: bytes, changes: list[tuple[int, int]]) -> None:
    spoiled = bytearray(EXAMPLE)
    for at, octet in changes:
        spoiled[at] = octet
    for octets in (tail, EXAMPLE[:12] + tail, bytes(spoiled), bytes(spoiled) + tail):
        try:
            found = parse_challenge(octets)
        except NtlmError:
            continue
        assert all(getattr(found, name).isprintable() for name in Challenge.__slots__)
