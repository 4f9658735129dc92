"""Certificates as values: ordinary ones, absurd ones, and what is none."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from assess.tls_peers import NOW, by_openssl, issue
from gambeson.assess.core.tls import Trust
from gambeson.assess.edge.authorities import Authorities
from gambeson.assess.edge.certificates import read

LEAF = issue("mail.example.org", None, "mail.example.org", "*.Example.org")
AUTHORITIES = Authorities(issue("Root", authority=True).pem)


def test_an_ordinary_one() -> None:
    found = read(LEAF.der)
    assert (found.subject, found.issuer) == ("CN=mail.example.org", "CN=mail.example.org")
    assert found.names == ("mail.example.org", "*.example.org")
    assert not found.from_common_name
    assert (found.key, found.bits, found.signature_hash) == ("EC", 256, "sha256")
    assert found.not_after - found.not_before == 91 * 86400
    assert found.sha256 == hashlib.sha256(LEAF.der).hexdigest()
    key = LEAF.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert (found.spki, found.spki_sha256) == (key, hashlib.sha256(key).hexdigest())


@pytest.mark.parametrize(
    ("key", "kind", "bits", "hashed"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA", 2048, "sha256"),
        (ec.generate_private_key(ec.SECP384R1()), "EC", 384, "sha256"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519", 256, ""),
        (ed448.Ed448PrivateKey.generate(), "Ed448", 456, ""),
        (dsa.generate_private_key(1024), "DSA", 1024, "sha256"),
    ],
)
def test_keys(key: rsa.RSAPrivateKey, kind: str, bits: int, hashed: str) -> None:
    found = read(issue("x", None, "x.example", key=key).der)
    assert (found.key, found.bits) == (kind, bits)
    assert found.signature_hash == hashed or kind == "DSA"


@pytest.mark.parametrize("bits", [512, 1024])
@pytest.mark.parametrize("hashed", ["md5", "sha1"])
def test_short_keys_and_old_hashes(tmp_path: Path, bits: int, hashed: str) -> None:
    found = read(by_openssl(tmp_path, "-newkey", f"rsa:{bits}", f"-{hashed}", "-subj", "/CN=old.example.org"))
    assert (found.key, found.bits, found.signature_hash) == ("RSA", bits, hashed)
    assert (found.names, found.from_common_name) == (("old.example.org",), True)


def test_addresses_and_other_kinds_of_names() -> None:
    names = x509.SubjectAlternativeName(
        [
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
            x509.RFC822Name("someone@example.org"),
            x509.UniformResourceIdentifier("https://example.org"),
            x509.DNSName("MX.example.org"),
        ]
    )
    found = read(issue("ignored.example.org", extensions=[names]).der)
    assert found.names == ("192.0.2.1", "2001:db8::1", "mx.example.org")
    assert not found.from_common_name


def test_ten_thousand_names() -> None:
    found = read(issue("many", None, *(f"host{n}.example.org" for n in range(10_000))).der)
    assert len(found.names) == 10_000
    assert found.names[-1] == "host9999.example.org"


@pytest.mark.parametrize("year", [1950, 9999])
def test_dates_of_other_centuries(year: int) -> None:
    moment = datetime.datetime(year, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
    begins, ends = (moment, NOW) if year < 2000 else (NOW, moment)
    found = read(issue("x", None, "x.example", begins=begins, ends=ends).der)
    assert moment.timestamp() in (found.not_before, found.not_after)


def test_version_one(tmp_path: Path) -> None:
    key, request, out = tmp_path / "v1.key", tmp_path / "v1.csr", tmp_path / "v1.der"
    new = ["openssl", "req", "-new", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=v1.example.org"]
    subprocess.run([*new, "-keyout", str(key), "-out", str(request)], check=True, capture_output=True)
    sign = ["openssl", "x509", "-req", "-in", str(request), "-signkey", str(key), "-outform", "DER"]
    subprocess.run([*sign, "-out", str(out)], check=True, capture_output=True)
    der = out.read_bytes()
    assert b"\xa0\x03\x02\x01\x02" not in der[:16]  # it says no version, and so is of the first
    found = read(der)
    assert (found.key, found.bits, found.names) == ("RSA", 2048, ("v1.example.org",))
    assert AUTHORITIES.judge((der,), NOW.timestamp() + 3600)[0] is Trust.SELF_SIGNED


def test_odd_serial_numbers(tmp_path: Path) -> None:
    """What OpenSSL still writes, and the library perhaps will not read, is a value all the same."""
    for arguments in (("-set_serial", "-5"), ("-set_serial", "0")):
        der = by_openssl(tmp_path, "-newkey", "rsa:2048", "-subj", "/CN=odd.example.org", *arguments)
        found = read(der)
        assert (found.key, found.bits, found.sha256) == ("RSA", 2048, hashlib.sha256(der).hexdigest())
        assert AUTHORITIES.judge((der,), NOW.timestamp() + 3600)[0] in (Trust.SELF_SIGNED, Trust.INVALID)


def test_hostile_text_is_made_fit_to_show() -> None:
    found = read(issue("mail\x1b[2J\nSet-Cookie: x", None).der)
    assert found.subject.isprintable()
    assert all(name.isprintable() for name in found.names)


@pytest.mark.parametrize(
    "octets", [b"", b"\0", b"\x30\x80\0\0", b"-----BEGIN CERTIFICATE-----", b"\x30\x03\x02\x01\x01"]
)
def test_what_is_none(octets: bytes) -> None:
    found = read(octets)
    assert (found.subject, found.issuer) == ("", "")
    assert (found.names, found.key, found.bits, found.der) == ((), "", 0, octets)
    assert AUTHORITIES.judge((octets,), NOW.timestamp())[0] is Trust.INVALID


@given(st.data())
def test_a_certificate_with_octets_changed(data: st.DataObject) -> None:
    """Nothing is raised, by reading or by judging, and nothing that was changed is trusted."""
    changed = bytearray(LEAF.der)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    if bytes(changed) == LEAF.der:
        return
    read(bytes(changed))
    trust, detail = Authorities(LEAF.pem).judge((bytes(changed),), NOW.timestamp())
    assert trust is not Trust.TRUSTED
    assert detail.isprintable()


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_any_chain(chain: list[bytes]) -> None:
    for der in chain:
        read(der)
    trust, _ = AUTHORITIES.judge(chain, 0.0)
    assert trust is (Trust.INVALID if chain else Trust.UNKNOWN)
