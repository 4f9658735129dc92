"""Actions as conversations: from the plan to the proof, and back; and every way in which one is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from console.lab import Lab
from console.operations.doors import doors
from console.operations.offices import office
from gambeson.console.office import RefusedError
from gambeson.console.operations import actions
from gambeson.console.operations.runner import runners
from gambeson.model.access import DoorKind, Mode
from gambeson.model.action import ActionState
from gambeson.model.asset import CredentialKind, DeviceState
from gambeson.model.staff import EVERY, Grant, Role, Staff, Verb
from gambeson.store.errors import Conflict, NotFound
from gambeson.store.tenant import OrganisationStore


@dataclass
class Scene:
    lab: Lab
    acme: OrganisationStore
    ann: Staff  # owner of everything
    ben: Staff  # technician here
    account: str
    device: str

    def step(self, act: Callable[..., Any], *more: Any, who: Staff | None = None) -> Any:
        return act(office(self.lab, who or self.ann), self.acme.id, *more)

    def ready(self, kind: str, target: str, **given: str) -> str:
        """Planned by Ann, approved by Ben."""
        made = self.step(actions.plan, kind, target, given)
        self.step(actions.approve, made.id, who=self.ben)
        return str(made.id)

    def journal(self, id: str) -> list[tuple[str, str]]:
        return [(str(line.state), line.by.partition(" ")[0]) for line in self.acme.actions.journal(id)]


@pytest.fixture
def scene(lab: Lab) -> Scene:
    acme = lab.organisation("Acme", "acme.example")
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    ben = lab.staff("Ben", Grant(acme.id, Role.TECHNICIAN))
    account = acme.accounts.create("eve@acme.example", **lab.act)
    device = acme.devices.create(
        account.id, "Phone", doors=[DoorKind.IMAP, DoorKind.EAS], state=DeviceState.QUARANTINED, **lab.act
    )
    acme.credentials.add(device.id, CredentialKind.DEVICE_SECRET, "public-1", verifier=b"v" * 32, **lab.act)
    return Scene(lab, acme, ann, ben, account.id, device.id)


def test_every_kind_is_found_by_its_file(scene: Scene) -> None:
    assert set(runners()) == {
        "device.revoke",
        "device.approve",
        "mode.set",
        "account.disable",
        "policy.activate",
        "eas.block",
    }


@dataclass(frozen=True)
class Case:
    kind: str
    target: str
    given: Mapping[str, str]
    before: Callable[[Scene], object]
    held: object
    done: object
    undone: object  # None: there is no way back


def device_state(scene: Scene) -> object:
    live = sum(c.revoked_at == 0 for c in scene.acme.credentials.list(device=scene.device))
    return str(scene.acme.devices.get(scene.device).state), live


def enabled(scene: Scene) -> object:
    return scene.acme.accounts.get(scene.account).enabled


def imap_mode(scene: Scene) -> object:
    return [
        (str(e.mode), e.until) for e in scene.acme.modes.list() if e.door == DoorKind.IMAP and not e.account
    ]


def version(scene: Scene) -> object:
    now = scene.acme.policies.active()
    return now.version if now is not None else 0


def decided(scene: Scene) -> object:
    return [(one.device_id, one.decision) for one in scene.acme.eas_devices.list(account=scene.account)]


HOUR = 3600.0
T0 = 1_790_000_000.0
CASES = [
    Case(
        "device.revoke",
        "eve@acme.example/Phone",
        {"reason": "lost"},
        device_state,
        ("quarantined", 1),
        ("blocked", 0),
        None,
    ),
    Case(
        "device.approve",
        "eve@acme.example/Phone",
        {},
        device_state,
        ("quarantined", 1),
        ("registered", 1),
        ("blocked", 1),
    ),
    Case("account.disable", "Eve@acme.example", {}, enabled, True, False, True),
    Case(
        "mode.set",
        "imap",
        {"mode": "observe", "hours": "3"},
        imap_mode,
        [("warn", T0 + 9 * HOUR)],
        [("observe", T0 + 3 * HOUR)],
        [("warn", T0 + 9 * HOUR)],
    ),
    Case("policy.activate", "2", {}, version, 1, 2, 1),
    Case(
        "eas.block",
        "eve@acme.example",
        {"device_id": "APPL123"},
        decided,
        [("appl123", "quarantined")],
        [("appl123", "blocked")],
        [("appl123", "quarantined")],
    ),
]


def prepare(scene: Scene, kind: str) -> None:
    act = scene.lab.act
    if kind == "mode.set":
        scene.acme.modes.set(DoorKind.IMAP, Mode.WARN, until=T0 + 9 * HOUR, **act)
    elif kind == "policy.activate":
        from gambeson.app.publishing import default_policy_text

        scene.acme.policies.add(default_policy_text(), **act)
        scene.acme.policies.add(default_policy_text() + "\n# nothing else\n", activate=False, **act)
    elif kind == "eas.block":
        scene.acme.eas_devices.decide(scene.account, "appl123", "quarantined", **act)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_from_the_plan_to_the_proof_and_back(scene: Scene, case: Case) -> None:
    prepare(scene, case.kind)
    made = scene.step(actions.plan, case.kind, case.target, case.given)
    view = scene.step(actions.get, made.id)
    assert view.sentences
    assert all(sentence[-1] in ".:" or "note" in sentence for sentence in view.sentences)
    assert case.before(scene) == case.held  # a plan changes nothing
    scene.step(actions.approve, made.id, who=scene.ben)
    assert case.before(scene) == case.held
    with doors(scene.lab):
        done = scene.step(actions.run, made.id)
        assert (done.state, done.reason) == (ActionState.DONE, "")
        assert case.before(scene) == case.done
        assert scene.step(actions.verify, made.id).state is ActionState.VERIFIED
        steps = ["planned", "approved", "running", "done", "done", "verified"]
        if case.undone is None:
            with pytest.raises(RefusedError, match="register the device anew"):
                scene.step(actions.undo, made.id)
            assert "undo" not in scene.step(actions.get, made.id).may
            assert case.before(scene) == case.done
        else:
            assert scene.step(actions.undo, made.id).state is ActionState.UNDONE
            assert case.before(scene) == case.undone
            steps += ["undone", "undone"]
    assert [state for state, _ in scene.journal(made.id)] == steps
    assert {by for _, by in scene.journal(made.id)} == {"Ann", "Ben"}
    audited = {entry.action for entry in scene.acme.audit()}
    assert {
        "action.planned",
        "action.approved",
        "action.running",
        "action.done",
        "action.verified",
    } <= audited


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_it_takes_the_verb_of_its_kind_as_well(scene: Scene, case: Case) -> None:
    prepare(scene, case.kind)
    verb = runners()[case.kind].verb
    made = scene.step(actions.plan, case.kind, case.target, case.given)
    for only in (frozenset((Verb.READ, Verb.ACTIONS)), frozenset((Verb.READ, verb))):
        asked = office(scene.lab, scene.ann, token="T", only=only)
        for act in (
            lambda asked=asked: actions.plan(asked, scene.acme.id, case.kind, case.target, case.given),
            lambda asked=asked: actions.approve(asked, scene.acme.id, made.id),
            lambda asked=asked: actions.run(asked, scene.acme.id, made.id),
            lambda asked=asked: actions.verify(asked, scene.acme.id, made.id),
            lambda asked=asked: actions.undo(asked, scene.acme.id, made.id),
            lambda asked=asked: actions.cancel(asked, scene.acme.id, made.id, ""),
        ):
            with pytest.raises(RefusedError) as error:
                act()
            assert error.value.status == 403
    assert scene.acme.actions.get(made.id).state is ActionState.PLANNED


def test_an_action_runs_once(scene: Scene) -> None:
    id = scene.ready("account.disable", "eve@acme.example")
    scene.step(actions.run, id)
    scene.acme.accounts.update(scene.account, enabled=True, **scene.lab.act)
    with pytest.raises(Conflict):
        scene.step(actions.run, id)
    assert enabled(scene) is True


def test_nothing_runs_that_was_not_approved(scene: Scene) -> None:
    made = scene.step(actions.plan, "account.disable", "eve@acme.example", {})
    with pytest.raises(Conflict):
        scene.step(actions.run, made.id)
    assert enabled(scene) is True
    with pytest.raises(RefusedError, match="only what was done"):
        scene.step(actions.undo, made.id)
    with pytest.raises(RefusedError, match="only what was done"):
        scene.step(actions.verify, made.id)


def test_ones_own_approval_is_told_and_another_is_not(scene: Scene) -> None:
    own = scene.step(actions.plan, "account.disable", "eve@acme.example", {})
    scene.step(actions.approve, own.id)
    assert scene.step(actions.get, own.id).own_approval
    assert "nobody else looked" in scene.acme.actions.journal(own.id)[-1].note
    other = scene.ready("account.disable", "eve@acme.example")
    assert not scene.step(actions.get, other).own_approval


def test_where_it_takes_two_a_token_of_the_same_person_is_no_second(scene: Scene) -> None:
    prepare(scene, "policy.activate")
    made = scene.step(actions.plan, "policy.activate", "2", {})
    assert scene.step(actions.get, made.id).may == {"cancel"}
    renamed = scene.lab.store.staff.update(scene.ann.id, name="Zoe", **scene.lab.act)
    for asked in (
        office(scene.lab, scene.ann),
        office(scene.lab, renamed),
        office(scene.lab, scene.ann, token="Robot"),
    ):
        with pytest.raises(RefusedError, match="somebody else has to approve"):
            actions.approve(asked, scene.acme.id, made.id)
    scene.step(actions.approve, made.id, who=scene.ben)
    assert scene.step(actions.run, made.id).state is ActionState.DONE


def test_what_reads_otherwise_now_is_not_run(scene: Scene) -> None:
    id = scene.ready("device.revoke", "eve@acme.example/Phone")
    scene.acme.credentials.add(
        scene.device, CredentialKind.DEVICE_SECRET, "public-2", verifier=b"w" * 32, **scene.lab.act
    )
    failed = scene.step(actions.run, id)
    assert failed.state is ActionState.FAILED
    assert "plan it anew" in failed.reason
    assert device_state(scene) == ("quarantined", 2)


def test_a_failure_leaves_a_sentence(scene: Scene) -> None:
    id = scene.ready("device.approve", "eve@acme.example/Phone")
    scene.acme.devices.delete(scene.device, **scene.lab.act)
    failed = scene.step(actions.run, id)
    assert (failed.state, scene.step(actions.get, id).may) == (ActionState.FAILED, frozenset())
    assert failed.reason.startswith("There is no such device here")


def test_a_defect_of_a_runner_leaves_a_sentence_and_no_secret(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = scene.ready("account.disable", "eve@acme.example")

    def broken(*_: object) -> dict[str, object]:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(runners()["account.disable"], "run", broken)
    failed = scene.step(actions.run, id)
    assert failed.state is ActionState.FAILED
    assert "secret" not in failed.reason
    assert "Something went wrong" in failed.reason


def test_it_is_not_verified_while_a_door_does_not_act_on_it(scene: Scene) -> None:
    id = scene.ready("account.disable", "eve@acme.example")
    with doors(scene.lab, "eas-1"):
        scene.step(actions.run, id)
        assert "eas-1" in scene.acme.actions.journal(id)[-1].note
        with pytest.raises(RefusedError, match="eas-1"):
            scene.step(actions.verify, id)
    assert scene.acme.actions.get(id).state is ActionState.DONE
    assert "Not verified" in scene.acme.actions.journal(id)[-1].note
    with pytest.raises(RefusedError, match="worker"):  # nobody is there at all
        scene.step(actions.verify, id)
    with doors(scene.lab):
        assert scene.step(actions.verify, id).state is ActionState.VERIFIED


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_it_is_not_verified_where_the_store_says_otherwise(scene: Scene, case: Case) -> None:
    prepare(scene, case.kind)
    id = scene.ready(case.kind, case.target, **case.given)
    act = scene.lab.act
    with doors(scene.lab):
        scene.step(actions.run, id)
        match case.kind:
            case "device.revoke":
                scene.acme.devices.set_state(scene.device, DeviceState.REGISTERED, **act)
            case "device.approve":
                scene.acme.devices.set_state(scene.device, DeviceState.LOST, **act)
            case "account.disable":
                scene.acme.accounts.update(scene.account, enabled=True, **act)
            case "mode.set":
                scene.acme.modes.set(DoorKind.IMAP, Mode.ENFORCE, **act)
            case "policy.activate":
                scene.acme.policies.activate(1, **act)
            case "eas.block":
                scene.acme.eas_devices.decide(scene.account, "appl123", "allowed", **act)
        with pytest.raises(RefusedError, match="does not hold"):
            scene.step(actions.verify, id)
        if case.kind in ("mode.set", "policy.activate", "eas.block"):  # what came after is not taken back
            with pytest.raises(RefusedError, match="since"):
                scene.step(actions.undo, id)
            assert scene.acme.actions.get(id).state is ActionState.DONE


def test_an_end_that_is_past_is_not_put_back(scene: Scene) -> None:
    scene.acme.modes.set(DoorKind.IMAP, Mode.WARN, until=T0 + 100, **scene.lab.act)
    id = scene.ready("mode.set", "imap", mode="enforce")
    scene.step(actions.run, id)
    scene.lab.later(101)
    scene.step(actions.undo, id)
    assert imap_mode(scene) == []


def test_a_first_device_is_allowed_again_and_not_forgotten(scene: Scene) -> None:
    credential = scene.acme.credentials.list(device=scene.device)[0]
    scene.acme.eas_devices.came_first(credential.id, scene.account, "appl123", **scene.lab.act)
    id = scene.ready("eas.block", scene.account, device_id="appl123")
    scene.step(actions.run, id)
    scene.step(actions.undo, id)
    assert decided(scene) == [("appl123", "allowed")]
    assert scene.acme.eas_devices.firsts() == {credential.id: "appl123"}
    other = scene.ready("eas.block", scene.account, device_id="samsung")
    scene.step(actions.run, other)
    scene.step(actions.undo, other)
    assert decided(scene) == [("appl123", "allowed")]


def test_cancelled_and_interrupted(scene: Scene) -> None:
    id = scene.ready("account.disable", "eve@acme.example")
    assert scene.step(actions.cancel, id, "no need").state is ActionState.CANCELLED
    with pytest.raises(Conflict):
        scene.step(actions.run, id)
    stuck = scene.ready("account.disable", "eve@acme.example")
    scene.acme.actions.running(stuck, **scene.lab.act)
    with pytest.raises(RefusedError, match="at this moment"):
        scene.step(actions.cancel, stuck, "")
    scene.lab.later(61)
    assert scene.step(actions.cancel, stuck, "").state is ActionState.FAILED
    assert enabled(scene) is True


BAD = [
    ("nothing.known", "x", {}, "no such kind"),
    ("device.revoke", "dev-none", {}, "no such device"),
    ("device.revoke", "eve@acme.example/Tablet", {}, "no such device"),
    ("device.approve", "//", {}, "no such device"),
    ("account.disable", "nobody@acme.example", {}, "no such account"),
    ("account.disable", "\x00@", {}, "no such account"),
    ("mode.set", "front", {"mode": "observe", "hours": "1"}, "is a door"),
    ("mode.set", "imap", {"mode": "asleep"}, "one of observe"),
    ("mode.set", "imap", {"mode": "observe"}, "needs an end"),
    ("mode.set", "imap", {"mode": "warn", "hours": "721"}, "needs an end"),
    ("mode.set", "imap", {"mode": "warn", "hours": "-1"}, "whole number"),
    ("mode.set", "imap", {"mode": "enforce", "group": "g", "account": "eve@acme.example"}, "not for both"),
    ("mode.set", "imap", {"mode": "enforce", "account": "x@y"}, "no such account"),
    ("policy.activate", "7", {}, "no such version"),
    ("policy.activate", "٣", {}, "no such version"),
    ("policy.activate", "1; drop", {}, "no such version"),
    ("eas.block", "eve@acme.example", {}, "device_id is empty"),
    ("eas.block", "eve@acme.example", {"device_id": "x" * 300}, "too long"),
    ("device.revoke", "eve@acme.example/Phone", {"reason": "a\x1b[0m"}, "cannot be shown"),
]


@pytest.mark.parametrize(("kind", "target", "given", "sentence"), BAD)
def test_what_cannot_be_planned(
    scene: Scene, kind: str, target: str, given: dict[str, str], sentence: str
) -> None:
    with pytest.raises(RefusedError, match=sentence):
        scene.step(actions.plan, kind, target, given)
    assert not scene.acme.actions.list()


def test_a_policy_that_cannot_be_read_is_not_put_in_force(scene: Scene) -> None:
    scene.acme.policies.add("this is = no policy [", activate=False, **scene.lab.act)
    with pytest.raises(RefusedError, match="cannot be read"):
        scene.step(actions.plan, "policy.activate", "1", {})


def test_what_is_so_already_is_not_planned(scene: Scene) -> None:
    scene.acme.accounts.update(scene.account, enabled=False, **scene.lab.act)
    with pytest.raises(RefusedError, match="already"):
        scene.step(actions.plan, "account.disable", "eve@acme.example", {})


def test_a_strangers_things_are_no_target(scene: Scene) -> None:
    other = scene.lab.organisation("Other", "other.example")
    account = other.accounts.create("cid@other.example", **scene.lab.act)
    device = other.devices.create(account.id, "Phone", doors=[DoorKind.IMAP], **scene.lab.act)
    for kind, target in (
        ("account.disable", account.id),
        ("account.disable", "cid@other.example"),
        ("device.revoke", device.id),
        ("device.revoke", "cid@other.example/Phone"),
    ):
        with pytest.raises(RefusedError, match="There is no such"):
            scene.step(actions.plan, kind, target, {})
    theirs = other.actions.plan("account.disable", account.id, {}, **scene.lab.act)
    for act in (actions.get, actions.approve, actions.run, actions.verify, actions.undo):
        with pytest.raises(NotFound):
            scene.step(act, theirs.id)
    with pytest.raises(RefusedError) as error:
        actions.get(office(scene.lab, scene.ben), other.id, theirs.id)
    assert error.value.status == 404


def test_the_list_pages_by_the_last_one_seen(scene: Scene) -> None:
    for _ in range(actions.PAGE + 3):
        scene.step(actions.plan, "account.disable", "eve@acme.example", {})
    first = scene.step(actions.page)
    assert (len(first.actions), bool(first.more)) == (actions.PAGE, True)
    rest = actions.page(office(scene.lab, scene.ann), scene.acme.id, before=first.more)
    assert (len(rest.actions), rest.more) == (3, "")
    assert not {a.id for a in first.actions} & {a.id for a in rest.actions}
