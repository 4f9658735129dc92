"""The throttle's invariants, walked by Hypothesis: any mixture of attackers, people, time and restarts."""

from __future__ import annotations

import json
from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gambeson.guard.core.throttle import Throttle, ThrottleLimits
from gambeson.model.asset import Account
from gambeson.model.organisation import Organisation
from gambeson.model.snapshot import Snapshot, SnapshotIndex

LIMITS = ThrottleLimits(
    account_per_day=12,
    account_source_per_hour=4,
    source_per_hour=8,
    credential_per_hour=5,
    known_source_per_hour=6,
    known_sources=2,
    buckets=5,
    unknown_slots=3,
)
NAMES = {"a@x.org": "a", "alias@x.org": "a", "b@x.org": "b"}
INDEX = SnapshotIndex(
    Snapshot(
        1,
        0.0,
        (Organisation("o", "o", ("x.org",)),),
        (Account("a", "o", "a@x.org", ("alias@x.org",)), Account("b", "o", "b@x.org")),
    )
)
HOME = "192.0.2.5"  # nobody else is there
attackers = st.integers(0, 8).map(lambda i: f"203.0.{i}.1")
claimed = st.sampled_from([*NAMES, "nobody@x.org", "noone@x.org"])
credentials = st.sampled_from(["", "id1", "id2", "x" * 300])


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 1_800_000_000.0
        self.throttle = Throttle(LIMITS)
        self.throttle.on_snapshot(INDEX, self.now)
        self.guesses = defaultdict(list)  # account -> times of guesses from the unknown that got through
        self.flying = []
        self.home = {}  # account -> last sign-in from home
        self.misses_at_home = defaultdict(list)

    @rule(source=attackers, name=claimed, credential=credentials)
    def attacker_guesses(self, source, name, credential):
        if not self.throttle.check(source, name, credential, False, self.now):
            self.guesses[NAMES.get(name, "?")].append(self.now)
            self.throttle.failed(source, name, credential, False, self.now)

    @rule(source=attackers, name=claimed)
    def attacker_guesses_and_waits(self, source, name):
        if not self.throttle.check(source, name, "", False, self.now):
            self.guesses[NAMES.get(name, "?")].append(self.now)
            self.flying.append((source, name))

    @precondition(lambda self: self.flying)
    @rule()
    def late_answer(self):
        source, name = self.flying.pop()
        self.throttle.failed(source, name, "", False, self.now)

    @rule(name=st.sampled_from(list(NAMES)), credential=credentials, source=attackers | st.just(HOME))
    def a_person_with_a_proven_device(self, name, credential, source):
        """Invariant 1, also from a source that an attacker shares. Only home is left known to be known."""
        assert self.throttle.check(source, name, credential, True, self.now) == ""
        if source == HOME:
            self.throttle.succeeded(source, name, credential, True, self.now)
            self.home[NAMES[name]] = self.now

    @precondition(lambda self: self.home)
    @rule(data=st.data(), right=st.booleans())
    def a_person_at_home_with_a_password(self, data, right):
        """Invariant 2: only what was missed at home itself can close home."""
        account = data.draw(st.sampled_from(sorted(self.home)))
        name = {"a": "alias@x.org", "b": "b@x.org"}[account]
        known = self.now - self.home[account] < LIMITS.known_source_days * 86400
        recent = [t for t in self.misses_at_home[account] if self.now - t < 4200]
        closed = self.throttle.check(HOME, name, "", False, self.now)
        if known and len(recent) < LIMITS.known_source_per_hour:
            assert closed == ""
        if closed:
            return
        if right:
            self.throttle.succeeded(HOME, name, "", False, self.now)
            self.home[account] = self.now
        else:
            self.throttle.failed(HOME, name, "", False, self.now)
            if known:
                self.misses_at_home[account].append(self.now)
            else:
                self.guesses[account].append(self.now)

    @rule(seconds=st.sampled_from([0.5, 59.0, 600.0, 3600.0, 7000.0, 43200.0, 86399.0, 31 * 86400.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def restart(self):
        fresh = Throttle(LIMITS)
        fresh.load(json.loads(json.dumps(self.throttle.dump())))
        fresh.on_snapshot(INDEX, self.now)
        self.throttle = fresh
        self.flying.clear()

    @invariant()
    def at_most_so_many_guesses_in_any_day(self):
        """Invariant 3; all unknown names together have three slots."""
        for account, times in self.guesses.items():
            many = LIMITS.account_per_day * (LIMITS.unknown_slots if account == "?" else 1)
            for t in times[-60:]:
                assert sum(1 for u in times if 0 <= u - t < 86400) <= many

    @invariant()
    def memory_is_bounded(self):
        dump = self.throttle.dump()
        for name in ("pair", "source", "credential", "known"):
            assert len(dump[name]) <= LIMITS.buckets
        assert len(dump["unknown"]) <= LIMITS.unknown_slots
        assert set(dump["accounts"]) <= {"a", "b"}
        assert all(len(s) <= LIMITS.known_sources for s in dump["sources"].values())


TestThrottle = Machine.TestCase
TestThrottle.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
