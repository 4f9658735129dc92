from __future__ import annotations

import pytest

from gambeson.guard.core.explain import explain
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import DeviceState
from gambeson.model.rule import ModeEntry

A = "alice@example.org"
TABLE = [
    # question                                              decision      rule                        reason
    ({}, "challenge", "floor:rung", "rung-too-low"),
    ({"rung": Rung.KNOWLEDGE}, "challenge", "floor:rung", "rung-too-low"),
    ({"rung": Rung.DEVICE_SECRET}, "allow", "rule:registered-devices", "rule"),
    ({"rung": Rung.DEVICE_KEY}, "allow", "rule:registered-devices", "rule"),
    ({"device": "d1"}, "allow", "rule:registered-devices", "rule"),
    ({"account": "a1", "device": "d1"}, "allow", "rule:registered-devices", "rule"),
    ({"account": "A.Smith@example.org", "device": "d1"}, "allow", "rule:registered-devices", "rule"),
    ({"account": "zoe@example.org"}, "challenge", "floor:rung", "rung-too-low"),
    ({"account": "zoe@example.org", "rung": Rung.DEVICE_SECRET}, "challenge", "floor:rung", "rung-too-low"),
    ({"account": "zoe@elsewhere.test"}, "challenge", "floor:organisation", "organisation-unknown"),
    (
        {"door": DoorKind.WEBMAIL, "rung": Rung.KNOWLEDGE_AND_CODE},
        "allow",
        "rule:people-at-a-browser",
        "rule",
    ),
    ({"door": DoorKind.WEBMAIL, "rung": Rung.DEVICE_SECRET}, "challenge", "floor:rung", "rung-too-low"),
    ({"device": "d1", "encrypted": False}, "deny", "floor:encryption", "not-encrypted"),
    ({"device": "d2", "account": "bob@example.org"}, "deny", "floor:device", "device-lost"),
    ({"device": "d1", "rung": Rung.DEVICE_KEY}, "allow", "rule:registered-devices", "rule"),
]


@pytest.mark.parametrize(("question", "decision", "rule", "reason"), TABLE)
def test_explanations(world, question, decision, rule, reason):
    world.device("bob", state=DeviceState.LOST)
    got = explain(world.index(), world.now, **{"door": DoorKind.IMAP, "account": A, **question})
    assert (got["decision"], got["rule"], got["reason"]) == (decision, rule, reason)
    assert got["sentence"]
    assert got["trace"][-1]["asked"] in (rule, "no rule")


def test_every_floor_and_rule_asked_is_in_the_trace(world):
    world.rules('[[rule]]\nname = "risky"\nopinion = "deny"\nrisk_at_least = 80\n')
    got = explain(world.index(), world.now, DoorKind.IMAP, A, device="d1")
    assert [(s["asked"], s["said"]) for s in got["trace"]] == [
        ("floor:snapshot", "holds"),
        ("floor:organisation", "holds"),
        ("floor:account", "holds"),
        ("floor:device", "holds"),
        ("floor:session", "holds"),
        ("floor:throttle", "holds"),
        ("floor:encryption", "holds"),
        ("floor:doors", "holds"),
        ("floor:binding", "holds"),
        ("floor:proof", "holds"),
        ("floor:rung", "holds: device-key >= device-secret"),
        ("rule:risky", "no opinion"),
        ("rule:registered-devices", "allow"),
    ]


def test_the_mode_is_told(world):
    world.with_policy(modes=(ModeEntry(DoorKind.IMAP, Mode.OBSERVE, 1e10),))
    got = explain(world.index(), world.now, DoorKind.IMAP, A)
    assert (got["mode"], got["passes"], got["as_is"], got["decision"]) == ("observe", True, True, "challenge")


def test_a_revoked_credential_is_explained(world):
    world.credential("bob", revoked_at=1.0)
    got = explain(world.index(), world.now, DoorKind.IMAP, "bob@example.org", device="d2")
    assert got["reason"] == "credential-revoked"


@pytest.mark.parametrize("question", [{"account": "nonsense"}, {"device": "d2"}, {"device": "gone"}])
def test_bad_questions_get_one_sentence(world, question):
    with pytest.raises(ValueError, match=r"is not an address|has no device") as error:
        explain(world.index(), world.now, **{"door": DoorKind.IMAP, "account": A, **question})
    assert "\n" not in str(error.value)


def test_nothing_is_changed_by_asking(world):
    index = world.index()
    before = set(index.device), set(index.credential)
    explain(index, world.now, DoorKind.IMAP, A, rung=Rung.DEVICE_SECRET)
    assert (set(index.device), set(index.credential)) == before
