"""The directory's side is played by a model of Active Directory's count; it must never lock."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gambeson.guard.core.directory_budget import DirectoryBudget

THRESHOLD, WINDOW = 8, 1800.0


class Directory:
    """Counts as Active Directory does: set back by a right password, or by a window without a wrong one."""

    def __init__(self):
        self.bad, self.last, self.worst = 0, -1e18, 0

    def password(self, right, now):
        if now - self.last >= WINDOW:
            self.bad = 0
        if right:
            self.bad = 0
        else:
            self.bad, self.last = self.bad + 1, now
        self.worst = max(self.worst, self.bad)


class Budget(RuleBasedStateMachine):
    """Questions overlap; the directory works on each at some time between question and answer, in any order."""

    flying = Bundle("flying")
    worked = Bundle("worked")

    def __init__(self):
        super().__init__()
        self.budget = DirectoryBudget(THRESHOLD, WINDOW)
        self.directory = Directory()
        self.now = 1_800_000_000.0

    @rule(target=flying, known=st.booleans(), right=st.booleans())
    def ask(self, known, right):
        ticket = self.budget.ask("a", known, self.now)
        return (ticket, right)

    @rule(target=worked, one=consumes(flying))
    def directory_works(self, one):
        ticket, right = one
        if ticket is not None:
            self.directory.password(right, self.now)
        return one

    @rule(one=consumes(worked))
    def answer(self, one):
        ticket, right = one
        if ticket is not None:
            self.budget.answered(ticket, right, self.now)

    @rule(one=consumes(flying))
    def time_out(self, one):
        ticket, right = one
        if ticket is not None:
            self.directory.password(right, self.now)
            self.budget.answered(ticket, False, self.now)

    @rule(seconds=st.sampled_from([1.0, 60.0, WINDOW - 1, WINDOW, WINDOW + 1, 86400.0]))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def two_under_the_threshold(self):
        assert self.directory.worst <= THRESHOLD - 2


TestBudget = Budget.TestCase
TestBudget.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


def test_strangers_cannot_use_up_the_share_of_the_known():
    budget = DirectoryBudget(10, WINDOW)
    sent = 0
    for i in range(1000):
        ticket = budget.ask("a", False, float(i))
        if ticket:
            sent += 1
            budget.answered(ticket, False, float(i))
    assert sent == 4
    mine = budget.ask("a", True, 1000.0)
    assert mine is not None
    budget.answered(mine, True, 1000.0)
    assert budget.used("a", 1000.0) == 0


def test_only_a_full_window_of_quiet_sets_back():
    budget = DirectoryBudget(4, WINDOW)
    ticket = budget.ask("a", False, 0.0)
    budget.answered(ticket, False, 1.0)
    assert budget.ask("a", False, WINDOW) is None
    assert budget.ask("a", False, WINDOW + 1) is not None
    assert budget.ask("b", False, 2.0) is not None


def test_questions_in_flight_count():
    budget = DirectoryBudget(10, WINDOW)
    assert sum(budget.ask("a", True, 0.0) is not None for _ in range(50)) == 4
    assert budget.ask("a", True, 10 * WINDOW) is None  # nobody answered: they may still be on their way


def test_a_right_answer_clears_only_what_was_answered_before_it_was_asked():
    """The directory may have worked on the right one first: the misses that overlapped it still count there."""
    budget = DirectoryBudget(10, WINDOW)
    good, *bad = [budget.ask("a", True, 0.0) for _ in range(4)]
    for ticket in bad:
        budget.answered(ticket, False, 1.0)
    budget.answered(good, True, 1.0)
    assert budget.used("a", 1.0) == 3
    later = budget.ask("a", True, 2.0)
    budget.answered(later, True, 3.0)
    assert budget.used("a", 3.0) == 0


def test_a_question_still_on_its_way_keeps_the_count():
    """It may have missed a moment ago, within the window of the misses before it."""
    budget = DirectoryBudget(10, WINDOW)
    tickets = [budget.ask("a", True, 0.0) for _ in range(4)]
    for ticket in tickets[1:]:
        budget.answered(ticket, False, 0.0)
    assert budget.ask("a", True, WINDOW) is None
    budget.answered(tickets[0], False, WINDOW)
    assert budget.used("a", WINDOW + 1) == 4


def test_a_threshold_without_room_is_refused():
    with pytest.raises(ValueError, match="threshold"):
        DirectoryBudget(2, WINDOW)
    assert DirectoryBudget(3, WINDOW).ask("a", False, 0.0) is None
    assert DirectoryBudget(3, WINDOW).ask("a", True, 0.0) is not None


def test_memory_is_bounded_and_a_full_table_refuses():
    budget = DirectoryBudget(6, WINDOW, capacity=10)
    for i in range(10):
        budget.answered(budget.ask(f"a{i}", False, 0.0), False, 0.0)
    assert budget.ask("one more", False, 1.0) is None
    assert budget.ask("one more", False, WINDOW) is not None


def test_a_restart_goes_on_counting_also_what_was_in_flight():
    budget = DirectoryBudget(6, WINDOW)
    budget.answered(budget.ask("a", False, 5.0), False, 5.0)
    budget.ask("a", True, 6.0)
    again = DirectoryBudget(6, WINDOW)
    again.load(json.loads(json.dumps(budget.dump())))
    assert again.used("a", 6.0) == 2


def test_what_was_counted_before_comes_to_what_is_in_flight_here_and_no_time_lies_ahead():
    before, here = DirectoryBudget(8, WINDOW), DirectoryBudget(8, WINDOW)
    before.answered(before.ask("a", True, 5.0), False, 5.0)
    ticket = here.ask("a", True, 6.0)
    here.load(before.dump() | {"more": 1}, 6.0)
    here.answered(ticket, False, 6.0)
    assert here.used("a", 6.0) == 2
    here.load({"accounts": {"b": [0, 3, 1e18]}}, 7.0)
    assert here.used("b", 7.0) == 3
    assert here.used("b", 7.0 + WINDOW) == 0


def test_a_dump_of_more_accounts_than_there_may_be_is_not_taken():
    with pytest.raises(ValueError, match="more accounts"):
        DirectoryBudget(6, WINDOW, capacity=1).load({"accounts": {"a": [0, 1, 1.0], "b": [0, 1, 1.0]}})


@pytest.mark.parametrize(
    "data", [None, {}, {"accounts": 3}, {"accounts": {"a": 3}}, {"accounts": {"a": [-1, 0, 0.0]}}]
)
def test_what_is_no_dump_is_a_value_error(data):
    with pytest.raises(ValueError, match="saved"):
        DirectoryBudget(6, WINDOW).load(data)
