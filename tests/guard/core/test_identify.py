"""What a login proves: the table of everything a client can present."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambeson.guard.core import identify as module
from gambeson.guard.core.identify import identify, presented
from gambeson.model import device_secret
from gambeson.model.access import Identity, Mechanism, RawLogin, Rung
from gambeson.model.asset import Account
from gambeson.model.organisation import Organisation
from gambeson.model.snapshot import Snapshot, SnapshotIndex


def who(world, raw, fingerprint="", domain=""):
    return identify(raw, fingerprint, world.index(), world.key, world.now, domain)


ALICE = ("alice@example.org", "a.smith@example.org", "Alice@EXAMPLE.org", "alice@example.org.")


@pytest.mark.parametrize("name", ALICE)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "USER", "IMAP-LOGIN"])
def test_device_secret_opens_under_every_name_of_the_account(world, name, mechanism):
    got = who(world, world.login(name, world.secrets["alice"].text, mechanism=mechanism))
    assert (got.account, got.device, got.credential) == ("a1", "d1", "c-d1")
    assert (got.organisation, got.rung, got.failure) == ("o", Rung.DEVICE_SECRET, "")


def test_a_bare_name_is_completed(world):
    got = who(world, world.login("Alice", world.secrets["alice"].text), domain="example.org")
    assert (got.account, got.claimed) == ("a1", "alice@example.org")


def test_a_bare_name_means_the_only_domain_of_the_only_organisation():
    snapshot = Snapshot(
        1,
        0.0,
        (Organisation("o", "One", ("example.org",)),),
        (Account("a1", "o", "alice@example.org"),),
    )
    raw = RawLogin(Mechanism.PLAIN, "alice", "hunter2")
    assert identify(raw, "", SnapshotIndex(snapshot), bytes(32), 0.0).claimed == "alice@example.org"
    for others in (
        (Organisation("o", "One", ("example.org", "example.net")),),
        (Organisation("o", "One", ("example.org",)), Organisation("p", "Two", ("example.net",))),
    ):
        more = SnapshotIndex(replace(snapshot, organisations=others))
        assert identify(raw, "", more, bytes(32), 0.0).claimed != "alice@example.org"


def test_a_phone_that_capitalises_is_forgiven(world):
    assert who(world, world.login("alice@example.org", world.secrets["alice"].text.upper())).account == "a1"


@pytest.mark.parametrize("password", ["correct horse", "", "gam-", "gam-00000000", "x" * 4096])
@pytest.mark.parametrize("name", ["alice@example.org", "nobody@example.org"])
def test_a_password_proves_nothing_and_says_nothing(world, name, password):
    assert who(world, world.login(name, password)) == Identity(name, "o")


def test_known_and_unknown_names_differ_in_nothing_but_the_name(world):
    known = who(world, world.login("alice@example.org", "hunter2"))
    unknown = who(world, world.login("zoe@example.org", "hunter2"))
    assert (known.organisation, known.rung, known.failure) == (
        unknown.organisation,
        unknown.rung,
        unknown.failure,
    )


def stranger():
    return device_secret.make(b"\x77" * 23).text


def almost(world):
    """Alice's public id with another secret, and a checksum that fits."""
    made = device_secret.make(b"\x55" * 23)
    body = world.secrets["alice"].public_id + made.text[13:41]
    return f"gam-{body[:8]}-{body[8:]}{device_secret._check(body)}"


FAILURES = [
    # what goes wrong                what the record says
    ("another's name", "wrong-account"),
    ("a name nobody has", "wrong-account"),
    ("a name that is none", "wrong-account"),
    ("another's authzid", "wrong-account"),
    ("an unknown id", "credential-unknown"),
    ("a wrong secret", "secret-wrong"),
    ("a revoked credential", "credential-revoked"),
    ("a revocation in the future", "credential-revoked"),
    ("an expired credential", "credential-expired"),
    ("an expired device", "device-expired"),
    ("a missing device", "credential-without-device"),
    ("a missing account", "credential-without-device"),
    ("another organisation's device", "credential-without-device"),
    ("an empty verifier", "secret-wrong"),
]


@pytest.mark.parametrize(("case", "failure"), FAILURES)
def test_what_fails_proves_nothing(world, case, failure):
    name, secret, authzid = "alice@example.org", world.secrets["alice"].text, ""
    match case:
        case "another's name":
            name = "bob@example.org"
        case "a name nobody has":
            name = "zoe@example.org"
        case "a name that is none":
            name = "alice"
        case "another's authzid":
            authzid = "bob@example.org"
        case "an unknown id":
            secret = stranger()
        case "a wrong secret":
            secret = almost(world)
        case "a revoked credential":
            world.credential("alice", revoked_at=world.now - 1)
        case "a revocation in the future":
            world.credential("alice", revoked_at=world.now + 9)
        case "an expired credential":
            world.credential("alice", expires_at=world.now)
        case "an expired device":
            world.device("alice", expires_at=world.now - 1)
        case "a missing device":
            del world.devices["alice"]
        case "a missing account":
            del world.accounts["alice"]
        case "another organisation's device":
            world.device("alice", organisation="x")
        case "an empty verifier":
            world.credential("alice", verifier=b"")
    assert device_secret.parse(secret) is not None
    got = who(world, world.login(name, secret, authzid))
    assert got.failure == failure
    assert (got.account, got.device, got.credential, got.rung) == ("", "", "", Rung.NOTHING)


def test_a_credential_that_expires_later_opens(world):
    world.credential("alice", expires_at=world.now + 1).device("alice", expires_at=world.now + 1)
    assert who(world, world.login("alice@example.org", world.secrets["alice"].text)).account == "a1"


@pytest.mark.parametrize("authzid", ["", "alice@example.org", "A.Smith@example.org"])
def test_authzid_may_name_oneself(world, authzid):
    assert who(world, world.login("alice@example.org", world.secrets["alice"].text, authzid)).account == "a1"


def test_a_password_with_anothers_authzid_is_a_failure(world):
    assert who(world, world.login("alice@example.org", "pw", "bob@example.org")).failure == "wrong-account"
    assert who(world, world.login("alice@example.org", "pw", "a.smith@example.org")).failure == ""


CERTIFICATE = [
    # mechanism, name, authzid, password        account  failure
    ("EXTERNAL", "", "", "", "a1", ""),
    ("EXTERNAL", "", "alice@example.org", "", "a1", ""),
    ("EXTERNAL", "", "a.smith@example.org", "", "a1", ""),
    ("EXTERNAL", "", "bob@example.org", "", "", "wrong-account"),
    ("EXTERNAL", "", "not an address", "", "", "wrong-account"),
    ("PLAIN", "alice@example.org", "", "anything", "a1", ""),
    ("LOGIN", "a.smith@example.org", "", "", "a1", ""),
    ("PLAIN", "bob@example.org", "", "anything", "", "wrong-account"),
    ("PLAIN", "", "", "anything", "", "wrong-account"),
    ("PLAIN", "alice@example.org", "bob@example.org", "anything", "", "wrong-account"),
]


@pytest.mark.parametrize(("mechanism", "name", "authzid", "password", "account", "failure"), CERTIFICATE)
def test_certificate(world, mechanism, name, authzid, password, account, failure):
    raw = world.login(name, password, authzid, mechanism)
    got = who(world, raw, world.fingerprint.upper())
    assert (got.account, got.failure) == (account, failure)
    assert got.rung is (Rung.DEVICE_KEY if account else Rung.NOTHING)


def test_external_without_authzid_claims_the_accounts_address(world):
    assert who(world, world.login("", mechanism="EXTERNAL"), world.fingerprint).claimed == "alice@example.org"


@pytest.mark.parametrize(
    ("values", "failure"),
    [({"revoked_at": 5.0}, "credential-revoked"), ({"expires_at": 5.0}, "credential-expired")],
)
def test_a_dead_certificate_fails_also_beside_a_good_secret(world, values, failure):
    world.credential("alice-cert", **values)
    raw = world.login("alice@example.org", world.secrets["alice"].text)
    assert who(world, raw, world.fingerprint).failure == failure
    assert who(world, world.login("", mechanism="EXTERNAL"), world.fingerprint).account == ""


def test_an_unknown_certificate_fails(world):
    assert who(world, world.login("", mechanism="EXTERNAL"), "cd" * 32).failure == "credential-unknown"
    assert who(world, world.login("", mechanism="EXTERNAL")).failure == "no-certificate"


def test_a_secrets_public_id_is_no_fingerprint(world):
    raw = world.login("", mechanism="EXTERNAL")
    assert who(world, raw, world.secrets["alice"].public_id).failure == "credential-unknown"


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize("fingerprint", ["", "ab" * 32])
def test_single_sign_on_is_refused_with_its_reason(world, mechanism, fingerprint):
    raw = world.login("alice@example.org", world.secrets["alice"].text, mechanism=mechanism)
    got = who(world, raw, fingerprint)
    assert (got.failure, got.account) == ("single-sign-on-not-offered", "")


def test_known_and_unknown_ids_cost_one_comparison_each(world, monkeypatch):
    compared = []
    real = device_secret.matches
    monkeypatch.setattr(
        module.device_secret, "matches", lambda *a: compared.append(len(a[2])) or real(*a), raising=True
    )
    for secret in (stranger(), almost(world), world.secrets["alice"].text):
        who(world, world.login("alice@example.org", secret))
    assert compared == [32, 32, 32]


def test_the_key_must_have_its_length(world):
    with pytest.raises(ValueError, match="32"):
        identify(world.login("a", "b"), "", world.index(), b"short", world.now)


def test_another_key_opens_nothing(world):
    raw = world.login("alice@example.org", world.secrets["alice"].text)
    assert identify(raw, "", world.index(), bytes(32), world.now).failure == "secret-wrong"


def test_presented_names_what_the_throttle_counts(world):
    secret = world.secrets["alice"]
    assert presented(world.login("a", secret.text)) == secret.public_id
    assert presented(world.login("a", "a password")) == ""
    assert presented(world.login("", mechanism="EXTERNAL"), "AB" * 32) == "ab" * 32


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=50), st.text(max_size=80), st.text(max_size=50), st.sampled_from(Mechanism))
def test_no_text_whatever_proves_anything(world, name, password, authzid, mechanism):
    raw = RawLogin(mechanism, name, password, authzid)
    got = identify(raw, "", world.index(), world.key, world.now, "example.org")
    assert (got.account, got.device, got.credential, got.rung) == ("", "", "", Rung.NOTHING)
