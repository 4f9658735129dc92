"""The keeper and the portal: what the console is answered, and everything that it is not, however it asks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import argon2
import process_world as sample
import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from gambeson.model import session_token
from gambeson.model.access import DoorKind, Rung
from gambeson.model.asset import Account
from gambeson.model.server import Endpoint
from gambeson.model.session_token import SESSION_PREFIX, Claims
from gambeson.model.web import Product, Site
from gambeson.process import keeper_messages as k
from gambeson.process import messages as m
from gambeson.process.channel import Channel, ChannelRefused
from gambeson.process.child import Peer
from gambeson.process.keeper import Keeper
from gambeson.process.keeper_core import KeeperCore
from gambeson.process.keeper_passwords import Passwords
from gambeson.process.keeper_portal import fitting_step
from gambeson.process.packet import pair
from gambeson.process.portal_messages import CodeVerifierAsk, SessionTokenAsk, TotpAsk, TotpStep

NOW = sample.NOW
SITE = Site(
    "mail",
    Product.ROUNDCUBE,
    ("mail.sample.example",),
    Endpoint(DoorKind.WEBMAIL, "web.example", 443),
    device_hosts=("phones.sample.example",),
)
CLAIMS = Claims(
    "web-1",
    "o1",
    "a1",
    "ada@sample.example",
    Rung.KNOWLEDGE_AND_CODE,
    "mail.sample.example:8443",
    NOW,
    NOW + 900,
    NOW + 12 * 3600,
)
SECRET = b"12345678901234567890"  # RFC 6238, appendix B


class World:
    def __init__(self, keys, **changes):
        self.recorded, self.disk = [], True
        self.core = KeeperCore(keys, record_portal=self._record)
        self.core.take(sample.index(keys.device, **{"sites": (SITE,), **changes}))

    def _record(self, kind, organisation, account, data):
        self.recorded.append((kind, organisation, account, data.get("outcome", "")))
        return self.disk

    def ask(self, message, now=NOW, role="portal"):
        return self.core.answer(role, role, message, now)

    def sign(self, now=NOW, **changed):
        return self.ask(SessionTokenAsk(claims=session_token.octets(replace(CLAIMS, **changed))), now)


# -- session tokens ------------------------------------------------------------------------------------


def test_a_session_token_is_signed_with_its_own_key_and_recorded(keys):
    world = World(keys)
    signature = world.sign().value
    octets = session_token.octets(CLAIMS)
    keys.session.public_key().verify(signature, SESSION_PREFIX + octets)
    with pytest.raises(InvalidSignature):
        keys.audit.public_key().verify(signature, SESSION_PREFIX + octets)
    assert world.core.opened(session_token.token(octets, signature), NOW) == CLAIMS
    assert world.recorded == [("keeper.session.signed", "o1", "a1", "signed")]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"account": "a2"}, "another-account"),
        ({"account": "nobody"}, "another-account"),
        ({"organisation": "o2"}, "another-account"),
        ({"address": "bob@sample.example"}, "another-account"),
        ({"host": "elsewhere.example"}, "no-such-site"),
        ({"host": "phones.sample.example"}, "no-such-site"),
        ({"session": "web-ended"}, "session-ended"),
        ({"issued": NOW - 61, "expires": NOW + 800}, "not-now"),
        ({"issued": NOW + 61, "expires": NOW + 900}, "not-now"),
        ({"ends": NOW + 13 * 3600}, "too-long"),
        ({"expires": NOW + 901}, "malformed"),
        ({"expires": NOW - 1, "issued": NOW - 2}, "not-now"),
        ({"session": ""}, "malformed"),
    ],
)
def test_claims_that_are_not_true_here_are_not_signed(keys, changed, reason):
    world = World(keys, ended_sessions=("web-ended",))
    answer = world.sign(**changed)
    assert isinstance(answer, m.Refused)
    assert answer.reason == reason
    assert [r[0] for r in world.recorded] == ["keeper.session.refused"]


@pytest.mark.parametrize("changes", [{"account": {"enabled": False}}, {"site": {"organisation": "o2"}}])
def test_a_disabled_account_or_anothers_site_gets_no_token(keys, changes):
    ada = replace(Account("a1", "o1", "ada@sample.example"), **changes.get("account", {}))
    site = replace(SITE, **changes.get("site", {}))
    answer = World(keys, accounts=(ada,), sites=(site,)).sign()
    assert answer.reason == ("account-disabled" if "account" in changes else "no-such-site")


def test_without_a_fresh_snapshot_nothing_is_signed(keys):
    world = World(keys)
    later = NOW + 3601
    assert world.sign(now=later, issued=later, expires=later + 1).reason == "no-fresh-snapshot"


def test_one_account_gets_so_many_tokens_and_no_more(keys):
    world = World(keys)
    answers = [world.sign() for _ in range(210)]
    assert sum(isinstance(a, m.Octets) for a in answers) == 200
    assert answers[-1] == m.Refused(reason="too-many")


@given(st.binary(max_size=300))
def test_any_octets_as_claims_are_refused_or_signed_as_they_are(keys, raw):
    answer = World(keys).ask(SessionTokenAsk(claims=raw))
    assert answer == m.Refused(reason="malformed")


# -- one-time codes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2e10, "353130"),
    ],
)
def test_the_codes_are_those_of_the_standard(at, code):
    assert fitting_step(SECRET, code, at, -1) == at // 30


def totp(keys, code, context="totp:a1", **more):
    return TotpAsk(sealed=keys.sealer.seal(SECRET, "totp:a1"), context=context, code=code, **more)


def test_a_code_is_right_one_step_early_and_late_and_never_again(keys):
    world = World(keys)
    for now, answer in (
        (-31.0, m.Refused(reason="wrong")),
        (0.0, TotpStep(step=1)),
        (30.0, TotpStep(step=1)),
        (59.0, TotpStep(step=1)),
        (89.0, TotpStep(step=1)),
        (90.0, m.Refused(reason="wrong")),
    ):
        assert world.ask(totp(keys, "287082"), now) == answer
    assert world.ask(totp(keys, "287082", last_step=0), 59.0) == TotpStep(step=1)
    assert world.ask(totp(keys, "287082", last_step=1), 59.0) == m.Refused(reason="wrong")


@pytest.mark.parametrize("code", ["", "28708", "2870820", " 287082", "28708\u0662", "-87082", "287 082"])
def test_what_is_not_six_digits_is_wrong(keys, code):
    assert World(keys).ask(totp(keys, code), 59.0) == m.Refused(reason="wrong")


def test_a_secret_opens_only_under_its_own_context(keys):
    world = World(keys)
    assert world.ask(totp(keys, "287082", context="totp:a2"), 59.0).reason == "cannot"
    assert world.ask(totp(keys, "287082", context="account-password/o1/a1"), 59.0).reason == "not-for-you"
    short = TotpAsk(sealed=keys.sealer.seal(b"short", "totp:x"), context="totp:x", code="000000")
    assert world.ask(short).reason == "cannot"


def test_wrong_codes_are_counted_by_secret_and_right_ones_are_not(keys):
    world = World(keys, made_at=59.0)
    for _ in range(50):
        assert isinstance(world.ask(totp(keys, "287082"), 59.0), TotpStep)
    answers = [world.ask(totp(keys, "000000"), 59.0).reason for _ in range(21)]
    assert answers == ["wrong"] * 20 + ["too-many"]
    assert world.ask(totp(keys, "287082"), 59.0).reason == "too-many"
    assert world.recorded[-1] == ("keeper.totp.refused", "o1", "a1", "too-many")
    other = TotpAsk(sealed=keys.sealer.seal(SECRET, "totp:other"), context="totp:other", code="287082")
    assert isinstance(world.ask(other, 59.0), TotpStep)


# -- verifiers, seals, certificates --------------------------------------------------------------------


def test_a_code_has_another_verifier_under_another_context_and_the_same_however_it_is_written(keys):
    world = World(keys)

    def verifier(code, context="recovery:a1"):
        return world.ask(CodeVerifierAsk(code=code, context=context)).value

    assert verifier("ABCD-EFGH") == verifier("abcd efgh") == verifier("abcdefgh")
    assert (
        len(
            {
                verifier("abcd"),
                verifier("abce"),
                verifier("abcd", "recovery:a2"),
                verifier("abcd", "binding:a1"),
            }
        )
        == 4
    )
    assert len(verifier("x")) == 32


@pytest.mark.parametrize("context", ["", "totp:a1", "account-password/o1/a1", "xbinding:"])
def test_no_verifier_for_anything_else(keys, context):
    assert World(keys).ask(CodeVerifierAsk(code="x", context=context)).reason == "not-for-you"


def test_an_administrator_makes_binding_codes_and_no_recovery_codes(keys):
    world = World(keys)
    assert isinstance(world.ask(CodeVerifierAsk(code="x", context="binding:a1"), role="command"), m.Octets)
    assert world.ask(CodeVerifierAsk(code="x", context="recovery:a1"), role="command").reason == "not-for-you"


def test_verifiers_of_one_context_have_a_rate(keys):
    world = World(keys)
    answers = [world.ask(CodeVerifierAsk(code=str(n), context="recovery:a1")) for n in range(101)]
    assert sum(isinstance(a, m.Octets) for a in answers) == 100
    assert answers[-1].reason == "too-many"
    assert isinstance(world.ask(CodeVerifierAsk(code="1", context="recovery:a2")), m.Octets)


@pytest.mark.parametrize(
    ("plain", "context", "good"),
    [
        (SECRET, "totp:a1", True),
        (SECRET, "account-password/o1/a1", False),
        (SECRET, "keeper-keys", False),
        (SECRET, "", False),
        (b"short", "totp:a1", False),
        (bytes(65), "totp:a1", False),
    ],
)
def test_the_portal_seals_totp_secrets_and_nothing_else(keys, plain, context, good):
    answer = World(keys).ask(k.SealAsk(plain=plain, context=context))
    assert isinstance(answer, m.Octets) == good
    if not good:
        assert answer.reason == "not-for-you"


@pytest.mark.parametrize(
    "message",
    [
        k.SignHeadAsk(payload=b"x"),
        k.HashPasswordAsk(password="x"),
        k.PublicKeysAsk(),
        k.RevocationListAsk(),
        k.KeeperHello(),
        k.CredentialAsk("a1", "main", "imap", "", secret=sample.ADA.text),
        k.PasswordAsk("a1", "x", "imap", "", certificate=b"x"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_the_portal_gets_nothing_of_the_administrators_or_of_the_doors(keys, message):
    assert World(keys).ask(message).reason == "not-for-you"


def test_what_the_portal_has_issued_is_recorded_and_else_not_issued(keys):
    world = World(keys)
    question = k.CertificateAsk(credential="c9", name="Phone", address="ada@sample.example")
    assert isinstance(world.ask(question), k.CertificateGiven)
    assert world.recorded == [("keeper.certificate.issued", "", "", "")]
    world.disk = False
    for refused in (question, SessionTokenAsk(claims=session_token.octets(CLAIMS)), totp(keys, "287082")):
        assert world.ask(refused).reason == "not-recorded"
    world.disk = True
    assert [type(world.ask(question)) for _ in range(99)][-1] is m.Refused
    assert isinstance(world.ask(question, role="command"), k.CertificateGiven)


# -- passwords, and the channel itself -----------------------------------------------------------------


def test_the_portals_wrong_passwords_are_counted_by_hash_and_unknown_people_are_all_alike(keys, monkeypatch):
    monkeypatch.setattr("gambeson.process.keeper_passwords.PORTAL_BURST", 3.0)
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    core = KeeperCore(keys)
    passwords = Passwords(core, lambda *_: True, hasher)
    hashed = hasher.hash(core.peppered("correct horse"))

    async def tried(password, stored, now=NOW):
        answer = await passwords.at_portal(k.CheckPasswordAsk(password=password, hashed=stored), now)
        return "right" if isinstance(answer, m.Done) else answer.reason

    async def main():
        assert [await tried("correct horse", hashed) for _ in range(6)] == ["right"] * 6
        assert [await tried("wrong", "") for _ in range(6)] == ["wrong"] * 6
        assert [await tried("wrong", hashed) for _ in range(4)] == ["wrong"] * 3 + ["too-many"]
        assert await tried("correct horse", hashed) == "too-many"
        assert await tried("correct horse", hashed, NOW + 86400) == "right"

    asyncio.run(main())


def test_over_its_channel_the_portal_is_answered_and_a_door_is_not(keys):
    async def main():
        keeper = Keeper(keys, hasher=argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        channels = {}
        for role in ("portal", "doors"):
            ours, theirs = pair()
            keeper.add_peer(Peer(role, role, ours))
            channels[role] = Channel(theirs, m.Done, lambda *_: None)
        question = CodeVerifierAsk(code="x", context="binding:a1")
        given = await channels["portal"].request(question, m.Octets)
        assert len(given.value) == 32
        for role, message in (
            ("doors", question),
            ("doors", k.CheckPasswordAsk(password="x", hashed="")),
            ("portal", k.HashPasswordAsk(password="x")),
            ("portal", k.SignHeadAsk(payload=b"x")),
        ):
            with pytest.raises(ChannelRefused) as refused:
                await channels[role].request(message, m.Octets)
            assert refused.value.reason == "not-for-you"
        with pytest.raises(ChannelRefused) as wrong:
            await channels["portal"].request(k.CheckPasswordAsk(password="x", hashed=""), m.Done)
        assert wrong.value.reason == "wrong"
        for name in channels:
            keeper.remove_peer(name)
            channels[name].close()

    asyncio.run(main())


def test_no_repr_shows_a_code(keys):
    shown = repr([totp(keys, "287082"), CodeVerifierAsk(code="ABCD-EFGH", context="binding:a1")])
    assert "287082" not in shown
    assert "ABCD" not in shown
