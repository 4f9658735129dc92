"""The proof finds every planted weakness and invents none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambeson.guard.core import compiled, floors
from gambeson.guard.core.decide import decide
from gambeson.guard.core.prove import prove, sentences
from gambeson.guard.core.prove_floors import _PROMISED
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import Account
from gambeson.model.decision import Decision, Opinion
from gambeson.model.rule import ModeEntry, Network, PolicyException
from gambeson.model.snapshot import SnapshotIndex

LATER = 10**10
POLICY = """
[floors]
sieve = "device-key"
[[network]]
name = "office"
cidrs = ["192.0.2.0/24"]
[[network]]
name = "guest"
cidrs = ["198.51.100.0/24", "2001:db8:9::/48"]
floors = { imap = "device-key" }
[[rule]]
name = "interns-at-night"
opinion = "deny"
groups = ["interns"]
hours = ["20:00", "06:00"]
[[rule]]
name = "risky"
opinion = "challenge"
risk_at_least = 80
[[rule]]
name = "at-home"
opinion = "allow"
countries = ["DE"]
"""


def clean(world):
    return world.rules(POLICY)


def test_the_default_policy_is_proven(world):
    proof = prove(world.index(), "o", world.now)
    assert proof.good
    assert (proof.open_by_exception, proof.open_by_mode, proof.open_by_bypass) == ((), (), ())
    assert proof.combinations > 500


def test_a_larger_policy_is_proven(world):
    proof = prove(clean(world).index(), "o", world.now)
    assert list(sentences(proof)) == []
    assert proof.combinations > 5000


def test_the_two_tables_of_floors_say_the_same():
    assert {door.value: rung.word for door, rung in compiled.DEFAULT_FLOORS.items()} == _PROMISED
    assert set(compiled.DEFAULT_FLOORS) == set(DoorKind)


# --- weakened decides: each is the real one with one fault


def passing(decision: Decision) -> Decision:
    return replace(decision, opinion=Opinion.ALLOW, mode=Mode.ENFORCE)


def no_tls_needed(r, i, now):
    return decide(replace(r, encrypted=True), i, now)


def pop3_forgotten(r, i, now):
    return passing(decide(r, i, now)) if r.door is DoorKind.POP3 and not r.encrypted else decide(r, i, now)


def throttle_ignored(r, i, now):
    return decide(replace(r, throttled=""), i, now)


def failures_ignored(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.rule == "floor:proof" else got


def stale_served(r, i, now):
    return decide(r, i, now, max_age=float("inf"))


def blocked_served(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.reason == "device-blocked" else got


def lost_served(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.reason == "device-lost" else got


def quarantine_served(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.opinion is Opinion.QUARANTINE else got


def revocation_ignored(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.reason == "credential-revoked" else got


def expiry_ignored(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.reason in ("credential-expired", "device-expired") else got


def disabled_served(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.reason == "account-disabled" else got


def any_door(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.reason == "door-not-allowed" else got


def machines_roam(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.reason == "network-not-allowed" else got


def organisations_mixed(r, i, now):
    got = decide(r, i, now)
    return passing(got) if got.reason == "organisation-mismatch" else got


def asserted_believed(r, i, now):
    return passing(decide(r, i, now)) if r.identity.rung is Rung.ASSERTED else decide(r, i, now)


def knowledge_enough_for_submission(r, i, now):
    got = decide(r, i, now)
    weak = r.door is DoorKind.SUBMISSION and r.identity.rung is Rung.KNOWLEDGE
    return passing(got) if weak and got.rule == "floor:rung" else got


def sieve_takes_secrets(r, i, now):
    weak = r.door is DoorKind.SIEVE and r.identity.rung is Rung.DEVICE_SECRET
    return passing(decide(r, i, now)) if weak else decide(r, i, now)


def guests_take_secrets(r, i, now):
    got = decide(r, i, now)
    weak = r.source.startswith("2001:db8:9:") and r.identity.rung is Rung.DEVICE_SECRET
    return passing(got) if weak and got.rule == "floor:rung" else got


def inside_is_trusted(r, i, now):
    got = decide(r, i, now)
    return passing(got) if r.source.startswith("192.0.2.") and got.rule == "floor:rung" else got


def code_at_api(r, i, now):
    weak = r.door is DoorKind.API and r.identity.rung is Rung.KNOWLEDGE_AND_CODE
    return passing(decide(r, i, now)) if weak else decide(r, i, now)


def rules_first(r, i, now):
    got = decide(r, i, now)
    return passing(got) if r.country == "DE" and got.rule == "floor:rung" else got


def nights_are_free(r, i, now):
    got = decide(r, i, now)
    return passing(got) if now % 86400 >= 72000 and got.rule == "floor:rung" else got


def interns_exempt(r, i, now):
    account = i.account_by_address.get(r.identity.claimed)
    weak = account is not None and "interns" in account.groups
    got = decide(r, i, now)
    return passing(got) if weak and got.rule == "floor:rung" else got


def made_up_names_pass(r, i, now):
    got = decide(r, i, now)
    return (
        passing(got) if r.identity.claimed not in i.account_by_address and got.rule == "floor:rung" else got
    )


def low_risk_passes(r, i, now):
    got = decide(r, i, now)
    return passing(got) if r.risk == 0 and r.identity.rung is Rung.KNOWLEDGE else got


def a_risky_country_passes(r, i, now):
    """Only where both hold, and only with a device secret below the floor of sieve."""
    got = decide(r, i, now)
    both = r.country == "DE" and r.risk >= 80 and r.identity.rung is Rung.DEVICE_SECRET
    return passing(got) if both and got.rule == "floor:rung" else got


def a_country_lifts_quarantine(r, i, now):
    got = decide(r, i, now)
    return passing(got) if r.country == "DE" and got.rule == "floor:quarantine" else got


def no_country_passes(r, i, now):
    got = decide(r, i, now)
    return passing(got) if r.country == "" and r.risk >= 80 and got.rule == "floor:rung" else got


def secret_without_device(r, i, now):
    got = decide(r, i, now)
    return passing(got) if r.identity.rung is Rung.DEVICE_SECRET and not r.identity.device else got


# --- at the web doors


def web(doors, fault):
    """The real decide, let pass where ``fault`` says so, at these doors only."""

    def mutant(r, i, now):
        got = decide(r, i, now)
        return passing(got) if r.door in doors and not got.passes and fault(r, got) else got

    return mutant


def named(name, mutant):
    mutant.__name__ = name
    return mutant


OWA, ECP, WEBMAIL = DoorKind.OWA, DoorKind.ECP, DoorKind.WEBMAIL
WEB_MUTANTS = [
    named(
        "owa_password_alone",
        web((OWA,), lambda r, g: r.identity.session and r.identity.rung is Rung.KNOWLEDGE),
    ),
    named("webmail_without_session", web((WEBMAIL,), lambda r, g: not r.identity.claimed)),
    named("ecp_asserted_name", web((ECP,), lambda r, g: r.identity.rung is Rung.ASSERTED)),
    named("ended_session_served", web((OWA, WEBMAIL), lambda r, g: g.reason == "session-ended")),
    named("session_at_imap", web((DoorKind.IMAP,), lambda r, g: r.identity.session)),
    named("session_at_eas", web((DoorKind.EAS,), lambda r, g: r.identity.session)),
    named("session_at_api", web((DoorKind.API,), lambda r, g: r.identity.session)),
    named("owa_takes_device_secrets", web((OWA,), lambda r, g: r.identity.rung is Rung.DEVICE_SECRET)),
    named(
        "session_of_a_switched_off_account",
        web((OWA,), lambda r, g: r.identity.session and g.reason == "account-disabled"),
    ),
    named(
        "session_of_another_organisation",
        web((OWA,), lambda r, g: r.identity.session and g.reason == "organisation-mismatch"),
    ),
    named(
        "session_under_a_stale_snapshot",
        web((WEBMAIL,), lambda r, g: r.identity.session and g.reason == "snapshot-stale"),
    ),
    named(
        "eas_password_alone",
        web((DoorKind.EAS,), lambda r, g: g.rule == "floor:rung" and r.identity.rung is Rung.NOTHING),
    ),
    named(
        "ews_knowledge_enough",
        web((DoorKind.EWS,), lambda r, g: g.rule == "floor:rung" and r.identity.rung is Rung.KNOWLEDGE),
    ),
    named("oab_forgotten", web((DoorKind.OAB,), lambda r, g: g.rule == "floor:rung")),
    named("autodiscover_anonymous", web((DoorKind.AUTODISCOVER,), lambda r, g: not r.identity.account)),
    named("mapi_serves_quarantined", web((DoorKind.MAPI,), lambda r, g: g.opinion is Opinion.QUARANTINE)),
    named("eas_serves_blocked", web((DoorKind.EAS,), lambda r, g: g.reason == "device-blocked")),
    named("ews_serves_revoked", web((DoorKind.EWS,), lambda r, g: g.reason == "credential-revoked")),
    named(
        "eas_takes_every_devices_secret", web((DoorKind.EAS,), lambda r, g: g.reason == "door-not-allowed")
    ),
    named(
        "key_without_device_at_eas",
        web((DoorKind.EAS,), lambda r, g: r.identity.rung is Rung.DEVICE_KEY and not r.identity.device),
    ),
]


@pytest.mark.parametrize("mutant", WEB_MUTANTS, ids=lambda m: m.__name__)
def test_every_planted_weakness_of_the_web_doors_is_found(world, mutant):
    breaches = prove(clean(world).index(), "o", world.now, mutant).breaches
    assert breaches
    # Only at the doors where it was planted, so each line says where to look.
    assert {b.door for b in breaches} <= {
        "owa",
        "ecp",
        "webmail",
        "imap",
        "eas",
        "ews",
        "mapi",
        "oab",
        "autodiscover",
        "api",
    }


def test_every_web_door_is_probed_with_and_without_a_session(world):
    seen = {}

    def spy(r, i, now):
        got = decide(r, i, now)
        if r.identity.session or not r.identity.claimed:
            seen.setdefault(r.door, set()).add((bool(r.identity.session), r.identity.rung, got.passes))
        return got

    assert prove(world.index(), "o", world.now, spy).good
    for door in (OWA, ECP, WEBMAIL):
        assert (True, Rung.KNOWLEDGE_AND_CODE, True) in seen[door]
        assert (True, Rung.DEVICE_KEY, True) in seen[door]
        assert (True, Rung.KNOWLEDGE, False) in seen[door]
        assert (False, Rung.NOTHING, False) in seen[door]
    for door in (DoorKind.EAS, DoorKind.EWS, DoorKind.IMAP, DoorKind.API):
        assert {passes for session, _, passes in seen[door] if session} == {False}


def test_a_web_door_that_observes_is_open_by_mode_also_for_nobody(world):
    world.with_policy(modes=(ModeEntry(OWA, Mode.OBSERVE, world.now + 500),))
    proof = prove(world.index(), "o", world.now)
    assert proof.good
    assert {(o.door, o.until) for o in proof.open_by_mode} == {("owa", world.now + 500)}
    assert "a browser without session" in {o.account for o in proof.open_by_mode}


MUTANTS = [
    no_tls_needed,
    pop3_forgotten,
    throttle_ignored,
    failures_ignored,
    stale_served,
    blocked_served,
    lost_served,
    quarantine_served,
    revocation_ignored,
    expiry_ignored,
    disabled_served,
    any_door,
    machines_roam,
    organisations_mixed,
    asserted_believed,
    knowledge_enough_for_submission,
    sieve_takes_secrets,
    guests_take_secrets,
    inside_is_trusted,
    code_at_api,
    rules_first,
    nights_are_free,
    interns_exempt,
    made_up_names_pass,
    low_risk_passes,
    a_risky_country_passes,
    a_country_lifts_quarantine,
    no_country_passes,
    secret_without_device,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
def test_every_planted_weakness_is_found(world, mutant):
    proof = prove(clean(world).index(), "o", world.now, mutant)
    assert proof.breaches
    assert all(line for line in sentences(proof))


@pytest.mark.parametrize("name", [name for name, _ in floors.HARD])
def test_a_floor_that_is_forgotten_is_found(world, name, monkeypatch):
    monkeypatch.setattr("gambeson.guard.core.decide.HARD", tuple(f for f in floors.HARD if f[0] != name))
    world.with_policy(modes=tuple(ModeEntry(d, Mode.OBSERVE, LATER) for d in DoorKind))
    assert prove(world.index(), "o", world.now).breaches


@pytest.mark.parametrize("door", DoorKind)
def test_a_default_floor_that_is_lowered_in_the_code_is_found(world, door, monkeypatch):
    lowered = Rung(compiled.DEFAULT_FLOORS[door] - 1)
    monkeypatch.setitem(compiled.DEFAULT_FLOORS, door, lowered)
    world.rules('[[rule]]\nname = "all"\nopinion = "allow"\n', default=False)
    breaches = prove(world.index(), "o", world.now).breaches
    assert {b.door for b in breaches} == {door.value}


# --- weakened policies

EXCEPTION = PolicyException("x", DoorKind.IMAP, Rung.KNOWLEDGE, "owner", "why", LATER, groups=("sales",))


@pytest.mark.parametrize(
    "weakened",
    [
        {"floors": ((DoorKind.IMAP, Rung.KNOWLEDGE),)},
        {"floors": ((DoorKind.WEBMAIL, Rung.DEVICE_SECRET),)},
        {"floors": ((DoorKind.OWA, Rung.KNOWLEDGE),)},
        {"floors": ((DoorKind.EAS, Rung.KNOWLEDGE),)},
        {"networks": (Network("n", ("192.0.2.0/24",), ((DoorKind.EWS, Rung.NOTHING),)),)},
        {"networks": (Network("n", ("192.0.2.0/24",), ((DoorKind.POP3, Rung.NOTHING),)),)},
    ],
)
def test_a_policy_that_declares_a_lower_floor_fails(world, weakened):
    proof = prove(world.with_policy(**weakened).index(), "o", world.now)
    assert not proof.good
    assert "declares" in proof.breaches[0].why


def test_an_exception_is_listed_apart_with_its_end(world):
    proof = prove(world.with_policy(exceptions=(EXCEPTION,)).index(), "o", world.now)
    assert proof.good
    assert {(o.door, o.account, o.until) for o in proof.open_by_exception} == {
        ("imap", "a member of sales", LATER)
    }


UNSOUND = [{"until": 0.0}, {"until": 1_800_000_000.0}, {"owner": ""}, {"reason": " "}, {"rung": Rung.NOTHING}]


@pytest.mark.parametrize("values", UNSOUND)
def test_an_unsound_exception_opens_nothing(world, values):
    proof = prove(world.with_policy(exceptions=(replace(EXCEPTION, **values),)).index(), "o", world.now)
    assert proof.good
    assert proof.open_by_exception == ()


@pytest.mark.parametrize("values", UNSOUND)
def test_a_decide_that_honours_an_unsound_exception_is_found(world, values):
    world.with_policy(exceptions=(replace(EXCEPTION, **values),))

    def lax(r, i, now):
        index = SnapshotIndex(
            replace(
                i.snapshot,
                policies=tuple(replace(p, exceptions=(EXCEPTION,)) for p in i.snapshot.policies),
            )
        )
        return decide(r, index, now)

    assert prove(world.index(), "o", world.now, lax).breaches


def test_a_decide_that_forgets_the_end_of_an_exception_is_found(world):
    """It holds today; the walk also looks at the moment it ends."""
    world.with_policy(exceptions=(replace(EXCEPTION, until=world.now + 1000),))
    assert prove(world.index(), "o", world.now).good

    def lax(r, i, now):
        return decide(r, i, min(now, world.now + 1)) if now == world.now + 1000 else decide(r, i, now)

    found = prove(world.index(), "o", world.now, lax).breaches
    assert {b.at for b in found} == {world.now + 1000}


def test_modes_are_open_until_they_end(world):
    world.with_policy(
        modes=(
            ModeEntry(DoorKind.IMAP, Mode.OBSERVE, world.now + 500),
            ModeEntry(DoorKind.POP3, Mode.WARN, LATER, group="sales"),
            ModeEntry(DoorKind.SIEVE, Mode.OBSERVE, world.now - 1),
        )
    )
    proof = prove(world.index(), "o", world.now)
    assert proof.good
    assert {(o.door, o.until) for o in proof.open_by_mode} == {("imap", world.now + 500), ("pop3", LATER)}
    assert {o.account for o in proof.open_by_mode if o.door == "pop3"} == {"a member of sales"}


def test_a_decide_that_forgets_the_end_of_a_mode_is_found(world):
    world.with_policy(modes=(ModeEntry(DoorKind.IMAP, Mode.OBSERVE, world.now + 500),))

    def lax(r, i, now):
        got = decide(r, i, now)
        bare = r.door is DoorKind.IMAP and got.rule == "floor:rung" and not r.identity.device
        return replace(got, mode=Mode.OBSERVE) if bare else got

    assert {b.at for b in prove(world.index(), "o", world.now, lax).breaches} == {world.now + 500}


def test_the_bypass_is_listed_and_ends(world):
    world.bypass = (("o", world.now + 60),)
    proof = prove(world.index(), "o", world.now)
    assert proof.good
    assert proof.open_by_bypass
    assert {o.until for o in proof.open_by_bypass} == {world.now + 60}


def test_named_accounts_are_walked(world):
    world.accounts["svc"] = Account("a9", "o", "scanner@example.org")
    world.with_policy(exceptions=(replace(EXCEPTION, groups=(), accounts=("scanner@example.org",)),))
    proof = prove(world.index(), "o", world.now)
    assert {o.account for o in proof.open_by_exception} == {"scanner@example.org"}


def test_an_unknown_organisation(world):
    with pytest.raises(KeyError):
        prove(world.index(), "gone", world.now)


# --- nothing is invented: any policy under the real decide

NETWORKS = (
    Network("office", ("192.0.2.0/24", "2001:db8::/48")),
    Network("guest", ("192.0.2.128/25", "203.0.113.0/24"), ((DoorKind.IMAP, Rung.DEVICE_KEY),)),
)
groups = st.lists(st.sampled_from(["sales", "it", "x"]), max_size=2, unique=True).map(tuple)
accounts = st.lists(st.sampled_from(["alice@example.org", "bob@example.org"]), max_size=1).map(tuple)
ends = st.sampled_from([0.0, 1_799_999_999.0, 1_800_000_000.0, 1_800_000_500.0, float(LATER)])
exceptions = st.builds(
    PolicyException,
    st.just("x"),
    st.sampled_from(DoorKind),
    st.sampled_from(Rung),
    st.sampled_from(["", "owner"]),
    st.just("why"),
    ends,
    accounts,
    groups,
    st.sampled_from([(), ("office",), ("guest",)]),
)
modes = st.builds(
    ModeEntry, st.sampled_from(DoorKind), st.sampled_from(Mode), ends, st.sampled_from(["", "sales", "it"])
) | st.builds(
    ModeEntry,
    st.sampled_from(DoorKind),
    st.sampled_from(Mode),
    ends,
    account=st.sampled_from(["alice@example.org"]),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(exceptions, max_size=3).map(tuple),
    st.lists(modes, max_size=3).map(tuple),
    st.sampled_from([0.0, 1_800_000_100.0]),
    st.booleans(),
)
def test_no_policy_makes_the_real_decide_a_breach(world, given_exceptions, given_modes, bypass, everything):
    rules = '[[rule]]\nname = "all"\nopinion = "allow"\n' if everything else ""
    world.rules(rules, default=not everything)
    world.with_policy(exceptions=given_exceptions, modes=given_modes, networks=NETWORKS)
    world.bypass = (("o", bypass),)
    assert list(prove(world.index(), "o", world.now).breaches) == []
