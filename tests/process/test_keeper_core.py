"""The keeper believes nobody: every way to ask for what one may not have, and what it says."""

from __future__ import annotations

from dataclasses import replace

import process_world as sample
import pytest
from cryptography import x509
from joserfc import jwt
from joserfc.jwk import ECKey

from gambeson.model.access import DoorKind
from gambeson.model.asset import Credential, CredentialKind, DeviceState
from gambeson.model.server import MailServer, SignIn
from gambeson.process import keeper_messages as k
from gambeson.process import messages as m
from gambeson.process.keeper_client import verify_head
from gambeson.process.keeper_core import KeeperCore
from gambeson.process.keeper_roles import ALLOWED
from gambeson.process.portal_messages import CodeVerifierAsk, SessionTokenAsk, TotpAsk
from gambeson.process.sealing import account_context

NOW = sample.NOW
ASK = k.CredentialAsk("a1", "main", "imap", "192.0.2.1", secret=sample.ADA.text)


def core(keys, **changes):
    recorded = []
    made = KeeperCore(
        keys,
        masters={"main": "the-master-password"},
        record=lambda door, ask, found, outcome: recorded.append((door, ask.account, outcome)) or True,
    )
    made.take(sample.index(keys.device, **changes))
    made.recorded = recorded
    return made


def ask(made, question=ASK, now=NOW):
    return made.answer("doors", "doors.1.0", question, now)


def test_a_proven_device_gets_a_token_that_an_independent_library_accepts(keys):
    made = core(keys)
    given = ask(made)
    assert (given.mechanism, given.authcid, given.authzid) == ("OAUTHBEARER", "ada", "")
    public = made.answer("worker", "worker", k.PublicKeysAsk(), NOW)
    key = ECKey.import_key(public.token_pem.encode())
    token = jwt.decode(given.secret.decode(), key, algorithms=["ES256"])
    claims = token.claims
    assert token.header["kid"] == public.token_kid == key.thumbprint()
    assert claims["aud"] == claims["azp"] == "mail"
    assert claims["sub"] == claims["email"] == "ada"
    assert claims["exp"] - claims["nbf"] <= 60
    assert claims["nbf"] <= NOW < claims["exp"]
    assert made.recorded == [("doors.1.0", "a1", "given")]


def test_a_token_is_given_again_for_less_than_thirty_seconds_and_is_bound_to_credential(keys):
    made = core(keys)
    first = ask(made).secret
    assert ask(made, now=NOW + 29).secret == first
    assert ask(made, now=NOW + 31).secret != first


def world(keys, **changes):
    """The sample with attributes of Ada's things changed: ``device__state=...``."""
    base = sample.snapshot(1, keys.device)
    out = {}
    for name, value in changes.items():
        what, field = name.split("__")
        plural = {
            "account": "accounts",
            "device": "devices",
            "credential": "credentials",
            "server": "servers",
        }[what]
        first, *rest = getattr(base, plural)
        out[plural] = (replace(first, **{field: value}), *rest)
    return out


@pytest.mark.parametrize(
    ("changes", "question", "reason"),
    [
        ({}, {"secret": sample.ADA.text[:-1] + "x"}, "not-proven"),
        ({}, {"secret": ""}, "not-proven"),
        ({}, {"secret": "hunter2"}, "not-proven"),
        ({}, {"secret": sample.device_secret.make(b"x" * 23).text}, "not-proven"),
        ({}, {"secret": sample.BOB.text}, "another-account"),
        ({}, {"certificate": b"not one"}, "not-proven"),
        ({}, {"account": "a2"}, "another-account"),
        ({}, {"account": "nobody"}, "another-account"),
        ({}, {"door": "submission"}, "another-door"),
        ({}, {"door": "nonsense"}, "another-door"),
        ({}, {"server": "other"}, "no-such-server"),
        ({"credential__revoked_at": NOW - 1}, {}, "revoked"),
        ({"credential__expires_at": NOW}, {}, "expired"),
        ({"device__expires_at": NOW - 1}, {}, "expired"),
        ({"device__state": DeviceState.LOST}, {}, "device-lost"),
        ({"device__state": DeviceState.QUARANTINED}, {}, "device-quarantined"),
        ({"device__state": DeviceState.BLOCKED}, {}, "device-blocked"),
        ({"device__organisation": "o2"}, {}, "another-organisation"),
        ({"account__organisation": "o2"}, {}, "another-organisation"),
        ({"account__enabled": False}, {}, "account-disabled"),
        ({"account__server": "branch"}, {}, "no-such-server"),
        ({"server__organisation": "o2"}, {}, "no-such-server"),
        ({"server__sign_in": SignIn.AS_IS}, {}, "as-is"),
        ({"server__sign_in": SignIn.SEALED}, {}, "cannot-sign-in"),
        ({"server__sign_in": SignIn.MASTER}, {}, "cannot-sign-in"),
    ],
)
def test_refused(keys, changes, question, reason):
    made = core(keys, **world(keys, **changes))
    fields = {f: getattr(ASK, f) for f in ASK.__struct_fields__} | question
    if "certificate" in question:
        fields["secret"] = ""
    answer = ask(made, k.CredentialAsk(**fields))
    assert isinstance(answer, m.Refused)
    assert answer.reason == reason
    assert made.recorded[-1][2] == reason


def test_both_proofs_at_once_are_none(keys):
    assert (
        ask(core(keys), k.CredentialAsk("a1", "main", "imap", "", sample.ADA.text, b"x")).reason
        == "not-proven"
    )


def test_a_revoked_credential_is_refused_from_the_very_snapshot_on_and_no_token_is_kept(keys):
    made = core(keys)
    assert isinstance(ask(made), k.CredentialGiven)
    made.take(sample.index(keys.device, **world(keys, credential__revoked_at=NOW)))
    assert ask(made).reason == "revoked"


def test_without_a_fresh_snapshot_nobody_gets_anything(keys):
    made = KeeperCore(keys)
    assert ask(made).reason == "no-fresh-snapshot"
    made.take(sample.index(keys.device))
    assert isinstance(ask(made), k.CredentialGiven)
    assert ask(made, now=NOW + 3601).reason == "no-fresh-snapshot"


def test_what_cannot_be_recorded_is_not_answered(keys):
    made = KeeperCore(keys, record=lambda *_: False)
    made.take(sample.index(keys.device))
    assert ask(made).reason == "not-recorded"


def test_one_account_is_held_to_its_rate_and_others_are_not(keys):
    made = core(keys)
    answers = [ask(made) for _ in range(3100)]
    given = sum(isinstance(a, k.CredentialGiven) for a in answers)
    assert given == 3000
    assert answers[-1].reason == "too-many"
    bob = k.CredentialAsk("a2", "main", "imap", "", secret=sample.BOB.text)
    assert isinstance(ask(made, bob), k.CredentialGiven)
    assert isinstance(ask(made, now=NOW + 1), k.CredentialGiven)


def test_master_acts_as_the_account(keys):
    server = MailServer("main", "o1", sign_in=SignIn.MASTER, master_login="door")
    given = ask(core(keys, servers=(server,)))
    assert (given.mechanism, given.authcid, given.authzid, given.secret) == (
        "PLAIN",
        "door",
        "ada",
        b"the-master-password",
    )


def test_sealed_opens_the_accounts_own_box_and_no_other(keys):
    server = MailServer("main", "o1", sign_in=SignIn.SEALED)
    box = keys.sealer.seal(b"upstream-password", account_context("o1", "a1"))
    made = core(keys, servers=(server,), **world(keys, account__sealed_password=box))
    assert ask(made).secret == b"upstream-password"
    stolen = keys.sealer.seal(b"bobs", account_context("o1", "a2"))
    made = core(keys, servers=(server,), **world(keys, account__sealed_password=stolen))
    assert ask(made).reason == "cannot-sign-in"


def test_a_certificate_proves_by_its_fingerprint_while_it_lives(keys):
    issued = keys.authority.issue(credential="c9", name="Ada's laptop", address="ada@sample.example", now=NOW)
    der = sample_der(issued.certificate_pem)
    row = Credential("c9", "o1", "d1", CredentialKind.CERTIFICATE, issued.fingerprint)
    question = k.CredentialAsk("a1", "main", "imap", "", certificate=der)
    assert isinstance(ask(core(keys, credentials=(row,)), question), k.CredentialGiven)
    assert ask(core(keys, credentials=(replace(row, revoked_at=1.0),)), question).reason == "revoked"
    broken = k.CredentialAsk("a1", "main", "imap", "", certificate=der, transcript=b"garbage")
    assert ask(core(keys, credentials=(row,)), broken).reason == "not-proven"


def test_a_fingerprint_alone_counts_only_where_an_edge_ends_tls(keys):
    row = Credential("c9", "o1", "d1", CredentialKind.CERTIFICATE, "ab" * 32)
    question = k.CredentialAsk("a1", "main", "imap", "", fingerprint="ab" * 32)
    assert ask(core(keys, credentials=(row,)), question).reason == "not-proven"
    made = KeeperCore(keys, edges=True)
    made.take(sample.index(keys.device, credentials=(row,)))
    assert isinstance(ask(made, question), k.CredentialGiven)
    for wrong, reason in (
        ({"fingerprint": "cd" * 32}, "not-proven"),
        ({"account": "a2"}, "another-account"),
        ({"secret": sample.ADA.text}, "not-proven"),
        ({"certificate": b"x"}, "not-proven"),
    ):
        fields = {f: getattr(question, f) for f in question.__struct_fields__} | wrong
        assert ask(made, k.CredentialAsk(**fields)).reason == reason
    made.take(sample.index(keys.device, credentials=(replace(row, revoked_at=1.0),)))
    assert ask(made, question).reason == "revoked"


def sample_der(pem: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def test_the_revocation_list_names_what_was_recorded_and_what_the_snapshot_still_has(keys):
    of = keys.authority.serial
    rows = [Credential(f"c{n}", "o1", "d1", CredentialKind.CERTIFICATE, f"{n:064x}") for n in (5, 6, 7)]
    rows[1:] = [replace(row, revoked_at=NOW - 3) for row in rows[1:]]
    recorded = ((f"{of('c7'):x}", NOW - 3), (f"{of('of a device that is gone'):x}", NOW - 8))
    made = core(keys, credentials=tuple(rows), revoked=recorded)
    pem = made.answer("command", "command", k.RevocationListAsk(), NOW).text
    listed = [r.serial_number for r in x509.load_pem_x509_crl(pem.encode())]
    assert sorted(listed) == sorted(of(c) for c in ("c6", "c7", "of a device that is gone"))


@pytest.mark.parametrize("serial", ["", "no number", "-1", "0", "f" * 64])
def test_a_snapshot_with_what_is_no_serial_number_gets_no_list(keys, serial):
    answer = core(keys, revoked=((serial, NOW),)).answer("command", "command", k.RevocationListAsk(), NOW)
    assert isinstance(answer, m.Refused)
    assert "no serial number" in answer.sentence


EVERY_REQUEST = [
    k.KeeperHello(),
    ASK,
    k.SecretVerifierAsk(secret=sample.ADA.text),
    k.SealAsk(plain=b"x", context="c"),
    k.SignHeadAsk(payload=b"x"),
    k.HashPasswordAsk(password="x"),
    k.CheckPasswordAsk(password="x", hashed="y"),
    k.PublicKeysAsk(),
    k.CertificateAsk(credential="c", name="n", address="a@b.example"),
    k.RevocationListAsk(),
    CodeVerifierAsk(code="x", context="binding:a1"),
    TotpAsk(sealed=b"", context="totp:", code="000000"),
    SessionTokenAsk(claims=b"[]"),
]
ADMINISTRATORS = {type(q).__name__ for q in EVERY_REQUEST[2:11]}
MAY = {
    "doors": {"KeeperHello", "CredentialAsk"},
    "worker": {"SignHeadAsk", "PublicKeysAsk"},
    # What it gets of these, and under which conditions: tests/process/test_keeper_portal.py.
    "portal": {
        "CheckPasswordAsk",
        "SecretVerifierAsk",
        "SealAsk",
        "CertificateAsk",
        "CodeVerifierAsk",
        "TotpAsk",
        "SessionTokenAsk",
    },
    "console": {
        "SecretVerifierAsk",
        "HashPasswordAsk",
        "PublicKeysAsk",
        "CertificateAsk",
        "RevocationListAsk",
        "CodeVerifierAsk",
    },
    "command": ADMINISTRATORS,
    "supervisor": set(),
    "stranger": set(),
}


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("question", EVERY_REQUEST, ids=lambda q: type(q).__name__)
def test_each_role_gets_what_it_may_ask_and_nothing_else(keys, role, question):
    answer = core(keys).answer(role, role, question, NOW)
    allowed = type(question).__name__ in MAY[role]
    assert allowed == (type(question) in ALLOWED.get(role, ()))
    if not allowed:
        assert isinstance(answer, m.Refused)
        assert answer.reason == "not-for-you"
    elif role != "portal" and not isinstance(question, k.HashPasswordAsk | k.CheckPasswordAsk):
        assert not isinstance(answer, m.Refused)


def test_audit_heads_are_signed_apart_from_everything_else(keys):
    made = core(keys)
    signature = made.answer("worker", "worker", k.SignHeadAsk(payload=b"head 7"), NOW).value
    assert verify_head(keys.audit_pem, b"head 7", signature)
    assert not verify_head(keys.audit_pem, b"head 8", signature)
    assert not verify_head(keys.token_pem, b"head 7", signature)


def test_no_repr_shows_a_secret(keys):
    given = ask(core(keys))
    shown = repr(given) + repr(ASK) + repr(EVERY_REQUEST) + repr(keys)
    assert sample.ADA.text not in shown
    assert given.secret.decode() not in shown
    assert keys.device.hex() not in shown


def test_the_door_kinds_are_the_models(keys):
    assert ASK.door == DoorKind.IMAP.value
