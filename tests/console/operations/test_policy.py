"""The policy's operations: what-if of what is in force changes nothing; reading the record in pages; who may what."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.lab import T0, Lab
from console.operations.offices import office
from gambeson.console.office import Office, RefusedError, StepUpError
from gambeson.console.operations import policy, policy_drafts, policy_ground
from gambeson.guard.data import default_policy_text
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.event import Event
from gambeson.model.staff import EVERY, Grant, Role, Verb
from gambeson.store.errors import NotFound
from gambeson.store.tenant import OrganisationStore

OWNER = Grant(EVERY, Role.OWNER)
OURS = default_policy_text()
DENY = '[[rule]]\nname = "no-imap"\nopinion = "deny"\ndoors = ["imap"]\n\n'
ALLOWED, REFUSED = "door.login.allowed", "door.login.refused"


def acme(lab: Lab) -> tuple[OrganisationStore, Office]:
    org = lab.organisation("Acme", "acme.example")
    org.accounts.create("ann@acme.example", **lab.act)
    return org, office(lab, lab.staff("Ann", OWNER))


def sign_in(
    organisation: str, id: str, at: float, kind: str = ALLOWED, door: str = "imap", **data: str
) -> Event:
    said = {"claimed": "ann@acme.example", "rung": "nothing", **data}
    return Event(id, at, kind, organisation, door=door, source="203.0.113.5", data=said)


EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.floats(T0 - 13 * 86400, T0 - 1),
            "kind": st.sampled_from([ALLOWED, REFUSED]),
            "door": st.sampled_from([*DoorKind, "nowhere"]),
            "rung": st.sampled_from([r.word for r in Rung]),
            "claimed": st.sampled_from(["ann@acme.example", "x@acme.example", "y@other.example", ""]),
            "reason": st.sampled_from(["", "throttled", "not-encrypted", "rung-too-low"]),
        }
    ),
    max_size=12,
)
TEXTS = st.sampled_from(
    [
        OURS,
        DENY + OURS,
        "",
        '[[rule]]\nname = "all"\nopinion = "allow"\n',
        '[[mode]]\ndoor = "imap"\nmode = "observe"\nuntil = 2027-01-01T00:00:00Z\n' + OURS,
        '[[exception]]\nname = "scanner"\ndoor = "imap"\nrung = "knowledge"\nowner = "Ann"\nreason = "Old"\n'
        "until = 2026-12-31T00:00:00Z\n" + OURS,
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(EVENTS, TEXTS, st.booleans(), st.booleans())
def test_the_policy_in_force_changes_nothing(
    lab: Lab, events: list[dict[str, object]], text: str, mode: bool, enforce: bool
) -> None:
    number = len(lab.store.organisations())
    org = lab.organisation(f"Acme {number}", f"a{number}.example")
    who = office(lab, lab.staff(f"Ann {number}", OWNER))
    org.policies.add(text, **lab.act)
    if mode:
        org.modes.set(DoorKind.OWA, Mode.WARN, until=T0 + 9e5, **lab.act)
    lab.events(
        Event(f"{org.id}-{i}", e["at"], e["kind"], org.id, door=e["door"], source="203.0.113.5", data=e)
        for i, e in enumerate(events)
    )
    found = policy.what_if(who, org.id, text, enforce=enforce).result
    assert (found.refused, found.allowed) == (0, 0)
    assert found.looked_at == len(events)
    assert found.same + found.unreadable == len(events)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_every_sign_in_is_read_once_however_many_share_a_moment(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    org, who = acme(lab)
    monkeypatch.setattr(policy_ground, "_CHUNK", chunk)
    times = [T0 - 5.0] * 9 + [T0 - 9.25] * 4 + [T0 - 100.0 - i / 3 for i in range(8)]
    lab.events(sign_in(org.id, f"e{i}", at) for i, at in enumerate(times))
    lab.events([sign_in(org.id, "old", T0 - 15 * 86400), Event("web", T0 - 5, "door.web.admitted", org.id)])
    steps: list[int] = []
    found = policy.what_if(who, org.id, DENY, step=steps.append)
    assert (found.result.looked_at, found.more, steps[-1]) == (21, False, 21)
    some = policy.what_if(who, org.id, DENY, most=20)
    assert (some.result.looked_at, some.more, some.oldest) == (20, True, times[-2])
    with pytest.raises(policy_ground.TooMuchError):
        policy.what_if(who, org.id, DENY, most=20, strict=True)
    assert not policy.what_if(who, org.id, DENY, most=21, strict=True).more


def test_modes_of_the_doors_count_in_both(lab: Lab) -> None:
    org, who = acme(lab)
    lab.events([sign_in(org.id, "e1", T0 - 5)])
    org.modes.set(DoorKind.IMAP, Mode.OBSERVE, until=T0 + 9e5, **lab.act)
    assert policy.what_if(who, org.id, DENY + OURS).result.refused == 0
    assert policy.observing(who, org.id) == (DoorKind.IMAP,)
    org.modes.clear(DoorKind.IMAP, **lab.act)
    assert policy.observing(who, org.id) == ()


def test_a_policy_that_is_none_is_not_saved_and_changes_nothing(lab: Lab) -> None:
    org, who = acme(lab)
    with pytest.raises(RefusedError) as refused:
        policy.add_version(who, org.id, '[floors]\nimap = "nothing"\n')
    assert (refused.value.reason, refused.value.status) == ("bad-policy", 422)
    assert refused.value.sentence.startswith("Line 2, column 1: ")
    checked = policy.check(who, org.id, '[[rule]]\nname = "a"\n[[rule]]\nname = "b"\n')
    assert not checked.good
    assert [p.line for p in checked.problems] == [1, 3, 4]
    assert policy.get_active(who, org.id).version == 0
    assert policy.versions(who, org.id).total == 0


def test_versions_go_forth_and_back(lab: Lab) -> None:
    org, who = acme(lab)
    assert policy.get_active(who, org.id).source == OURS
    assert policy.add_version(who, org.id, (DENY + OURS).replace("\n", "\r\n"), note=" Shut ").version == 1
    assert policy.add_version(who, org.id, OURS, expected=1).version == 2
    with pytest.raises(RefusedError) as refused:
        policy.add_version(who, org.id, OURS, expected=1)
    assert refused.value.status == 409
    page = policy.versions(who, org.id, limit=1)
    assert ([v.version for v in page.versions], page.total, page.active) == ([2], 2, 2)
    assert policy.get_version(who, org.id, 1).source == DENY + OURS
    assert policy.get_version(who, org.id, 1).note == "Shut"
    change = policy.diff(who, org.id, 0, 1)
    assert (change.added, change.removed, policy.diff(who, org.id, 0, 2).same) == (5, 0, True)
    assert policy.activate(who, org.id, 1).told.missing == ("worker",)
    assert policy.get_active(who, org.id).version == 1
    assert policy.reset(who, org.id).version == 0
    assert policy.get_active(who, org.id).version == 0
    with pytest.raises(NotFound):
        policy.activate(who, org.id, 9)
    org.policies.add("[[[", activate=False, **lab.act)
    with pytest.raises(RefusedError) as refused:
        policy.activate(who, org.id, 3)
    assert "no valid policy any more" in refused.value.sentence


def test_verbs_and_a_passkey_below_the_pages(lab: Lab) -> None:
    org, who = acme(lab)
    policy.add_version(who, org.id, OURS)
    reader = office(lab, lab.staff("Eve", Grant(org.id, Role.AUDITOR)))
    policy.what_if(reader, org.id, DENY)
    acts = (
        lambda o: policy.add_version(o, org.id, OURS),
        lambda o: policy.activate(o, org.id, 1),
        lambda o: policy.reset(o, org.id),
    )
    for act in acts:
        with pytest.raises(RefusedError) as refused:
            act(reader)
        assert refused.value.status == 403
    stranger = office(lab, lab.staff("Tom", Grant(lab.organisation("Other", "other.example").id, Role.OWNER)))
    for read in (policy.get_active, policy.versions, policy.meaning, policy.proof_in_force, policy.observing):
        with pytest.raises(RefusedError) as refused:
            read(stranger, org.id)
        assert refused.value.status == 404
    lab.later(1_000)
    late = Office(lab.world, who.access, lab.clock.now)
    for act in acts:
        with pytest.raises(StepUpError):
            act(late)
    token = office(lab, lab.staff("Bot", OWNER), token="t1", only=frozenset((Verb.READ, Verb.POLICY)))
    assert policy.add_version(token, org.id, OURS).version == 2


def test_proof_finds_what_is_declared_and_gives_up_in_time(lab: Lab) -> None:
    org, who = acme(lab)
    assert policy.prove(who, org.id).good
    observed = '[[mode]]\ndoor = "imap"\nmode = "observe"\nuntil = 2027-01-01T00:00:00Z\n' + OURS
    proof = policy.prove(who, org.id, observed)
    assert proof.good
    assert {b.door for b in proof.open_by_mode} == {"imap"}
    with pytest.raises(policy_ground.TooMuchError):
        policy.prove(who, org.id, observed, most=10)
    assert policy.proof_in_force(who, org.id) is policy.proof_in_force(who, org.id)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"door": "window"}, "is no door"),
        ({"rung": "oath"}, "is no rung"),
        ({"country": "Germany"}, "no country code"),
        ({"source": "x"}, "does not appear to be"),
        ({"risk": 101}, "0 to 100"),
        ({"device": "dev-1"}, "has no device"),
        ({"account": "nobody"}, ""),
        ({"text": "[[["}, "Line 1"),
    ],
)
def test_questions_that_cannot_be_asked(lab: Lab, asked: dict[str, object], words: str) -> None:
    org, who = acme(lab)
    question: dict[str, object] = {"door": "imap", "account": "ann@acme.example", **asked}
    with pytest.raises(RefusedError) as refused:
        policy.explain(who, org.id, **question)  # type: ignore[arg-type]
    assert refused.value.status == 422
    assert words in refused.value.sentence
    assert "gambeson device" not in refused.value.sentence


def test_long_work_can_be_cancelled_and_leaves_the_draft_as_it_was(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    org, who = acme(lab)
    monkeypatch.setattr(policy, "IN_REQUEST", 3)
    lab.events(sign_in(org.id, f"e{i}", T0 - i - 1) for i in range(5))
    draft = policy_drafts.make(who, org.id, DENY + OURS)
    works = lab.world.works
    held = works.start(
        "other", by="x", verb=Verb.READ, kind="x", total=1, function=lambda p: _until_cancelled(p)
    )
    waiting = policy_drafts.look(who, draft)
    assert works.cancel(org.id, waiting.work)
    works.cancel("other", held.id)
    works.join()
    assert policy_drafts.get(who, org.id, draft.id).looked is None
    again = policy_drafts.look(who, draft)
    works.join()
    looked = policy_drafts.get(who, org.id, again.id)
    assert looked.looked is not None
    assert looked.looked.result.looked_at == 5
    assert looked.proof is not None


def _until_cancelled(progress):  # type: ignore[no-untyped-def]
    while True:
        progress.step(0)
