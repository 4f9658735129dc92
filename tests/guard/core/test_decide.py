"""Who comes in: tables of request, opinion, deciding rule and reason."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambeson.guard.core.decide import decide
from gambeson.model.access import MAIL_DOORS, DoorKind, Identity, Mode, Rung
from gambeson.model.asset import DeviceKind, DeviceState
from gambeson.model.decision import Opinion
from gambeson.model.rule import ModeEntry, Network, PolicyException, PolicyRule

NATIVE = [*MAIL_DOORS, DoorKind.EAS, DoorKind.EWS, DoorKind.MAPI, DoorKind.OAB, DoorKind.AUTODISCOVER]
BROWSER = [DoorKind.WEBMAIL, DoorKind.OWA, DoorKind.ECP, DoorKind.PORTAL]
LATER = 10**10
EXCEPTION = PolicyException(
    "old-scanner", DoorKind.IMAP, Rung.KNOWLEDGE, "facility", "it knows no better", LATER
)


def answer(world, identity, door=DoorKind.IMAP, at=None, **facts):
    return decide(world.ask(identity, door, **facts), world.index(), world.now if at is None else at)


# --- the default policy


@pytest.mark.parametrize("door", NATIVE)
@pytest.mark.parametrize("rung", [Rung.DEVICE_SECRET, Rung.DEVICE_KEY])
def test_a_registered_device_comes_in(world, door, rung):
    got = answer(world, world.proven(rung=rung), door)
    assert (got.opinion, got.rule, got.reason, got.passes) == (
        Opinion.ALLOW,
        "rule:registered-devices",
        "rule",
        True,
    )
    assert not got.as_is


@pytest.mark.parametrize("door", DoorKind)
@pytest.mark.parametrize("claimed", ["alice@example.org", "a.smith@example.org", "nobody@example.org"])
def test_a_password_alone_opens_no_door(world, door, claimed):
    got = answer(world, world.password(claimed), door)
    assert (got.opinion, got.rule, got.reason, got.passes) == (
        Opinion.CHALLENGE,
        "floor:rung",
        "rung-too-low",
        False,
    )
    assert world.url in got.sentence


@pytest.mark.parametrize("door", BROWSER)
@pytest.mark.parametrize(
    ("rung", "passes"), [(Rung.KNOWLEDGE, False), (Rung.KNOWLEDGE_AND_CODE, True), (Rung.DEVICE_KEY, True)]
)
def test_a_person_at_a_browser(world, door, rung, passes):
    identity = Identity("alice@example.org", "o", "a1", rung=rung)
    assert answer(world, identity, door).passes is passes


@pytest.mark.parametrize("door", BROWSER)
def test_a_device_secret_opens_no_browser_door(world, door):
    assert answer(world, world.proven(), door).rule == "floor:rung"


def test_password_and_code_need_a_device_at_a_mail_door(world):
    identity = Identity("alice@example.org", "o", "a1", rung=Rung.KNOWLEDGE_AND_CODE)
    assert answer(world, identity).reason == "no-rule"


# --- the hard floors: (what is done to alice's world, opinion, deciding floor, reason)

HARD = {
    "account off": (lambda w: w.account("alice", enabled=False), "deny", "account", "account-disabled"),
    "device blocked": (
        lambda w: w.device("alice", state=DeviceState.BLOCKED),
        "deny",
        "device",
        "device-blocked",
    ),
    "device lost": (lambda w: w.device("alice", state=DeviceState.LOST), "deny", "device", "device-lost"),
    "device ended": (lambda w: w.device("alice", expires_at=w.now), "deny", "device", "device-expired"),
    "revoked": (lambda w: w.credential("alice", revoked_at=1.0), "deny", "device", "credential-revoked"),
    "expired": (lambda w: w.credential("alice", expires_at=1.0), "deny", "device", "credential-expired"),
    "other doors": (
        lambda w: w.device("alice", doors=(DoorKind.POP3,)),
        "deny",
        "doors",
        "door-not-allowed",
    ),
    "no doors": (lambda w: w.device("alice", doors=()), "deny", "doors", "door-not-allowed"),
    "machine elsewhere": (
        lambda w: w.device("alice", kind=DeviceKind.MACHINE, networks=("192.0.2.0/24",)),
        "deny",
        "binding",
        "network-not-allowed",
    ),
    "machine unbound": (
        lambda w: w.device("alice", kind=DeviceKind.MACHINE),
        "deny",
        "binding",
        "network-not-allowed",
    ),
    "machine with a broken network": (
        lambda w: w.device("alice", kind=DeviceKind.MACHINE, networks=("203.0.113.0/99",)),
        "deny",
        "binding",
        "network-not-allowed",
    ),
    "bound person": (
        lambda w: w.device("alice", networks=("192.0.2.0/24",)),
        "deny",
        "binding",
        "network-not-allowed",
    ),
    "device gone": (lambda w: w.devices.pop("alice"), "challenge", "organisation", "device-unknown"),
    "credential gone": (
        lambda w: w.credentials.pop("alice"),
        "challenge",
        "organisation",
        "credential-revoked",
    ),
    "account gone": (lambda w: w.accounts.pop("alice"), "challenge", "organisation", "account-unknown"),
    "account moved": (
        lambda w: w.account("alice", organisation="x"),
        "challenge",
        "organisation",
        "organisation-mismatch",
    ),
    "device moved": (
        lambda w: w.device("alice", organisation="x"),
        "challenge",
        "organisation",
        "organisation-mismatch",
    ),
    "device bob's": (
        lambda w: w.device("alice", account="a2"),
        "challenge",
        "organisation",
        "organisation-mismatch",
    ),
    "credential moved": (
        lambda w: w.credential("alice", organisation="x"),
        "challenge",
        "organisation",
        "organisation-mismatch",
    ),
    "credential bob's": (
        lambda w: w.credential("alice", device="d2"),
        "challenge",
        "organisation",
        "organisation-mismatch",
    ),
    "snapshot old": (lambda w: setattr(w, "made_at", w.now - 3601), "deny", "snapshot", "snapshot-stale"),
    "snapshot of tomorrow": (
        lambda w: setattr(w, "made_at", w.now + 3601),
        "deny",
        "snapshot",
        "snapshot-stale",
    ),
}
OBSERVED = tuple(ModeEntry(d, Mode.OBSERVE, LATER) for d in DoorKind)


@pytest.mark.parametrize("mode", ["enforce", "observe"])
@pytest.mark.parametrize("case", HARD)
def test_hard_floors_hold_in_every_mode(world, case, mode):
    identity = world.proven()
    change, opinion, floor, reason = HARD[case]
    if mode == "observe":
        world.with_policy(modes=OBSERVED)
    change(world)
    got = answer(world, identity)
    assert (got.opinion.value, got.rule, got.reason) == (opinion, f"floor:{floor}", reason)
    assert not got.passes
    assert got.sentence.endswith(".")


@pytest.mark.parametrize("identity", ["proven", "password"])
@pytest.mark.parametrize("mode", [(), OBSERVED])
@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"throttled": "account"}, "throttled"), ({"encrypted": False}, "not-encrypted")],
)
def test_throttle_and_tls_hold_for_everybody(world, identity, mode, facts, reason):
    world.with_policy(modes=mode)
    who = world.proven() if identity == "proven" else world.password()
    got = answer(world, who, **facts)
    assert (got.reason, got.passes) == (reason, False)


@pytest.mark.parametrize("mode", [(), OBSERVED])
@pytest.mark.parametrize("failure", ["secret-wrong", "wrong-account", "credential-revoked", "name-missing"])
def test_a_failed_credential_never_goes_on(world, mode, failure):
    got = answer(world.with_policy(modes=mode), replace(world.password(), failure=failure))
    assert (got.rule, got.reason, got.passes) == ("floor:proof", failure, False)


BROKEN_IDENTITIES = [
    Identity("alice@example.org", ""),
    Identity("alice@example.org", "gone"),
    Identity("alice@example.org", "x"),
    Identity("mallory@other.test", "o"),
    Identity("alice@example.org", "o", "a1", "", "", Rung.DEVICE_SECRET),
    Identity("alice@example.org", "o", "a1", "", "", Rung.DEVICE_KEY),
    Identity("alice@example.org", "o", "a1", "d1", "", Rung.DEVICE_SECRET),
    Identity("alice@example.org", "o", "a1", "d2", "c-d2", Rung.DEVICE_SECRET),
    Identity("alice@example.org", "o", "a1", "d1", "c-d2", Rung.DEVICE_SECRET),
    Identity("alice@example.org", "o", "a1", "dm", "c-dm", Rung.DEVICE_SECRET),
    Identity("alice@example.org", "o", "m1", "dm", "c-dm", Rung.DEVICE_SECRET),
    Identity("alice@example.org", "o", "", "d1", "c-d1", Rung.DEVICE_SECRET),
    Identity("alice@example.org", "x", "a1", "d1", "c-d1", Rung.DEVICE_SECRET),
]


@pytest.mark.parametrize("mode", [(), OBSERVED])
@pytest.mark.parametrize("identity", BROKEN_IDENTITIES, ids=range(len(BROKEN_IDENTITIES)))
def test_an_identity_that_does_not_fit_the_snapshot_is_refused(world, identity, mode):
    got = answer(world.with_policy(modes=mode), identity)
    assert (got.passes, got.rule) == (False, "floor:organisation")


def test_no_number_for_a_clock_is_no_way_in(world):
    assert answer(world, world.proven(), at=math.nan).reason == "snapshot-stale"


def test_max_age_is_the_callers(world):
    request, index = world.ask(world.proven()), world.index()
    assert decide(request, index, world.now + 10, max_age=9).reason == "snapshot-stale"
    assert decide(request, index, world.now + 10, max_age=10).passes
    assert decide(request, index, world.now + 10**6, max_age=math.inf).passes
    assert not decide(request, index, world.now, max_age=-1).passes


def test_a_machine_in_its_network_comes_in(world):
    world.device("alice", kind=DeviceKind.MACHINE, networks=("203.0.113.0/28", "2001:db8::/64"))
    for source, passes in [
        ("203.0.113.5", True),
        ("203.0.113.16", False),
        ("::ffff:203.0.113.5", True),
        ("2001:db8::1", True),
        ("2001:db8:0:1::1", False),
        ("", False),
        ("not an address", False),
    ]:
        assert answer(world, world.proven(), source=source).passes is passes, source


# --- nobody can tell names apart


def test_known_unknown_disabled_and_foreign_names_hear_the_same(world):
    world.account("bob", enabled=False)
    heard = {
        (got.opinion, got.sentence, got.demanded, got.passes)
        for got in (
            answer(world, world.password("alice@example.org")),
            answer(world, world.password("bob@example.org")),
            answer(world, world.password("nobody@example.org")),
            answer(world, replace(world.password(), failure="secret-wrong")),
            answer(world, replace(world.password(), failure="wrong-account")),
        )
    }
    assert len(heard) == 1


def test_where_there_is_one_organisation_a_name_of_none_hears_its_address_too(world):
    stray = world.password("alice@mistyped.example", "")
    assert world.url not in answer(world, stray).sentence
    world.organisations = world.organisations[:1]
    for name in ("mallory", "dm"):
        world.accounts.pop(name, None)
    world.devices.pop("mallory")
    world.credentials.pop("mallory")
    assert answer(world, stray).sentence == answer(world, world.password()).sentence


@pytest.mark.parametrize("name", ["alice@mistyped.example", "alice"])
def test_where_all_organisations_share_an_address_a_name_of_none_hears_it_too(world, name):
    stray = world.password(name, "")
    ours, theirs = world.organisations
    assert world.url not in answer(world, stray).sentence
    world.organisations = [ours, replace(theirs, enrolment_url=world.url)]
    assert answer(world, stray).sentence == answer(world, world.password()).sentence
    assert world.url in answer(world, stray).sentence
    world.organisations = [ours, replace(theirs, enrolment_url="")]
    assert world.url not in answer(world, stray).sentence


# --- quarantine


@pytest.mark.parametrize("mode", [(), OBSERVED])
def test_a_quarantined_device_is_answered_not_served(world, mode):
    world.device("alice", state=DeviceState.QUARANTINED).with_policy(modes=mode)
    got = answer(world, world.proven())
    assert (got.opinion, got.rule, got.passes) == (Opinion.QUARANTINE, "floor:quarantine", False)


def test_no_rule_lifts_quarantine_but_a_rule_may_be_harder(world):
    world.device("alice", state=DeviceState.QUARANTINED)
    world.rules('[[rule]]\nname="all"\nopinion="allow"\n', default=False)
    assert answer(world, world.proven()).opinion is Opinion.QUARANTINE
    world.rules('[[rule]]\nname="no"\nopinion="deny"\ndevice_states=["quarantined"]\n')
    assert answer(world, world.proven()).rule == "rule:no"


# --- the rung floor and what goes below


def test_no_rule_lifts_the_floor(world):
    world.rules('[[rule]]\nname="all"\nopinion="allow"\n', default=False)
    for door in DoorKind:
        assert answer(world, world.password(), door).rule == "floor:rung"


@pytest.mark.parametrize(
    ("floors", "networks", "source", "rung", "passes"),
    [
        ((), (), "203.0.113.5", Rung.DEVICE_SECRET, True),
        (((DoorKind.IMAP, Rung.DEVICE_KEY),), (), "203.0.113.5", Rung.DEVICE_SECRET, False),
        (((DoorKind.IMAP, Rung.DEVICE_KEY),), (), "203.0.113.5", Rung.DEVICE_KEY, True),
        (((DoorKind.POP3, Rung.DEVICE_KEY),), (), "203.0.113.5", Rung.DEVICE_SECRET, True),
        (((DoorKind.IMAP, Rung.NOTHING),), (), "203.0.113.5", Rung.NOTHING, False),
        ((), ((DoorKind.IMAP, Rung.DEVICE_KEY),), "203.0.113.5", Rung.DEVICE_SECRET, False),
        ((), ((DoorKind.IMAP, Rung.DEVICE_KEY),), "198.51.100.5", Rung.DEVICE_SECRET, True),
        ((), ((DoorKind.IMAP, Rung.NOTHING),), "203.0.113.5", Rung.NOTHING, False),
    ],
)
def test_floors_are_only_ever_raised(world, floors, networks, source, rung, passes):
    world.rules('[[rule]]\nname = "all"\nopinion = "allow"\n', default=False)
    world.with_policy(floors=floors, networks=(Network("guest", ("203.0.113.0/24",), networks),))
    identity = world.password() if rung is Rung.NOTHING else world.proven(rung=rung)
    assert answer(world, identity, source=source).passes is passes


EXCEPTIONS = [
    # what the exception says               who asks, from where            passes
    ({}, "alice@example.org", "203.0.113.5", True),
    ({}, "nobody@example.org", "203.0.113.5", False),
    ({"accounts": ("alice@example.org",)}, "alice@example.org", "203.0.113.5", True),
    ({"accounts": ("alice@example.org",)}, "a.smith@example.org", "203.0.113.5", True),
    ({"accounts": ("a.smith@example.org",)}, "alice@example.org", "203.0.113.5", True),
    ({"accounts": ("a1",)}, "alice@example.org", "203.0.113.5", True),
    ({"accounts": ("alice@example.org",)}, "bob@example.org", "203.0.113.5", False),
    ({"groups": ("sales",)}, "alice@example.org", "203.0.113.5", True),
    ({"groups": ("sales",)}, "bob@example.org", "203.0.113.5", False),
    ({"accounts": ("bob@example.org",), "groups": ("sales",)}, "alice@example.org", "203.0.113.5", True),
    ({"networks": ("office",)}, "alice@example.org", "192.0.2.7", True),
    ({"networks": ("office",)}, "alice@example.org", "203.0.113.5", False),
    ({"networks": ("gone",)}, "alice@example.org", "192.0.2.7", False),
    ({"until": 0.0}, "alice@example.org", "203.0.113.5", False),
    ({"until": 1_800_000_000.0}, "alice@example.org", "203.0.113.5", False),
    ({"until": 1_800_000_001.0}, "alice@example.org", "203.0.113.5", True),
    ({"owner": " "}, "alice@example.org", "203.0.113.5", False),
    ({"reason": ""}, "alice@example.org", "203.0.113.5", False),
    ({"rung": Rung.NOTHING}, "alice@example.org", "203.0.113.5", False),
    ({"rung": Rung.ASSERTED}, "alice@example.org", "203.0.113.5", False),
    ({"door": DoorKind.POP3}, "alice@example.org", "203.0.113.5", False),
    ({"rung": Rung.DEVICE_SECRET}, "alice@example.org", "203.0.113.5", False),
]


@pytest.mark.parametrize(("says", "claimed", "source", "passes"), EXCEPTIONS)
def test_only_a_sound_exception_goes_below(world, says, claimed, source, passes):
    world.with_policy(
        exceptions=(replace(EXCEPTION, **says),), networks=(Network("office", ("192.0.2.0/24",)),)
    )
    got = answer(world, world.password(claimed), source=source)
    assert got.passes is passes
    if passes:
        assert (got.rule, got.reason, got.as_is) == ("exception:old-scanner", "exception", True)


def test_an_exception_lowers_a_raised_floor_for_a_device(world):
    world.with_policy(
        floors=((DoorKind.IMAP, Rung.DEVICE_KEY),),
        exceptions=(replace(EXCEPTION, rung=Rung.DEVICE_SECRET),),
    )
    got = answer(world, world.proven())
    assert (got.passes, got.as_is, got.rule) == (True, False, "rule:registered-devices")
    assert not answer(world, world.password()).passes


def test_a_rule_may_deny_in_spite_of_an_exception(world):
    world.with_policy(
        exceptions=(EXCEPTION,), rules=(PolicyRule("no", Opinion.DENY, accounts=("alice@example.org",)),)
    )
    assert answer(world, world.password()).rule == "rule:no"


def test_an_exception_helps_no_disabled_account(world):
    world.account("alice", enabled=False).with_policy(exceptions=(EXCEPTION,))
    assert not answer(world, world.password()).passes


# --- rules: (the condition in TOML, facts of a request, whether the rule holds)

RULES = [
    ('doors = ["imap"]', {}, True),
    ('doors = ["pop3", "sieve"]', {}, False),
    ('accounts = ["alice@example.org"]', {}, True),
    ('accounts = ["a.smith@example.org"]', {}, True),
    ('accounts = ["bob@example.org"]', {}, False),
    ('groups = ["sales"]', {}, True),
    ('groups = ["it"]', {}, False),
    ('accounts = ["bob@example.org"]\ngroups = ["sales"]', {}, True),
    ('networks = ["office"]', {"source": "192.0.2.9"}, True),
    ('networks = ["office"]', {"source": "203.0.113.5"}, False),
    ('networks = ["office"]', {"source": "nonsense"}, False),
    ('networks = ["office", "lab"]', {"source": "2001:db8::9"}, True),
    ("outside = true", {"source": "203.0.113.5"}, True),
    ("outside = true", {"source": "192.0.2.9"}, False),
    ("outside = false", {"source": "192.0.2.9"}, True),
    ("outside = false", {"source": "203.0.113.5"}, False),
    ('countries = ["DE", "fr"]', {"country": "FR"}, True),
    ('countries = ["DE"]', {"country": "US"}, False),
    ('countries = ["DE"]', {"country": ""}, False),
    ('device_states = ["registered"]', {}, True),
    ('device_states = ["quarantined"]', {}, False),
    ('device_kinds = ["personal"]', {}, True),
    ('device_kinds = ["machine"]', {}, False),
    ('rung_at_least = "device-secret"', {}, True),
    ('rung_at_least = "device-key"', {}, False),
    ("risk_at_least = 80", {"risk": 80}, True),
    ("risk_at_least = 80", {"risk": 79}, False),
    # 2027-01-15, a Friday, 08:00 UTC
    ('hours = ["08:00", "18:00"]', {}, True),
    ('hours = ["07:00", "08:00"]', {}, False),
    ('hours = ["08:01", "18:00"]', {}, False),
    ('hours = ["22:00", "08:01"]', {}, True),
    ('hours = ["22:00", "08:00"]', {}, False),
    ('weekdays = ["fri"]', {}, True),
    ('weekdays = ["mon", "tue", "wed", "thu", "sat", "sun"]', {}, False),
    ('weekdays = ["fri"]\nhours = ["09:00", "10:00"]', {}, False),
    ('doors = ["imap"]\ngroups = ["sales"]\noutside = true\nrisk_at_least = 1', {"risk": 2}, True),
    ('doors = ["imap"]\ngroups = ["sales"]\noutside = true\nrisk_at_least = 3', {"risk": 2}, False),
]
NETWORKS = (
    '[[network]]\nname = "office"\ncidrs = ["192.0.2.0/24"]\n'
    '[[network]]\nname = "lab"\ncidrs = ["2001:db8::/48", "198.51.100.7/32"]\n'
)


@pytest.mark.parametrize(("condition", "facts", "holds"), RULES)
def test_conditions(world, condition, facts, holds):
    world.rules(f'{NETWORKS}[[rule]]\nname = "it"\nopinion = "deny"\nsentence = "Not so."\n{condition}\n')
    got = answer(world, world.proven(), **facts)
    assert (got.rule, got.sentence) == (
        ("rule:it", "Not so.") if holds else ("rule:registered-devices", "Welcome.")
    )


@pytest.mark.parametrize("opinion", Opinion)
def test_the_first_opinion_wins(world, opinion):
    world.rules(f'[[rule]]\nname = "first"\nopinion = "{opinion}"\ngroups = ["sales"]\n')
    got = answer(world, world.proven())
    assert (got.opinion, got.rule) == (opinion, "rule:first")
    assert got.passes is (opinion is Opinion.ALLOW)
    assert answer(world, world.proven("bob")).rule == "rule:registered-devices"


def test_no_opinion_is_no(world):
    got = answer(world.rules("", default=False), world.proven())
    assert (got.opinion, got.rule, got.reason) == (Opinion.DENY, "no rule", "no-rule")


def test_no_policy_is_no(world):
    world.with_policy(organisation="somebody else's")
    assert answer(world, world.proven()).reason == "no-rule"


def test_a_policy_that_cannot_be_read_lets_nobody_in(world):
    world.with_policy(networks=(Network("bad", ("300.0.0.0/8",)),), exceptions=(EXCEPTION,), modes=OBSERVED)
    assert not answer(world, world.proven()).passes
    assert not answer(world, world.password()).passes


# --- modes

A, G = {"account": "alice@example.org"}, {"group": "sales"}
OBS, W, E = Mode.OBSERVE, Mode.WARN, Mode.ENFORCE
MODES = [
    # entries: (mode, until, for whom)                          mode of alice, of bob, of an unknown name
    ([], E, E, E),
    ([(OBS, LATER, {})], OBS, OBS, OBS),
    ([(W, LATER, {})], W, W, W),
    ([(OBS, 1.0, {})], E, E, E),
    ([(OBS, 0.0, {})], E, E, E),
    ([(OBS, 1_800_000_000.0, {})], E, E, E),
    ([(OBS, LATER, {}), (E, 0.0, G)], E, OBS, OBS),
    ([(E, 0.0, {}), (OBS, LATER, G)], OBS, E, E),
    ([(E, 0.0, G), (OBS, LATER, A)], OBS, E, E),
    ([(OBS, LATER, G), (W, LATER, A)], W, E, E),
    ([(OBS, LATER, {}), (OBS, 1.0, A)], E, OBS, OBS),
    ([(OBS, LATER, {}), (W, LATER, {})], W, W, W),
    ([(OBS, LATER, G), (E, 0.0, G)], E, E, E),
    ([(OBS, LATER, {"account": "a.smith@example.org"})], OBS, E, E),
    ([(OBS, LATER, {"account": "a1"})], OBS, E, E),
]


@pytest.mark.parametrize(("entries", "alice", "bob", "nobody"), MODES)
def test_the_narrowest_mode_wins(world, entries, alice, bob, nobody):
    world.with_policy(modes=tuple(ModeEntry(DoorKind.IMAP, m, u, **who) for m, u, who in entries))
    for claimed, mode in (("alice", alice), ("bob", bob), ("nobody", nobody)):
        got = answer(world, world.password(f"{claimed}@example.org"))
        assert (got.mode, got.passes) == (mode, mode is not E), claimed
        assert (got.opinion, got.rule) == (Opinion.CHALLENGE, "floor:rung")
        assert got.as_is is got.passes
        assert not answer(world, world.password(f"{claimed}@example.org"), DoorKind.POP3).passes


def test_observe_records_what_a_rule_says_of_a_device_and_serves_it(world):
    world.rules('[[rule]]\nname = "no"\nopinion = "deny"\n', default=False).with_policy(modes=OBSERVED)
    got = answer(world, world.proven())
    assert (got.opinion, got.passes, got.as_is, got.mode) == (Opinion.DENY, True, False, OBS)


def test_observe_serves_no_disabled_account_and_says_nothing(world):
    world.account("alice", enabled=False).with_policy(modes=OBSERVED)
    got = answer(world, world.password())
    assert (got.passes, got.opinion) == (False, Opinion.CHALLENGE)
    assert "switched off" not in got.sentence


# --- the emergency bypass


@pytest.mark.parametrize(
    ("identity", "passes", "as_is"),
    [("password", True, True), ("proven", True, False), ("failed", False, False)],
)
def test_bypass_passes_and_says_so(world, identity, passes, as_is):
    world.rules('[[rule]]\nname = "no"\nopinion = "deny"\n', default=False)
    world.bypass = (("o", world.now + 1),)
    who = {
        "password": world.password(),
        "proven": world.proven(),
        "failed": replace(world.password(), failure="secret-wrong"),
    }[identity]
    got = answer(world, who)
    assert (got.passes, got.as_is) == (passes, as_is)
    assert (got.reason == "bypass") is passes


def test_bypass_lifts_a_stale_snapshot_and_ends(world):
    world.bypass, world.made_at = (("o", world.now + 7200),), world.now - 7200
    got = answer(world, world.proven())
    assert (got.opinion, got.reason, got.passes) == (Opinion.ALLOW, "bypass", True)
    assert answer(world, world.proven(), at=world.now + 7200).reason == "snapshot-stale"


def test_bypass_opens_nothing_to_the_blocked_and_is_the_organisations_own(world):
    world.bypass = (("o", world.now + 1),)
    world.device("alice", state=DeviceState.BLOCKED)
    assert not answer(world, world.proven()).passes
    assert not answer(world, world.password("mallory@other.test", "x")).passes


# --- whatever comes


RUNGS = st.sampled_from(Rung)
WORDS = st.sampled_from(
    ["", "o", "x", "a1", "a2", "m1", "d1", "d2", "dm", "c-d1", "c-d2", "c-dm", "k-d1", "gone"]
)
NAMES = st.sampled_from(
    ["", "alice@example.org", "a.smith@example.org", "mallory@other.test", "nobody@example.org"]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(Identity, NAMES, WORDS, WORDS, WORDS, WORDS, RUNGS),
    st.sampled_from(DoorKind),
    st.text(max_size=40),
    st.floats() | st.just(1_800_000_000.0),
)
def test_whatever_is_asked_a_decision_comes_and_only_whole_proofs_pass(world, identity, door, source, now):
    got = decide(world.ask(identity, door, source=source), world.index(), now)
    if got.passes:
        whole = {
            ("a1", "d1", "c-d1"),
            ("a1", "d1", "k-d1"),
            ("a2", "d2", "c-d2"),
            ("m1", "dm", "c-dm"),
            ("a1", "", ""),
            ("a2", "", ""),
            ("m1", "", ""),
        }
        assert (identity.account, identity.device, identity.credential) in whole
        assert identity.organisation == ("x" if identity.account == "m1" else "o")
        assert identity.rung >= Rung.DEVICE_SECRET
    assert got.sentence
    assert got.rule
