"""The PROXY protocol: what another implementation writes we read, and the other way round; the rest is refused."""

import struct
from ipaddress import IPv4Address, IPv6Address
from socket import SOCK_STREAM

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxyprotocol.result import ProxyResultIPv4, ProxyResultIPv6, ProxyResultLocal, ProxyResultUnix
from proxyprotocol.tlv import ProxyProtocolSSLTLV, ProxyProtocolTLV
from proxyprotocol.v1 import ProxyProtocolV1
from proxyprotocol.v2 import ProxyProtocolV2

from gambeson.wire.proxyproto import (
    MAX_TLVS,
    MAX_V2,
    SIGNATURE,
    TLV_CERTIFICATE,
    TLV_CRC32C,
    TLV_SNI,
    TLV_SSL,
    TLV_TLS_VERSION,
    Header,
    ProxyError,
    build_v2,
    crc32c,
    parse,
)

# The two longest lines of section 2.1, and others.
V1 = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 993\r\n", ("192.0.2.1", 4711, "198.51.100.2", 993, False)),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
     ("255.255.255.255", 65535, "255.255.255.255", 65535, False)),
    (b"PROXY TCP6 2001:DB8::0001 ::1 1 0\r\n", ("2001:db8::1", 1, "::1", 0, False)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", ("192.0.2.1", 1, "::1", 2, False)),
    (b"PROXY UNKNOWN\r\n", ("", 0, "", 0, True)),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ("", 0, "", 0, True)),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), V1)
def test_v1(line: bytes, expected: tuple[str, int, str, int, bool]) -> None:
    header = parse(line + b"* OK")
    assert header == Header(*expected, (), len(line))


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 4711\r\n",
        b"PROXY  TCP4 192.0.2.1 198.51.100.2 4711 993\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 993 \r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 04711 993\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 65536\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 993\r\n",
        b"PROXY TCP4 192.0.2.01 198.51.100.2 4711 993\r\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.2 4711 993\r\n",
        b"PROXY TCP4 ::1 ::1 4711 993\r\n",
        b"PROXY TCP6 192.0.2.1 ::1 4711 993\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 4711 993\r\n",
        b"PROXY TCP4 \xff\xff 198.51.100.2 4711 993\r\n",
        b"PROXY TCP5 192.0.2.1 198.51.100.2 4711 993\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"proxy tcp4 192.0.2.1 198.51.100.2 4711 993\r\n",
        b"PROXY UNKNOWN " + b"x" * 93,  # 107 octets and no end
        b"PROXX",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"\r\n\r\n\0\r\nQUIX",
    ],
)
def test_v1_refused(line: bytes) -> None:
    with pytest.raises(ProxyError):
        parse(line)


TLVS = ProxyProtocolTLV(
    authority="mail.example",
    unique_id=b"u1",
    ssl=ProxyProtocolSSLTLV(
        has_ssl=True,
        has_cert_conn=True,
        has_cert_sess=True,
        verified=True,
        version="TLSv1.3",
        cn="anna",
        cipher="X",
    ),
)
ANY = {"protocol": SOCK_STREAM, "tlv": TLVS}
ORACLE = [
    (ProxyResultIPv4((IPv4Address("192.0.2.1"), 4711), (IPv4Address("198.51.100.2"), 993), **ANY),
     ("192.0.2.1", 4711, "198.51.100.2", 993, False)),
    (ProxyResultIPv6((IPv6Address("2001:db8::1"), 1), (IPv6Address("::1"), 2), **ANY),
     ("2001:db8::1", 1, "::1", 2, False)),
    (ProxyResultIPv6((IPv6Address("::ffff:192.0.2.1"), 1), (IPv6Address("::1"), 2), **ANY),
     ("192.0.2.1", 1, "::1", 2, False)),
    (ProxyResultUnix("/run/a", "/run/b", **ANY), ("/run/a", 0, "/run/b", 0, False)),
]  # fmt: skip


@pytest.mark.parametrize(("written", "expected"), ORACLE)
def test_v2_written_by_another_implementation(written: ProxyResultIPv4, expected: tuple[object, ...]) -> None:
    packed = ProxyProtocolV2().pack(written)
    assert all(parse(packed[:n]) is None for n in range(len(packed)))
    header = parse(packed + b"\x16\x03\x01")
    assert header is not None
    assert (
        header.source,
        header.source_port,
        header.destination,
        header.destination_port,
        header.local,
    ) == expected
    assert header.length == len(packed)
    assert header.tlv(0x02) == b"mail.example"
    ssl = header.ssl
    assert ssl is not None
    assert (ssl.tls, ssl.certificate, ssl.verified, ssl.version, ssl.common_name, ssl.cipher) == (
        True, True, True, "TLSv1.3", "anna", "X",
    )  # fmt: skip


def test_checksum() -> None:
    packed = build_v2("192.0.2.1", 4711, "198.51.100.2", 993, checksum=True)
    header = parse(packed)
    assert header is not None
    assert header.tlv(TLV_CRC32C) == crc32c(packed[:-4] + bytes(4)).to_bytes(4, "big")
    for place in range(16, len(packed) - 7):
        spoiled = bytearray(packed)
        spoiled[place] ^= 1
        with pytest.raises(ProxyError, match="checksum"):
            parse(bytes(spoiled))


def test_v1_written_by_another_implementation() -> None:
    packed = ProxyProtocolV1().pack(ORACLE[0][0])
    assert parse(packed) == Header("192.0.2.1", 4711, "198.51.100.2", 993, False, (), len(packed))


def test_local() -> None:
    packed = ProxyProtocolV2().pack(ProxyResultLocal())
    assert parse(packed) == Header("", 0, "", 0, True, (), 16)
    assert parse(build_v2("", 0, "", 0)) == Header("", 0, "", 0, True, (), 16)
    assert parse(packed[:14] + b"\0\x05hello") == Header("", 0, "", 0, True, (), 21)


def v2(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


FOUR = bytes(12)


@pytest.mark.parametrize(
    "octets",
    [
        v2(0x22, 0x11, FOUR),
        v2(0x11, 0x11, FOUR),
        v2(0x21, 0x12, FOUR),  # datagrams
        v2(0x21, 0x10, FOUR),
        v2(0x21, 0x41, FOUR),
        v2(0x21, 0x11, FOUR[:-1]),
        v2(0x21, 0x21, bytes(35)),
        v2(0x21, 0x31, bytes(215)),
        v2(0x21, 0x11, b"", MAX_V2 + 1),
        v2(0x21, 0x11, FOUR + b"\x04"),
        v2(0x21, 0x11, FOUR + b"\x04\0\x02x"),
        v2(0x21, 0x11, FOUR + b"\x03\0\x04abcd"),
        v2(0x21, 0x11, FOUR + b"\x03\0\x03abc"),
        v2(0x21, 0x11, FOUR + b"\x04\0\0" * (MAX_TLVS + 1)),
        v2(0x21, 0x00, b"\xff"),
        SIGNATURE + b"\x31",  # before the rest has come
    ],
)
def test_v2_refused(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        parse(octets)


def test_our_edges_certificate() -> None:
    fingerprint = "AB" * 32
    tlvs = [
        (TLV_CERTIFICATE, fingerprint.encode()),
        (TLV_TLS_VERSION, b"TLSv1.3"),
        (TLV_SNI, b"mail.example"),
    ]
    header = parse(build_v2("192.0.2.1", 1, "192.0.2.2", 2, tlvs, checksum=True))
    assert header is not None
    assert header.certificate == "ab" * 32
    assert header.tlv(TLV_SNI) == b"mail.example"
    plain = parse(build_v2("192.0.2.1", 1, "192.0.2.2", 2))
    assert plain is not None
    assert plain.certificate == ""
    assert plain.ssl is None


@pytest.mark.parametrize(
    "tlvs",
    [
        [(TLV_CERTIFICATE, b"ab" * 32), (TLV_CERTIFICATE, b"cd" * 32)],
        [(TLV_CERTIFICATE, b"-")],
        [(TLV_CERTIFICATE, b"")],
        [(TLV_CERTIFICATE, b"ab" * 32 + b"\n")],
    ],
)
def test_a_doubtful_certificate_is_refused(tlvs: list[tuple[int, bytes]]) -> None:
    header = parse(build_v2("192.0.2.1", 1, "192.0.2.2", 2, tlvs))
    assert header is not None
    with pytest.raises(ProxyError):
        _ = header.certificate


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x01\0\0\0\x01", (True, False, False)),
        (b"\x01\0\0\0\0", (True, False, False)),  # nothing to verify is not verified
        (b"\x07\0\0\0\x01", (True, True, False)),
        (b"\x05\0\0\0\0", (True, True, True)),
        (b"\x01\0\0\0", None),
        (b"\x01\0\0\0\0\x21\0\x09x", None),
        (b"\x01\0\0\0\0\x22\0\x01a\x22\0\x01b", None),
    ],
)
def test_ssl_tlv(value: bytes, expected: tuple[bool, bool, bool] | None) -> None:
    header = parse(build_v2("192.0.2.1", 1, "192.0.2.2", 2, [(TLV_SSL, value)]))
    assert header is not None
    if expected is None:
        with pytest.raises(ProxyError):
            _ = header.ssl
    else:
        assert header.ssl is not None
        assert (header.ssl.tls, header.ssl.certificate, header.ssl.verified) == expected


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
PORTS = st.integers(0, 65535)


OURS = st.lists(st.tuples(st.integers(0xE0, 0xEF), st.binary(max_size=30)), max_size=5)


@given(ADDRESSES, PORTS, ADDRESSES, PORTS, OURS, st.booleans())
def test_what_we_write_both_read(
    source: IPv4Address,
    sport: int,
    dest: IPv4Address,
    dport: int,
    tlvs: list[tuple[int, bytes]],
    checksum: bool,
) -> None:
    packed = build_v2(str(source), sport, str(dest), dport, tlvs, checksum=checksum)
    header = parse(packed + b"rest")
    assert header is not None
    assert (header.source_port, header.destination_port, header.length) == (sport, dport, len(packed))
    mapped = getattr(source, "ipv4_mapped", None)
    assert header.source == str(mapped or source)
    assert list(header.tlvs)[: len(tlvs)] == tlvs
    theirs = ProxyProtocolV2().unpack(packed)
    ours = IPv6Address(f"::ffff:{source}") if source.version == 4 and dest.version == 6 else source
    assert theirs.source == (ours, sport)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense", 1, "::1", 1),
        ("::1", 70000, "::1", 1),
        ("::1", 1, "::1", 1, [(0xE0, b"x" * 70000)]),
        ("::1", 1, "::1", 1, [(0xE0, b"x" * MAX_V2)]),
        ("::1", 1, "::1", 1, [(0xE0, b"")] * (MAX_TLVS + 1)),
    ],
)
def test_what_cannot_be_written(arguments: tuple[object, ...]) -> None:
    with pytest.raises(ProxyError):
        build_v2(*arguments)


def test_crc32c_check_value() -> None:
    assert crc32c(b"123456789") == 0xE3069283


HEADS = st.sampled_from(
    [
        b"",
        SIGNATURE,
        SIGNATURE + b"\x21\x11\0\x20",
        SIGNATURE + b"\x20\0\0\x05",
        b"PROXY ",
        b"PROXY TCP4 1.2.3.4 ",
    ]
)


@given(HEADS, st.binary(max_size=120))
def test_any_octets(head: bytes, noise: bytes) -> None:
    stream = head + noise
    outcomes = []
    for n in range(len(stream) + 1):
        try:
            outcome = parse(stream[:n])
        except ProxyError:
            outcome = ProxyError
        outcomes.append(outcome)
        if outcome is not None:
            break
    try:
        whole = parse(stream)
    except ProxyError:
        whole = ProxyError
    assert whole == outcomes[-1]  # a verdict is the same however the header was cut
