"""Every check of a passkey's answer, as a table: the one lie that it is there for is refused with its word, and is not
when the check is taken away. So no line of the table can go unnoticed."""

from __future__ import annotations

import json
import secrets
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.portal.soft_authenticator import BE, BS, UP, UV, Lies, SoftAuthenticator, b64, lying, unb64
from gambeson.console.web import passkeys
from gambeson.console.web.passkeys import (
    REGISTRATION,
    SIGN_IN,
    SIGNED,
    Asked,
    PasskeyError,
    check_registration,
    check_sign_in,
    registration_options,
    sign_in_options,
)
from gambeson.process.portal_messages import Authenticator

RP, ORIGIN = "login.example.org", "https://login.example.org:8443"
HANDLE = bytes(range(32))

# What lies, and the word of the check that says so. Those marked own are caught by nothing but our line.
COMMON_LIES = [
    (lying(challenge=bytes(32)), "challenge", False),
    (lying(origin="https://login.example.org"), "origin", False),
    (lying(origin="https://login.example.org:8443/"), "origin", False),
    (lying(origin="http://login.example.org:8443"), "origin", False),
    (lying(client={"crossOrigin": True}), "cross-origin", True),
    (lying(client={"crossOrigin": "false"}), "cross-origin", True),
    (lying(client={"topOrigin": "https://evil.example"}), "top-origin", True),
    (lying(client={"topOrigin": ORIGIN}), "top-origin", True),
    (lying(rp_id="evil.example"), "relying-party", False),
    (lying(rp_id="example.org"), "relying-party", False),
    (lying(flags_off=UP), "user-presence", False),
    (lying(flags_off=UV), "user-verification", False),
    (lying(flags_on=BS, flags_off=BE), "backup-state", False),
]
REGISTRATION_LIES = [
    (lying(type="webauthn.get"), "type", False),
    *COMMON_LIES,
    (lying(algorithm=-37), "algorithm", False),
    (lying(id=bytes(1024)), "credential-id", True),
    (lying(format="apple"), "format", False),
]
SIGN_IN_LIES = [
    (lying(type="webauthn.create"), "type", False),
    *COMMON_LIES,
    (lying(handle=bytes(32)), "another-owner", True),
    (lying(flags_on=BE), "backup-eligibility", True),
    (lying(flags_on=BE | BS), "backup-eligibility", True),
    (lying(count=1), "counter", True),
    (lying(count=0), "counter", True),
]


def register(
    lies: Lies | None = None, authenticator: SoftAuthenticator | None = None
) -> tuple[SoftAuthenticator, str, Asked]:
    authenticator = authenticator or SoftAuthenticator(ORIGIN)
    challenge = secrets.token_bytes(32)
    options = registration_options(
        rp_id=RP, rp_name="Sample", address="anna@example.org", handle=HANDLE, challenge=challenge, known=()
    )
    return authenticator, authenticator.create(options, lies or lying()), Asked(challenge, RP, ORIGIN)


def registered(**more: Any) -> tuple[SoftAuthenticator, Authenticator]:
    authenticator, text, asked = register(authenticator=SoftAuthenticator(ORIGIN, **more))
    return authenticator, check_registration(text, asked)


def sign_in(
    lies: Lies, authenticator: SoftAuthenticator, stored: Authenticator, *, alone: bool = False
) -> tuple[str, Asked]:
    challenge = secrets.token_bytes(32)
    options = sign_in_options(rp_id=RP, challenge=challenge, known=() if alone else (stored,))
    allowed = None if alone else (stored.public_id,)
    text = authenticator.get(options, lies)
    return text, Asked(challenge, RP, ORIGIN, allowed, HANDLE, stored)


def reason(check: Any, text: str, asked: Asked) -> str:
    try:
        check(text, asked)
    except PasskeyError as error:
        return error.reason
    return ""


def without(table: tuple[passkeys.Check, ...], word: str) -> tuple[passkeys.Check, ...]:
    left = tuple(c for c in table if c[0] != word)
    assert len(left) == len(table) - 1
    return left


# -- the truth is taken ----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [-7, -8, -257])
@pytest.mark.parametrize("synced", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_an_honest_passkey_registers_and_signs_in(algorithm: int, synced: bool, alone: bool) -> None:
    authenticator, stored = registered(algorithm=algorithm, synced=synced)
    assert (stored.backup_eligible, stored.backed_up) == (synced, synced)
    assert stored.transports == ("internal",)
    text, asked = sign_in(lying(), authenticator, stored, alone=alone)
    used = check_sign_in(text, asked)
    assert (used.id, used.sign_count, used.backed_up) == (stored.public_id, authenticator.count, synced)


def test_a_self_attestation_is_taken() -> None:
    _, text, asked = register(lying(format="packed"))
    assert check_registration(text, asked).public_id


def test_a_synced_passkey_may_lose_its_backup() -> None:
    authenticator, stored = registered(synced=True)
    text, asked = sign_in(lying(flags_off=BS), authenticator, stored)
    assert check_sign_in(text, asked).backed_up is False


def test_a_passkey_that_never_counts_is_taken_again_and_again() -> None:
    authenticator, stored = registered(counts=False)
    for _ in range(2):
        text, asked = sign_in(lying(), authenticator, stored)
        assert check_sign_in(text, asked).sign_count == 0


def test_at_the_second_step_no_handle_is_needed_and_alone_it_is() -> None:
    authenticator, stored = registered()
    text, asked = sign_in(lying(no_handle=True), authenticator, stored)
    assert check_sign_in(text, asked)
    text, asked = sign_in(lying(no_handle=True), authenticator, stored, alone=True)
    assert reason(check_sign_in, text, asked) == "another-owner"


def test_the_longest_credential_id_is_taken() -> None:
    _, text, asked = register(lying(id=bytes(1023)))
    assert len(check_registration(text, asked).public_id) == 1023


# -- each lie meets its line -----------------------------------------------------------------------


@pytest.mark.parametrize(("lies", "word", "own"), REGISTRATION_LIES)
def test_a_registration_that_lies(lies: Lies, word: str, own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text, asked = register(lies)
    assert reason(check_registration, text, asked) == word
    monkeypatch.setattr(passkeys, "REGISTRATION", without(REGISTRATION, word))
    left = reason(check_registration, text, asked)
    assert left == ("" if own else "invalid")


@pytest.mark.parametrize(("lies", "word", "own"), SIGN_IN_LIES)
@pytest.mark.parametrize("alone", [False, True])
def test_a_sign_in_that_lies(
    lies: Lies, word: str, own: bool, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator, stored = registered()
    authenticator.get(sign_in_options(rp_id=RP, challenge=bytes(32), known=()))
    stored = msgspec.structs.replace(stored, sign_count=2)
    text, asked = sign_in(lies, authenticator, stored, alone=alone)
    assert reason(check_sign_in, text, asked) == word
    table = "SIGNED" if word == "counter" else "SIGN_IN"
    monkeypatch.setattr(passkeys, table, without(getattr(passkeys, table), word))
    left = reason(check_sign_in, text, asked)
    assert left == ("" if own else "invalid")


def test_every_check_has_a_lie() -> None:
    assert {word for word, _ in REGISTRATION} == {word for _, word, _ in REGISTRATION_LIES}
    assert {word for word, _ in (*SIGN_IN, *SIGNED)} == {word for _, word, _ in SIGN_IN_LIES} | {"not-asked"}


def test_a_passkey_that_was_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator, first = registered()
    _, text, asked = register(authenticator=authenticator)
    second = check_registration(text, asked)
    challenge = secrets.token_bytes(32)
    options = sign_in_options(rp_id=RP, challenge=challenge, known=())
    text = authenticator.get(options, identifier=second.public_id)
    asked = Asked(challenge, RP, ORIGIN, (first.public_id,), HANDLE, second)
    assert reason(check_sign_in, text, asked) == "not-asked"
    monkeypatch.setattr(passkeys, "SIGN_IN", without(SIGN_IN, "not-asked"))
    assert reason(check_sign_in, text, asked) == ""


def test_a_counter_that_nobody_signed_says_nothing_of_a_copy() -> None:
    authenticator, stored = registered()
    _, other = registered()
    stored = msgspec.structs.replace(stored, sign_count=9, public_key=other.public_key)
    text, asked = sign_in(lying(count=1), authenticator, stored)
    assert reason(check_sign_in, text, asked) == "invalid"


def test_a_signature_of_another_key_or_over_other_octets_is_invalid() -> None:
    authenticator, stored = registered()
    _, other = registered()
    text, asked = sign_in(lying(), authenticator, stored)
    swapped = msgspec.structs.replace(stored, public_key=other.public_key)
    assert reason(check_sign_in, text, msgspec_asked(asked, swapped)) == "invalid"
    text, asked = sign_in(lying(signature=bytes(70)), authenticator, stored)
    assert reason(check_sign_in, text, asked) == "invalid"


def msgspec_asked(asked: Asked, stored: Authenticator) -> Asked:
    return Asked(asked.challenge, asked.rp_id, asked.origin, asked.allowed, asked.handle, stored)


def test_a_stored_factor_of_another_id_or_kind_proves_nothing() -> None:
    authenticator, stored = registered()
    text, asked = sign_in(lying(), authenticator, stored)
    for wrong in (
        None,
        msgspec.structs.replace(stored, public_id=b"x"),
        msgspec.structs.replace(stored, kind="totp"),
    ):
        given = Asked(asked.challenge, RP, ORIGIN, asked.allowed, HANDLE, wrong)
        assert reason(check_sign_in, text, given) != ""


def test_a_name_twice_in_the_client_data_is_refused() -> None:
    authenticator, stored = registered()
    text, asked = sign_in(lying(), authenticator, stored)
    document = json.loads(text)
    client = unb64(document["response"]["clientDataJSON"]).decode()
    twice = client[:-1] + ', "origin": "https://evil.example"}'
    document["response"]["clientDataJSON"] = b64(twice.encode())
    assert reason(check_sign_in, json.dumps(document), asked) == "malformed"


# -- what is asked for -----------------------------------------------------------------------------


def test_the_options_ask_for_verification_residence_and_three_algorithms() -> None:
    _, stored = registered()
    options = json.loads(
        registration_options(
            rp_id=RP, rp_name="S", address="a@b.c", handle=HANDLE, challenge=b"c" * 32, known=(stored,)
        )
    )
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert [p["alg"] for p in options["pubKeyCredParams"]] == [-8, -7, -257]
    assert options["attestation"] == "none"
    assert options["rp"]["id"] == RP
    assert [c["id"] for c in options["excludeCredentials"]] == [b64(stored.public_id)]
    options = json.loads(sign_in_options(rp_id=RP, challenge=b"c" * 32, known=(stored,)))
    assert options["userVerification"] == "required"
    assert [c["id"] for c in options["allowCredentials"]] == [b64(stored.public_id)]


# -- anything at all -------------------------------------------------------------------------------

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=60).map(b64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "id",
        "rawId",
        "type",
        "response",
        "clientDataJSON",
        "attestationObject",
        "authenticatorData",
        "signature",
    ]
)
documents = st.dictionaries(fields, json_values, max_size=5)


@given(st.text(max_size=200) | documents.map(json.dumps))
def test_any_text_is_refused_with_one_error(text: str) -> None:
    for check in (check_registration, check_sign_in):
        with pytest.raises(PasskeyError):
            check(text, Asked(b"c" * 32, RP, ORIGIN, (), HANDLE, Authenticator(id="", kind="passkey")))


_AUTHENTICATOR, _TEXT, _ASKED = register()
_SIGNING, _STORED = registered()
_SIGNED, _SIGN_ASKED = sign_in(lying(), _SIGNING, _STORED)


@given(st.data())
def test_a_damaged_answer_is_refused_with_one_error(data: st.DataObject) -> None:
    text, asked, check, parts = data.draw(
        st.sampled_from(
            [
                (_TEXT, _ASKED, check_registration, ("clientDataJSON", "attestationObject")),
                (_SIGNED, _SIGN_ASKED, check_sign_in, ("clientDataJSON", "authenticatorData", "signature")),
            ]
        )
    )
    document = json.loads(text)
    part = data.draw(st.sampled_from(parts))
    octets = bytearray(unb64(document["response"][part]))
    at = data.draw(st.integers(0, len(octets) - 1))
    if data.draw(st.booleans()):
        octets[at] ^= data.draw(st.integers(1, 255))
    else:
        del octets[at:]
    document["response"][part] = b64(bytes(octets))
    try:
        check(json.dumps(document), asked)
    except PasskeyError:
        return
    # Nothing signs a registration's authenticator data with attestation "none", nor the spelling of client data in it.
    assert check is check_registration
