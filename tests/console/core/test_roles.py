"""Who may do what: the table, and what never counts."""

from __future__ import annotations

import pytest

from gambeson.console.core.roles import BREAK_GLASS, VERBS_OF, everywhere, verbs
from gambeson.model.staff import EVERY, Grant, Role, Verb

NOW = 1_790_000_000.0


def test_an_owner_may_everything_and_every_role_may_read() -> None:
    assert VERBS_OF[Role.OWNER] == set(Verb)
    assert set(VERBS_OF) == set(Role)
    assert all(Verb.READ in of for of in VERBS_OF.values())


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.RESPONDER])
def test_who_looks_and_who_shuts_out_gives_nobody_access(role: Role) -> None:
    giving = {
        Verb.DEVICES,
        Verb.PEOPLE,
        Verb.DOORS,
        Verb.POLICY,
        Verb.STAFF,
        Verb.ORGANISATIONS,
        Verb.ACTIONS,
    }
    assert not VERBS_OF[role] & giving


def test_a_technician_says_nothing_of_who_may_what() -> None:
    assert not VERBS_OF[Role.TECHNICIAN] & {Verb.STAFF, Verb.ORGANISATIONS}


def test_a_grant_is_for_its_organisation_and_its_time() -> None:
    grants = (Grant("a", Role.TECHNICIAN), Grant("b", Role.AUDITOR, NOW))
    assert Verb.POLICY in verbs(grants, "a", NOW)
    assert verbs(grants, "b", NOW - 1) == VERBS_OF[Role.AUDITOR]
    assert verbs(grants, "b", NOW) == set()
    assert verbs(grants, "c", NOW) == set()
    assert verbs(grants, EVERY, NOW) == set()  # one organisation's grant says nothing of the whole
    assert not everywhere(grants, NOW)


def test_a_grant_for_all_counts_everywhere() -> None:
    grants = (Grant(EVERY, Role.OWNER),)
    assert verbs(grants, "whatever", NOW) == verbs(grants, EVERY, NOW) == set(Verb)
    assert everywhere(grants, NOW)


def test_a_responder_without_an_end_is_none() -> None:
    assert verbs((Grant("a", Role.RESPONDER),), "a", NOW) == set()
    assert Verb.CONTAIN in verbs((Grant("a", Role.RESPONDER, NOW + 1),), "a", NOW)


def test_break_glass_registers_no_device_and_edits_no_policy() -> None:
    assert not BREAK_GLASS & {Verb.DEVICES, Verb.PEOPLE, Verb.POLICY, Verb.ORGANISATIONS, Verb.ACTIONS}
