from __future__ import annotations

from gambeson.console.core.leaver import StepKind, leaver, mentions
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import Account, Device, DeviceState
from gambeson.model.decision import Opinion
from gambeson.model.rule import ModeEntry, Policy, PolicyException, PolicyRule

ALICE = Account("a1", "o", "alice@example.org", ("a.smith@example.org",), sealed_password=b"box")


def kinds(plan):
    return [s.kind for s in plan.steps]


def test_nothing_new_gets_in_before_what_is_open_ends():
    devices = [
        Device("d2", "o", "a1", "phone"),
        Device("d1", "o", "a1", "laptop", state=DeviceState.QUARANTINED),
        Device("d3", "o", "a2", "somebody else's"),
    ]
    plan = leaver(ALICE, devices, web_sessions=2, mail_sessions=3, second_factors=1, codes=1)
    assert kinds(plan) == [
        StepKind.DISABLE,
        StepKind.END_WEB_SESSIONS,
        StepKind.END_MAIL_SESSIONS,
        StepKind.BLOCK_DEVICE,
        StepKind.BLOCK_DEVICE,
        StepKind.REMOVE_FACTORS,
        StepKind.VOID_CODES,
        StepKind.FORGET_PASSWORD,
        StepKind.TELL_ALIASES,
    ]
    assert [s.target for s in plan.steps if s.kind is StepKind.BLOCK_DEVICE] == ["d1", "d2"]
    assert [s.count for s in plan.steps[:3]] == [1, 2, 3]
    assert [s.kind for s in plan.to_tell] == [StepKind.TELL_ALIASES]


def test_who_has_left_already_leaves_nothing_to_do():
    off = Account("a1", "o", "alice@example.org", enabled=False)
    blocked = [
        Device("d1", "o", "a1", "phone", state=DeviceState.BLOCKED),
        Device("d2", "o", "a1", "old", state=DeviceState.LOST),
    ]
    plan = leaver(off, blocked)
    assert plan.done_already
    assert plan.steps == ()


def test_where_the_policy_names_the_account_a_person_is_told():
    policy = Policy(
        "o",
        rules=(
            PolicyRule("boss", Opinion.ALLOW, accounts=("A.Smith@Example.org",)),
            PolicyRule("x", Opinion.DENY),
        ),
        exceptions=(
            PolicyException("scan", DoorKind.IMAP, Rung.KNOWLEDGE, "ann", "why", 9e9, accounts=("a1",)),
            PolicyException("odd", DoorKind.IMAP, Rung.KNOWLEDGE, "ann", "why", 9e9, accounts=("not one",)),
        ),
        modes=(
            ModeEntry(DoorKind.EAS, Mode.OBSERVE, 9e9, account="alice@example.org"),
            ModeEntry(DoorKind.EAS, Mode.OBSERVE, 9e9),
        ),
    )
    assert mentions(ALICE, policy) == ("rule boss", "exception scan", "mode of eas")
    told = [s for s in leaver(ALICE, policy=policy).to_tell if s.kind is StepKind.TELL_POLICY]
    assert [s.name for s in told] == ["rule boss", "exception scan", "mode of eas"]
