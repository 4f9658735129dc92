"""The outline of a certificate, and of what is none."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.der import DerError, element, public_key, rsa_bits
from peers.pki import Pki


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    issued = Pki(tmp_path_factory.mktemp("pki")).issue("mail.example.org")
    return x509.load_pem_x509_certificate(Path(issued.certificate).read_bytes()).public_bytes(Encoding.DER)


def spki(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_the_key_is_the_one_the_library_sees(certificate: bytes) -> None:
    theirs = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(theirs, ec.EllipticCurvePublicKey)
    assert public_key(certificate) == spki(theirs)
    assert rsa_bits(public_key(certificate)) == 0


@pytest.mark.parametrize("bits", [1024, 1031, 2048])
def test_bits_of_rsa(bits: int) -> None:
    assert rsa_bits(spki(rsa.generate_private_key(65537, bits).public_key())) == bits


def test_every_cut_is_refused(certificate: bytes) -> None:
    for end in range(len(certificate)):
        with pytest.raises(DerError):
            public_key(certificate[:end])


@pytest.mark.parametrize(
    "octets", [b"", b"\x30", b"\x30\x80\0\0", b"\x3f\x81\1\0", b"\x30\x85\0\0\0\0\1", b"\x30\x02\x02\x01"]
)
def test_what_is_no_element(octets: bytes) -> None:
    def walk() -> None:
        outer = element(octets, 0, len(octets))
        element(octets, outer.content, outer.end)

    with pytest.raises(DerError):
        walk()


@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    for look in (public_key, rsa_bits):
        try:
            look(octets)
        except DerError:
            continue


@given(st.data())
def test_a_certificate_with_one_octet_changed(certificate: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(certificate) - 1))
    changed = bytearray(certificate)
    changed[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(DerError):
        rsa_bits(public_key(bytes(changed)))
