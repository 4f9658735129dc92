from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambeson.console.core.matrix import individual, matrix
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import Account
from gambeson.model.decision import Opinion
from gambeson.model.rule import ModeEntry, Network, PolicyException, PolicyRule
from gambeson.model.snapshot import SnapshotIndex

T = 1_800_000_000.0
HOUR = 3600.0
IMAP, EAS, WEBMAIL, API = DoorKind.IMAP, DoorKind.EAS, DoorKind.WEBMAIL, DoorKind.API
ALL = tuple(DoorKind)


def cell(index, account="a1", door=IMAP, now=T):
    return matrix(index, "o", (door,), now).row(account)[0]


def exception(**values):
    return PolicyException(
        **{
            "name": "old-scanner",
            "door": IMAP,
            "rung": Rung.KNOWLEDGE,
            "owner": "ann",
            "reason": "until it is replaced",
            "until": T + HOUR,
            **values,
        }
    )


@pytest.mark.parametrize(
    ("door", "lowest"),
    [
        (IMAP, Rung.DEVICE_SECRET),
        (EAS, Rung.DEVICE_SECRET),
        (WEBMAIL, Rung.KNOWLEDGE_AND_CODE),
        (DoorKind.PORTAL, Rung.KNOWLEDGE_AND_CODE),
        (API, Rung.DEVICE_KEY),
    ],
)
def test_under_the_default_policy_every_door_takes_its_floor_and_not_less(world, door, lowest):
    got = cell(world.index(), door=door)
    assert (got.lowest, got.demanded, got.side_door, got.why) == (lowest, lowest, False, "")
    assert matrix(world.index(), "o", ALL, T).side_doors() == ()


def test_an_exception_is_a_side_door_with_its_end(world):
    world.with_policy(exceptions=(exception(accounts=("a.smith@example.org",)),))
    index = world.index()
    got = cell(index)
    assert (got.lowest, got.demanded, got.side_door) == (Rung.KNOWLEDGE, Rung.DEVICE_SECRET, True)
    assert (got.why, got.until, got.rule) == ("exception", T + HOUR, "exception:old-scanner")
    assert not cell(index, "a2").side_door
    (side,) = matrix(index, "o", ALL, T).side_doors()
    assert (side.door, side.count, side.accounts, side.why) == (IMAP, 1, ("a1",), {"exception": 1})


def test_an_exception_for_one_network_is_found_there(world):
    inside = Network("branch", ("10.1.0.0/16",))
    world.with_policy(networks=(inside,), exceptions=(exception(networks=("branch",)),))
    got = cell(world.index())
    assert (got.lowest, got.side_door, got.place) == (Rung.KNOWLEDGE, True, ("branch",))


def test_where_a_network_demands_more_an_exception_there_is_below_its_floor(world):
    inside = Network("vault", ("10.1.0.0/16",), ((IMAP, Rung.DEVICE_KEY),))
    world.with_policy(networks=(inside,))
    assert (cell(world.index()).lowest, cell(world.index()).side_door) == (Rung.DEVICE_SECRET, False)
    world.with_policy(exceptions=(exception(networks=("vault",), rung=Rung.DEVICE_SECRET),))
    got = cell(world.index())
    assert (got.lowest, got.demanded, got.side_door) == (Rung.DEVICE_SECRET, Rung.DEVICE_KEY, True)
    assert (got.place, got.why) == (("vault",), "exception")


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.WARN])
def test_a_door_that_only_watches_is_a_side_door(world, mode):
    world.with_policy(modes=(ModeEntry(IMAP, mode, T + HOUR, group="sales"),))
    index = world.index()
    got = cell(index)
    assert (got.lowest, got.side_door, got.why, got.mode, got.until) == (
        Rung.KNOWLEDGE,
        True,
        mode.value,
        mode,
        T + HOUR,
    )
    assert (cell(index, "a2").side_door, cell(index, "a2").mode) == (False, Mode.ENFORCE)


def test_the_bypass_opens_everything_and_says_so(world):
    world.bypass = (("o", T + HOUR),)
    got = cell(world.index())
    assert (got.lowest, got.why, got.until) == (Rung.KNOWLEDGE, "bypass", T + HOUR)
    index = world.index()
    assert matrix(index, "o", (IMAP,), T).side_doors()
    assert not matrix(index, "o", (IMAP,), T + HOUR).side_doors()


def test_with_a_rule_for_hours_it_is_kept_for_a_minute(world):
    world.rules('[[rule]]\nname = "night"\nopinion = "deny"\nhours = ["08:01", "09:00"]\n')
    index = world.index()
    assert matrix(index, "o", (IMAP,), T).until == T + 60
    assert matrix(index, "o", (IMAP,), T).row("a1")[0].lowest is Rung.DEVICE_SECRET
    assert matrix(index, "o", (IMAP,), T + 60).row("a1")[0].lowest is None


def test_an_account_that_is_off_gets_in_nowhere(world):
    world.account("alice", enabled=False).with_policy(
        modes=tuple(ModeEntry(d, Mode.OBSERVE, T + HOUR) for d in ALL)
    )
    assert {c.lowest for c in matrix(world.index(), "o", ALL, T).row("a1")} == {None}
    assert cell(world.index()).reason == "account-disabled"


def test_a_rule_for_another_country_is_a_way_in(world):
    only = PolicyRule("home", Opinion.ALLOW, countries=("DE",), rung_at_least=Rung.DEVICE_SECRET)
    world.with_policy(rules=(only,))
    assert cell(world.index()).lowest is Rung.DEVICE_SECRET


def test_it_is_kept_until_the_policy_itself_changes_its_mind(world):
    world.with_policy(modes=(ModeEntry(IMAP, Mode.OBSERVE, T + HOUR),))
    index = world.index()
    first = matrix(index, "o", ALL, T)
    assert first.until == T + HOUR
    assert matrix(index, "o", ALL, T + HOUR - 1) is first
    later = matrix(index, "o", ALL, T + HOUR)
    assert later is not first
    assert not later.row("a1")[ALL.index(IMAP)].side_door
    assert matrix(index, "o", ALL, T - 1) is not first


def test_ten_thousand_accounts_in_five_groups_are_few_classes(world):
    many = [
        Account(f"n{i}", "o", f"n{i}@example.org", groups=(f"g{i % 5}", f"own{i}")) for i in range(10_000)
    ]
    world.accounts.update((a.id, a) for a in many)
    world.with_policy(
        modes=tuple(ModeEntry(IMAP, Mode.OBSERVE, T + HOUR, group=f"g{i}") for i in range(5)),
        exceptions=(exception(accounts=("n7@example.org", "n12@example.org")),),
    )
    got = matrix(world.index(), "o", ALL, T)
    assert len(got.classes) <= 8
    assert sum(len(c.accounts) for c in got.classes) == 10_002
    assert got.side_doors()[0].count == 10_000


def test_only_the_organisations_own_accounts_are_in_it(world):
    got = matrix(world.index(), "o", ALL, T)
    assert sorted(got.of) == ["a1", "a2"]
    with pytest.raises(KeyError):
        got.row("m1")
    with pytest.raises(KeyError):
        matrix(world.index(), "gone", ALL, T)


GROUPS = ("sales", "it", "board")
ids = [f"p{i}" for i in range(6)]
names = st.sampled_from([*(f"p{i}@example.org" for i in range(6)), "p0", "nobody@example.org"])
accounts = st.lists(names, max_size=2).map(tuple)
groups = st.lists(st.sampled_from(GROUPS), max_size=2).map(tuple)
networks = st.lists(st.sampled_from(("branch", "vault")), max_size=1).map(tuple)
door = st.sampled_from((IMAP, WEBMAIL, API))
ends = st.sampled_from((T - 1, T + HOUR))
exceptions = st.builds(
    PolicyException,
    st.sampled_from(("x", "y")),
    door,
    st.sampled_from(tuple(Rung)),
    st.just("ann"),
    st.just("why"),
    ends,
    accounts,
    groups,
    networks,
)
modes = st.builds(ModeEntry, door, st.sampled_from(tuple(Mode)), ends, st.just(""), names) | st.builds(
    ModeEntry, door, st.sampled_from(tuple(Mode)), ends, st.sampled_from(("", *GROUPS))
)
rules = st.builds(
    PolicyRule,
    st.sampled_from(("r", "s")),
    st.sampled_from(tuple(Opinion)),
    accounts=accounts,
    groups=groups,
    networks=networks,
    countries=st.sampled_from(((), ("DE",))),
    rung_at_least=st.sampled_from((None, Rung.DEVICE_SECRET, Rung.DEVICE_KEY)),
)
people = st.tuples(
    *(
        st.builds(
            Account,
            st.just(i),
            st.just("o"),
            st.just(f"{i}@example.org"),
            groups=groups,
            enabled=st.booleans(),
            server=st.sampled_from(("", "old")),
        )
        for i in ids
    )
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    people,
    st.lists(exceptions, max_size=3).map(tuple),
    st.lists(modes, max_size=3).map(tuple),
    st.lists(rules, max_size=3).map(tuple),
    st.booleans(),
)
def test_a_class_answers_what_each_of_its_accounts_would(make_world, them, some, kept, asked, bypass):
    world = make_world()
    world.accounts = {a.id: a for a in them}
    world.with_policy(
        exceptions=some,
        modes=kept,
        rules=asked + world.policy.rules,
        networks=(
            Network("branch", ("10.1.0.0/16",)),
            Network("vault", ("10.2.0.0/16",), ((IMAP, Rung.DEVICE_KEY),)),
        ),
    )
    world.bypass = (("o", T + HOUR),) if bypass else ()
    index: SnapshotIndex = SnapshotIndex(replace(world.index().snapshot, accounts=them))
    doors = (IMAP, WEBMAIL, API)
    got = matrix(index, "o", doors, T)
    for account in them:
        assert got.row(account.id) == individual(index, "o", doors, T, account.id)
