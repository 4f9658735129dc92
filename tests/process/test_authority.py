"""The device authority: what it issues, to whom, and what it lists as revoked."""

from __future__ import annotations

import process_world as sample
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates
from cryptography.x509.oid import ExtendedKeyUsageOID

from gambeson.process.authority import Authority, AuthorityError, found
from gambeson.process.possession import LABEL, Transcript, proven

NOW = sample.NOW
WHO = {"credential": "c1", "name": "Ada's phone", "address": "ada@sample.example", "now": NOW}


def load(pem):
    return x509.load_pem_x509_certificate(pem.encode())


def request(key):
    return (
        x509.CertificateSigningRequestBuilder(x509.Name([]))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def test_a_certificate_is_for_a_client_signed_by_us_and_bound_to_its_time(keys):
    issued = keys.authority.issue(**WHO, months=6)
    certificate, authority = load(issued.certificate_pem), load(keys.authority.pem)
    certificate.verify_directly_issued_by(authority)
    assert sample.fingerprint(certificate.public_bytes(Encoding.DER)) == issued.fingerprint
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_after_utc.timestamp() == issued.expires_at == NOW + 6 * 30.5 * 86400
    assert certificate.serial_number == keys.authority.serial("c1")
    assert keys.authority.issued(certificate.public_bytes(Encoding.DER))
    assert issued.key_pem not in repr(issued)


def test_another_authoritys_certificate_and_the_authoritys_own_are_not_device_certificates(keys):
    key, certificate = found("another", NOW)
    other = Authority(key, certificate, bytes(32)).issue(**WHO)
    for pem in (other.certificate_pem, keys.authority.pem):
        assert not keys.authority.issued(load(pem).public_bytes(Encoding.DER))
    assert not keys.authority.issued(b"junk")


@pytest.mark.parametrize("legacy", [False, True])
def test_the_bundle_opens_with_its_password_only(keys, legacy):
    issued = keys.authority.issue(**WHO, password="open sesame", legacy=legacy)
    key, certificate, _ = load_key_and_certificates(issued.bundle, b"open sesame")
    assert key.public_key() == certificate.public_key()
    assert (b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d" in issued.bundle) is not legacy  # PBES2
    with pytest.raises(ValueError, match="password"):
        load_key_and_certificates(issued.bundle, b"another")


def test_with_a_request_the_key_stays_where_it_was_made(keys):
    mine = ec.generate_private_key(ec.SECP256R1())
    issued = keys.authority.issue(**WHO, csr=request(mine), password="unused")
    assert load(issued.certificate_pem).public_key() == mine.public_key()
    assert (issued.key_pem, issued.bundle) == ("", b"")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"months": 0}, "1 to 36 months"),
        ({"months": 37}, "1 to 36 months"),
        ({"name": ""}, "1 to 64"),
        ({"name": "x" * 65}, "1 to 64"),
        ({"address": "bücher@example.org"}, "ASCII"),
        ({"csr": b"junk"}, "no PEM request"),
        ({"csr": request(rsa.generate_private_key(65537, 2048))}, "P-256"),
        ({"now": NOW + 11 * 365 * 86400}, "has expired"),
    ],
)
def test_what_is_not_issued(keys, change, sentence):
    with pytest.raises(AuthorityError, match=sentence):
        keys.authority.issue(**WHO | change)


def test_the_list_names_the_revoked_and_is_signed(keys):
    pem = keys.authority.revocation_list([("c1", NOW - 5), ("c3", NOW)], NOW)
    listed = x509.load_pem_x509_crl(pem.encode())
    assert listed.is_signature_valid(load(keys.authority.pem).public_key())
    assert {r.serial_number for r in listed} == {keys.authority.serial(c) for c in ("c1", "c3")}
    assert listed.get_revoked_certificate_by_serial_number(keys.authority.serial("c2")) is None


def test_the_list_takes_serial_numbers_too_and_names_each_certificate_once(keys):
    gone, here = keys.authority.serial("gone"), keys.authority.serial("c1")
    pem = keys.authority.revocation_list([(gone, NOW - 9), (here, NOW), ("c1", NOW - 5)], NOW)
    listed = x509.load_pem_x509_crl(pem.encode())
    assert [(r.serial_number, r.revocation_date_utc.timestamp()) for r in listed] == [
        (gone, NOW - 9),
        (here, NOW - 5),
    ]
    for number in (0, -1, 1 << 159):
        with pytest.raises(AuthorityError, match="no serial number"):
            keys.authority.revocation_list([(number, NOW)], NOW)


def test_possession_is_proven_by_the_certificates_key_over_this_handshake_only(keys):
    import msgspec

    issued = keys.authority.issue(**WHO)
    der = load(issued.certificate_pem).public_bytes(Encoding.DER)
    key = load_pem_private_key(issued.key_pem.encode(), None)
    digest = bytes(range(32))

    def told(signed, scheme=0x0403, says=digest, by=key):
        signature = by.sign(signed, ec.ECDSA(hashes.SHA256()))
        return msgspec.msgpack.encode(Transcript(scheme, says, signature))

    assert proven(der, told(LABEL + digest))
    assert not proven(der, told(LABEL + digest, says=bytes(32)))
    assert not proven(der, told(digest))
    assert not proven(der, told(LABEL + digest, scheme=0x0807))
    assert not proven(der, told(LABEL + digest, by=ec.generate_private_key(ec.SECP256R1())))
    assert not proven(der, b"junk")
    assert not proven(b"junk", told(LABEL + digest))
    with pytest.raises(InvalidSignature):
        key.public_key().verify(b"", LABEL, ec.ECDSA(hashes.SHA256()))
