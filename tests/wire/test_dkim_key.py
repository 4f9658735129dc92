"""DKIM key records: sizes read out of DER and held against the library that made the keys, and any octets at all."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from gambeson.wire import dkim_key
from gambeson.wire.dkim_key import DkimKey, DkimKeyError

SPKI = PublicFormat.SubjectPublicKeyInfo
KEYS = {bits: rsa.generate_private_key(65537, bits).public_key() for bits in (1024, 2048)}


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def short_key(bits: int) -> bytes:
    """A SubjectPublicKeyInfo whose modulus has ``bits`` bits, of a size that no library makes any more."""

    def element(tag: int, body: bytes) -> bytes:
        size = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
        return bytes([tag]) + size + body

    modulus = element(2, ((1 << bits - 1) + 1).to_bytes(bits // 8 + 1, "big"))
    numbers = element(0x30, modulus + element(2, b"\x01\x00\x01"))
    algorithm = element(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    return element(0x30, algorithm + element(3, b"\0" + numbers))


@pytest.mark.parametrize("form", [(Encoding.DER, SPKI), (Encoding.DER, PublicFormat.PKCS1)])
@pytest.mark.parametrize("bits", KEYS)
def test_rsa_sizes_agree_with_the_library(bits: int, form: tuple[Encoding, PublicFormat]) -> None:
    der = KEYS[bits].public_bytes(*form)
    assert dkim_key.rsa_numbers(der) == (KEYS[bits].public_numbers().n, 65537)
    assert dkim_key.parse(f"v=DKIM1; k=rsa; p={b64(der)}") == DkimKey("rsa", bits, exponent=65537)


@pytest.mark.parametrize("bits", [384, 512, 768, 4096, 8192])
def test_sizes_that_nobody_should_use(bits: int) -> None:
    assert dkim_key.parse(f"p={b64(short_key(bits))}").bits == bits


def test_a_key_may_have_space_in_it() -> None:
    text = b64(KEYS[1024].public_bytes(Encoding.DER, SPKI))
    assert dkim_key.parse(f"v=DKIM1; p={text[:80]} {text[80:]}\t;").bits == 1024


def test_ed25519() -> None:
    raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert dkim_key.parse(f"v=DKIM1; k=ed25519; p={b64(raw)}") == DkimKey("ed25519", 256)


def test_flags_hashes_and_services() -> None:
    key = dkim_key.parse("v=DKIM1; h=sha1 : sha256; s=email; t=y:s; n=note; p=")
    assert key == DkimKey(
        "rsa", revoked=True, testing=True, exact=True, hashes=("sha1", "sha256"), services=("email",)
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=DKIM1",
        "v=DKIM2; p=",
        "k=rsa; v=DKIM1; p=",
        "v=DKIM1; p=!!!!",
        "v=DKIM1; s=tlsrpt; p=",
        "v=DKIM1; k=ed25519; p=AAAA",
        "v=DKIM1; p="
        + b64(ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, SPKI)),
        "v=DKIM1; p=" + b64(short_key(1024)[:-1]),
        "v=DKIM1; p=" + b64(short_key(1024) + b"\0"),
        "v=DKIM1; p=" + "A" * 40000,
    ],
)
def test_no_key(text: str) -> None:
    with pytest.raises(DkimKeyError):
        dkim_key.parse(text)


def test_a_key_has_no_unused_bits() -> None:
    der = short_key(1024)
    at = (
        der.index(bytes.fromhex("0101010500")) + 9
    )  # behind the algorithm: tag, three octets of length, then this
    assert der[at] == 0
    with pytest.raises(DkimKeyError, match="cut"):
        dkim_key.rsa_numbers(der[:at] + b"\x04" + der[at + 1 :])


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(b64)))
def test_any_text_is_a_key_or_one_error(text: str) -> None:
    for candidate in (text, f"v=DKIM1; p={text}", f"k=ed25519; p={text}"):
        try:
            key = dkim_key.parse(candidate)
        except DkimKeyError:
            continue
        else:
            assert 0 <= key.bits <= 8 * dkim_key.MAX_KEY


@given(st.binary(max_size=120), st.integers(0, 160), st.integers(0, 255))
@example(b"\x30\x80", 0, 0)
@example(b"\x30\x85\xff\xff\xff\xff\xff", 0, 0)
def test_any_octets_are_numbers_or_one_error(octets: bytes, at: int, value: int) -> None:
    der = bytearray(short_key(1024))
    der[at % len(der)] = value
    for candidate in (octets, bytes(der)):
        try:
            modulus, exponent = dkim_key.rsa_numbers(candidate)
        except DkimKeyError:
            continue
        assert modulus > 0
        assert exponent > 0
