"""Programs through a cloud: recognised by what and where, and what the decision makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.clouds import (
    CloudError,
    Clouds,
    CloudService,
    Evidence,
    load_clouds,
    of_cloud,
    parse_cloud,
    with_files,
)
from gambeson.guard.core.decide import decide
from gambeson.guard.core.explain import explain
from gambeson.guard.core.ready import ready
from gambeson.guard.core.web.clients import load_clients
from gambeson.model.access import BROWSER_DOORS, DEVICE_DOORS, DoorKind, Mode, Rung
from gambeson.model.asset import DeviceState
from gambeson.model.decision import Opinion
from gambeson.model.event import Event
from gambeson.model.rule import ModeEntry, PolicyException

MOBILE, PHONE = "Outlook-iOS-Android/1.0", "Apple-iPhone15C2/2109.300"
GOOD = 'name = "A"\nsource = "B"\ndated = "2026-01-01"\nnetworks = ["192.0.2.0/24"]\n'


# -- recognising


@pytest.mark.parametrize(
    ("said", "source", "evidence"),
    [
        (MOBILE, "203.0.113.5", "agent"),
        ("Outlook-iOS/2.0", "2001:db8::1", "agent"),
        ("Outlook-Android 4.2", "", "agent"),  # as IMAP's ID gives name and version
        ("OneOutlook/1.2024", "no address", "agent"),
        ("", "52.125.128.1", "network"),  # from where Outlook for iOS asks Exchange servers of one's own
        ("", "52.127.97.255", "network"),
        (PHONE, "40.96.0.1", "network"),
        ("Thunderbird 140", "::ffff:40.103.255.255", "network"),
        ("", "2603:1026:c03::1", "network"),
        ("x", "2620:1ec:4::153", "network"),
        (MOBILE, "52.96.1.1", "both"),
        ("", "52.125.127.255", ""),
        ("", "52.127.98.0", ""),
        ("", "40.95.255.255", ""),
        ("", "2603:1025::1", ""),
        ("", "2620:1ec:4::154", ""),
        (PHONE, "203.0.113.5", ""),
        ("I am Outlook-iOS/2.0", "203.0.113.5", ""),
        ("", "", ""),
    ],
)
def test_by_name_and_by_network(said: str, source: str, evidence: str) -> None:
    for _ in range(2):
        found = load_clouds().recognise(said, source)
        expected = (
            CloudService("microsoft", "Microsoft's mail cloud", Evidence(evidence)) if evidence else None
        )
        assert found == expected


def test_an_own_file_replaces_ours_and_another_adds_a_service() -> None:
    own = {
        "microsoft.toml": GOOD,
        "other.toml": GOOD.replace("192.0.2.0/24", "198.51.100.0/24") + 'agents = ["Other-Fetcher/"]',
    }
    clouds = with_files(own)
    assert [cloud.id for cloud in clouds.all] == ["microsoft", "other"]
    for said, source, expected in (
        ("", "40.96.0.1", None),
        ("", "192.0.2.9", ("microsoft", Evidence.NETWORK)),
        (MOBILE, "", ("microsoft", Evidence.AGENT)),
        ("other-fetcher/7", "", ("other", Evidence.AGENT)),
        (MOBILE, "198.51.100.1", ("other", Evidence.NETWORK)),  # an address is no claim
    ):
        found = clouds.recognise(said, source)
        assert (found and (found.id, found.evidence)) == expected
    assert clouds.named("other") == "A"
    assert clouds.named("gone") == "gone"


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("x = [", "a.toml", "is no TOML"),
        (GOOD + "more = 1", "a.toml", "more is no key"),
        (GOOD.replace("name", "nom"), "a.toml", "nom is no key"),
        (GOOD.replace('dated = "2026-01-01"', ""), "a.toml", "dated is missing"),
        (GOOD.replace("2026-01-01", "today"), "a.toml", "no date"),
        (GOOD.replace('"A"', "7"), "a.toml", "name is no text"),
        (GOOD.replace("192.0.2.0/24", "192.0.2.1/24"), "a.toml", "host bits"),
        (GOOD.replace("192.0.2.0/24", "0.0.0.0/0"), "a.toml", "is everything"),
        (GOOD.replace('["192.0.2.0/24"]', '"192.0.2.0/24"'), "a.toml", "no list"),
        (GOOD + 'agents = ["("]', "a.toml", "agents"),
        (GOOD, "A b.toml", "small letters"),
    ],
)
def test_a_damaged_file_is_named(text: str, name: str, said: str) -> None:
    with pytest.raises(CloudError, match=said):
        parse_cloud(text, name)


def test_a_program_whose_cloud_has_no_file_is_a_mistake() -> None:
    with pytest.raises(CloudError, match="outlook-"):
        Clouds((), load_clients())


@given(st.text(max_size=600), st.text(max_size=60))
def test_anything_is_recognised_or_not(said: str, source: str) -> None:
    assert load_clouds().recognise(said, source) is None or said or source


# -- deciding


def answer(world, who="alice", door=DoorKind.IMAP, rung=Rung.DEVICE_SECRET, **facts):
    request = world.ask(world.proven(who, rung), door, cloud="microsoft", cloud_evidence="network", **facts)
    return decide(request, world.index(), world.now)


def letting_in(world, *clouds, organisation="o"):
    world.organisations = [
        replace(o, clouds=clouds) if o.id == organisation else o for o in world.organisations
    ]
    return world


@pytest.mark.parametrize("door", DEVICE_DOORS)
def test_each_organisation_says_which_clouds_may_come_in(world, door):
    letting_in(world, "microsoft", organisation="x")
    refused, let_in = answer(world, "alice", door), answer(world, "mallory", door)
    assert (refused.opinion, refused.rule, refused.reason, refused.passes) == (
        Opinion.DENY,
        "organisation:clouds",
        "cloud-client",
        False,
    )
    assert "maker's cloud" in refused.sentence
    assert (let_in.opinion, let_in.reason) == (Opinion.ALLOW, "rule")
    plain = decide(world.ask(world.proven(), door), world.index(), world.now)
    assert plain.opinion is Opinion.ALLOW
    letting_in(world, "google")
    assert answer(world, "alice", door).reason == "cloud-client"


@pytest.mark.parametrize("door", BROWSER_DOORS)
def test_people_at_browsers_read_through_no_cloud(world, door):
    request = world.ask(world.proven(rung=Rung.KNOWLEDGE_AND_CODE), door)
    with_cloud = replace(request, cloud="microsoft", cloud_evidence="network")
    index = world.index()
    assert decide(with_cloud, index, world.now) == decide(request, index, world.now)


def test_no_rule_and_no_exception_lets_in_what_the_organisation_refuses(world):
    world.rules('[[rule]]\nname = "all"\nopinion = "allow"\nsentence = "x"\n')
    assert answer(world).reason == "cloud-client"
    exception = PolicyException("e", DoorKind.IMAP, Rung.KNOWLEDGE, "me", "old", world.now + 99)
    world.with_policy(exceptions=(exception,))
    request = world.ask(world.password(), cloud="microsoft")
    assert decide(request, world.index(), world.now).reason == "cloud-client"
    assert decide(replace(request, cloud=""), world.index(), world.now).reason != "cloud-client"


@pytest.mark.parametrize("clouds", [(), ("microsoft",)])
def test_floors_come_first(world, clouds):
    letting_in(world, *clouds)
    password = decide(world.ask(world.password(), cloud="microsoft"), world.index(), world.now)
    assert (password.opinion, password.reason) == (Opinion.CHALLENGE, "rung-too-low")
    assert answer(world, throttled="source").reason == "throttled"
    assert answer(world, encrypted=False).reason == "not-encrypted"
    world.device("alice", state=DeviceState.LOST)
    assert answer(world).reason == "device-lost"


def test_a_rule_still_decides_about_what_is_let_in(world):
    letting_in(world, "microsoft").rules(
        '[[rule]]\nname = "none"\nopinion = "deny"\nsentence = "No."\ndoors = ["imap"]\n'
    )
    assert answer(world).rule == "rule:none"


def test_a_door_that_observes_records_and_passes(world):
    world.with_policy(modes=(ModeEntry(DoorKind.IMAP, Mode.OBSERVE, world.now + 99),))
    got = answer(world)
    assert (got.opinion, got.reason, got.passes) == (Opinion.DENY, "cloud-client", True)


# -- shown


def test_explain_and_ready_say_so(world):
    cloud = load_clouds().recognise("", "52.125.128.1")
    found = explain(
        world.index(), world.now, DoorKind.IMAP, "alice@example.org", source="52.125.128.1",
        rung=Rung.DEVICE_SECRET, cloud=cloud,
    )  # fmt: skip
    assert (found["reason"], found["cloud"], found["cloud_evidence"]) == (
        "cloud-client",
        "microsoft",
        "network",
    )
    assert {"asked": "organisation:clouds", "said": "deny: cloud-client: microsoft by network"} in found[
        "trace"
    ]
    identity = world.proven()
    data = {"credential": identity.credential, "rung": "device-secret", "program": PHONE}
    event = Event(
        "e", world.now - 60, "door.login.allowed", "o", "a1", "d1", "imap", "52.125.128.1",
        {**data, **of_cloud(world.ask(identity, cloud="microsoft", cloud_evidence="network"))},
    )  # fmt: skip
    [stopped] = ready([event], world.index(), world.now).stopped
    assert (stopped.cloud, stopped.reason) == ("microsoft", "cloud-client")
    assert ready([event], letting_in(world, "microsoft").index(), world.now).ready
    assert of_cloud(world.ask(identity)) == {}
